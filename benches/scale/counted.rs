//! A store that counts what is asked of it, and takes its time to answer.
//!
//! What an operation is in Redis is reckoned as `adapters::redis` does it, by what was asked and answered: a claim is one
//! script of the ring and one for each organisation that gave something, a renewal one for each organisation, and so on.
//! What the port does not show is reckoned besides: hints to the ring and the first reading of a request's header.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use robocall::callflow::call::CallState;
use robocall::model::event::{CallContext, RequestEvent};
use robocall::model::note::{CallNote, CallNotes};
use robocall::model::status::RequestSummary;
use robocall::model::{
    CallId, Fact, LegId, Organisation, OrganisationId, Phone, RequestHeader, RequestId, Timestamp, Via, WorkerId,
};
use robocall::ports::store::*;
use robocall::ports::{CampaignStore, Clock, Listener};

use super::books::Books;

/// How long hints to the ring may wait for others, as in `adapters::redis::ring`.
const LINGER: Duration = Duration::from_millis(50);

/// Claims that brought nothing; they are counted among claims, too.
pub const IN_VAIN: &str = "claim, of which in vain";

/// Most calls that one script renews.
const RENEWED: usize = 256;

/// Most calls of which one script notes what is confirmed.
const CONFIRMED: usize = 64;

/// How often something was asked, and how many commands of Redis that is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Operations of the port.
    pub asked: u64,
    /// Commands of Redis, a script being one.
    pub commands: u64,
}

/// What was asked so far, by all workers.
#[derive(Debug, Default)]
pub struct Counts {
    asked: Mutex<BTreeMap<&'static str, Count>>,
    /// Claims in vain, by second.
    in_vain: Mutex<BTreeMap<i64, u64>>,
}

impl Counts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Count>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: &'static str, asked: u64, commands: usize) {
        let mut counts = self.lock();
        let count = counts.entry(what).or_default();
        count.asked += asked;
        count.commands += u64::try_from(commands).unwrap_or_default();
    }

    fn note_vain(&self, now: Timestamp) {
        self.note(IN_VAIN, 1, 0);
        let mut in_vain = self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        *in_vain.entry(now.as_millis() / 1_000).or_default() += 1;
    }

    /// The most claims in vain of all workers in one second.
    pub fn most_in_vain(&self) -> u64 {
        let in_vain = self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        in_vain.values().max().copied().unwrap_or_default()
    }

    /// All of it.
    pub fn so_far(&self) -> BTreeMap<&'static str, Count> {
        self.lock().clone()
    }
}

/// What was asked between two looks.
pub fn between(
    before: &BTreeMap<&'static str, Count>,
    after: &BTreeMap<&'static str, Count>,
) -> BTreeMap<&'static str, Count> {
    let less = |(what, count): (&&'static str, &Count)| {
        let earlier = before.get(what).copied().unwrap_or_default();
        (*what, Count { asked: count.asked - earlier.asked, commands: count.commands - earlier.commands })
    };
    after.iter().map(less).filter(|(_, count)| count.asked + count.commands > 0).collect()
}

/// One worker's way to the store.
pub struct Counted {
    pub inner: Arc<dyn CampaignStore>,
    /// How long it takes to answer, besides the time that it takes by itself.
    pub answers_after: Duration,
    pub clock: Arc<dyn Clock>,
    pub counts: Arc<Counts>,
    pub books: Arc<Books>,
    pub seen: Mutex<Seen>,
}

/// What one worker knows already.
#[derive(Debug, Default)]
pub struct Seen {
    headers: BTreeSet<[u8; 10]>,
    /// Until when hints travel with those that are waiting.
    told_until: Option<Timestamp>,
}

impl Counted {
    async fn asked<T>(&self, what: &'static str, commands: usize, answer: BoxFuture<'_, T>) -> T {
        self.counts.note(what, 1, commands);
        if !self.answers_after.is_zero() {
            self.clock.sleep_until(self.clock.now() + self.answers_after).await;
        }
        answer.await
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an organisation's script said is told to the ring.
    fn hints(&self) {
        let (now, mut seen) = (self.clock.now(), self.seen());
        if seen.told_until.is_none_or(|until| until <= now) {
            seen.told_until = Some(now + LINGER);
            self.counts.note("hints to the ring", 0, 1);
        }
    }

    fn headers(&self, claims: &[Claim]) {
        let mut seen = self.seen();
        for claim in claims {
            if seen.headers.insert(claim.held.attempt.call.request_hash()) {
                self.counts.note("header", 0, 1);
            }
        }
    }
}

fn organisations<'a>(all: impl Iterator<Item = &'a OrganisationId>, at_once: usize) -> usize {
    let mut each: BTreeMap<&OrganisationId, usize> = BTreeMap::new();
    all.for_each(|organisation| *each.entry(organisation).or_default() += 1);
    each.values().map(|count| count.div_ceil(at_once)).sum()
}

