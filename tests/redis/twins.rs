//! The waiting room in Redis beside the one in memory: whatever is done to both, both answer the same.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use robocall::adapters::memory::MemoryStore;
use robocall::adapters::redis::{RedisSettings, RedisStore};
use robocall::conformance::ManualClock;
use robocall::conformance::store::scene::*;
use robocall::model::note::{CallNote, CustomerFlags};
use robocall::model::request::WindowZone;
use robocall::model::{
    CallId, CallingWindow, DispositionResult, Happening, LegId, Organisation, RequestHeader, RequestStatus, Timestamp,
    Via,
};
use robocall::ports::store::*;
use robocall::ports::{CampaignStore, Clock};

use crate::server;
use crate::steps::{ORGANISATIONS, Step, step};

/// What happens does not depend on what happened: steps name what is there by number.
pub struct Anything;

impl ReferenceStateMachine for Anything {
    type State = ();
    type Transition = Step;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Step> {
        step().boxed()
    }

    fn apply((): (), _: &Step) {}
}

/// Something in both stores: proofs are each store's own.
#[derive(Clone, Debug)]
struct Both<T> {
    memory: T,
    redis: T,
}

/// A call in a worker's hands.
struct Hand {
    worker: usize,
    held: Both<Held>,
    after: u32,
}

/// Both stores, and what workers believe to hold in them.
pub struct Twins {
    runtime: tokio::runtime::Runtime,
    clock: Arc<ManualClock>,
    memory: Store,
    redis: Store,
    requests: Vec<RequestKey>,
    hands: Vec<Hand>,
    ended: Vec<(Both<Held>, u32, AttemptEnd)>,
}

