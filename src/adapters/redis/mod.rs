//! The waiting room in Redis (or Valkey): one script decides every transition of an organisation.
//!
//! Everything that is an organisation's carries its name as a hash tag, so that it is in one slot of a cluster and one script
//! reads and writes it as a whole. What concerns several organisations - whose turn it is, when to look at which, who listens
//! in whose name - is in a slot of its own: a hint, written after the organisation's own script and made anew by looking.
//!
//! **Invariant:** no type of the database's client leaves this folder, and no answer is given before its script was.

mod carrier;
mod census;
mod claims;
mod codec;
mod connection;
mod health;
mod hooks;
mod intake;
mod keys;
mod link;
mod listing;
mod losses;
mod notes;
mod once;
mod organisations;
mod port;
mod recordings;
mod reply;
mod requests;
mod ring;
mod script;
mod store;
mod transitions;
mod windows;

pub use health::Health;
pub use hooks::RedisHooks;
pub use link::RedisSettings;
pub use losses::Loss;
pub use store::RedisStore;
