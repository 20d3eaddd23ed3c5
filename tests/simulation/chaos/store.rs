//! The store that does not answer; every step through it is checked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use robocall::callflow::call::CallState;
use robocall::model::event::{CallContext, RequestEvent};
use robocall::model::note::{CallNote, CallNotes};
use robocall::model::status::RequestSummary;
use robocall::model::{
    CallId, Fact, Happening, LegId, Organisation, OrganisationId, Phone, RequestHeader, RequestId, Timestamp, Via,
    WorkerId,
};
use robocall::ports::store::*;
use robocall::ports::{CampaignStore, Listener};

use super::{Fate, Loss};
use crate::checker::{Checker, Touched};

pub struct ChaosStore {
    pub inner: Arc<dyn CampaignStore>,
    pub fate: Arc<Fate>,
    pub checker: Arc<Checker>,
}

impl ChaosStore {
    /// A write that must be refused if the call is another's when it arrives.
    async fn fenced<T>(
        &self,
        held: &Held,
        what: &str,
        write: BoxFuture<'_, StoreResult<Written<T>>>,
    ) -> StoreResult<Written<T>> {
        let stale = self.checker.is_stale(held);
        let written = write.await;
        if matches!(written, Ok(Written::Done(_))) && !self.checker.may_end(held, stale) {
            self.checker.let_through(held, what);
        }
        written
    }

    /// A call that may get lost. `touched` says what its answer may have changed.
    async fn through<T>(
        &self,
        what: &'static str,
        call: BoxFuture<'_, StoreResult<T>>,
        touched: impl FnOnce(&StoreResult<T>) -> Touched,
    ) -> StoreResult<T> {
        self.fate.gate().await;
        let loss = self.fate.strike(what).await;
        let lost = || Err(StoreError::Unavailable("lost by the test".to_owned()));
        if loss == Loss::Request || self.fate.is_cut_off() {
            self.fate.gate().await;
            return lost();
        }
        self.checker.before_step();
        let answer = call.await;
        self.checker.after_step(touched(&answer));
        if let Loss::Slow(length) = loss {
            self.fate.clock.sleep_until(self.fate.clock.now() + length).await;
        }
        self.fate.gate().await;
        if loss == Loss::Reply { lost() } else { answer }
    }

    /// The worker may stand still before it does what it was just allowed to do.
    fn comes_late(&self) {
        if let Some(until) = self.fate.is_late() {
            self.checker.crew.upset(until);
            self.checker.count("freezes between a commitment and its dial");
        }
    }

    /// A call that changes nothing a promise speaks of.
    async fn in_passing<T>(&self, what: &'static str, call: BoxFuture<'_, StoreResult<T>>) -> StoreResult<T> {
        self.through(what, call, |_| Touched::Nothing).await
    }
}

fn touches<T>(held: &Held) -> impl FnOnce(&StoreResult<T>) -> Touched {
    let request = Touched::Request(held.organisation.clone(), held.request.clone());
    |_| request
}

fn touches_request<T>(key: &RequestKey) -> impl FnOnce(&StoreResult<T>) -> Touched {
    let request = Touched::Request(key.organisation.clone(), key.request.clone());
    |_| request
}

