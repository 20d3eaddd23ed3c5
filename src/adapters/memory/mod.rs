//! Every port of the outside, held in memory: for runs without servers, and as the model others are measured by.
//!
//! **Invariant:** nothing here waits while the state is locked, and no answer depends on the order of a hash.

mod archive;
mod audit;
mod census;
mod claims;
mod command_bus;
mod control;
mod event_bus;
mod gate;
mod hooks;
mod intake;
mod keys;
mod lane;
mod leases;
mod listing;
mod once;
mod org;
mod organisations;
mod outbox;
mod queue;
mod ready;
mod record;
mod recordings;
mod request;
mod ring;
mod slab;
mod state;
mod store;
mod sweep;
mod transitions;

pub use archive::MemoryArchive;
pub use audit::{Audit, BooksAudit, CallAudit, LeaseAudit, OrganisationAudit, RequestAudit, SlotsAudit};
pub use command_bus::MemoryCommandBus;
pub use event_bus::{EventSink, MemoryEventBus};
pub use gate::MemoryGate;
pub use hooks::{MemoryEventLog, MemoryHooks};
pub use keys::MemoryKeys;
pub use queue::{DeadLetter, MAX_MESSAGE, MemoryQueue};
#[cfg(feature = "sabotage")]
pub use state::Sabotage;
pub use store::MemoryStore;

use std::time::Duration;

/// How long a lease is believed without being renewed.
pub const LEASE_TTL: Duration = Duration::from_secs(30);

/// Most destinations one claim brings.
pub const BATCH: u32 = 64;

/// Most destinations a request gets before others of its priority have a turn.
const TURN: u32 = 8;

/// How long the parts of a request may take to come, from the first.
const PARTS_WITHIN: Duration = Duration::from_secs(24 * 3600);
