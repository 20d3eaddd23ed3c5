//! The state machine of one attempt, from its dial to its end.
//!
//! It does nothing itself: whoever drives it hands in what happened and the time, takes out commands in order, and
//! wakes it when its next deadline is reached. Its whole state is [`CallState`], which can be stored after any event
//! and resumed by another worker.
//!
//! **Invariants**, whatever comes in and in whatever order:
//! - an unfinished call has a deadline;
//! - [`CallCommand::Finish`] comes once, last, and after every step that began has ended;
//! - a second leg, or a third party's, is written down before it is dialled, dialled at most once, and its slot is given
//!   back only when the leg is gone;
//! - no key of a sensitive gather is in the state or in any command.

mod company;
mod invitation;
mod io;
mod leg;
mod machine;
mod moment;
mod state;
mod third_party;
mod transfer;
mod turn;

pub use crate::policy::disposition::LegEnd;
pub use invitation::{Invitation, Refusal};
pub use io::{CallCommand, CallInput};
pub use machine::{CallMachine, CallTerms};
pub use state::CallState;

pub(super) use leg::{Leg, LegOutcome, LegStage};
pub(super) use turn::Turn;

#[cfg(test)]
mod tests;
