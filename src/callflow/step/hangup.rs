//! `hangup`: ends the call.

use super::{After, Outcome};

/// Over as soon as it began; the call ends with the flow.
pub(super) const fn run() -> Outcome {
    Outcome::success(After::End)
}
