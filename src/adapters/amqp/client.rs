//! The other side: what submits requests, gives commands and looks at what became of them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::BasicConsumeOptions;
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::link::{InvalidUrl, Link, Live, until, within};
use super::post::{self, Letter, PostError, let_go, send_on};
use super::queue::{MAX_REQUEST, request_properties};
use super::settings::{AmqpSettings, Topology};
use super::wire;
use crate::command::{Command, CommandReply, ReplyBody};
use crate::model::status::RequestSummary;
use crate::model::{OrganisationId, Timestamp, TraceParent};
use crate::ports::Clock;

/// How long a client waits for the broker.
const REACHED_WITHIN: Duration = Duration::from_secs(15);

/// How long the broker may take to confirm what a client sends.
const SENT_WITHIN: Duration = Duration::from_secs(30);

/// How long a message is sent again that the broker's queue refuses. A queue of several nodes does so not only when it is full:
/// also while it is being set up, or chooses its leader.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// How long after its refusal a message is sent again the first time; each time twice as long after.
const SENT_AGAIN: Duration = Duration::from_millis(50);

/// How long a command that nobody takes has force, in milliseconds: one that was given up must not take effect
/// whenever a worker comes back.
const COMMAND_LIFE: &str = "60000";

/// The broker's own return address: answers to it come over the channel that asked.
const REPLIES: &str = "amq.rabbitmq.reply-to";

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No broker, or none that answers. What was asked for may have been done all the same.
    #[error("the broker does not answer: {0}")]
    Unavailable(String),
    /// The broker took it; whoever should answer did not in time.
    #[error("no answer within {0:?}")]
    Unanswered(Duration),
    /// The broker's queue has refused it again and again.
    #[error("it takes nothing for now: its queue is full, or just being set up")]
    Full,
    /// The broker has no queue for it.
    #[error("nobody listens there: is the name right, and has a worker ever run here?")]
    Unroutable,
    /// A request is larger than a message may be.
    #[error("a request may have {limit} bytes in one message, this one has {size}")]
    TooLarge {
        /// Most bytes a message may have.
        limit: u64,
        /// Bytes this one has.
        size: u64,
    },
    /// It was understood and refused.
    #[error("refused: {0}")]
    Refused(String),
    /// There is no such thing.
    #[error("there is no such thing")]
    NotFound,
}