#[async_trait]
impl CampaignStore for ChaosStore {
    async fn open_request(&self, header: &Arc<RequestHeader>, totals: Totals) -> StoreResult<Opened> {
        self.through("open_request", self.inner.open_request(header, totals), |_| Touched::Everything).await
    }
    async fn load_chunk(&self, key: &RequestKey, part: u32, number: u32, chunk: &Chunk) -> StoreResult<Loaded> {
        self.through("load_chunk", self.inner.load_chunk(key, part, number, chunk), touches_request(key)).await
    }
    async fn seal(&self, key: &RequestKey, part: u32) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.through("seal", self.inner.seal(key, part), touches_request(key)).await
    }
    async fn reject(&self, rejection: &Rejection) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.through("reject", self.inner.reject(rejection), touches_request(&rejection.key)).await
    }
    async fn claim(&self, worker: &WorkerId, want: u32) -> StoreResult<Claims> {
        let touched = |claims: &StoreResult<Claims>| match claims {
            Ok(claims) if claims.claims.is_empty() => Touched::Nothing,
            _ => Touched::Everything,
        };
        self.through("claim", self.inner.claim(worker, want), touched).await
    }
    async fn begin_dial(
        &self,
        held: &Held,
        worker: &WorkerId,
        via: &Via,
        state: &CallState,
    ) -> StoreResult<DialDecision> {
        let checked = async {
            let decision = self.inner.begin_dial(held, worker, via, state).await;
            if let Ok(DialDecision::Dial { committed_at, .. }) = &decision {
                self.checker.committed(held, *committed_at);
                self.comes_late();
            }
            decision
        };
        self.through("begin_dial", checked.boxed(), touches(held)).await
    }
    async fn give_back(&self, held: &Held) -> StoreResult<Written<Vec<RequestEvent>>> {
        self.through("give_back", self.inner.give_back(held), touches(held)).await
    }
    async fn checkpoint(&self, held: &Held, after: u32, facts: &[Fact], state: &CallState) -> StoreResult<Written<()>> {
        let second_leg = facts.iter().any(|fact| matches!(fact.what, Happening::LegAdded { .. }));
        let what = if second_leg { "checkpoint of a second leg" } else { "checkpoint" };
        let checked = async {
            let written = self.inner.checkpoint(held, after, facts, state).await;
            if let Ok(Written::Done(())) = &written {
                self.checker.checkpointed(held, after, facts, state);
            }
            written
        };
        self.through(what, checked.boxed(), touches(held)).await
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
        let write = self.inner.finish(held, worker, after, facts, end, refill);
        let touched = |written: &StoreResult<Written<Finished>>| match written {
            Ok(Written::Done(finished)) if !finished.refill.is_empty() => Touched::Everything,
            other => touches(held)(other),
        };
        self.through("finish", self.fenced(held, "an end", write).boxed(), touched).await
    }
    async fn request_slot(&self, held: &Held, leg: LegId, until: Timestamp) -> StoreResult<Written<SlotAnswer>> {
        let checked = async {
            let answer = self.inner.request_slot(held, leg, until).await;
            if let Ok(Written::Done(SlotAnswer::Granted)) = &answer {
                self.checker.slot_granted(held, leg);
                self.comes_late();
            }
            answer
        };
        self.through("request_slot", checked.boxed(), touches(held)).await
    }
    async fn block_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        let checked = async {
            let blocked = self.inner.block_number(organisation, phone, given).await;
            if blocked.is_ok() {
                self.checker.blocked(organisation, phone);
            }
            blocked
        };
        self.in_passing("block_number", checked.boxed()).await
    }
    async fn unblock_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        self.in_passing("unblock_number", self.inner.unblock_number(organisation, phone, given)).await
    }
    async fn is_blocked(&self, organisation: &OrganisationId, phone: Phone) -> StoreResult<bool> {
        self.in_passing("is_blocked", self.inner.is_blocked(organisation, phone)).await
    }
    async fn blocked_numbers(&self, organisation: &OrganisationId) -> StoreResult<Vec<Phone>> {
        self.in_passing("blocked_numbers", self.inner.blocked_numbers(organisation)).await
    }
    async fn renew(&self, worker: &WorkerId, held: &[Held]) -> StoreResult<Renewed> {
        let renewed = async {
            let stale: Vec<Held> = held.iter().filter(|held| self.checker.is_stale(held)).cloned().collect();
            let renewed = self.inner.renew(worker, held).await;
            if let Ok(renewed) = &renewed {
                for held in stale.iter().filter(|held| !renewed.lost.contains(held)) {
                    self.checker.let_through(held, "a renewal");
                }
            }
            renewed
        };
        self.through("renew", renewed.boxed(), |_| Touched::Leases).await
    }
    async fn suspects(&self, limit: u32) -> StoreResult<Vec<Suspect>> {
        let checked = async {
            self.checker.crowded(self.inner.suspects(u32::MAX).await.map_or(0, |all| all.len()));
            self.inner.suspects(limit).await
        };
        self.in_passing("suspects", checked.boxed()).await
    }
    async fn reassert(
        &self,
        held: &Held,
        worker: &WorkerId,
        call: &CallContext,
        history: &[Fact],
        state: &CallState,
    ) -> StoreResult<Written<Vec<RequestEvent>>> {
        let again = self.inner.reassert(held, worker, call, history, state);
        self.in_passing("reassert", again.boxed()).await
    }
    async fn hand_over(&self, worker: &WorkerId, held: &[Held]) -> StoreResult<()> {
        let checked = async {
            let theirs = self.checker.before_hand_over(&self.fate, held);
            let done = self.inner.hand_over(worker, held).await;
            self.checker.handed_over(&self.fate, theirs);
            done
        };
        self.through("hand_over", checked.boxed(), |_| Touched::Leases).await
    }
    async fn lock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<bool> {
        self.in_passing("lock_app", self.inner.lock_app(app, process)).await
    }
    async fn unlock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<()> {
        self.in_passing("unlock_app", self.inner.unlock_app(app, process)).await
    }
    async fn adopt(&self, suspect: &Held, adopter: &WorkerId) -> StoreResult<Written<Adopted>> {
        let checked = async {
            let adopted = self.inner.adopt(suspect, adopter).await;
            self.checker.tell(|| match &adopted {
                Ok(Written::Done(adopted)) => {
                    format!("{} adopts {}, {:?}", self.fate.name, suspect.attempt, adopted.stage)
                }
                other => format!("{} cannot adopt {}: {other:?}", self.fate.name, suspect.attempt),
            });
            adopted
        };
        self.through("adopt", checked.boxed(), touches(suspect)).await
    }
    async fn confirm(&self, confirmations: &[Confirmation]) -> StoreResult<()> {
        self.in_passing("confirm", self.inner.confirm(confirmations)).await
    }
    async fn unconfirmed(&self, before: Timestamp, limit: u32) -> StoreResult<Vec<Unconfirmed>> {
        self.in_passing("unconfirmed", self.inner.unconfirmed(before, limit)).await
    }
    async fn control(&self, key: &RequestKey, control: Control, given: Option<&Given>) -> StoreResult<Controlled> {
        let checked = async {
            let controlled = self.inner.control(key, control, given).await;
            if let Ok(Controlled { again, .. }) = &controlled {
                self.checker.commanded(key, given, *again);
                if !again {
                    self.checker.controlled(key, control);
                }
            }
            controlled
        };
        self.through("control", checked.boxed(), touches_request(key)).await
    }
    async fn remember(
        &self,
        organisation: &OrganisationId,
        id: &str,
        fingerprint: &[u8; 32],
        life: Duration,
    ) -> StoreResult<Remembered> {
        let asked = self.inner.remember(organisation, id, fingerprint, life);
        self.in_passing("remember", asked).await
    }
    async fn answered(&self, organisation: &OrganisationId, id: &str, answer: &[u8]) -> StoreResult<()> {
        self.in_passing("answered", self.inner.answered(organisation, id, answer)).await
    }
    async fn recalled(&self, organisation: &OrganisationId, id: &str) -> StoreResult<Option<Box<[u8]>>> {
        self.in_passing("recalled", self.inner.recalled(organisation, id)).await
    }
    async fn owner(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<Option<(Held, WorkerId)>> {
        self.in_passing("owner", self.inner.owner(organisation, call)).await
    }
    async fn request_of(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<RequestId> {
        self.in_passing("request_of", self.inner.request_of(organisation, call)).await
    }
    async fn live_calls(
        &self,
        organisation: &OrganisationId,
        request: Option<&RequestId>,
    ) -> StoreResult<Vec<LiveCall>> {
        self.in_passing("live_calls", self.inner.live_calls(organisation, request)).await
    }
    async fn sweep(&self) -> StoreResult<(Vec<RequestEvent>, Option<Timestamp>)> {
        // What a sweep changes without a word is noticed by one of the next.
        let touched = |swept: &StoreResult<(Vec<RequestEvent>, Option<Timestamp>)>| match swept {
            Ok((events, _)) if events.is_empty() && !self.fate.one_in(5) => Touched::Nothing,
            _ => Touched::Everything,
        };
        self.through("sweep", self.inner.sweep(), touched).await
    }
    async fn request(&self, key: &RequestKey) -> StoreResult<RequestSnapshot> {
        self.inner.request(key).await
    }
    async fn requests(
        &self,
        organisation: &OrganisationId,
        filter: &RequestFilter,
        limit: u32,
    ) -> StoreResult<RequestPage> {
        self.inner.requests(organisation, filter, limit).await
    }
    async fn calls(&self, key: &RequestKey, from: u32, limit: u32) -> StoreResult<Vec<CallSnapshot>> {
        self.inner.calls(key, from, limit).await
    }
    async fn annotate(
        &self,
        key: &RequestKey,
        index: u32,
        note: &CallNote,
        given: Option<&Given>,
    ) -> StoreResult<CallNotes> {
        self.in_passing("annotate", self.inner.annotate(key, index, note, given)).await
    }
    async fn notes(&self, key: &RequestKey, index: u32) -> StoreResult<CallNotes> {
        self.inner.notes(key, index).await
    }
    async fn organisation(&self, organisation: &OrganisationId) -> StoreResult<Organisation> {
        self.in_passing("organisation", self.inner.organisation(organisation)).await
    }
    async fn change_organisation(
        &self,
        organisation: &OrganisationId,
        before: &Organisation,
        after: Organisation,
        limit: LimitChange,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        self.inner.change_organisation(organisation, before, after, limit, given).await
    }
    async fn set_organisation(&self, organisation: &OrganisationId, settings: Organisation) -> StoreResult<()> {
        self.inner.set_organisation(organisation, settings).await
    }
    async fn set_external(&self, organisation: &OrganisationId, value: Option<String>) -> StoreResult<()> {
        self.inner.set_external(organisation, value).await
    }
    async fn slot_use(&self, organisation: &OrganisationId) -> StoreResult<SlotUse> {
        self.inner.slot_use(organisation).await
    }
    fn wakeups(&self) -> Listener {
        self.inner.wakeups()
    }
}
