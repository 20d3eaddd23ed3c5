//! What was recorded of a call, once it is over.

use super::{AttemptId, Timestamp};

/// What was recorded of an attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The attempt; its name is the recording's, too.
    pub attempt: AttemptId,
    /// Where the telephony server hands it out.
    pub place: Box<str>,
    /// When the attempt ended.
    pub ended_at: Timestamp,
}
