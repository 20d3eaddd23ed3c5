//! Going on with a call whose owner is gone.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::assignment::Adoption;
use super::call_task::{self, Begun, give_back, keep_one, settle};
use super::ledger::{Fenced, Ledger};
use super::legs::lost_leg;
use super::limits::surely_over_at;
use super::live_call::LiveCall;
use super::roster::Seat;
use super::shared::Shared;
use crate::callflow::call::{CallInput, CallMachine, CallTerms};
use crate::model::event::CallContext;
use crate::model::happening::dialled_by;
use crate::model::{Disposition, DispositionResult, Fact, Happening, LegId};
use crate::ports::store::{Adopted, AttemptEnd, Claim, Stage};
use crate::ports::telephony::LegState;
use crate::telemetry::spans;

/// How often an unanswering backend is asked what became of a leg.
const AGAIN: Duration = Duration::from_secs(2);

/// Carries an adopted call to its end, and then those that come in exchange.
pub async fn carry_on(shared: &Arc<Shared>, adoption: Box<Adoption>) {
    let span = spans::carried(&adoption.adopted.claim);
    let carried = async {
        match Box::pin(resume(shared, *adoption)).await {
            Ok(Begun::Dialled(call)) => call_task::follow(shared, call, false).await,
            Ok(Begun::Over(refill)) => refill,
            Err(Fenced) => Vec::new(),
        }
    };
    let refill = carried.instrument(span).await;
    if let Some(fresh) = keep_one(shared, refill) {
        call_task::carry(shared, fresh).await;
    }
}

async fn resume(shared: &Arc<Shared>, adoption: Adoption) -> Result<Begun<'_>, Fenced> {
    let Adoption { adopted, seat } = adoption;
    match adopted.stage {
        Stage::Claimed => {
            take_down(shared, &adopted).await;
            drop(seat);
            Ok(Begun::Over(Vec::new()))
        }
        Stage::Dialing => settle_or_follow(shared, adopted, seat).await,
    }
}

/// A claim that was never committed to a dial: whatever channel bears its name goes, and others may claim it.
async fn take_down(shared: &Arc<Shared>, adopted: &Adopted) {
    let leg = LegId::callee(adopted.claim.held.attempt);
    // The name is used up either way, and without a commitment nobody will dial it.
    let _ = shared.ports.telephony.hang_up(leg, shared.fence.valid_until()).await;
    give_back(shared, &adopted.claim.held).await;
}