/// An answer without proofs.
fn bare(answer: &impl Debug) -> String {
    let text = format!("{answer:?}");
    let mut bare = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("Token(") {
        let (before, after) = rest.split_at(at + "Token(".len());
        bare.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    bare + rest
}

fn same<T: Debug>(memory: T, redis: T) -> Both<T> {
    assert_eq!(bare(&memory), bare(&redis), "memory's answer, and Redis's");
    Both { memory, redis }
}

/// Open, but for the second minute that passes.
fn closed_for_a_minute() -> CallingWindow {
    CallingWindow { from_minute: 9 * 60 + 2, to_minute: 9 * 60 + 1, ..hours(WindowZone::Named("UTC".into()), 0, 24) }
}

fn name(number: usize) -> robocall::model::WorkerId {
    worker(&format!("w{number}"))
}

impl Twins {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clock = Arc::new(ManualClock::default());
        let time = || Arc::<ManualClock>::clone(&clock);
        // Every other history is told with scripts, as on a server that keeps no functions.
        static HISTORIES: AtomicU32 = AtomicU32::new(0);
        let mut url = server::shared().url();
        if HISTORIES.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            url = crate::code::without(server::shared(), &["-fcall", "-function"]);
        }
        let settings = RedisSettings { prefix: server::prefix(), ..RedisSettings::new(url) };
        let redis = runtime.block_on(async { RedisStore::on_clock(&settings, time()) }).unwrap();
        let memory = MemoryStore::new(time());
        Self {
            runtime,
            clock,
            memory: Arc::new(memory),
            redis: Arc::new(redis),
            requests: Vec::new(),
            hands: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Asks both the same; both answer the same.
    fn ask<'a, T: Debug, F>(&'a self, question: impl Fn(&'a dyn CampaignStore) -> F) -> Both<T>
    where
        F: Future<Output = StoreResult<T>>,
    {
        let memory = self.runtime.block_on(question(&*self.memory)).unwrap();
        let redis = self.runtime.block_on(question(&*self.redis)).unwrap();
        same(memory, redis)
    }

    /// Asks both about a call, each with its own proof.
    fn ask_of<'a, T: Debug, F>(
        &'a self,
        held: &Both<Held>,
        question: impl Fn(&'a dyn CampaignStore, Held) -> F,
    ) -> Both<T>
    where
        F: Future<Output = StoreResult<T>>,
    {
        let memory = self.runtime.block_on(question(&*self.memory, held.memory.clone())).unwrap();
        let redis = self.runtime.block_on(question(&*self.redis, held.redis.clone())).unwrap();
        same(memory, redis)
    }

    fn take(&mut self, worker: usize, memory: Vec<Claim>, redis: Vec<Claim>) {
        for (memory, redis) in memory.into_iter().zip(redis) {
            let after = u32::try_from(memory.history.len()).unwrap();
            self.hands.push(Hand { worker, held: Both { memory: memory.held, redis: redis.held }, after });
        }
    }

    fn hand(&self, which: usize) -> Option<usize> {
        (!self.hands.is_empty()).then(|| which % self.hands.len())
    }

    fn of(&self, worker: usize) -> Both<Vec<Held>> {
        let mine = || self.hands.iter().filter(move |hand| hand.worker == worker);
        let memory = mine().map(|hand| hand.held.memory.clone()).collect();
        Both { memory, redis: mine().map(|hand| hand.held.redis.clone()).collect() }
    }

    fn step(&mut self, step: Step) {
        let now = self.clock.now();
        match step {
            Step::Submit { org, total, priority, expires, scheduled, windowed } => {
                let after = |secs: Option<u64>| secs.map(|secs| now + Duration::from_secs(secs));
                let header = RequestHeader {
                    priority,
                    expires_at: after(expires),
                    scheduled_at: after(scheduled),
                    calling_window: windowed.then(closed_for_a_minute),
                    ..header_of(ORGANISATIONS[org], &format!("r{}", self.requests.len()))
                };
                let memory = self.runtime.block_on(submit(&self.memory, header.clone(), total));
                let redis = self.runtime.block_on(submit(&self.redis, header.clone(), total));
                same(memory, redis);
                self.requests.push(key_of(ORGANISATIONS[org], header.id.as_str()));
            }
            Step::Claim { worker, want } => {
                let name = name(worker);
                let claims = self.ask(|store| async { store.claim(&name, want).await.map(|claims| claims.claims) });
                self.take(worker, claims.memory, claims.redis);
            }
            Step::Renew { worker } => {
                let held = self.of(worker);
                let name = name(worker);
                let memory = self.runtime.block_on(self.memory.renew(&name, &held.memory)).unwrap();
                let redis = self.runtime.block_on(self.redis.renew(&name, &held.redis)).unwrap();
                let lost = sorted(&same(sort(memory), sort(redis)).memory.lost);
                self.hands.retain(|hand| !lost.contains(&bare(&hand.held.memory)));
            }
            Step::HandOver { worker } => {
                let held = self.of(worker);
                self.runtime.block_on(self.memory.hand_over(&name(worker), &held.memory)).unwrap();
                self.runtime.block_on(self.redis.hand_over(&name(worker), &held.redis)).unwrap();
                self.hands.retain(|hand| hand.worker != worker);
            }
            Step::Adopt { worker } => self.adopt(worker),
            Step::Control { which, control, id } => {
                if let Some(key) = self.requests.get(which % self.requests.len().max(1)) {
                    let given = id.map(|id| {
                        let expect = (id % 3 == 0).then_some(RequestStatus::Paused);
                        Given { id: id.to_string().into(), actor: None, expect }
                    });
                    let controlled = |store: &Store| {
                        let controlled = self.runtime.block_on(store.control(key, control, given.as_ref()));
                        controlled.map(|mut controlled| {
                            controlled.live.sort_by_key(|(held, _)| held.attempt);
                            controlled
                        })
                    };
                    same(controlled(&self.memory), controlled(&self.redis));
                }
            }
            Step::Note { which, index, verified, harms } => {
                if let Some(key) = self.requests.get(which % self.requests.len().max(1)) {
                    let flags = CustomerFlags { verified_customer: verified, bad_actor: harms, repeat_customer: None };
                    let note = CallNote::Customer(flags);
                    let noted = |store: &Store| self.runtime.block_on(store.annotate(key, index, &note, None));
                    same(noted(&self.memory), noted(&self.redis));
                }
            }
            Step::Settings { org, limit, rate } => {
                let org = organisation(ORGANISATIONS[org]);
                let before = self.ask(|store| store.organisation(&org)).memory;
                let after = Organisation { limit, calls_per_second: rate, ..before.clone() };
                let given = given("settings");
                self.ask(|store| {
                    store.change_organisation(&org, &before, after.clone(), LimitChange::Set, Some(&given))
                });
            }
            Step::External { org, value } => {
                let org = organisation(ORGANISATIONS[org]);
                self.ask(|store| store.set_external(&org, Some(value.to_owned())));
            }
            Step::Block { index, org } => {
                let phone = destination(index).number.phone().unwrap();
                let org = organisation(ORGANISATIONS[org]);
                let given = given("list");
                self.ask(|store| store.block_number(&org, phone, Some(&given)));
            }
            Step::Confirm { which, seq } => {
                let org = organisation(ORGANISATIONS[which % ORGANISATIONS.len()]);
                self.ask(|store| async { store.confirm(&[Confirmation::of_organisation(org.clone(), seq)]).await });
                if let Some((held, ..)) = self.ended.get(which) {
                    let held = &held.memory;
                    let confirmed = [Confirmation::of_call(held.organisation.clone(), held.attempt.call, seq)];
                    self.ask(|store| store.confirm(&confirmed));
                }
            }
            Step::Pass { millis } => self.clock.advance(Duration::from_millis(millis)),
            Step::Sweep => {}
            on_one_attempt => self.step_of_attempt(on_one_attempt, now),
        }
        self.compare();
    }

    fn adopt(&mut self, worker: usize) {
        let suspects = |store: &Store| {
            let mut suspects = self.runtime.block_on(store.suspects(1_000)).unwrap();
            suspects.sort_by_key(|suspect| suspect.held.attempt);
            suspects
        };
        let found = same(suspects(&self.memory), suspects(&self.redis));
        for (memory, redis) in found.memory.into_iter().zip(found.redis).take(3) {
            let (held, name) = (Both { memory: memory.held, redis: redis.held }, name(worker));
            let adopted = self.ask_of(&held, |store, held| {
                let name = name.clone();
                async move { store.adopt(&held, &name).await }
            });
            if let (Written::Done(memory), Written::Done(redis)) = (adopted.memory, adopted.redis) {
                self.take(worker, vec![memory.claim], vec![redis.claim]);
            }
        }
    }

    /// One thing that happens to an attempt which a worker believes to hold, or has ended.
    fn step_of_attempt(&mut self, step: Step, now: Timestamp) {
        match step {
            Step::Dial { which } => {
                let Some(at) = self.hand(which) else { return };
                let (held, name) = (self.hands[at].held.clone(), name(self.hands[at].worker));
                let decision = self.ask_of(&held, |store, held| {
                    let name = name.clone();
                    async move { store.begin_dial(&held, &name, &Via::default(), &flow_state()).await }
                });
                if let DialDecision::Dial { history, .. } = decision.memory {
                    self.hands[at].after = u32::try_from(history.len()).unwrap();
                } else {
                    self.hands.remove(at);
                }
            }
            Step::GiveBack { which } => {
                let Some(at) = self.hand(which) else { return };
                let held = self.hands[at].held.clone();
                let given = self.ask_of(&held, |store, held| async move { store.give_back(&held).await });
                if let Written::Done(_) = given.memory {
                    self.hands.remove(at);
                }
            }
            Step::Checkpoint { which, leg } => {
                let Some(at) = self.hand(which) else { return };
                let (held, after) = (self.hands[at].held.clone(), self.hands[at].after);
                let attempt = held.memory.attempt;
                let flow = if leg == 0 { flow_state() } else { transferring(attempt, leg) };
                let facts = [fact(now, Happening::Ringing)];
                let (flow, facts) = (&flow, &facts);
                let written =
                    self.ask_of(&held, |store, held| async move { store.checkpoint(&held, after, facts, flow).await });
                if written.memory == Written::Done(()) {
                    self.hands[at].after = after + 1;
                }
            }
            Step::Finish { which, retry, refill } => {
                let Some(at) = self.hand(which) else { return };
                let Hand { worker, held, after } = self.hands.remove(at);
                let end = match retry {
                    Some(secs) => retries(DispositionResult::Busy, now + Duration::from_secs(secs)),
                    None => ends(DispositionResult::Answered),
                };
                let name = &name(worker);
                let finished = self.ask_of(&held, |store, held| {
                    let end = end.clone();
                    async move { store.finish(&held, name, after, &[], end, refill).await }
                });
                if let (Written::Done(memory), Written::Done(redis)) = (finished.memory, finished.redis) {
                    self.ended.push((held, after, end));
                    self.take(worker, memory.refill, redis.refill);
                }
            }
            Step::FinishAgain { which } => {
                if self.ended.is_empty() {
                    return;
                }
                let (held, after, end) = self.ended[which % self.ended.len()].clone();
                self.ask_of(&held, |store, held| {
                    let end = end.clone();
                    async move { store.finish(&held, &name(0), after, &[], end, 3).await }
                });
            }
            Step::RequestSlot { which, leg } => {
                let Some(at) = self.hand(which) else { return };
                let held = self.hands[at].held.clone();
                let leg = LegId::transfer(held.memory.attempt, leg);
                let until = now + Duration::from_secs(20);
                self.ask_of(&held, |store, held| async move { store.request_slot(&held, leg, until).await });
            }
            other => panic!("{other:?} is of no attempt"),
        }
    }

    /// What both show of themselves.
    fn compare(&self) {
        // Redis does while it looks what memory does when it sweeps.
        let sweep = |store: &Store| {
            let mut events = self.runtime.block_on(store.sweep()).unwrap().0;
            events.sort_by_key(|event| (event.organisation.clone(), event.request.clone(), event.seq));
            events
        };
        same(sweep(&self.memory), sweep(&self.redis));
        for org in ORGANISATIONS {
            let org = organisation(org);
            self.ask(|store| store.slot_use(&org));
            let open = [RequestStatus::Submitted, RequestStatus::OnProgress, RequestStatus::Paused];
            for statuses in [None, Some(open.into()), Some([RequestStatus::Scheduled].into())] {
                let mut filter = RequestFilter { statuses, after: None };
                while let Some(next) = self.ask(|store| store.requests(&org, &filter, 2)).memory.next {
                    filter.after = Some(next);
                }
            }
        }
        for key in &self.requests {
            for index in 0..3 {
                let call = CallId::new(&key.organisation, &key.request, index);
                let of = |store: &Store| self.runtime.block_on(store.request_of(&key.organisation, call));
                same(of(&self.memory), of(&self.redis));
            }
            self.ask(|store| async { Ok((store.request(key).await?.summary, store.calls(key, 0, 100).await?)) });
        }
        let later = self.clock.now() + Duration::from_secs(1);
        self.ask(|store| async {
            let mut unconfirmed = store.unconfirmed(later, 10_000).await?.iter().map(bare).collect::<Vec<_>>();
            unconfirmed.sort();
            Ok(unconfirmed)
        });
    }
}

/// A command, given by somebody.
fn given(id: &str) -> Given {
    Given { id: id.into(), actor: "crm".parse().ok(), expect: None }
}

fn sorted(held: &[Held]) -> Vec<String> {
    held.iter().map(bare).collect()
}

fn sort(mut renewed: Renewed) -> Renewed {
    renewed.lost.sort_by_key(|held| (held.organisation.clone(), held.attempt));
    renewed.hang_up.sort_by_key(|held| (held.organisation.clone(), held.attempt));
    renewed
}

impl StateMachineTest for Twins {
    type SystemUnderTest = Self;
    type Reference = Anything;

    fn init_test((): &()) -> Self {
        Self::new()
    }

    fn apply(mut twins: Self, (): &(), step: Step) -> Self {
        twins.step(step);
        twins
    }
}

/// How many histories are tried.
fn cases() -> u32 {
    std::env::var("ROBOCALL_TWINS").map_or(60, |cases| cases.parse().unwrap())
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: cases(), failure_persistence: None, max_shrink_iters: 400, ..ProptestConfig::default()
    })]

    /// Some five thousand steps; `ROBOCALL_TWINS` says how many histories.
    #[test]
    fn both_answer_the_same_whatever_is_done_to_them(sequential 1..160 => Twins);
}

