//! A waiting room, the workers' own view of it, and what must always hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::memory::{Audit, MemoryStore, Sabotage};
use robocall::conformance::ManualClock;
use robocall::conformance::store::scene::*;
use robocall::model::note::{CallNote, CustomerFlags};
use robocall::model::request::WindowZone;
use robocall::model::{CallingWindow, DispositionResult, LegId, LegRole, RequestHeader, RequestStatus, Via};
use robocall::ports::Clock;
use robocall::ports::store::*;

use super::steps::{ORGANISATIONS, Step};

/// Open, but for the second minute that passes.
fn closed_for_a_minute() -> CallingWindow {
    CallingWindow { from_minute: 9 * 60 + 2, to_minute: 9 * 60 + 1, ..hours(WindowZone::Named("UTC".into()), 0, 24) }
}

/// A store, the workers' own view of it, and what must never change.
pub struct Run {
    pub clock: Arc<ManualClock>,
    memory: Arc<MemoryStore>,
    pub store: Store,
    requests: Vec<RequestKey>,
    /// What workers believe to hold: the worker, the proof, and how long the history is.
    hands: Vec<(usize, Held, u32)>,
    ended: Vec<(Held, u32, AttemptEnd)>,
    /// Final statuses, which must stay.
    rested: BTreeMap<(RequestKey, u32), robocall::model::CallStatus>,
    claimed: BTreeSet<robocall::model::AttemptId>,
    dialled: BTreeSet<robocall::model::AttemptId>,
}

impl Run {
    pub fn new(sabotage: Sabotage) -> Self {
        let clock = Arc::new(ManualClock::default());
        let time = Arc::<ManualClock>::clone(&clock);
        let memory = Arc::new(MemoryStore::new(time).sabotaged(sabotage));
        let store: Store = Arc::<MemoryStore>::clone(&memory);
        Self {
            clock,
            memory,
            store,
            requests: Vec::new(),
            hands: Vec::new(),
            ended: Vec::new(),
            rested: BTreeMap::new(),
            claimed: BTreeSet::new(),
            dialled: BTreeSet::new(),
        }
    }

    fn hand(&self, which: usize) -> Option<(usize, Held, u32)> {
        if self.hands.is_empty() { None } else { Some(self.hands[which % self.hands.len()].clone()) }
    }

    /// What was claimed: attempts that nobody ever claimed before.
    fn receive(&mut self, worker: usize, claims: Vec<Claim>) -> Result<(), String> {
        if let Some(twice) = claims.iter().find(|claim| !self.claimed.insert(claim.held.attempt)) {
            return Err(format!("{:?} was claimed twice", twice.held));
        }
        self.take(worker, claims);
        Ok(())
    }

    fn take(&mut self, worker: usize, claims: Vec<Claim>) {
        let claims = claims.into_iter().map(|claim| (worker, claim.held, u32::try_from(claim.history.len()).unwrap()));
        self.hands.extend(claims);
    }

    /// Whether a call was claimed again after an attempt, and that later attempt has ended, too.
    fn ended_again_since(&self, held: &Held) -> bool {
        let audit = self.memory.audit();
        let requests =
            audit.organisations.iter().filter(|org| org.id == held.organisation).flat_map(|org| &org.requests);
        let mut calls = requests.filter(|request| request.id == held.request).flat_map(|request| &request.calls);
        let call = calls.find(|call| call.index == held.attempt.call.index());
        let later = |other: &Held| other.attempt.call == held.attempt.call && other.attempt.claim > held.attempt.claim;
        let blocked = call.is_some_and(|call| call.status == robocall::model::CallStatus::Blocked);
        self.ended.iter().any(|(other, ..)| later(other))
            || blocked && call.is_some_and(|call| call.claim > held.attempt.claim)
    }

