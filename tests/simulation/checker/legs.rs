//! I3 and I4 the other way round: every external leg that lives on the network has a lease, and no lease outlives its
//! leg for long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use robocall::callflow::Program;
use robocall::callflow::call::CallState;
use robocall::model::{Fact, Happening, LegId, Timestamp};
use robocall::ports::store::Held;
use robocall::ports::telephony::{LegEvent, LegReport, LegState};

use super::Checker;

/// How long a lease is believed, and then how long it may take until somebody looks.
const TIME_TO_LIVE: Duration = Duration::from_secs(30);
const SWEEP: Duration = Duration::from_secs(3);

/// How long before the end of its lease a call's owner gives no commands any more.
const AUTHORITY_ENDS_BEFORE: Duration = Duration::from_secs(10);

/// What an answer, or a timer's rounding, may cost.
const MARGIN: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Legs {
    /// Legs that lead out of the house.
    pub external: BTreeSet<LegId>,
    /// Those of them that were dialled and live.
    live: BTreeSet<LegId>,
    /// Those that have ended and whose lease has not, and since when.
    ended: BTreeMap<LegId, Timestamp>,
    /// Those of whose end the test told nobody.
    unreported: BTreeSet<LegId>,
    /// How many legs were dialled and ended when the network was last looked at.
    looked: (u64, u64),
}

impl Checker {
    /// A report of the backend's was lost by the test.
    pub fn unreported(&self, report: &LegReport) {
        self.count("reports lost");
        if let LegEvent::Ended(_) = report.what {
            self.seen.lock().unwrap().legs.unreported.insert(report.leg);
        }
    }

    /// Where a flow stands was written down: with what had happened until then, no less.
    pub fn checkpointed(&self, held: &Held, after: u32, facts: &[Fact], state: &CallState) {
        let history = self.history(held);
        if history.len() != after as usize + facts.len() {
            // It came late, and others stand after it.
            return;
        }
        let attempt = history.iter().rev().take_while(|fact| !matches!(fact.what, Happening::Dialing { .. }));
        let answered = attempt.clone().any(|fact| fact.what == Happening::Answered);
        let step = attempt.clone().find_map(|fact| match fact.what {
            Happening::StepStarted { step } => Some(Some(step)),
            Happening::StepFinished { .. } => Some(None),
            _ => None,
        });
        let header = self.header(&super::key_of(held));
        let program = header.and_then(|header| Program::from_canonical(&header.flow).ok());
        let name = step.flatten().and_then(|step| Some(program?.labels[usize::from(step)].name));
        let stands = state.phase_name();
        let in_step = ["play", "gather", "transfer", "optOut"].contains(&stands).then_some(stands);
        self.expect(answered == state.is_answered() && name == in_step, || {
            format!("I8: {} stands at {stands}, as it is stored, ahead of what happened: {name:?}", held.attempt)
        });
    }

    /// A command is given to the backend: ten seconds before the lease may end it has no force any more.
    pub fn check_authority(&self, what: &str, leg: LegId, not_after: Timestamp) {
        let Some(expires) = self.store.audit_expiry(leg.attempt) else { return };
        self.expect(self.now() >= not_after || not_after + AUTHORITY_ENDS_BEFORE <= expires, || {
            format!("I7: {what} of {leg} has force until {not_after}, on a lease until {expires}")
        });
    }

    pub(super) fn look_at_legs(&self, leases_changed: bool) {
        let counters = self.network.counters();
        let looked = (counters.dialled, counters.ended);
        let now = self.now();
        let mut seen = self.seen.lock().unwrap();
        let moved = seen.legs.looked != looked;
        if !moved && !leases_changed {
            return;
        }
        let leases = seen.books.leases();
        let legs = &mut seen.legs;
        if moved {
            legs.looked = looked;
            let there = self.network.live_legs().into_iter().filter(|(_, state)| *state != LegState::Created);
            let live: BTreeSet<LegId> = there.map(|(leg, _)| leg).filter(|leg| legs.external.contains(leg)).collect();
            let gone = std::mem::replace(&mut legs.live, live);
            let gone = gone.into_iter().filter(|leg| !legs.live.contains(leg)).collect::<Vec<_>>();
            legs.ended.extend(gone.into_iter().map(|leg| (leg, now)));
        }
        legs.ended.retain(|leg, _| leases.contains(leg));
        let naked: Vec<LegId> = legs.live.iter().filter(|leg| !leases.contains(leg)).copied().collect();
        let told = legs.ended.iter().filter(|(leg, _)| !legs.unreported.contains(leg));
        let ended: Vec<(LegId, Timestamp)> = told.map(|(leg, at)| (*leg, *at)).collect();
        drop(seen);
        for leg in naked {
            self.broken(format!("I3: {leg} is live without a slot"));
        }
        if !ended.is_empty() {
            self.check_ended(&ended, now);
        }
    }

    /// Leases of legs that have ended go within time to live and a sweep, counted from when somebody could know: all
    /// workers well, and old enough that what the dead left is nobody's any more, their locks included, and that the
    /// living may adopt it.
    fn check_ended(&self, ended: &[(LegId, Timestamp)], now: Timestamp) {
        let Some(calm) = self.crew.calm_since() else { return };
        let able = calm + TIME_TO_LIVE + SWEEP + SWEEP;
        for (leg, at) in ended {
            let since = able.max(*at);
            self.expect(now <= since + TIME_TO_LIVE + SWEEP + MARGIN, || {
                format!("I4: {leg} ended at {at} and has its slot still; all has been well since {calm}")
            });
        }
    }
}