#[test]
fn whoever_waits_until_a_window_is_read_anew_keeps_the_turn() {
    let submit = |total| Step::Submit { org: 1, total, priority: 6, expires: None, scheduled: None, windowed: true };
    let (open, closed) = (Step::Pass { millis: 30_000 }, Step::Pass { millis: 40_000 });
    let open_again = Step::Pass { millis: 50_000 };
    let mut twins = Twins::new();
    for step in [open, submit(1), closed, submit(11), open_again, Step::Claim { worker: 1, want: 6 }] {
        twins.step(step);
    }
}

#[test]
fn whoever_ends_a_call_as_a_window_opens_gets_the_next_one() {
    let submit =
        |total, priority, windowed| Step::Submit { org: 0, total, priority, expires: None, scheduled: None, windowed };
    let mut twins = Twins::new();
    twins.step(submit(5, 6, false));
    twins.step(submit(1, 4, true));
    for _ in 0..4 {
        twins.step(Step::Pass { millis: 30_000 });
    }
    twins.step(Step::Claim { worker: 0, want: 1 });
    twins.step(Step::Finish { which: 0, retry: None, refill: 6 });
}

#[test]
fn a_request_whose_own_end_shows_that_its_window_is_out_of_date_is_not_passed_over() {
    let submit =
        |total, priority, windowed| Step::Submit { org: 2, total, priority, expires: None, scheduled: None, windowed };
    let mut twins = Twins::new();
    for step in [
        Step::Pass { millis: 35_000 },
        submit(2, 6, true),
        Step::Claim { worker: 0, want: 2 },
        submit(1, 4, false),
        Step::Dial { which: 0 },
        Step::GiveBack { which: 1 },
        Step::Claim { worker: 0, want: 1 },
        Step::Pass { millis: 85_000 },
        Step::Finish { which: 0, retry: Some(0), refill: 1 },
    ] {
        twins.step(step);
    }
}