impl From<lapin::Error> for ClientError {
    fn from(error: lapin::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<PostError> for ClientError {
    fn from(error: PostError) -> Self {
        match error {
            PostError::Unavailable(why) => Self::Unavailable(why),
            PostError::Unroutable => Self::Unroutable,
            PostError::Refused => Self::Full,
        }
    }
}

/// A client of the broker. Every operation waits for a connection for a bounded time.
pub struct Client {
    link: Arc<Link>,
    settings: AmqpSettings,
    /// Places for what is on its way.
    places: Arc<Semaphore>,
}

impl Client {
    /// A client; it begins to connect.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(settings: AmqpSettings, clock: Arc<dyn Clock>) -> Result<Self, InvalidUrl> {
        let link = Link::open(&settings, "client", &clock)?;
        let places = Arc::new(Semaphore::new(settings.on_their_way));
        Ok(Self { link, settings, places })
    }

    pub(super) fn names(&self) -> &Topology {
        &self.settings.names
    }

    pub(super) fn settings(&self) -> &AmqpSettings {
        &self.settings
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Whether the broker has let us in.
    pub fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// Waits until the broker has let us in.
    ///
    /// # Errors
    /// When it has not within `bound`, with the reason.
    pub async fn connected(&self, bound: Duration) -> Result<(), ClientError> {
        let connected = self.link.up_within(bound).await;
        connected.map(drop).map_err(|why| ClientError::Unavailable(why.to_string()))
    }

    pub(super) async fn live(&self) -> Result<Arc<Live>, ClientError> {
        self.link.up_within(REACHED_WITHIN).await.map_err(|why| ClientError::Unavailable(why.to_string()))
    }

    /// Hands a request in. It is durable at the broker afterwards; no worker has looked at it yet.
    ///
    /// # Errors
    /// When the broker does not have it for sure.
    pub async fn submit(&self, organisation: &OrganisationId, body: &[u8]) -> Result<(), ClientError> {
        self.submit_in(organisation, body, None).await
    }

    /// The same, as a part of a trace.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn submit_in(
        &self,
        organisation: &OrganisationId,
        body: &[u8],
        trace: Option<TraceParent>,
    ) -> Result<(), ClientError> {
        let properties = wire::part_of(request_properties(), trace);
        self.ask(organisation, body, properties, None).await?.let_go(self.link.clock());
        Ok(())
    }

    /// Hands a request in and waits for what a worker says to it.
    ///
    /// # Errors
    /// [`ClientError::Unanswered`] if none did in time: the request is at the broker all the same.
    pub async fn submit_and_wait(
        &self,
        organisation: &OrganisationId,
        body: &[u8],
        bound: Duration,
    ) -> Result<RequestSummary, ClientError> {
        let asked = self.ask(organisation, body, request_properties(), Some("submit")).await?;
        let answer = self.answer(asked, "submit", bound).await?;
        serde_json::from_slice(&answer).map_err(|error| ClientError::Refused(error.to_string()))
    }

    async fn ask(
        &self,
        organisation: &OrganisationId,
        body: &[u8],
        properties: BasicProperties,
        correlation: Option<&str>,
    ) -> Result<Asked, ClientError> {
        let size = body.len() as u64;
        if size > MAX_REQUEST {
            return Err(ClientError::TooLarge { limit: MAX_REQUEST, size });
        }
        let exchange = self.names().requests();
        let key = Topology::request_key(organisation);
        let now = self.link.clock().now();
        let letter = Letter { exchange: &exchange, key: &key, must_arrive: true, properties, body };
        let (asked, _) = self.insist(letter, correlation, now + SENT_WITHIN, now + TAKEN_WITHIN).await?;
        Ok(asked)
    }

    /// Gives a command and waits for its answer. The same `id` again is the same command.
    ///
    /// # Errors
    /// [`ClientError::Unanswered`] if no worker answered in time: it may be carried out all the same.
    /// [`ClientError::Refused`] if a worker does not understand it. [`ClientError::Unavailable`], too, if so many are on
    /// their way for all that time that it was not sent.
    pub async fn command(&self, command: &Command, bound: Duration) -> Result<CommandReply, ClientError> {
        let Command { id, organisation, actor, expect, trace, kind } = command;
        let id = ShortString::try_new(&**id).map_err(|error| ClientError::Refused(error.to_string()))?;
        let body = wire::command_body(kind, *expect).map_err(|error| ClientError::Refused(error.to_string()))?;
        let properties = request_properties()
            .with_message_id(id.clone())
            .with_headers(wire::given_by(actor.as_ref()))
            .with_expiration(COMMAND_LIFE.into());
        let properties = wire::part_of(properties, *trace);
        let (exchange, key) = (self.names().commands(), wire::command_key(organisation, kind));
        let asked_at = self.link.clock().now();
        let letter = Letter { exchange: &exchange, key: &key, must_arrive: true, properties, body: &body };
        // Whoever waits hears that it was refused, and not that nobody answered.
        let taken = asked_at + TAKEN_WITHIN.min(bound / 2);
        let (asked, placed_at) = self.insist(letter, Some(id.as_str()), asked_at + bound, taken).await?;
        let left = bound.saturating_sub(placed_at.since(asked_at));
        let answer = self.answer(asked, id.as_str(), left).await?;
        ReplyBody::read(&answer).map_err(ClientError::Refused)
    }

    /// A place for something that is on its way, if there is one in time.
    async fn place(&self, end: Timestamp) -> Result<OwnedSemaphorePermit, ClientError> {
        let place = until(&**self.link.clock(), end, Arc::clone(&self.places).acquire_owned()).await;
        // It is never closed.
        place.and_then(Result::ok).ok_or_else(|| {
            ClientError::Unavailable("too much is on its way to it already, and nothing more was sent".to_owned())
        })
    }

    /// Sends a message, again if it is refused, until `taken`; somebody else has its place meanwhile. Also, when it had the
    /// place in which it was sent, which it waits for until `placed`.
    async fn insist(
        &self,
        letter: Letter<'_>,
        correlation: Option<&str>,
        placed: Timestamp,
        taken: Timestamp,
    ) -> Result<(Asked, Timestamp), ClientError> {
        let (clock, mut wait) = (self.link.clock(), SENT_AGAIN);
        loop {
            let place = self.place(placed).await?;
            let placed_at = clock.now();
            match self.send(place, letter.clone(), correlation).await {
                Err(ClientError::Full) if clock.now() + wait < taken => {}
                sent => return sent.map(|asked| (asked, placed_at)),
            }
            clock.sleep_until(clock.now() + wait).await;
            wait *= 2;
        }
    }

    /// Sends a message; listens for answers if it has a correlation.
    async fn send(
        &self,
        place: OwnedSemaphorePermit,
        mut letter: Letter<'_>,
        correlation: Option<&str>,
    ) -> Result<Asked, ClientError> {
        let live = self.live().await?;
        let sending = async {
            let channel = live.channel().await?;
            let mut answers = None;
            if let Some(correlation) = correlation {
                let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
                let none = FieldTable::default();
                answers = Some(channel.basic_consume(REPLIES.into(), "".into(), options, none).await?);
                let correlation = ShortString::try_new(correlation).unwrap_or_default();
                letter.properties = letter.properties.with_reply_to(REPLIES.into()).with_correlation_id(correlation);
            }
            let channel = post::open(&channel).await?;
            if let Err(error) = send_on(&channel, letter).await {
                let_go(self.link.clock(), channel, place);
                return Err(error.into());
            }
            Ok(Asked { channel, answers, place })
        };
        let sent = within(&**self.link.clock(), SENT_WITHIN, sending).await;
        sent.unwrap_or_else(|| Err(ClientError::Unavailable(format!("no confirmation within {SENT_WITHIN:?}"))))
    }

    /// Waits for the answer of a correlation.
    async fn answer(&self, asked: Asked, correlation: &str, bound: Duration) -> Result<Vec<u8>, ClientError> {
        let mut asked = asked;
        let Some(mut answers) = asked.answers.take() else { return Err(ClientError::NotFound) };
        let waiting = async {
            while let Some(answer) = answers.next().await {
                let answer = answer?;
                if answer.properties.correlation_id().as_ref().is_some_and(|id| id.as_str() == correlation) {
                    return Ok(answer.data);
                }
            }
            Err(ClientError::Unavailable("the connection was lost".to_owned()))
        };
        let answer = within(&**self.link.clock(), bound, waiting).await;
        asked.let_go(self.link.clock());
        answer.unwrap_or(Err(ClientError::Unanswered(bound)))
    }
}

/// Something that was sent.
struct Asked {
    channel: Channel,
    answers: Option<Consumer>,
    place: OwnedSemaphorePermit,
}

impl Asked {
    /// Closes its channel behind whoever asked; its place is free when that is done, or takes too long.
    fn let_go(self, clock: &Arc<dyn Clock>) {
        let Self { channel, place, .. } = self;
        let_go(clock, channel, place);
    }
}
