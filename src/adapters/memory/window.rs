//! Where the store asks whether people may be called: a function, so that the policy stays outside.

use crate::model::{CallingWindow, Timestamp};

/// Later than anything that will happen.
pub(super) const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// Whether a calling window is open, and until when that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowState {
    /// People may be called before `until`.
    Open {
        /// When it closes.
        until: Timestamp,
    },
    /// Nobody may be called before `until`.
    Closed {
        /// When it opens; the end of time if it never does.
        until: Timestamp,
    },
}

impl WindowState {
    /// When the answer must be asked for again.
    pub(super) const fn until(self) -> Timestamp {
        match self {
            WindowState::Open { until } | WindowState::Closed { until } => until,
        }
    }
}

/// Tells whether a window is open at an instant, for destinations whose clocks are all those of `zones` (none unless
/// the window asks for recipients' time).
pub type WindowOracle = fn(window: &CallingWindow, zones: &[Box<str>], at: Timestamp) -> WindowState;

/// Every window is open, always.
pub fn always_open(_: &CallingWindow, _: &[Box<str>], _: Timestamp) -> WindowState {
    WindowState::Open { until: NEVER }
}
