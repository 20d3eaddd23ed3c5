//! The event log, read from any point on and for as long as one likes.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};

use super::acks;
use super::backoff::Backoff;
use super::client::{Client, ClientError};
use super::dead::message_id;
use super::link::{Link, within};
use super::post::let_go;
use super::settings::AmqpSettings;
use crate::model::Timestamp;

/// Events that are on their way to a reader at once.
const PREFETCH: u16 = 512;

/// Every how many events the broker is told that they were read.
const ACKNOWLEDGED: u64 = 128;

/// How long the broker may take to let reading begin again.
const BEGUN_WITHIN: Duration = Duration::from_secs(15);

/// How long the last event that was read may fail to come once more before the log is looked at.
const DOUBTED_AFTER: Duration = Duration::from_secs(3);

/// How soon a log in which there seems to be nothing is asked again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How much earlier than our clock says reading begins again that has given nothing yet: the broker has its own.
const EARLIER: Duration = Duration::from_secs(10);

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailFrom {
    /// With the oldest event that is kept.
    First,
    /// With the last piece that was written: a few events at least, if there are any.
    Last,
    /// With what is published from now on.
    Next,
    /// At an offset, or the first one that is kept after it.
    Offset(u64),
    /// With the piece that was written at that time.
    Since(Timestamp),
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its place in the log; ascending, not without gaps.
    pub offset: u64,
    /// The event's id, the same however often it was published.
    pub id: Option<Arc<str>>,
    /// `{organisation}.{type}`.
    pub routing_key: String,
    /// The CloudEvent in JSON.
    pub body: Vec<u8>,
}

/// A reader of the event log. It reads on behind the last event it gave after a lost connection; if the log was deleted
/// meanwhile, with the first event of the one that is there instead, whose offsets begin anew.
pub struct Tail {
    link: Arc<Link>,
    settings: AmqpSettings,
    from: TailFrom,
    /// When reading began for the first time.
    begun_at: Option<Timestamp>,
    /// The last event that was given, offset and id: by it the log is known again.
    last: Option<(u64, Option<Arc<str>>)>,
    /// Whether the log that is open has not been known again yet.
    is_doubtful: bool,
    open: Option<(Channel, Consumer)>,
    unacknowledged: u64,
    backoff: Backoff,
}

impl Client {
    /// Reads the event log from somewhere on. Reading has begun when this returns: with [`TailFrom::Next`], everything
    /// that is published afterwards is seen.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn tail(&self, from: TailFrom) -> Result<Tail, ClientError> {
        self.live().await?;
        let mut tail = Tail::new(Arc::clone(self.link()), self.settings().clone(), from);
        let open = within(&**tail.link.clock(), BEGUN_WITHIN, tail.open()).await;
        tail.open = Some(open.ok_or_else(|| ClientError::Unavailable(format!("no answer within {BEGUN_WITHIN:?}")))??);
        tail.begun_at = Some(tail.link.clock().now());
        Ok(tail)
    }

    /// The offset of the last event that is in the log now, or of one that came a moment later; none if there is none: if twice
    /// nothing came, neither of the last piece nor of the first. `silence`: how long the broker may say nothing, and for how long
    /// what comes is read.
    ///
    /// # Errors
    /// When the broker does not answer, or does not say what is last in a log that has something in it.
    pub async fn end_of_log(&self, silence: Duration) -> Result<Option<u64>, ClientError> {
        // It begins with the last piece as a whole, and goes on with what comes: there need not be any silence.
        let end = self.tail(TailFrom::Last).await?.end(silence).await;
        if end.is_some() {
            return Ok(end);
        }
        let clock = self.link().clock();
        clock.sleep_until(clock.now() + ASKED_AGAIN_AFTER).await;
        let (last, mut first) = (self.tail(TailFrom::Last).await?, self.tail(TailFrom::First).await?);
        match tokio::join!(last.end(silence), first.next_until_silence(silence)) {
            (None, Some(_)) => Err(ClientError::Unavailable("it does not say where the log of events ends".to_owned())),
            (end, _) => Ok(end),
        }
    }
}

