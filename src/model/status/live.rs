//! How far a live call is, in a word.

use serde::{Deserialize, Serialize};

use crate::model::{Fact, Happening, LegRole, Timestamp};

macro_rules! live_states {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// How far a live call is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum LiveState {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl LiveState {
            /// Every state, in the order of a call.
            pub const ALL: &'static [LiveState] = &[$(LiveState::$name,)*];

            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(LiveState::$name => $text,)* }
            }
        }
    };
}

live_states! {
    /// It was dialled.
    Dialing = "dialing",
    /// The callee's phone rings.
    Ringing = "ringing",
    /// The callee has picked up.
    Answered = "answered",
    /// Somebody is called to whom the callee is to be transferred.
    Transferring = "transferring",
    /// The callee was transferred to somebody, and nobody else is called.
    Transferred = "transferred",
}

impl LiveState {
    /// How far the latest attempt of a history is, and since when; none before the first dial.
    pub fn of(history: &[Fact]) -> Option<(Self, Timestamp)> {
        let mut state = None;
        // With whom the callee talks, and who else rings.
        let (mut with, mut coming) = (None, None);
        for Fact { at, what } in history {
            let next = match what {
                Happening::Dialing { .. } => {
                    (with, coming) = (None, None);
                    Self::Dialing
                }
                Happening::Ringing => Self::Ringing,
                Happening::Answered => Self::Answered,
                Happening::LegAdded { leg, .. } if leg.role == LegRole::Transfer => {
                    coming = Some(*leg);
                    Self::Transferring
                }
                Happening::LegAnswered { leg } if leg.role == LegRole::Transfer => {
                    (with, coming) = (Some(*leg), coming.filter(|coming| coming != leg));
                    Self::Transferred
                }
                Happening::LegFailed { leg, .. } | Happening::LegRemoved { leg } if coming == Some(*leg) => {
                    coming = None;
                    if with.is_some() { Self::Transferred } else { Self::Answered }
                }
                Happening::LegRemoved { leg } if with == Some(*leg) => {
                    with = None;
                    if coming.is_some() { Self::Transferring } else { Self::Answered }
                }
                _ => continue,
            };
            state = Some((next, *at));
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptId, CallId, Disposition, DispositionResult, LegId};

    #[test]
    fn a_callee_talks_with_one_while_the_next_rings_and_the_one_before_may_leave_late() {
        let call = CallId::new(&"bank".parse().unwrap(), &"r".parse().unwrap(), 7);
        let leg = |ordinal| LegId::transfer(AttemptId { call, claim: 1 }, ordinal);
        let added = |ordinal| Happening::LegAdded { leg: leg(ordinal), dest: "1000".into() };
        let answered = |ordinal| Happening::LegAnswered { leg: leg(ordinal) };
        let removed = |ordinal| Happening::LegRemoved { leg: leg(ordinal) };
        let busy = Disposition::new(DispositionResult::Busy, None);
        let mut history = Vec::new();
        assert_eq!(LiveState::of(&history), None);
        for (what, expected) in [
            (Happening::Answered, "answered"),
            (added(1), "transferring"),
            (answered(1), "transferred"),
            (added(2), "transferring"),
            (Happening::LegFailed { leg: leg(2), disposition: busy }, "transferred"),
            (added(3), "transferring"),
            (answered(3), "transferred"),
            (removed(1), "transferred"),
            (added(4), "transferring"),
            (removed(3), "transferring"),
            (Happening::LegFailed { leg: leg(4), disposition: busy }, "answered"),
        ] {
            history.push(Fact { at: Timestamp::VIRTUAL_START, what });
            let state = LiveState::of(&history).map(|(state, _)| state.as_str());
            assert_eq!(state, Some(expected), "{:?}", history.last());
        }
    }
}
