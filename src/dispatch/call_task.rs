//! From a claim to the end of its attempt: prepare, create, commit, dial, follow the flow, settle.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::Instrument as _;

use super::assignment::{Assignment, Fresh};
use super::dialling::{Dialled, dial};
use super::insist::insist;
use super::ledger::{Fenced, Ledger, publish_requests};
use super::limits;
use super::live_call::LiveCall;
use super::publisher::HIGH_WATER;
use super::roster::Seat;
use super::shared::Shared;
use crate::callflow::call::{CallMachine, CallState, CallTerms};
use crate::callflow::program::{Target, Utterance};
use crate::callflow::{Program, Utterances};
use crate::model::event::CallContext;
use crate::model::{
    Disposition, DispositionResult, Fact, Happening, LegId, Number, Party, Phone, StepStatus, Timestamp, Via,
};
use crate::policy::{prefix, retry, trunk};
use crate::ports::SpeechError;
use crate::ports::store::{AttemptEnd, Claim, DialDecision, Held, Written};
use crate::ports::telephony::NewLeg;
use crate::telemetry::dispatch::{self as telemetry, NotDialled};
use crate::telemetry::spans;

/// An INVITE follows its commitment within this time, or never.
const COMMITMENT: Duration = Duration::from_secs(1);

/// How long to wait before asking a backend or engine again that did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// How often a dial that could not be sent is tried again.
const UNSENT_TRIES: usize = 5;

/// How often an unanswering speech engine is asked before the destination is given back.
const SPEECH_TRIES: u32 = 3;

/// Carries a claimed call, and then those that its end brings in exchange.
pub async fn carry(shared: &Arc<Shared>, fresh: Box<Fresh>) {
    let mut next = Some(fresh);
    while let Some(fresh) = next.take() {
        let span = spans::carried(&fresh.claim);
        let carried = async {
            // Tens of thousands are followed at a time, for minutes: none holds the room that beginning and ending take.
            match Box::pin(begin(shared, *fresh)).await {
                Ok(Begun::Dialled(call)) => follow(shared, call, true).await,
                Ok(Begun::Over(refill)) => refill,
                // Whatever comes in exchange is its new owner's to ask for.
                Err(Fenced) => Vec::new(),
            }
        };
        next = keep_one(shared, carried.instrument(span).await);
    }
}

/// Follows a dialled call to its end, and brings what comes in exchange.
///
/// `from_the_dial`: this worker has followed it from its dial on, and knows whether a phone rang.
pub async fn follow(shared: &Arc<Shared>, call: Box<LiveCall<'_>>, from_the_dial: bool) -> Vec<Fresh> {
    let Ok((ledger, disposition)) = call.follow().await else { return Vec::new() };
    let end = end_of(shared, &ledger, disposition, from_the_dial);
    Box::pin(settle(shared, ledger, end)).await
}

/// Keeps one of the destinations that came in exchange and hands the others on.
pub fn keep_one(shared: &Shared, mut refill: Vec<Fresh>) -> Option<Box<Fresh>> {
    let kept = refill.pop().map(Box::new);
    for fresh in refill {
        // Only a worker that is ending has closed this; the claim's lease then runs out.
        let _ = shared.assignments.send(Assignment::Fresh(Box::new(fresh)));
    }
    kept
}

/// How many destinations to ask for in exchange for one that ends: none when the worker's own cap is what limits it,
/// so that the room goes to the organisation whose turn it is.
pub fn wanted_in_exchange(shared: &Shared) -> u32 {
    let most = shared.settings.capacity.min(shared.ports.telephony.most_calls());
    let has_room = shared.live.load(Ordering::Acquire) < most;
    let may_dial = !shared.is_draining() && shared.ports.clock.now() < shared.fence.valid_until();
    u32::from(has_room && may_dial && shared.publisher.waiting() <= HIGH_WATER)
}

/// Everything a dial needs.
struct Ready {
    program: Arc<Program>,
    utterances: Utterances,
    phone: Phone,
    via: Via,
    /// The trunk's place.
    trunk: usize,
}