impl Tail {
    fn new(link: Arc<Link>, settings: AmqpSettings, from: TailFrom) -> Self {
        let (begun_at, last, open) = (None, None, None);
        let backoff = Backoff::default();
        Self { link, settings, from, begun_at, last, is_doubtful: false, open, unacknowledged: 0, backoff }
    }

    /// The next event; waits for it, through lost connections.
    pub async fn next(&mut self) -> LoggedEvent {
        loop {
            let delivered = if self.is_doubtful { self.known_again().await } else { self.delivered().await };
            if let Some(delivery) = delivered
                && let Some(event) = self.note(delivery).await
            {
                return event;
            }
        }
    }

    /// The next event; none if the broker answers and has said nothing for `silence` before and after: then that was the
    /// last, for now. Before alone would not do: a broker may be slower to read its log than to answer.
    pub async fn next_until_silence(&mut self, silence: Duration) -> Option<LoggedEvent> {
        let clock = Arc::clone(self.link.clock());
        let mut answered = false;
        loop {
            if self.open.is_none() {
                self.reopen().await;
                continue;
            }
            // Only the waiting may be given up: what has come is always taken note of.
            let delivered = tokio::select! {
                biased;
                delivered = self.delivered() => delivered,
                () = clock.sleep_until(clock.now() + silence) => {
                    if answered {
                        return None;
                    }
                    answered = self.is_answered().await;
                    if !answered {
                        self.close();
                    }
                    None
                }
            };
            if let Some(delivery) = delivered
                && let Some(event) = self.note(delivery).await
            {
                return Some(event);
            }
        }
    }

    /// The offset of the last event there is, of a reader that begins with the last piece.
    async fn end(mut self, silence: Duration) -> Option<u64> {
        let clock = Arc::clone(self.link.clock());
        let (until, mut end) = (clock.now() + silence, None);
        while let Some(event) = self.next_until_silence(silence).await {
            end = Some(event.offset);
            if clock.now() >= until {
                break;
            }
        }
        end
    }

    /// What comes next of a log that was opened again. If nothing does, not even what was read of it before, it may be
    /// another one, which does not reach so far.
    async fn known_again(&mut self) -> Option<Delivery> {
        let clock = Arc::clone(self.link.clock());
        tokio::select! {
            biased;
            delivered = self.delivered() => return delivered,
            () = clock.sleep_until(clock.now() + DOUBTED_AFTER) => {}
        }
        // Without a connection nothing is learnt from silence.
        if self.open.is_some() {
            let end = Self::new(Arc::clone(&self.link), self.settings.clone(), TailFrom::Last).end(DOUBTED_AFTER).await;
            match &self.last {
                // Nothing at all would not do: a broker that says nothing looks like that, and nothing of an empty log is missed.
                Some((last, _)) if end.is_some_and(|end| end < *last) => self.begin_anew(),
                _ => self.close(),
            }
        }
        None
    }

    /// Reads another log than before.
    fn begin_anew(&mut self) {
        let log = self.settings.names.event_log();
        tracing::warn!(log, "the event log is another one than before: it is read from its beginning");
        (self.from, self.last, self.is_doubtful) = (TailFrom::First, None, false);
        self.close();
    }

    /// What comes next over the open channel; none if nothing does any more. One that is closed is opened first.
    async fn delivered(&mut self) -> Option<Delivery> {
        let Some((_, consumer)) = &mut self.open else {
            self.reopen().await;
            return None;
        };
        match consumer.next().await {
            Some(Ok(delivery)) => {
                self.backoff.reset();
                return Some(delivery);
            }
            Some(Err(error)) => tracing::debug!(%error, "reading of the event log is interrupted"),
            None => tracing::debug!("reading of the event log was cancelled"),
        }
        self.close();
        let clock = self.link.clock();
        clock.sleep_until(clock.now() + self.backoff.next("tail", clock.now())).await;
        None
    }

