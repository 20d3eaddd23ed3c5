//! How a request or a live call stands: what whoever gives a command may expect, and is told if it is not so.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::RequestStatus;
use crate::model::status::LiveState;

/// How a request or a live call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Standing {
    /// The status of a request.
    Request(RequestStatus),
    /// How far a live call is.
    Call(LiveState),
}

impl Standing {
    /// Of a request, if that is meant.
    pub const fn of_request(self) -> Option<RequestStatus> {
        match self {
            Standing::Request(status) => Some(status),
            Standing::Call(_) => None,
        }
    }

    /// Of a live call, if that is meant.
    pub const fn of_call(self) -> Option<LiveState> {
        match self {
            Standing::Call(state) => Some(state),
            Standing::Request(_) => None,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Standing::Request(status) => status.as_str(),
            Standing::Call(state) => state.as_str(),
        })
    }
}
