//! What becomes of a database that has lost something: whoever looks for what is missing, and has written it off, says so,
//! and nothing is claimed before.

use redis::Value;

use super::codec::{unfit, unreadable};
use super::intake::first_call;
use super::script::Ops;
use super::store::RedisStore;
use crate::model::Timestamp;
use crate::ports::store::{ProcessId, RequestKey};
use crate::ports::{Listener, StoreResult};

/// What whoever looks for what is missing holds.
const LOCK: &str = "losses";

/// A loss of which nobody has said yet that what it took is written off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss(String);

impl RedisStore {
    /// Hears when the database was found to be new, or to have lost something. Whoever asks for this promises to look for
    /// what is missing: from now on this store claims nothing after a loss until somebody has ([`RedisStore::is_over`]).
    pub fn losses(&self) -> Listener {
        self.ring.losses()
    }

    /// The loss that keeps calls from being claimed; none if none does.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn loss(&self) -> StoreResult<Option<Loss>> {
        match self.command(redis::cmd("GET").arg(self.ring.key("unread"))).await? {
            Value::Nil => Ok(None),
            Value::BulkString(name) => String::from_utf8(name).map(|name| Some(Loss(name))).map_err(unreadable),
            other => Err(unfit(&other, "for a loss")),
        }
    }

    /// Until when nothing is claimed since the database was new or had lost something, by its own clock: so long owners say
    /// again what they hold. None if that is over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn closed_until(&self) -> StoreResult<Option<Timestamp>> {
        let until = match self.command(redis::cmd("GET").arg(self.ring.key("closed"))).await? {
            Value::Nil => return Ok(None),
            Value::BulkString(text) => String::from_utf8(text).map_err(unreadable)?,
            other => return Err(unfit(&other, "for a time")),
        };
        let until = Timestamp::from_millis(until.parse().map_err(unreadable)?);
        Ok((until > self.time().await?).then_some(until))
    }

    /// Whether this process alone is to look for what is missing, for one time to live from now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lock_losses(&self, process: ProcessId) -> StoreResult<bool> {
        self.ask_about_lock(LOCK, process, "lock").await
    }

    /// Leaves it to others.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unlock_losses(&self, process: ProcessId) -> StoreResult<()> {
        self.ask_about_lock(LOCK, process, "unlock").await.map(drop)
    }

    /// Says that whatever a loss took is written off. Another one that came meanwhile goes on keeping calls from being
    /// claimed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_over(&self, loss: &Loss) -> StoreResult<()> {
        self.ring.is_read(&loss.0, self.now()).await
    }

    /// Notes that a request which was accepted is lost, unless that is known or it is there: its name is not taken again,
    /// and `request.lost` is published with whatever is unconfirmed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn write_off(&self, key: &RequestKey) -> StoreResult<()> {
        self.ring.expect(&key.organisation, self.now()).await?;
        let ops = Ops::none().op("write_off").request(first_call(key)).text(key.request.as_str());
        self.send(&key.organisation, ops).await.map(drop)
    }
}
