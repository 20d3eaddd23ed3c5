//! What a played call looks like: the lines of a transcript, for people and for golden files.

use std::fmt;

use serde::Serialize;

use crate::model::{Disposition, DispositionResult, Party, StepStatus};
use crate::reading::shown;

/// One line of a transcript.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub enum Line {
    /// The callee picked up.
    Answered,
    /// A step of the flow began.
    Step {
        /// `play`, `gather` …
        name: &'static str,
        /// Where it stands.
        path: Box<str>,
    },
    /// Something is said to the callee.
    Says {
        /// The words.
        text: Box<str>,
    },
    /// A recorded file is played.
    Plays {
        /// Its name.
        media: Box<str>,
    },
    /// The callee pressed a key, or `*` where it is not shown.
    Key {
        /// The key.
        key: char,
    },
    /// The callee let the time pass.
    NoKey,
    /// Somebody else is called.
    Dials {
        /// As dialled.
        dest: Box<str>,
    },
    /// Callee and somebody else talk.
    Joined,
    /// Nobody was reached.
    NotReached {
        /// Why.
        result: DispositionResult,
    },
    /// The callee's number is on the do-not-call list.
    OptedOut,
    /// Recording changed.
    Recording {
        /// Whether what follows is recorded.
        on: bool,
    },
    /// A step ended.
    Done {
        /// How.
        status: StepStatus,
    },
    /// The callee hung up.
    CalleeHangsUp,
    /// The call is over.
    Ended {
        /// How.
        disposition: Disposition,
        /// How long it was up.
        seconds: u64,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Answered => f.write_str("-- answered"),
            Line::Step { name, path } => write!(f, "{} {name}", shown(path)),
            Line::Says { text } => write!(f, "    says    {}", shown(text)),
            Line::Plays { media } => write!(f, "    plays   {}", shown(media)),
            Line::Key { key } => write!(f, "    key     {key}"),
            Line::NoKey => f.write_str("    key     (none)"),
            Line::Dials { dest } => write!(f, "    dials   {}", shown(dest)),
            Line::Joined => f.write_str("    joined"),
            Line::NotReached { result } => write!(f, "    missed  {}", word(result)),
            Line::OptedOut => f.write_str("    opted out"),
            Line::Recording { on } => write!(f, "    recording {}", if *on { "on" } else { "off" }),
            Line::Done { status } => write!(f, "    {}", word(status)),
            Line::CalleeHangsUp => f.write_str("    hangs up"),
            Line::Ended { disposition, seconds } => {
                let by = match disposition.by {
                    Some(Party::Us) => "by us",
                    Some(Party::Callee) => "by the callee",
                    Some(Party::Network) => "by the network",
                    None => "nobody knows by whom",
                };
                write!(f, "-- {}, ended {by} after {seconds} s", word(&disposition.result))
            }
        }
    }
}

/// A value's name on the wire.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
