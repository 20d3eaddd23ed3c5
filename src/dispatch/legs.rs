//! From the telephony backend's reports to the calls they are about, and what is said of legs it never reported on.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::roster::{Mail, Roster};
use crate::callflow::call::{CallInput, LegEnd};
use crate::model::{LegRole, Party, WorkerId};
use crate::ports::telephony::{LegEvent, LegReport};

/// Hands reports on `app`'s legs on until the stream ends, which it does when another takes it over: then the calls
/// that it told of are another's, too, or soon will be.
pub async fn hand_on(mut reports: UnboundedReceiver<LegReport>, app: WorkerId, roster: Arc<Roster>) {
    while let Some(report) = reports.recv().await {
        let attempt = report.leg.attempt;
        if let Some(input) = input_of(report) {
            // A report on a leg nobody holds is late, or about a leg that its next owner will inspect.
            roster.send(attempt, Mail::Input(input));
        }
    }
    roster.fence_app(&app);
}

fn input_of(report: LegReport) -> Option<CallInput> {
    let leg = report.leg;
    if leg.role == LegRole::Callee {
        return Some(match report.what {
            LegEvent::Ringing => CallInput::Ringing,
            LegEvent::Answered => CallInput::Answered,
            LegEvent::Digit(digit) => CallInput::Digit(digit),
            LegEvent::PlaybackFinished { playback, played } => CallInput::PlaybackFinished { playback, played },
            LegEvent::PartyDetected(party) => CallInput::PartyDetected(party),
            LegEvent::BeepHeard => CallInput::BeepHeard,
            LegEvent::Ended(end) => CallInput::Ended(end),
        });
    }
    match report.what {
        LegEvent::Answered => Some(CallInput::LegAnswered { leg }),
        LegEvent::Ended(end) => Some(CallInput::LegEnded { leg, end }),
        LegEvent::Ringing
        | LegEvent::Digit(_)
        | LegEvent::PlaybackFinished { .. }
        | LegEvent::PartyDetected(_)
        | LegEvent::BeepHeard => None,
    }
}

/// The end of a leg that a rule of ours forbids.
pub const fn denied_leg() -> LegEnd {
    LegEnd { cause: None, sip: None, by: Some(Party::Us), lost: false }
}

/// The end of a leg of which nothing can be learnt.
pub const fn lost_leg() -> LegEnd {
    LegEnd { cause: None, sip: None, by: None, lost: true }
}
