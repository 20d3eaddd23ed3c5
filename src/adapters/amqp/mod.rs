//! The broker: requests in, events out, commands both ways, and the client that stands at the other end of all three.
//!
//! What is published and what is consumed have a connection each: a broker that runs out of memory stops reading from
//! connections that publish, and acknowledgements must still get through.
//!
//! **Invariant:** no type of the client library leaves this folder.

mod acks;
mod backoff;
mod client;
mod commands;
mod confirms;
mod dead;
mod event_bus;
mod gate;
mod hook_log;
mod link;
mod post;
mod queue;
mod reach;
mod settings;
mod subscription;
mod tail;
mod topology;
mod traffic;
mod wire;

pub use client::{Client, ClientError};
pub use commands::AmqpCommandBus;
pub use dead::DeadLetter;
pub use event_bus::AmqpEventBus;
pub use hook_log::BrokerEventLog;
pub use link::InvalidUrl;
pub use queue::{AmqpQueue, MAX_REQUEST};
pub use reach::{Reachability, reachability};
pub use settings::{AmqpSettings, InvalidPrefix, Topology};
pub use tail::{LoggedEvent, Tail, TailFrom};
pub use traffic::Traffic;

use std::sync::Arc;

use crate::model::WorkerId;
use crate::ports::Clock;
use link::Link;

/// A worker's two connections to the broker, from which its ports are made. They come back by themselves, and last as
/// long as this or one of the ports does.
pub struct Broker {
    settings: AmqpSettings,
    publishing: Arc<Link>,
    consuming: Arc<Link>,
}

impl Broker {
    /// Begins to connect; the broker may be absent. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the address is none.
    pub fn connect(settings: AmqpSettings, clock: &Arc<dyn Clock>) -> Result<Self, InvalidUrl> {
        let publishing = Link::open(&settings, "publishing", clock)?;
        let consuming = Link::open(&settings, "consuming", clock)?;
        Ok(Self { settings, publishing, consuming })
    }

    /// Requests on their way in: from now on they are delivered here.
    pub fn requests(&self) -> AmqpQueue {
        AmqpQueue::new(Arc::clone(&self.consuming), Arc::clone(&self.publishing), self.settings.clone())
    }

    /// Events on their way out.
    pub fn events(&self) -> AmqpEventBus {
        AmqpEventBus::new(Arc::clone(&self.publishing), self.settings.clone())
    }

    /// Commands, and orders to this worker: from now on they are delivered here.
    pub fn commands(&self, worker: WorkerId) -> AmqpCommandBus {
        AmqpCommandBus::new(Arc::clone(&self.consuming), Arc::clone(&self.publishing), self.settings.clone(), worker)
    }

    /// Whether both connections stand now.
    pub fn is_up(&self) -> bool {
        self.publishing.is_up() && self.consuming.is_up()
    }
}
