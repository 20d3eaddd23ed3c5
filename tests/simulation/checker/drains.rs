//! I10: draining cuts no call within the time of grace; what is handed over then is soon in other hands, and goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use robocall::model::{Disposition, DispositionResult, Event, Fact, Happening, LegRole, Party, StepStatus, Timestamp};
use robocall::ports::store::{Held, RequestKey, Token};

use super::Checker;
use crate::chaos::Fate;

/// How often somebody looks.
const ROUND: Duration = Duration::from_secs(3);

/// What a few answers, or a timer's rounding, may cost.
const MARGIN: Duration = Duration::from_secs(2);

/// How long a worker leaves a name alone in which the backend did not let it listen.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// The backend may end a call at its limit a little before we would.
const LIMIT_TOLERANCE: Duration = Duration::from_secs(3);

#[derive(Default)]
pub(super) struct Drains {
    /// Calls that were handed over and that nobody has taken up, by the proof that nobody has.
    waiting: BTreeMap<Token, HandedOver>,
}

struct HandedOver {
    held: Held,
    /// The worker whose it was.
    by: String,
    /// Whether anybody who could take it up was well and had been for long.
    watched: bool,
    /// When its worker had ended as it should.
    free_since: Option<Timestamp>,
}

impl Checker {
    /// A worker is about to hand calls over: those that are its own.
    pub fn before_hand_over(&self, fate: &Fate, held: &[Held]) -> Vec<Held> {
        let over = self.crew.grace_until(fate).is_some_and(|until| until <= self.now());
        self.expect(over, || format!("I10: {} lets calls go before its time of grace is over", fate.name));
        let own = |held: &&Held| self.store.audit_token(held.attempt.call) == Some(held.token);
        held.iter().filter(own).cloned().collect()
    }

    /// It has handed these over.
    pub fn handed_over(&self, fate: &Fate, held: Vec<Held>) {
        let now = self.now();
        let calm = self.crew.calm_but_for_drain(fate);
        let watched = calm.is_some_and(|calm| !self.crew.has_ailed() || calm + LEFT_ALONE <= now);
        for held in held {
            self.count("calls handed over");
            let Some(token) = self.store.audit_token(held.attempt.call) else { continue };
            let call = HandedOver { held, by: fate.name.clone(), watched, free_since: None };
            self.seen.lock().unwrap().drains.waiting.insert(token, call);
        }
    }

    /// A worker was drained to its end.
    pub fn drained(&self, fate: &Fate) {
        let now = self.now();
        for call in self.seen.lock().unwrap().drains.waiting.values_mut().filter(|call| call.by == fate.name) {
            call.free_since = Some(now);
        }
    }

    /// Whoever was handed over is spoken to within a round.
    pub(super) fn look_at_drains(&self) {
        let mut seen = self.seen.lock().unwrap();
        if seen.drains.waiting.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut seen.drains.waiting);
        drop(seen);
        let before = waiting.len();
        waiting.retain(|token, call| self.store.audit_token(call.held.attempt.call) == Some(*token));
        let (now, calm) = (self.now(), self.crew.calm_since());
        for call in waiting.values().filter(|call| call.watched) {
            let Some(free) = call.free_since.filter(|free| calm.is_some_and(|calm| calm <= *free)) else { continue };
            self.count("looks at calls that wait for an adopter");
            self.expect(now <= free + ROUND + MARGIN, || {
                format!("I10: {} was handed over by {free} and nobody has taken it up", call.held.attempt)
            });
        }
        let mut seen = self.seen.lock().unwrap();
        *seen.tally.entry("calls taken up that were handed over").or_default() += (before - waiting.len()) as u64;
        seen.drains.waiting.extend(waiting);
    }

    /// An event was confirmed: no call was ended by us in the middle of a step, but for its limit, at somebody's wish, or
    /// because a secret could not be kept.
    pub(super) fn check_cut(&self, event: &Event) {
        let Event::Call { facts, context, .. } = event else { return };
        let (Some(last), Some(attempt)) = (facts.last(), event.attempt()) else { return };
        let Happening::Ended { disposition, .. } = &last.what else { return };
        let Disposition { result: DispositionResult::Answered, by: Some(Party::Us), .. } = disposition else { return };
        let this = || facts.iter().rev().take_while(|fact| !matches!(fact.what, Happening::Dialing { .. }));
        let cut = this().find_map(|fact| match fact.what {
            // A transfer that came to nothing may end the call by itself.
            Happening::StepFinished { status, transfer, .. } => {
                Some((status == StepStatus::ErrorSessionEnded && transfer.is_none()).then_some(fact.at))
            }
            _ => None,
        });
        let Some(Some(cut_at)) = cut else { return };
        // For the sake of somebody to whom a command transferred the callee; or the network took the callee down together
        // with whom a blind transfer had joined them, of which nobody had heard.
        let gave_way = |fact: &Fact| match fact.what {
            Happening::LegAnswered { leg } | Happening::LegAdded { leg, .. } | Happening::LegFailed { leg, .. } => {
                leg.role == LegRole::Transfer && fact.at == cut_at
            }
            _ => false,
        };
        let Some(answered) = this().find(|fact| fact.what == Happening::Answered) else { return };
        let dialled = facts.iter().rev().find(|fact| matches!(fact.what, Happening::Dialing { .. }));
        let header = &context.header;
        // Who answers while nobody looks is ended by the backend at its own limit, before ours.
        let at_limit = answered.at + header.max_call_duration <= last.at + LIMIT_TOLERANCE
            || dialled.is_some_and(|dialled| dialled.at + header.ring_timeout + header.max_call_duration <= last.at);
        if at_limit || this().any(gave_way) {
            return;
        }
        let key = RequestKey { organisation: header.organisation.clone(), request: header.id.clone() };
        // Recorded, be it at somebody's command, and of those who ask for secrets.
        let at_command =
            |fact: &Fact| matches!(&fact.what, Happening::CommandExecuted { command, .. } if &**command == "record");
        let recorded = header.recording || this().any(at_command);
        let secretive = recorded && self.seen.lock().unwrap().events.secretive.contains(&key);
        self.expect(secretive || self.is_wanted(attempt, &key), || {
            format!("I10: {attempt} was cut off in the middle of a step, and nobody had asked for it")
        });
    }
}