    /// Whether the broker answers on the open channel.
    async fn is_answered(&self) -> bool {
        let Some((channel, _)) = &self.open else { return false };
        let asked = channel.basic_qos(PREFETCH, BasicQosOptions::default());
        matches!(within(&**self.link.clock(), BEGUN_WITHIN, asked).await, Some(Ok(())))
    }

    fn close(&mut self) {
        if let Some((channel, _)) = self.open.take() {
            let_go(self.link.clock(), channel, ());
        }
    }

    /// Tries to open it again, once.
    async fn reopen(&mut self) {
        // Bounded: a connection that is lost meanwhile may never answer.
        match within(&**self.link.clock(), BEGUN_WITHIN, self.open()).await {
            Some(Ok(open)) => (self.open, self.is_doubtful) = (Some(open), self.last.is_some()),
            failed => {
                let error = failed.and_then(Result::err).map(|error| error.to_string());
                tracing::warn!(error, "the event log cannot be read for a moment");
                let clock = self.link.clock();
                clock.sleep_until(clock.now() + self.backoff.next("tail", clock.now())).await;
            }
        }
    }

    /// Where reading begins: again with the last event that was given, to see that it is the same log; or, if none was, not
    /// later than it began.
    fn place(&self) -> TailFrom {
        match (&self.last, self.from, self.begun_at) {
            (Some((last, _)), ..) => TailFrom::Offset(*last),
            (None, TailFrom::Next, Some(begun_at)) => TailFrom::Since(begun_at - EARLIER),
            (None, from, _) => from,
        }
    }

    /// Begins to read where the last event ended.
    async fn open(&self) -> lapin::Result<(Channel, Consumer)> {
        let channel = self.link.up().await.channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-stream-offset".into(), offset(self.place()));
        let queue = self.settings.names.event_log();
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, arguments).await?;
        Ok((channel, consumer))
    }

    async fn note(&mut self, delivery: Delivery) -> Option<LoggedEvent> {
        let headers = delivery.properties.headers().as_ref();
        let offset = match headers.and_then(|headers| headers.inner().get("x-stream-offset")) {
            Some(AMQPValue::LongLongInt(offset)) => u64::try_from(*offset).ok(),
            _ => None,
        };
        self.unacknowledged += 1;
        if self.unacknowledged >= ACKNOWLEDGED {
            self.unacknowledged = 0;
            // Only leave to send more; without it the connection is lost, which is noticed.
            acks::acknowledge_up_to(&**self.link.clock(), &delivery).await;
        }
        let offset = offset?;
        let id = message_id(&delivery.properties);
        if self.is_doubtful
            && let Some((last, last_id)) = &self.last
        {
            match offset.cmp(last) {
                // The broker begins with a whole piece.
                Ordering::Less => return None,
                Ordering::Equal if id == *last_id => {
                    self.is_doubtful = false;
                    return None;
                }
                Ordering::Equal => {
                    self.begin_anew();
                    return None;
                }
                // What was read last is not kept any more.
                Ordering::Greater => self.is_doubtful = false,
            }
        }
        if let TailFrom::Offset(wanted) = self.from
            && offset < wanted
        {
            // The broker begins with a whole piece.
            return None;
        }
        self.from = TailFrom::Offset(offset + 1);
        self.last = Some((offset, id.clone()));
        Some(LoggedEvent { offset, id, routing_key: delivery.routing_key.to_string(), body: delivery.data })
    }
}

fn offset(from: TailFrom) -> AMQPValue {
    let word = |word: &str| AMQPValue::LongString(word.into());
    match from {
        TailFrom::First => word("first"),
        TailFrom::Last => word("last"),
        TailFrom::Next => word("next"),
        TailFrom::Offset(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
        // In whole seconds; a piece holds what came within some time.
        TailFrom::Since(at) => AMQPValue::Timestamp(u64::try_from(at.as_millis() / 1000).unwrap_or(0)),
    }
}
