//! Plain data of the trade, validated when made: what every other room speaks.
//!
//! **Invariant:** nothing here knows a port, a runtime or the outside; time is a value that is handed in.

pub mod api_key;
pub mod clock_time;
pub mod destination;
pub mod disposition;
pub mod event;
pub mod happening;
pub mod ids;
pub mod organisation;
pub mod phone;
pub mod private;
pub mod request;
mod session_type;
pub mod status;

pub use api_key::{ApiKey, ApiKeyRecord, KeyHash, Scope};
pub use clock_time::Timestamp;
pub use destination::{Destination, Number};
pub use disposition::{AnsweredBy, Disposition, DispositionResult, Party};
pub use event::{Event, EventType};
pub use happening::{Fact, Happening, Via};
pub use ids::{AttemptId, CallId, IdError, KeyId, KeyLabel, LegId, LegRole, OrganisationId, RequestId, WorkerId};
pub use organisation::Organisation;
pub use phone::Phone;
pub use private::Private;
pub use request::{CallingWindow, MachineDetection, RequestHeader, RetryPolicy};
pub use session_type::SessionType;
pub use status::{CallStatus, RequestStatus, StepStatus, TransferStatus};
