//! Plain data of the trade, validated when made: what every other room speaks.
//!
//! **Invariant:** nothing here knows a port, a runtime or the outside; time is a value that is handed in.

pub mod api_key;
pub mod clock_time;
mod cursor;
pub mod destination;
pub mod disposition;
pub mod event;
pub mod happening;
pub mod hook;
pub mod ids;
pub mod note;
pub mod organisation;
pub mod phone;
pub mod private;
mod recording;
pub mod request;
mod session_type;
pub mod status;
mod trace;

pub use api_key::{ApiKey, ApiKeyRecord, KeyHash, Scope};
pub use clock_time::Timestamp;
pub use cursor::RequestCursor;
pub use destination::{Destination, Number};
pub use disposition::{AnsweredBy, Disposition, DispositionResult, Party};
pub use event::{Event, EventType};
pub use happening::{Fact, Happening, Via};
pub use hook::{EventFilter, HookSecret, HookUrl, OrganisationHook};
pub use ids::{
    AttemptId, CallId, DispositionName, IdError, KeyId, KeyLabel, LegId, LegRole, OrganisationId, RequestId, WorkerId,
};
pub use organisation::Organisation;
pub use phone::{InvalidPhone, Phone};
pub use private::Private;
pub use recording::Recording;
pub use request::{CallType, CallingWindow, MachineDetection, RequestHeader, RetryPolicy};
pub use session_type::SessionType;
pub use status::{CallStatus, RequestStatus, StepStatus, TransferStatus};
pub use trace::{InvalidTraceParent, TraceParent};