#[async_trait]
impl CampaignStore for Counted {
    async fn open_request(&self, header: &Arc<RequestHeader>, totals: Totals) -> StoreResult<Opened> {
        self.asked("open_request", 2, self.inner.open_request(header, totals)).await
    }
    async fn load_chunk(&self, key: &RequestKey, part: u32, number: u32, chunk: &Chunk) -> StoreResult<Loaded> {
        self.asked("load_chunk", 1, self.inner.load_chunk(key, part, number, chunk)).await
    }
    async fn seal(&self, key: &RequestKey, part: u32) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.hints();
        self.asked("seal", 1, self.inner.seal(key, part)).await
    }
    async fn reject(&self, rejection: &Rejection) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.asked("reject", 2, self.inner.reject(rejection)).await
    }
    async fn claim(&self, worker: &WorkerId, want: u32) -> StoreResult<Claims> {
        let claims = self.asked("claim", 1, self.inner.claim(worker, want)).await?;
        if claims.claims.is_empty() {
            self.counts.note_vain(self.clock.now());
        } else {
            let gave = organisations(claims.claims.iter().map(|claim| &claim.held.organisation), usize::MAX);
            self.counts.note("claim", 0, gave);
            self.headers(&claims.claims);
            self.hints();
        }
        Ok(claims)
    }
    async fn begin_dial(
        &self,
        held: &Held,
        worker: &WorkerId,
        via: &Via,
        state: &CallState,
    ) -> StoreResult<DialDecision> {
        self.asked("begin_dial", 1, self.inner.begin_dial(held, worker, via, state)).await
    }
    async fn give_back(&self, held: &Held) -> StoreResult<Written<Vec<RequestEvent>>> {
        self.hints();
        self.asked("give_back", 1, self.inner.give_back(held)).await
    }
    async fn checkpoint(&self, held: &Held, after: u32, facts: &[Fact], state: &CallState) -> StoreResult<Written<()>> {
        self.asked("checkpoint", 1, self.inner.checkpoint(held, after, facts, state)).await
    }
    async fn finish(
        &self,
        held: &Held,
        worker: &WorkerId,
        after: u32,
        facts: &[Fact],
        end: AttemptEnd,
        refill: u32,
    ) -> StoreResult<Written<Finished>> {
        let retry_at = end.retry_at;
        let finished = self.asked("finish", 1, self.inner.finish(held, worker, after, facts, end, refill)).await?;
        if let Written::Done(finished) = &finished {
            self.headers(&finished.refill);
            self.hints();
            if let Some(due) = retry_at {
                self.books.retries(held.attempt.call, due, self.clock.now());
            }
        }
        Ok(finished)
    }
    async fn request_slot(&self, held: &Held, leg: LegId, until: Timestamp) -> StoreResult<Written<SlotAnswer>> {
        self.asked("request_slot", 1, self.inner.request_slot(held, leg, until)).await
    }
    async fn renew(&self, worker: &WorkerId, held: &[Held]) -> StoreResult<Renewed> {
        let scripts = organisations(held.iter().map(|held| &held.organisation), RENEWED);
        self.asked("renew", scripts, self.inner.renew(worker, held)).await
    }
    async fn hand_over(&self, worker: &WorkerId, held: &[Held]) -> StoreResult<()> {
        let scripts = organisations(held.iter().map(|held| &held.organisation), RENEWED);
        self.asked("hand_over", scripts, self.inner.hand_over(worker, held)).await
    }
    async fn reassert(
        &self,
        held: &Held,
        worker: &WorkerId,
        call: &CallContext,
        history: &[Fact],
        state: &CallState,
    ) -> StoreResult<Written<Vec<RequestEvent>>> {
        self.asked("reassert", 1, self.inner.reassert(held, worker, call, history, state)).await
    }
    async fn suspects(&self, limit: u32) -> StoreResult<Vec<Suspect>> {
        let suspects = self.asked("suspects", 2, self.inner.suspects(limit)).await?;
        let scripts = organisations(suspects.iter().map(|suspect| &suspect.held.organisation), usize::MAX);
        self.counts.note("suspects", 0, scripts);
        Ok(suspects)
    }
    async fn lock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<bool> {
        self.asked("lock_app", 1, self.inner.lock_app(app, process)).await
    }
    async fn unlock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<()> {
        self.asked("unlock_app", 1, self.inner.unlock_app(app, process)).await
    }
    async fn adopt(&self, suspect: &Held, adopter: &WorkerId) -> StoreResult<Written<Adopted>> {
        self.asked("adopt", 1, self.inner.adopt(suspect, adopter)).await
    }
    async fn confirm(&self, confirmations: &[Confirmation]) -> StoreResult<()> {
        let scripts = organisations(confirmations.iter().map(|told| &told.organisation), CONFIRMED);
        self.asked("confirm", scripts, self.inner.confirm(confirmations)).await
    }
    async fn unconfirmed(&self, before: Timestamp, limit: u32) -> StoreResult<Vec<Unconfirmed>> {
        self.asked("unconfirmed", 2, self.inner.unconfirmed(before, limit)).await
    }
    async fn sweep(&self) -> StoreResult<(Vec<RequestEvent>, Option<Timestamp>)> {
        self.asked("sweep", 1, self.inner.sweep()).await
    }
    async fn organisation(&self, organisation: &OrganisationId) -> StoreResult<Organisation> {
        self.asked("organisation", 1, self.inner.organisation(organisation)).await
    }

    // What workers ask for nobody here, or on no call's way.

    async fn control(&self, key: &RequestKey, control: Control, given: Option<&Given>) -> StoreResult<Controlled> {
        self.asked("control", 1, self.inner.control(key, control, given)).await
    }
    async fn remember(
        &self,
        organisation: &OrganisationId,
        id: &str,
        fingerprint: &[u8; 32],
        life: Duration,
    ) -> StoreResult<Remembered> {
        self.asked("remember", 1, self.inner.remember(organisation, id, fingerprint, life)).await
    }
    async fn answered(&self, organisation: &OrganisationId, id: &str, answer: &[u8]) -> StoreResult<()> {
        self.asked("answered", 1, self.inner.answered(organisation, id, answer)).await
    }
    async fn recalled(&self, organisation: &OrganisationId, id: &str) -> StoreResult<Option<Box<[u8]>>> {
        self.asked("recalled", 1, self.inner.recalled(organisation, id)).await
    }
    async fn block_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        self.asked("block_number", 1, self.inner.block_number(organisation, phone, given)).await
    }
    async fn unblock_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        self.asked("unblock_number", 1, self.inner.unblock_number(organisation, phone, given)).await
    }
    async fn is_blocked(&self, organisation: &OrganisationId, phone: Phone) -> StoreResult<bool> {
        self.asked("is_blocked", 1, self.inner.is_blocked(organisation, phone)).await
    }
    async fn blocked_numbers(&self, organisation: &OrganisationId) -> StoreResult<Vec<Phone>> {
        self.asked("blocked_numbers", 1, self.inner.blocked_numbers(organisation)).await
    }
    async fn owner(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<Option<(Held, WorkerId)>> {
        self.asked("owner", 1, self.inner.owner(organisation, call)).await
    }
    async fn request_of(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<RequestId> {
        self.asked("request_of", 1, self.inner.request_of(organisation, call)).await
    }
    async fn live_calls(
        &self,
        organisation: &OrganisationId,
        request: Option<&RequestId>,
    ) -> StoreResult<Vec<LiveCall>> {
        self.asked("live_calls", 1, self.inner.live_calls(organisation, request)).await
    }
    async fn request(&self, key: &RequestKey) -> StoreResult<RequestSnapshot> {
        self.asked("request", 1, self.inner.request(key)).await
    }
    async fn requests(
        &self,
        organisation: &OrganisationId,
        filter: &RequestFilter,
        limit: u32,
    ) -> StoreResult<RequestPage> {
        self.asked("requests", 1, self.inner.requests(organisation, filter, limit)).await
    }
    async fn calls(&self, key: &RequestKey, from: u32, limit: u32) -> StoreResult<Vec<CallSnapshot>> {
        self.asked("calls", 1, self.inner.calls(key, from, limit)).await
    }
    async fn annotate(
        &self,
        key: &RequestKey,
        index: u32,
        note: &CallNote,
        given: Option<&Given>,
    ) -> StoreResult<CallNotes> {
        self.asked("annotate", 1, self.inner.annotate(key, index, note, given)).await
    }
    async fn notes(&self, key: &RequestKey, index: u32) -> StoreResult<CallNotes> {
        self.asked("notes", 1, self.inner.notes(key, index)).await
    }
    async fn change_organisation(
        &self,
        organisation: &OrganisationId,
        before: &Organisation,
        after: Organisation,
        limit: LimitChange,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        self.asked("change_organisation", 3, self.inner.change_organisation(organisation, before, after, limit, given))
            .await
    }
    async fn set_organisation(&self, organisation: &OrganisationId, settings: Organisation) -> StoreResult<()> {
        self.asked("set_organisation", 2, self.inner.set_organisation(organisation, settings)).await
    }
    async fn set_external(&self, organisation: &OrganisationId, value: Option<String>) -> StoreResult<()> {
        self.asked("set_external", 1, self.inner.set_external(organisation, value)).await
    }
    async fn slot_use(&self, organisation: &OrganisationId) -> StoreResult<SlotUse> {
        self.asked("slot_use", 1, self.inner.slot_use(organisation)).await
    }
    fn wakeups(&self) -> Listener {
        self.inner.wakeups()
    }
}
