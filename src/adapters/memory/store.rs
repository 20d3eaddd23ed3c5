//! The waiting room in memory: one state under one lock, so that each operation is atomic.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

#[cfg(feature = "sabotage")]
use super::Sabotage;
use super::audit::{Audit, BooksAudit, SlotsAudit};
use super::state::State;
use crate::callflow::call::CallState;
use crate::model::event::{CallContext, RequestEvent};
use crate::model::note::{CallNote, CallNotes};
use crate::model::status::RequestSummary;
use crate::model::{
    AttemptId, CallId, Fact, LegId, Organisation, OrganisationId, Phone, RequestHeader, RequestId, Timestamp, Via,
    WorkerId,
};
use crate::ports::Clock;
use crate::ports::store::*;
use crate::ports::{Bell, Listener};

/// The waiting room in memory.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    wakeups: Bell,
}

impl MemoryStore {
    /// An empty store that takes its time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::new(State::new()), wakeups: Bell::default() }
    }

    /// The same store, breaking promises.
    #[cfg(feature = "sabotage")]
    #[must_use]
    pub fn sabotaged(self, sabotage: Sabotage) -> Self {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).sabotage = sabotage;
        self
    }

    /// The books, open: for tests that check that they add up.
    #[doc(hidden)]
    pub fn audit(&self) -> Audit {
        self.with(|state| state.audit())
    }

    /// Every organisation's slots.
    #[doc(hidden)]
    pub fn audit_slots(&self) -> Vec<SlotsAudit> {
        self.with(|state| state.audit_slots())
    }

    /// The books of the request that a call is one of; none if it is not known.
    #[doc(hidden)]
    pub fn audit_books(&self, call: CallId) -> Option<BooksAudit> {
        self.with(|state| state.audit_books(call))
    }

    /// The proof of whoever holds a call; none if nobody does.
    #[doc(hidden)]
    pub fn audit_token(&self, call: CallId) -> Option<Token> {
        self.with(|state| state.audit_token(call))
    }

    /// Until when the lease of an attempt's callee is believed; none if it holds none.
    #[doc(hidden)]
    pub fn audit_expiry(&self, attempt: AttemptId) -> Option<Timestamp> {
        self.with(|state| state.audit_expiry(attempt))
    }

    /// Carries out one operation at one instant.
    pub(super) fn with<T>(&self, operation: impl FnOnce(&mut State) -> T) -> T {
        let now = self.clock.now();
        // A panic elsewhere must not stop every call that is live: the state is no worse than after a crash.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = state.now.max(now);
        let result = operation(&mut state);
        // A slot that was freed and taken in exchange makes nobody ready.
        let is_ready = std::mem::take(&mut state.freed) && state.ring.first().is_some();
        let woke = std::mem::take(&mut state.woke) || is_ready;
        let dropped = std::mem::take(&mut state.dropped);
        drop(state);
        drop(dropped);
        if woke {
            self.wakeups.ring();
        }
        result
    }
}

#[async_trait]
impl CampaignStore for MemoryStore {
    async fn open_request(&self, header: &Arc<RequestHeader>, totals: Totals) -> StoreResult<Opened> {
        Ok(self.with(|state| state.open_request(header, totals)))
    }

    async fn load_chunk(&self, key: &RequestKey, part: u32, number: u32, chunk: &Chunk) -> StoreResult<Loaded> {
        self.with(|state| state.load_chunk(key, part, number, chunk))
    }