#[test]
fn whoever_asks_for_a_slot_and_has_not_renewed_stands_in_nobodys_way() {
    let finish = |which, refill| Step::Finish { which, retry: None, refill };
    let mut twins = Twins::new();
    for step in [
        Step::Submit { org: 0, total: 6, priority: 4, expires: None, scheduled: None, windowed: false },
        Step::Claim { worker: 0, want: 3 },
        Step::Dial { which: 0 },
        Step::Settings { org: 0, limit: 3, rate: None },
        Step::Pass { millis: 30_000 },
        Step::RequestSlot { which: 0, leg: 1 },
        finish(1, 2),
    ] {
        twins.step(step);
    }
}

#[test]
fn what_a_request_got_counts_less_once_it_is_given_back_in_a_closed_window() {
    let submit =
        |total, windowed| Step::Submit { org: 2, total, priority: 4, expires: None, scheduled: None, windowed };
    let finish = |refill| Step::Finish { which: 0, retry: None, refill };
    let mut twins = Twins::new();
    for step in [
        Step::Pass { millis: 40_000 },
        submit(5, true),
        Step::Claim { worker: 0, want: 4 },
        Step::Pass { millis: 20_000 },
        // Its window has closed.
        Step::Dial { which: 0 },
        Step::Pass { millis: 60_000 },
        submit(4, false),
        finish(1),
        finish(2),
        finish(1),
    ] {
        twins.step(step);
    }
}