    /// Slots in use, the limit, and the legs that hold slots, of a call's organisation.
    fn slots(&self, held: &Held) -> (u32, u32, Vec<LegId>) {
        let audit = self.memory.audit();
        let org = audit.organisations.iter().find(|org| org.id == held.organisation).unwrap();
        let legs: Vec<LegId> = org.leases.iter().map(|lease| lease.leg).collect();
        (u32::try_from(legs.len()).unwrap().saturating_add(org.external), org.limit, legs)
    }

    fn name(number: usize) -> robocall::model::WorkerId {
        worker(&format!("w{number}"))
    }

    pub async fn step(&mut self, step: Step) -> Result<(), String> {
        let store = Arc::clone(&self.store);
        let now = self.clock.now();
        match step {
            Step::Submit { org, total, priority, expires, scheduled, windowed } => {
                let id = format!("r{}", self.requests.len());
                let calling_window = windowed.then(closed_for_a_minute);
                let after = |secs: Option<u64>| secs.map(|secs| now + Duration::from_secs(secs));
                let header = RequestHeader {
                    priority,
                    expires_at: after(expires),
                    scheduled_at: after(scheduled),
                    calling_window,
                    ..header_of(ORGANISATIONS[org], &id)
                };
                submit(&store, header, total).await;
                self.requests.push(key_of(ORGANISATIONS[org], &id));
            }
            Step::Claim { worker, want } => {
                let claims = store.claim(&Self::name(worker), want).await.unwrap();
                if claims.claims.is_empty() && want > 0 && claims.again_at.is_some_and(|at| at <= now) {
                    return Err("nothing came, and it is to be asked again at once".to_owned());
                }
                self.receive(worker, claims.claims)?;
            }
            Step::Renew { worker } => {
                let mine: Vec<Held> =
                    self.hands.iter().filter(|hand| hand.0 == worker).map(|hand| hand.1.clone()).collect();
                let renewed = store.renew(&Self::name(worker), &mine).await.unwrap();
                self.hands.retain(|hand| !renewed.lost.contains(&hand.1));
            }
            Step::HandOver { worker } => {
                let mine: Vec<Held> =
                    self.hands.iter().filter(|hand| hand.0 == worker).map(|hand| hand.1.clone()).collect();
                store.hand_over(&Self::name(worker), &mine).await.unwrap();
                self.hands.retain(|hand| hand.0 != worker);
            }
            Step::Adopt { worker } => {
                for suspect in store.suspects(3).await.unwrap() {
                    if let Written::Done(adopted) = store.adopt(&suspect.held, &Self::name(worker)).await.unwrap() {
                        self.take(worker, vec![adopted.claim]);
                    }
                }
            }
            Step::Control { which, control, id } => {
                if !self.requests.is_empty() {
                    let key = &self.requests[which % self.requests.len()];
                    let given = id.map(|id| {
                        let expect = (id % 3 == 0).then_some(RequestStatus::Paused);
                        Given { id: id.to_string().into(), actor: None, expect }
                    });
                    match store.control(key, control, given.as_ref()).await {
                        Ok(_) | Err(StoreError::IdTaken | StoreError::Unmet { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            Step::Note { which, index, verified, harms } => {
                if let Some(key) = self.requests.get(which % self.requests.len().max(1)) {
                    let flags = CustomerFlags { verified_customer: verified, bad_actor: harms, repeat_customer: None };
                    // There may be no such call.
                    let _noted = store.annotate(key, index, &CallNote::Customer(flags), None).await;
                }
            }
            Step::Settings { org, limit, rate } => {
                set(&store, ORGANISATIONS[org], |settings| (settings.limit, settings.calls_per_second) = (limit, rate))
                    .await;
            }
            Step::External { org, value } => {
                store.set_external(&organisation(ORGANISATIONS[org]), Some(value.to_owned())).await.unwrap();
            }
            Step::Block { index, org } => {
                let phone = destination(index).number.phone().unwrap();
                store.block_number(&organisation(ORGANISATIONS[org]), phone, None).await.unwrap();
            }
            Step::Confirm { which, seq } => {
                if let Some((held, ..)) = self.ended.get(which) {
                    let confirmed = Confirmation::of_call(held.organisation.clone(), held.attempt.call, seq);
                    store.confirm(&[confirmed]).await.unwrap();
                }
            }
            Step::Pass { millis } => self.clock.advance(Duration::from_millis(millis)),
            Step::Sweep => {
                store.sweep().await.unwrap();
            }
            on_one_attempt => self.step_of_attempt(on_one_attempt).await?,
        }
        self.check()
    }

    /// One thing that happens to an attempt which a worker believes to hold, or has ended.
    async fn step_of_attempt(&mut self, step: Step) -> Result<(), String> {
        let store = Arc::clone(&self.store);
        let now = self.clock.now();
        match step {
            Step::Dial { which } => {
                let Some((worker, held, _)) = self.hand(which) else { return Ok(()) };
                let (used, limit, _) = self.slots(&held);
                let decision =
                    store.begin_dial(&held, &Self::name(worker), &Via::default(), &flow_state()).await.unwrap();
                if let DialDecision::Dial { history, committed_at, .. } = decision {
                    if committed_at == now && self.dialled.insert(held.attempt) && used > limit {
                        return Err(format!("{held:?} was dialled over the limit"));
                    }
                    let after = u32::try_from(history.len()).unwrap();
                    self.hands.iter_mut().filter(|hand| hand.1 == held).for_each(|hand| hand.2 = after);
                } else {
                    self.hands.retain(|hand| hand.1 != held);
                }
            }
            Step::GiveBack { which } => {
                let Some((_, held, _)) = self.hand(which) else { return Ok(()) };
                if let Written::Done(_) = store.give_back(&held).await.unwrap() {
                    self.hands.retain(|hand| hand.1 != held);
                }
            }
            Step::Checkpoint { which, leg } => {
                let Some((_, held, after)) = self.hand(which) else { return Ok(()) };
                let facts = [fact(now, robocall::model::Happening::Ringing)];
                let flow = if leg == 0 { flow_state() } else { transferring(held.attempt, leg) };
                if store.checkpoint(&held, after, &facts, &flow).await.unwrap() == Written::Done(()) {
                    let (_, _, legs) = self.slots(&held);
                    let mine =
                        legs.iter().filter(|other| other.attempt == held.attempt && other.role != LegRole::Callee);
                    if mine.clone().any(|other| other.ordinal != leg) {
                        return Err(format!("leg {leg} is all that the flow has, and {legs:?} hold slots"));
                    }
                    self.hands.iter_mut().filter(|hand| hand.1 == held).for_each(|hand| hand.2 = after + 1);
                }
            }
            Step::Finish { which, retry, refill } => {
                let Some((worker, held, after)) = self.hand(which) else { return Ok(()) };
                let end = match retry {
                    Some(secs) => retries(DispositionResult::Busy, now + Duration::from_secs(secs)),
                    None => ends(DispositionResult::Answered),
                };
                let finished = store.finish(&held, &Self::name(worker), after, &[], end.clone(), refill).await.unwrap();
                self.hands.retain(|hand| hand.1 != held);
                if let Written::Done(finished) = finished {
                    self.ended.push((held, after, end));
                    self.receive(worker, finished.refill)?;
                }
            }
            Step::FinishAgain { which } => {
                if self.ended.is_empty() {
                    return Ok(());
                }
                let (held, after, end) = self.ended[which % self.ended.len()].clone();
                let again = store.finish(&held, &worker("w0"), after, &[], end, 3).await.unwrap();
                match again {
                    // Only the latest end is remembered; whoever asks after an older one is told to leave the call alone.
                    Written::Fenced if self.ended_again_since(&held) => {}
                    Written::Done(again) if again.events.is_empty() && again.refill.is_empty() => {}
                    again => return Err(format!("ended again: {again:?}")),
                }
            }
            Step::RequestSlot { which, leg } => {
                let Some((_, held, _)) = self.hand(which) else { return Ok(()) };
                let leg = LegId::transfer(held.attempt, leg);
                let before = self.slots(&held);
                let answer = store.request_slot(&held, leg, now + Duration::from_secs(20)).await.unwrap();
                let (used, limit, legs) = self.slots(&held);
                let granted = answer == Written::Done(SlotAnswer::Granted);
                let fenced = answer == Written::Fenced;
                if granted && !before.2.contains(&leg) && used > limit || !fenced && granted != legs.contains(&leg) {
                    return Err(format!("{answer:?} with {used} slots of {limit} in use"));
                }
            }
            other => return Err(format!("{other:?} is of no attempt")),
        }
        Ok(())
    }

    /// Whether the books add up.
    fn check(&mut self) -> Result<(), String> {
        let audit = self.memory.audit();
        for org in &audit.organisations {
            let mut callees = BTreeMap::new();
            for lease in org.leases.iter().filter(|lease| lease.leg.role == LegRole::Callee) {
                callees.insert((lease.request.clone(), lease.index), (lease.leg.attempt.claim, lease.token));
            }
            for request in &org.requests {
                let summary = &request.summary;
                if summary.counts.total() != summary.total || summary.counts != request.recounted {
                    return Err(format!(
                        "{}: {:?} of {}, recounted {:?}",
                        request.id, summary.counts, summary.total, request.recounted
                    ));
                }
                let waiting = request.calls.iter().filter(|call| !call.status.is_final()).count();
                if request.ended != (waiting == 0) {
                    return Err(format!(
                        "{} has ended: {}, and {waiting} of its calls have not",
                        request.id, request.ended
                    ));
                }
                for call in &request.calls {
                    let lease = callees.remove(&(request.id.clone(), call.index));
                    if call.token.map(|token| (call.claim, token)) != lease {
                        return Err(format!("{} {call:?} and its lease {lease:?} differ", request.id));
                    }
                    if call.confirmed > call.events {
                        return Err(format!("{} {call:?}", request.id));
                    }
                    if call.status.is_final() {
                        let key = RequestKey { organisation: org.id.clone(), request: request.id.clone() };
                        let before = self.rested.insert((key, call.index), call.status);
                        if call.stage.is_some() || before.is_some_and(|before| before != call.status) {
                            return Err(format!("{} {call:?} was final: {before:?}", request.id));
                        }
                    }
                }
            }
            let second = org.leases.iter().filter(|lease| lease.leg.role != LegRole::Callee);
            for lease in second {
                let callee = LegId::callee(lease.leg.attempt);
                if !org.leases.iter().any(|other| other.leg == callee && other.token == lease.token) {
                    return Err(format!("{lease:?} outlives its call"));
                }
            }
            if !callees.is_empty() {
                return Err(format!("leases without a call: {callees:?}"));
            }
        }
        Ok(())
    }

    /// Lets everything come to its end: no more troubles, and all that waits is called through.
    pub async fn come_to_rest(&mut self) -> Result<Audit, String> {
        for name in ORGANISATIONS {
            set(&self.store, name, |settings| (settings.limit, settings.calls_per_second) = (50, None)).await;
            self.store.set_external(&organisation(name), None).await.unwrap();
        }
        for key in self.requests.clone() {
            self.store.control(&key, Control::Resume, None).await.unwrap();
        }
        for _ in 0..400 {
            self.clock.advance(Duration::from_secs(31));
            for step in [Step::Sweep, Step::Adopt { worker: 0 }, Step::Claim { worker: 0, want: 20 }] {
                self.step(step).await?;
            }
            while !self.hands.is_empty() {
                self.step(Step::Dial { which: 0 }).await?;
                self.step(Step::Finish { which: 0, retry: None, refill: 2 }).await?;
            }
        }
        Ok(self.memory.audit())
    }
}