    async fn seal(&self, key: &RequestKey, part: u32) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.with(|state| state.seal(key, part))
    }

    async fn reject(&self, rejection: &Rejection) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        Ok(self.with(|state| state.reject(rejection)))
    }

    async fn claim(&self, worker: &WorkerId, want: u32) -> StoreResult<Claims> {
        Ok(self.with(|state| state.claim(worker, want)))
    }

    async fn begin_dial(
        &self,
        held: &Held,
        worker: &WorkerId,
        via: &Via,
        flow: &CallState,
    ) -> StoreResult<DialDecision> {
        Ok(self.with(|state| state.begin_dial(held, worker, via, flow)))
    }

    async fn give_back(&self, held: &Held) -> StoreResult<Written<Vec<RequestEvent>>> {
        Ok(self.with(|state| state.give_back(held)))
    }

    async fn checkpoint(&self, held: &Held, after: u32, facts: &[Fact], flow: &CallState) -> StoreResult<Written<()>> {
        Ok(self.with(|state| state.checkpoint(held, after, facts, flow)))
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
        Ok(self.with(|state| state.finish(held, worker, after, facts, end, refill)))
    }

    async fn request_slot(&self, held: &Held, leg: LegId, until: Timestamp) -> StoreResult<Written<SlotAnswer>> {
        Ok(self.with(|state| state.request_slot(held, leg, until)))
    }

    async fn block_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        given.map_or(Ok(()), |given| StoreError::unless_id(&given.id))?;
        Ok(self.with(|state| state.block_number(organisation, phone, given)))
    }

    async fn unblock_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        given.map_or(Ok(()), |given| StoreError::unless_id(&given.id))?;
        Ok(self.with(|state| state.unblock_number(organisation, phone, given)))
    }

    async fn is_blocked(&self, organisation: &OrganisationId, phone: Phone) -> StoreResult<bool> {
        Ok(self.with(|state| state.is_blocked(organisation, phone)))
    }

    async fn blocked_numbers(&self, organisation: &OrganisationId) -> StoreResult<Vec<Phone>> {
        Ok(self.with(|state| state.blocked_numbers(organisation)))
    }

    async fn renew(&self, _: &WorkerId, held: &[Held]) -> StoreResult<Renewed> {
        Ok(self.with(|state| state.renew(held)))
    }

    async fn reassert(
        &self,
        held: &Held,
        _: &WorkerId,
        _: &CallContext,
        _: &[Fact],
        _: &CallState,
    ) -> StoreResult<Written<Vec<RequestEvent>>> {
        // Memory forgets nothing, but with the process.
        Ok(self.with(|state| state.holding(held).map_or(Written::Fenced, |_| Written::Done(Vec::new()))))
    }

    async fn hand_over(&self, _: &WorkerId, held: &[Held]) -> StoreResult<()> {
        self.with(|state| state.hand_over(held));
        Ok(())
    }

    async fn suspects(&self, limit: u32) -> StoreResult<Vec<Suspect>> {
        Ok(self.with(|state| state.suspects(limit)))
    }

    async fn lock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<bool> {
        Ok(self.with(|state| state.lock_app(app, process)))
    }

    async fn unlock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<()> {
        self.with(|state| state.unlock_app(app, process));
        Ok(())
    }

    async fn adopt(&self, suspect: &Held, adopter: &WorkerId) -> StoreResult<Written<Adopted>> {
        Ok(self.with(|state| state.adopt(suspect, adopter)))
    }

    async fn confirm(&self, confirmations: &[Confirmation]) -> StoreResult<()> {
        self.with(|state| confirmations.iter().for_each(|confirmation| state.confirm(confirmation)));
        Ok(())
    }

    async fn unconfirmed(&self, before: Timestamp, limit: u32) -> StoreResult<Vec<Unconfirmed>> {
        Ok(self.with(|state| state.unconfirmed(before, limit)))
    }

    async fn control(&self, key: &RequestKey, control: Control, given: Option<&Given>) -> StoreResult<Controlled> {
        given.map_or(Ok(()), |given| StoreError::unless_id(&given.id))?;
        self.with(|state| state.control(key, control, given))
    }

    async fn remember(
        &self,
        organisation: &OrganisationId,
        id: &str,
        fingerprint: &[u8; 32],
        life: Duration,
    ) -> StoreResult<Remembered> {
        StoreError::unless_id(id)?;
        Ok(self.with(|state| state.remember(organisation, id, fingerprint, life)))
    }

    async fn answered(&self, organisation: &OrganisationId, id: &str, answer: &[u8]) -> StoreResult<()> {
        StoreError::unless_id(id)?;
        StoreError::unless_answer(answer)?;
        self.with(|state| state.answered(organisation, id, answer));
        Ok(())
    }

    async fn recalled(&self, organisation: &OrganisationId, id: &str) -> StoreResult<Option<Box<[u8]>>> {
        StoreError::unless_id(id)?;
        Ok(self.with(|state| state.recalled(organisation, id)))
    }

    async fn owner(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<Option<(Held, WorkerId)>> {
        Ok(self.with(|state| state.owner(organisation, call)))
    }

    async fn request_of(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<RequestId> {
        self.with(|state| state.request_of(organisation, call))
    }

    async fn live_calls(
        &self,
        organisation: &OrganisationId,
        request: Option<&RequestId>,
    ) -> StoreResult<Vec<LiveCall>> {
        Ok(self.with(|state| state.live_calls(organisation, request)))
    }

    async fn sweep(&self) -> StoreResult<(Vec<RequestEvent>, Option<Timestamp>)> {
        Ok(self.with(State::sweep))
    }

    async fn request(&self, key: &RequestKey) -> StoreResult<RequestSnapshot> {
        self.with(|state| state.snapshot(key))
    }

    async fn requests(
        &self,
        organisation: &OrganisationId,
        filter: &RequestFilter,
        limit: u32,
    ) -> StoreResult<RequestPage> {
        Ok(self.with(|state| state.list(organisation, filter, limit)))
    }

    async fn calls(&self, key: &RequestKey, from: u32, limit: u32) -> StoreResult<Vec<CallSnapshot>> {
        self.with(|state| state.calls(key, from, limit))
    }

    async fn annotate(
        &self,
        key: &RequestKey,
        index: u32,
        note: &CallNote,
        given: Option<&Given>,
    ) -> StoreResult<CallNotes> {
        given.map_or(Ok(()), |given| StoreError::unless_id(&given.id))?;
        self.with(|state| state.annotate(key, index, note, given))
    }

    async fn notes(&self, key: &RequestKey, index: u32) -> StoreResult<CallNotes> {
        self.with(|state| state.notes(key, index))
    }

    async fn organisation(&self, organisation: &OrganisationId) -> StoreResult<Organisation> {
        Ok(self.with(|state| state.organisation(organisation)))
    }

    async fn change_organisation(
        &self,
        organisation: &OrganisationId,
        before: &Organisation,
        after: Organisation,
        limit: LimitChange,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        given.map_or(Ok(()), |given| StoreError::unless_id(&given.id))?;
        Ok(self.with(|state| state.change_organisation(organisation, before, &after, limit, given)))
    }

    async fn set_organisation(&self, organisation: &OrganisationId, settings: Organisation) -> StoreResult<()> {
        self.with(|state| state.set_organisation(organisation, settings));
        Ok(())
    }

    async fn set_external(&self, organisation: &OrganisationId, value: Option<String>) -> StoreResult<()> {
        self.with(|state| state.set_external(organisation, value.as_deref()));
        Ok(())
    }

    async fn slot_use(&self, organisation: &OrganisationId) -> StoreResult<SlotUse> {
        Ok(self.with(|state| state.slot_use(organisation)))
    }

    fn wakeups(&self) -> Listener {
        self.wakeups.listen()
    }
}