/// What came of a call's beginning.
pub enum Begun<'s> {
    /// It was dialled, or may have been: it is followed.
    Dialled(Box<LiveCall<'s>>),
    /// It is over, or somebody else's to begin; and what came in exchange.
    Over(Vec<Fresh>),
}

/// Why a claim is not dialled.
enum NotReady {
    /// It never will be: it ends here.
    Refused(Disposition, StepStatus),
    /// A rule forbids the number.
    Blocked,
    /// Not by this worker now.
    Later,
}

async fn begin(shared: &Arc<Shared>, fresh: Fresh) -> Result<Begun<'_>, Fenced> {
    let Fresh { claim, asked_at } = fresh;
    let seat = shared.roster.enter(&claim.held, shared.settings.id.clone(), asked_at);
    if shared.is_draining() {
        give_back(shared, &claim.held).await;
        return Ok(Begun::Over(Vec::new()));
    }
    let ready = prepare(shared, &claim).await;
    if shared.is_draining() {
        give_back(shared, &claim.held).await;
        return Ok(Begun::Over(Vec::new()));
    }
    let steps = match &ready {
        Ok(ready) => Arc::clone(&ready.program.labels),
        Err(_) => {
            shared.programs.of(&claim.header).map(|program| Arc::clone(&program.labels)).unwrap_or_else(|_| [].into())
        }
    };
    let Claim { held, header, destination, queued_at, history, confirmed } = claim;
    let context = CallContext { header, steps, call: held.attempt.call, destination, queued_at };
    let ledger = Ledger::new(shared, Arc::new(context), held, history, confirmed);
    let by_us = |result| Disposition::new(result, Some(Party::Us));
    let end = match ready {
        Ok(ready) => return place(shared, seat, ledger, ready, asked_at).await,
        Err(NotReady::Refused(disposition, status)) => {
            telemetry::not_dialled(NotDialled::Refused);
            AttemptEnd { refusal: Some(status), ..AttemptEnd::of(disposition) }
        }
        Err(NotReady::Blocked) => {
            telemetry::not_dialled(NotDialled::Blocked);
            AttemptEnd::of(by_us(DispositionResult::Blocked))
        }
        Err(NotReady::Later) => {
            telemetry::not_dialled(NotDialled::Unready);
            give_back(shared, &ledger.held).await;
            let clock = &shared.ports.clock;
            clock.sleep_until(clock.now() + AGAIN).await;
            return Ok(Begun::Over(Vec::new()));
        }
    };
    Ok(Begun::Over(settle(shared, ledger, end).await))
}

/// Checks the numbers, renders every message and makes the first one audible.
async fn prepare(shared: &Shared, claim: &Claim) -> Result<Ready, NotReady> {
    let refused = |status| NotReady::Refused(Disposition::new(DispositionResult::Blocked, Some(Party::Us)), status);
    let Number::Valid(phone) = claim.destination.number else {
        let disposition = Disposition::new(DispositionResult::InvalidNumber, Some(Party::Us));
        return Err(NotReady::Refused(disposition, StepStatus::ErrorDestInvalid));
    };
    let organisation = shared.organisations.of(&shared.ports, &claim.held.organisation).await;
    let organisation = organisation.map_err(|_| NotReady::Later)?;
    if prefix::denied_by(phone, &organisation.denied_prefixes).is_some() {
        return Err(NotReady::Blocked);
    }
    let caller = claim.destination.caller.or(claim.header.caller).or(organisation.caller_ids.first().copied());
    let listed = |caller| organisation.caller_ids.is_empty() || organisation.caller_ids.contains(&caller);
    if caller.is_some_and(|caller| !listed(caller)) {
        return Err(refused(StepStatus::ErrorCallerIdInvalid));
    }
    let program = shared.programs.of(&claim.header).map_err(|reason| {
        tracing::error!(reason, "the frozen flow does not compile");
        refused(StepStatus::ErrorInternal)
    })?;
    let utterances = program.prepare(&claim.destination).map_err(|unspeakable| refused(unspeakable.status))?;
    if let Some(first) = utterances.get(0) {
        speak_first(shared, first).await?;
    }
    let trunks = shared.ports.telephony.trunks();
    let trunk = trunk::next(trunks, &claim.history);
    let via = Via { caller, trunk: trunks.get(trunk).cloned() };
    Ok(Ready { program, utterances, phone, via, trunk })
}