async fn settle_or_follow(shared: &Arc<Shared>, adopted: Adopted, seat: Seat) -> Result<Begun<'_>, Fenced> {
    let Adopted { claim, state, hang_up, .. } = adopted;
    let Claim { held, header, destination, queued_at, history, confirmed } = claim;
    let ports = &shared.ports;
    let leg = LegId::callee(held.attempt);
    let program = shared.programs.of(&header);
    let steps = program.as_ref().map(|program| Arc::clone(&program.labels)).unwrap_or_else(|_| [].into());
    let utterances = program.as_ref().ok().and_then(|program| program.prepare(&destination).ok());
    let context = CallContext { header, steps, call: held.attempt.call, destination, queued_at };
    let app = dialled_by(&history).cloned().unwrap_or_else(|| shared.settings.id.clone());
    let caller = history.iter().rev().find_map(|fact| match fact.what {
        Happening::Dialing { caller, .. } => Some(caller),
        _ => None,
    });
    let mut ledger = Ledger::new(shared, Arc::new(context), held, history, confirmed);
    if let Some(state) = &state {
        ledger.stands_at(state);
    }

    let over_at = surely_over_at(ledger.history(), &ledger.context.header);
    let fate = loop {
        match ports.telephony.inspect(leg).await {
            Ok(fate) => break fate,
            // Whatever became of it, the backend has ended it by now.
            Err(_) if over_at.is_some_and(|at| ports.clock.now() >= at) => break None,
            // The slot stays held: the leg may be live, and the backend ends it by itself in the end.
            Err(error) => {
                tracing::warn!(%leg, %error, "the fate of an adopted call cannot be learnt yet");
                ports.clock.sleep_until(ports.clock.now() + AGAIN).await;
            }
        }
        if seat.is_lost() {
            return Err(Fenced);
        }
    };
    let (Ok(program), Some(utterances), Some(state)) = (program, utterances, state) else {
        return abandon(shared, &seat, ledger).await;
    };
    if fate == Some(LegState::Created) {
        // Committed to, never dialled: a late dial of the owner finds no leg any more.
        return abandon(shared, &seat, ledger).await;
    }
    let now = ports.clock.now();
    let answered_unseen = fate == Some(LegState::Up) && !was_answered(ledger.history());
    let terms = CallTerms::from(&*ledger.context.header);
    let machine = CallMachine::resume(program, terms, state, now);
    let mut unheard = Vec::new();
    for leg in machine.state().other_legs() {
        unheard.extend(unheard_of(shared, leg).await);
    }
    let mut call = Box::new(LiveCall::new(shared, seat, ledger, machine, utterances, app, caller.flatten()));
    call.tell(CallInput::Adopted);
    if hang_up {
        call.tell(CallInput::HangUpRequested);
    }
    if answered_unseen {
        call.tell(CallInput::Answered);
    }
    unheard.into_iter().for_each(|input| call.tell(input));
    if fate.is_none() {
        call.tell(CallInput::Ended(lost_leg()));
    }
    Ok(Begun::Dialled(call))
}

/// Ends a call that cannot be followed: nobody will learn what became of it, and nobody is dialled again for it. Its
/// slot is given back when its legs are surely gone.
async fn abandon<'s>(shared: &'s Shared, seat: &Seat, ledger: Ledger<'_>) -> Result<Begun<'s>, Fenced> {
    let (ports, attempt) = (&shared.ports, ledger.held.attempt);
    let app = dialled_by(ledger.history()).cloned().unwrap_or_else(|| shared.settings.id.clone());
    loop {
        let not_after = seat.authority(&shared.fence, &*ports.clock).await;
        if seat.is_lost() {
            return Err(Fenced);
        }
        let legs = ports.telephony.legs_of(&app).await;
        let over_at = surely_over_at(ledger.history(), &ledger.context.header);
        if legs.is_err() && over_at.is_some_and(|at| ports.clock.now() >= at) {
            break;
        }
        if let Ok(legs) = legs {
            let left: Vec<LegId> = legs.into_iter().map(|(leg, _)| leg).filter(|leg| leg.attempt == attempt).collect();
            if left.is_empty() {
                break;
            }
            for leg in left {
                // Whether it took effect shows in the next look.
                let _ = ports.telephony.hang_up(leg, not_after).await;
            }
        }
        ports.clock.sleep_until(ports.clock.now() + AGAIN).await;
    }
    let result = if was_answered(ledger.history()) { DispositionResult::Answered } else { DispositionResult::Unknown };
    let end = AttemptEnd::of(Disposition::new(result, None));
    Ok(Begun::Over(settle(shared, ledger, end).await))
}

fn was_answered(history: &[Fact]) -> bool {
    let attempt = history.iter().rev().take_while(|fact| !matches!(fact.what, Happening::Dialing { .. }));
    attempt.into_iter().any(|fact| fact.what == Happening::Answered)
}

/// What nobody heard of one of a call's other legs meanwhile; nothing if the backend does not say, and then the machine's own
/// deadlines bound the wait.
async fn unheard_of(shared: &Shared, leg: LegId) -> Option<CallInput> {
    match shared.ports.telephony.inspect(leg).await {
        Ok(Some(LegState::Up)) => Some(CallInput::LegAnswered { leg }),
        Ok(None) => Some(CallInput::LegEnded { leg, end: lost_leg() }),
        Ok(Some(LegState::Created | LegState::Dialled)) | Err(_) => None,
    }
}
