//! Single messages on their way out, each confirmed before the next: replies, orders, dead letters.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Mutex;

use super::link::{Link, within};
use super::topology;
use crate::ports::Clock;

/// How long a channel may take to be closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PostError {
    /// No confirmation came; it may have been sent all the same.
    #[error("the broker does not confirm: {0}")]
    Unavailable(String),
    /// Nobody would have got it.
    #[error("nobody listens there")]
    Unroutable,
    /// The broker refuses it, for example because a queue is full.
    #[error("the broker refuses it")]
    Refused,
}

impl From<lapin::Error> for PostError {
    fn from(error: lapin::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// A message to be sent.
#[derive(Clone)]
pub(super) struct Letter<'a> {
    pub exchange: &'a str,
    pub key: &'a str,
    /// Whether it matters that somebody gets it.
    pub must_arrive: bool,
    pub properties: BasicProperties,
    pub body: &'a [u8],
}

/// Sends messages one by one.
pub(super) struct Post {
    link: Arc<Link>,
    bound: Duration,
    /// Absent while it is in use: what a dropped future leaves behind is not used again.
    channel: Mutex<Option<Channel>>,
}

impl Post {
    /// One message takes at most `bound`.
    pub fn new(link: Arc<Link>, bound: Duration) -> Self {
        Self { link, bound, channel: Mutex::new(None) }
    }

    /// The time.
    pub fn clock(&self) -> &dyn Clock {
        &**self.link.clock()
    }

    /// Sends a message and waits until the broker has it.
    pub async fn send(&self, letter: Letter<'_>) -> Result<(), PostError> {
        let sending = async {
            let mut kept = self.channel.lock().await;
            let channel = match kept.take().filter(|channel| channel.status().connected()) {
                Some(channel) => channel,
                None => open(&self.link.up().await.channel().await?).await?,
            };
            let sent = send_on(&channel, letter).await;
            match &sent {
                Err(PostError::Unavailable(_)) => {}
                _ => *kept = Some(channel),
            }
            sent
        };
        let sent = within(&**self.link.clock(), self.bound, sending).await;
        sent.unwrap_or_else(|| Err(PostError::Unavailable(format!("no answer within {:?}", self.bound))))
    }
}

/// Makes a channel confirm.
pub(super) async fn open(channel: &Channel) -> lapin::Result<Channel> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel.clone())
}

/// Sends a message on a channel on which nothing else is on its way, and waits until the broker has it.
pub(super) async fn send_on(channel: &Channel, letter: Letter<'_>) -> Result<(), PostError> {
    let Letter { exchange, key, must_arrive, properties, body } = letter;
    let options = BasicPublishOptions { mandatory: must_arrive, ..BasicPublishOptions::default() };
    let key = ShortString::try_new(key).map_err(|_| PostError::Unroutable)?;
    let confirm = channel.basic_publish(exchange.into(), key, options, body, properties).await?;
    match confirm.await? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Err(PostError::Unroutable),
        Confirmation::Nack(None) => Err(PostError::Refused),
        Confirmation::NotRequested => Err(PostError::Unavailable("the channel does not confirm".to_owned())),
    }
}

/// Closes a channel behind a task that may not wait for it, and lets go of something that is its.
pub(super) fn let_go<T: Send + 'static>(clock: &Arc<dyn Clock>, channel: Channel, its: T) {
    let clock = Arc::clone(clock);
    tokio::spawn(async move {
        // A channel that is gone already needs no closing.
        let _ = within(&*clock, CLOSED_WITHIN, topology::close(&channel)).await;
        drop(its);
    });
}
