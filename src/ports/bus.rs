//! Events on their way out, and commands on their way in.

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::store::Held;
use crate::command::{Command, CommandReply};
use crate::model::{Event, Timestamp, WorkerId};

/// The bus did not confirm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event bus does not confirm: {0}")]
pub struct BusError(pub String);

/// Events on their way out.
pub trait EventBus: Send + Sync + 'static {
    /// Publishes one event, in the order of the calls of this function. The future completes when the bus has
    /// confirmed it, or after a bound of the bus's own; nobody needs to wait for that before publishing the next.
    ///
    /// # Errors
    /// The future fails when no confirmation came; the event may have been published all the same.
    fn publish(&self, event: Event) -> BoxFuture<'static, Result<(), BusError>>;

    /// Takes publishing up again. Once an event has not been confirmed, every later one fails without being published
    /// until this is called: otherwise a bus that heals by itself would let a later event overtake a lost one.
    fn recover(&self);
}

/// A command to a call, passed on to the call's owner. It names the attempt and the proof of holding it, and loses its
/// force soon: an owner that stood still must not carry out what was meant for an earlier state of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The command.
    pub command: Command,
    /// The attempt it is for, as it was held when the order was given.
    pub held: Held,
    /// Not to be carried out after this instant.
    pub not_after: Timestamp,
}

/// What reaches a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A command that any worker can take.
    Command(Command),
    /// An order to this one.
    Order(Order),
}

/// Commands on their way in.
#[async_trait]
pub trait CommandBus: Send + Sync + 'static {
    /// The next command this worker can take, or order to it. None when the bus is closed for good.
    async fn next(&self, worker: &WorkerId) -> Option<Incoming>;

    /// Passes a command on to the worker that owns its call; it may never arrive.
    async fn forward(&self, owner: &WorkerId, order: Order);

    /// Tells whoever gave it what became of a command.
    async fn answer(&self, command: &Command, reply: CommandReply);
}