async fn speak_first(shared: &Shared, first: &Utterance) -> Result<(), NotReady> {
    for _ in 0..SPEECH_TRIES {
        match shared.ports.speech.prepare(first).await {
            Ok(_) => return Ok(()),
            // What an engine complains of may quote what it was to say: `robocall doctor` lets it say something of ours.
            Err(SpeechError::Refused { status, .. }) => {
                tracing::warn!(?status, "the first message cannot be spoken");
                return Err(NotReady::Refused(Disposition::new(DispositionResult::Blocked, Some(Party::Us)), status));
            }
            Err(SpeechError::Unavailable(_)) => {
                tracing::warn!("the speech engine does not answer");
                shared.ports.clock.sleep_until(shared.ports.clock.now() + AGAIN).await;
            }
        }
    }
    Err(NotReady::Later)
}

/// Makes a leg, commits to its dial, and dials.
async fn place<'s>(
    shared: &'s Arc<Shared>,
    mut seat: Seat,
    mut ledger: Ledger<'s>,
    ready: Ready,
    claimed_at: Timestamp,
) -> Result<Begun<'s>, Fenced> {
    let (ports, app) = (&shared.ports, &shared.settings.id);
    let header = Arc::clone(&ledger.context.header);
    let leg = LegId::callee(ledger.held.attempt);
    let new = NewLeg {
        leg,
        target: Target::External(ready.phone),
        caller: ready.via.caller,
        lives_at_most: limits::lives_at_most(&header),
        talks_at_most: header.max_call_duration + limits::MARGIN,
        trunk: ready.trunk,
        is_waited_for: false,
    };
    let not_after = seat.authority(&shared.fence, &*ports.clock).await;
    if seat.is_lost() {
        return Err(Fenced);
    }
    if let Err(error) = ports.telephony.create(app, &new, not_after).await {
        tracing::warn!(%leg, %error, "no channel could be made");
        telemetry::not_dialled(NotDialled::Channel);
        let _ = ports.telephony.hang_up(leg, shared.fence.valid_until()).await;
        give_back(shared, &ledger.held).await;
        ports.clock.sleep_until(ports.clock.now() + AGAIN).await;
        return Ok(Begun::Over(Vec::new()));
    }
    if shared.is_draining() {
        let _ = ports.telephony.hang_up(leg, not_after).await;
        give_back(shared, &ledger.held).await;
        return Ok(Begun::Over(Vec::new()));
    }
    let machine = CallMachine::start(ready.program, CallTerms::from(&*header), ledger.held.attempt, ports.clock.now());
    let Some(committed_at) = commit(shared, &mut ledger, leg, &ready.via, machine.state()).await? else {
        return Ok(Begun::Over(Vec::new()));
    };
    seat.is_dialling();
    telemetry::dialled(committed_at.since(claimed_at));
    let not_after = (committed_at + COMMITMENT).min(seat.valid_until(&shared.fence));
    let (dialled, now) = (dial(shared, &seat, leg, header.ring_timeout, not_after).await, ports.clock.now());
    let end = match dialled {
        Dialled::Follow => {
            let call = LiveCall::new(shared, seat, ledger, machine, ready.utterances, app.clone(), ready.via.caller);
            return Ok(Begun::Dialled(Box::new(call)));
        }
        Dialled::NotSent => {
            let mut end = end_of_unsent(&ledger, now);
            // Whoever wanted it to end is told that it does.
            let is_wanted = seat.is_to_end(now, &mut ledger);
            end.retry_at = end.retry_at.filter(|_| !is_wanted);
            end
        }
        Dialled::Unknown => {
            seat.is_to_end(now, &mut ledger);
            AttemptEnd::of(Disposition::new(DispositionResult::Unknown, None))
        }
    };
    Ok(Begun::Over(settle(shared, ledger, end).await))
}

