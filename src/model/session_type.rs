//! What a third party of a call hears, and who hears them.

use serde::{Deserialize, Serialize};

/// How a supervisor or participant takes part in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SessionType {
    /// Hears everybody, and is heard by nobody.
    Monitor,
    /// Hears everybody, and is heard by our side's person only.
    Coaching,
    /// Hears everybody, and is heard by everybody.
    BargeIn,
}
