//! What dispatch asks of the world, as traits. Adapters implement them; only the composition root names an adapter.
//!
//! Every reply may fail to come, and every operation of the store may be repeated: the effect of asking twice is that
//! of asking once. **Invariant:** no type of a broker, a database or a telephony server appears here.

pub mod bell;
pub mod bus;
pub mod census;
pub mod clock;
pub mod gate;
pub mod hooks;
pub mod keys;
pub mod queue;
pub mod recordings;
pub mod speech;
pub mod store;
pub mod telephony;

pub use bell::{Bell, Listener};
pub use bus::{BusError, CommandBus, EventBus, Incoming, Order};
pub use census::{Census, Standing, Standings, Unread, Whose};
pub use clock::Clock;
pub use gate::{Gate, GateError};
pub use hooks::{EventLog, HookSender, HookStore};
pub use keys::{ApiKeys, Created};
pub use queue::{Delivery, QueueError, RequestBody, RequestQueue};
pub use recordings::{ArchiveError, RecordingArchive, RecordingIndex};
pub use speech::{Audio, Speech, SpeechError};
pub use store::{CampaignStore, StoreError, StoreResult};
pub use telephony::{Telephony, TelephonyError};