/// Commits to dialling a leg that was made, and takes it down if that is not to be; when it was committed to.
async fn commit(
    shared: &Shared,
    ledger: &mut Ledger<'_>,
    leg: LegId,
    via: &Via,
    state: &CallState,
) -> Result<Option<Timestamp>, Fenced> {
    let (ports, app) = (&shared.ports, &shared.settings.id);
    // On our own clock, and no later than the store's commitment: its clock may be another.
    let first_asked_at = ports.clock.now();
    let ask = || async {
        let asked_at = ports.clock.now();
        ports.store.begin_dial(&ledger.held, app, via, state).await.map(|decision| (decision, asked_at))
    };
    match insist(&*ports.clock, ask).await {
        Ok((DialDecision::Dial { again, history, events, .. }, asked_at)) => {
            ledger.stands_at(state);
            ledger.replace(history);
            publish_requests(shared, events);
            return Ok(Some(if again { first_asked_at } else { asked_at }));
        }
        Ok((DialDecision::GivenBack { why, events }, _)) => {
            tracing::debug!(%leg, ?why, "not dialled now");
            telemetry::not_dialled(why.into());
            publish_requests(shared, events);
        }
        Ok((DialDecision::Blocked(finished), _)) => {
            tracing::debug!(%leg, "not dialled: the number is on the do-not-call list");
            telemetry::not_dialled(NotDialled::Blocked);
            ledger.replace(finished.history);
            publish_requests(shared, finished.events);
        }
        Ok((DialDecision::Fenced, _)) | Err(_) => {
            // The leg was never dialled and bears this attempt's name: it is nobody's but ours to take down.
            let _ = ports.telephony.hang_up(leg, ports.clock.now() + COMMITMENT).await;
            return Err(Fenced);
        }
    }
    let _ = ports.telephony.hang_up(leg, shared.fence.valid_until()).await;
    Ok(None)
}

/// The end of an attempt whose dial was never sent, the one case without doubt: it is tried again whatever policy says,
/// as nobody was called, but not for ever.
fn end_of_unsent(ledger: &Ledger<'_>, now: Timestamp) -> AttemptEnd {
    let disposition = Disposition::new(DispositionResult::Congestion, Some(Party::Us));
    let unsent =
        |fact: &&Fact| matches!(&fact.what, Happening::RetryScheduled { disposition: end, .. } if *end == disposition);
    let before = ledger.history().iter().filter(unsent).count();
    AttemptEnd { retry_at: (before < UNSENT_TRIES).then_some(now + AGAIN), ..AttemptEnd::of(disposition) }
}

/// How an attempt ends, and whether another follows: at once through the next trunk, or when policy grants one.
fn end_of(shared: &Shared, ledger: &Ledger<'_>, disposition: Disposition, from_the_dial: bool) -> AttemptEnd {
    let (trunks, now) = (shared.ports.telephony.trunks(), shared.ports.clock.now());
    let fails_over = from_the_dial && trunk::fails_over(disposition);
    let retry_at = if fails_over && trunk::after(trunks, ledger.history()).is_some() {
        Some(now)
    } else {
        let rounds = trunk::rounds(trunks, ledger.history());
        retry::decide(&ledger.context.header.retry, disposition.result, rounds, now)
    };
    AttemptEnd { retry_at, ..AttemptEnd::of(disposition) }
}

/// Ends an attempt and brings what comes in exchange.
pub async fn settle(shared: &Shared, ledger: Ledger<'_>, end: AttemptEnd) -> Vec<Fresh> {
    let asked_at = shared.ports.clock.now();
    match ledger.finish(end, wanted_in_exchange(shared)).await {
        Ok(finished) => {
            telemetry::refilled(finished.refill.len());
            finished.refill.into_iter().map(|claim| Fresh { claim, asked_at }).collect()
        }
        Err(Fenced) => {
            tracing::warn!("the call became another worker's before it could be settled");
            telemetry::fenced();
            Vec::new()
        }
    }
}

/// Gives an undialled claim back, and publishes what that meant for its request.
pub async fn give_back(shared: &Shared, held: &Held) {
    let ports = &shared.ports;
    // Fenced or gone: then it is not ours to give.
    if let Ok(Written::Done(events)) = insist(&*ports.clock, || ports.store.give_back(held)).await {
        publish_requests(shared, events);
    }
}
