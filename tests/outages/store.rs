//! A store whose answers get lost on demand.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use robocall::callflow::call::CallState;
use robocall::model::event::RequestEvent;
use robocall::model::status::RequestSummary;
use robocall::model::{CallId, Fact, LegId, Organisation, OrganisationId, Phone, RequestHeader, Timestamp, WorkerId};
use robocall::ports::store::*;
use robocall::ports::{CampaignStore, Listener};

/// Whether the answer to the operation of this name gets lost after it has taken effect.
pub type Loses = Box<dyn FnMut(&'static str) -> bool + Send>;

pub struct Forgetful {
    pub inner: Arc<dyn CampaignStore>,
    pub loses: Mutex<Loses>,
}

impl Forgetful {
    async fn pass<T>(&self, name: &'static str, call: BoxFuture<'_, StoreResult<T>>) -> StoreResult<T> {
        let lost = (self.loses.lock().unwrap())(name);
        let answer = call.await;
        if lost { Err(StoreError::Unavailable("lost by the test".to_owned())) } else { answer }
    }
}

#[async_trait]
impl CampaignStore for Forgetful {
    async fn open_request(&self, header: &Arc<RequestHeader>, totals: Totals) -> StoreResult<Opened> {
        self.pass("open", self.inner.open_request(header, totals)).await
    }
    async fn load_chunk(&self, key: &RequestKey, part: u32, number: u32, chunk: &Chunk) -> StoreResult<Loaded> {
        self.pass("load", self.inner.load_chunk(key, part, number, chunk)).await
    }
    async fn seal(&self, key: &RequestKey, part: u32) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.pass("seal", self.inner.seal(key, part)).await
    }
    async fn reject(&self, rejection: &Rejection) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.pass("reject", self.inner.reject(rejection)).await
    }
    async fn claim(&self, worker: &WorkerId, want: u32) -> StoreResult<Claims> {
        self.pass("claim", self.inner.claim(worker, want)).await
    }
    async fn begin_dial(
        &self,
        held: &Held,
        worker: &WorkerId,
        caller: Option<Phone>,
        state: &CallState,
    ) -> StoreResult<DialDecision> {
        self.pass("begin_dial", self.inner.begin_dial(held, worker, caller, state)).await
    }
    async fn give_back(&self, held: &Held) -> StoreResult<Written<Vec<RequestEvent>>> {
        self.pass("give_back", self.inner.give_back(held)).await
    }
    async fn checkpoint(&self, held: &Held, after: u32, facts: &[Fact], state: &CallState) -> StoreResult<Written<()>> {
        self.pass("checkpoint", self.inner.checkpoint(held, after, facts, state)).await
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
        self.pass("finish", self.inner.finish(held, worker, after, facts, end, refill)).await
    }
    async fn request_slot(&self, held: &Held, leg: LegId, until: Timestamp) -> StoreResult<Written<SlotAnswer>> {
        self.pass("request_slot", self.inner.request_slot(held, leg, until)).await
    }
    async fn block_number(&self, organisation: &OrganisationId, phone: Phone) -> StoreResult<()> {
        self.pass("block_number", self.inner.block_number(organisation, phone)).await
    }
    async fn renew(&self, worker: &WorkerId, held: &[Held]) -> StoreResult<Renewed> {
        self.pass("renew", self.inner.renew(worker, held)).await
    }
    async fn suspects(&self, limit: u32) -> StoreResult<Vec<Suspect>> {
        self.pass("suspects", self.inner.suspects(limit)).await
    }
    async fn lock_app(&self, app: &WorkerId, listener: &WorkerId) -> StoreResult<bool> {
        self.pass("lock_app", self.inner.lock_app(app, listener)).await
    }
    async fn adopt(&self, suspect: &Held, adopter: &WorkerId) -> StoreResult<Written<Adopted>> {
        self.pass("adopt", self.inner.adopt(suspect, adopter)).await
    }
    async fn confirm(&self, confirmations: &[Confirmation]) -> StoreResult<()> {
        self.pass("confirm", self.inner.confirm(confirmations)).await
    }
    async fn unconfirmed(&self, before: Timestamp, limit: u32) -> StoreResult<Vec<Unconfirmed>> {
        self.pass("unconfirmed", self.inner.unconfirmed(before, limit)).await
    }
    async fn control(&self, key: &RequestKey, control: Control) -> StoreResult<Controlled> {
        self.pass("control", self.inner.control(key, control)).await
    }
    async fn owner(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<Option<(Held, WorkerId)>> {
        self.pass("owner", self.inner.owner(organisation, call)).await
    }
    async fn sweep(&self) -> StoreResult<(Vec<RequestEvent>, Option<Timestamp>)> {
        self.pass("sweep", self.inner.sweep()).await
    }
    async fn request(&self, key: &RequestKey) -> StoreResult<RequestSnapshot> {
        self.inner.request(key).await
    }
    async fn calls(&self, key: &RequestKey, from: u32, limit: u32) -> StoreResult<Vec<CallSnapshot>> {
        self.inner.calls(key, from, limit).await
    }
    async fn organisation(&self, organisation: &OrganisationId) -> StoreResult<Organisation> {
        self.pass("organisation", self.inner.organisation(organisation)).await
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
