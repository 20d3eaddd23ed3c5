//! The waiting room in Redis as its port: which operation is carried out where.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::script::Ops;
use super::store::RedisStore;
use crate::callflow::call::CallState;
use crate::model::event::{CallContext, RequestEvent};
use crate::model::note::{CallNote, CallNotes};
use crate::model::status::RequestSummary;
use crate::model::{
    CallId, Fact, LegId, Organisation, OrganisationId, Phone, RequestHeader, RequestId, Timestamp, Via, WorkerId,
};
use crate::ports::store::*;
use crate::ports::{CampaignStore, Listener};

#[async_trait]
impl CampaignStore for RedisStore {
    async fn open_request(&self, header: &Arc<RequestHeader>, totals: Totals) -> StoreResult<Opened> {
        self.open(header, totals).await
    }

    async fn load_chunk(&self, key: &RequestKey, part: u32, number: u32, chunk: &Chunk) -> StoreResult<Loaded> {
        self.load(key, part, number, chunk).await
    }

    async fn seal(&self, key: &RequestKey, part: u32) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.seal_part(key, part).await
    }

    async fn reject(&self, rejection: &Rejection) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.write_rejection(rejection).await
    }

    async fn claim(&self, worker: &WorkerId, want: u32) -> StoreResult<Claims> {
        self.claim_for(worker, want).await
    }

    async fn begin_dial(
        &self,
        held: &Held,
        worker: &WorkerId,
        via: &Via,
        state: &CallState,
    ) -> StoreResult<DialDecision> {
        self.commit(held, worker, via, state).await
    }

    async fn give_back(&self, held: &Held) -> StoreResult<Written<Vec<RequestEvent>>> {
        self.return_claim(held).await
    }

    async fn checkpoint(&self, held: &Held, after: u32, facts: &[Fact], state: &CallState) -> StoreResult<Written<()>> {
        self.write_checkpoint(held, after, facts, state).await
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
        self.end(held, worker, after, facts, end, refill).await
    }

    async fn request_slot(&self, held: &Held, leg: LegId, until: Timestamp) -> StoreResult<Written<SlotAnswer>> {
        self.ask_for_slot(held, leg, until).await
    }

    async fn block_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        given.map_or(Ok(()), |given| StoreError::unless_id(&given.id))?;
        self.list_number(organisation, phone, true, given).await
    }

    async fn unblock_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        given.map_or(Ok(()), |given| StoreError::unless_id(&given.id))?;
        self.list_number(organisation, phone, false, given).await
    }

    async fn is_blocked(&self, organisation: &OrganisationId, phone: Phone) -> StoreResult<bool> {
        self.read_is_blocked(organisation, phone).await
    }

    async fn blocked_numbers(&self, organisation: &OrganisationId) -> StoreResult<Vec<Phone>> {
        self.read_blocked(organisation).await
    }

    async fn renew(&self, _: &WorkerId, held: &[Held]) -> StoreResult<Renewed> {
        self.renew_all(held).await
    }

    async fn reassert(
        &self,
        held: &Held,
        worker: &WorkerId,
        call: &CallContext,
        history: &[Fact],
        state: &CallState,
    ) -> StoreResult<Written<Vec<RequestEvent>>> {
        self.say_again(held, worker, call, history, state).await
    }

    async fn hand_over(&self, _: &WorkerId, held: &[Held]) -> StoreResult<()> {
        self.hand_all_over(held).await
    }

    async fn suspects(&self, limit: u32) -> StoreResult<Vec<Suspect>> {
        self.find_suspects(limit).await
    }

    async fn lock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<bool> {
        self.ask_about_lock(&format!("app:{app}"), process, "lock").await
    }

    async fn unlock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<()> {
        self.ask_about_lock(&format!("app:{app}"), process, "unlock").await.map(drop)
    }

    async fn adopt(&self, suspect: &Held, adopter: &WorkerId) -> StoreResult<Written<Adopted>> {
        self.take_over(suspect, adopter).await
    }

    async fn confirm(&self, confirmations: &[Confirmation]) -> StoreResult<()> {
        self.note_confirmed(confirmations).await
    }

    async fn unconfirmed(&self, before: Timestamp, limit: u32) -> StoreResult<Vec<Unconfirmed>> {
        self.find_unconfirmed(before, limit).await
    }

    async fn control(&self, key: &RequestKey, control: Control, given: Option<&Given>) -> StoreResult<Controlled> {
        given.map_or(Ok(()), |given| StoreError::unless_id(&given.id))?;
        self.control_request(key, control, given).await
    }

    async fn remember(
        &self,
        organisation: &OrganisationId,
        id: &str,
        fingerprint: &[u8; 32],
        life: Duration,
    ) -> StoreResult<Remembered> {
        StoreError::unless_id(id)?;
        self.ask_once(organisation, id, fingerprint, life).await
    }

    async fn answered(&self, organisation: &OrganisationId, id: &str, answer: &[u8]) -> StoreResult<()> {
        StoreError::unless_id(id)?;
        StoreError::unless_answer(answer)?;
        self.keep_answer(organisation, id, answer).await
    }

    async fn recalled(&self, organisation: &OrganisationId, id: &str) -> StoreResult<Option<Box<[u8]>>> {
        StoreError::unless_id(id)?;
        self.answer_to(organisation, id).await
    }

    async fn owner(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<Option<(Held, WorkerId)>> {
        self.owner_of(organisation, call).await
    }

    async fn request_of(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<RequestId> {
        self.find_request_of(organisation, call).await
    }

    async fn live_calls(
        &self,
        organisation: &OrganisationId,
        request: Option<&RequestId>,
    ) -> StoreResult<Vec<LiveCall>> {
        self.find_live(organisation, request).await
    }

    async fn sweep(&self) -> StoreResult<(Vec<RequestEvent>, Option<Timestamp>)> {
        self.look_around().await
    }

    async fn request(&self, key: &RequestKey) -> StoreResult<RequestSnapshot> {
        self.show(key).await
    }

    async fn requests(
        &self,
        organisation: &OrganisationId,
        filter: &RequestFilter,
        limit: u32,
    ) -> StoreResult<RequestPage> {
        self.list(organisation, filter, limit).await
    }

    async fn calls(&self, key: &RequestKey, from: u32, limit: u32) -> StoreResult<Vec<CallSnapshot>> {
        self.show_calls(key, from, limit).await
    }

    async fn annotate(
        &self,
        key: &RequestKey,
        index: u32,
        note: &CallNote,
        given: Option<&Given>,
    ) -> StoreResult<CallNotes> {
        given.map_or(Ok(()), |given| StoreError::unless_id(&given.id))?;
        self.write_note(key, index, note, given).await
    }

    async fn notes(&self, key: &RequestKey, index: u32) -> StoreResult<CallNotes> {
        self.read_notes(key, index).await
    }

    async fn organisation(&self, organisation: &OrganisationId) -> StoreResult<Organisation> {
        self.read_settings(organisation).await
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
        self.change_settings(organisation, before, &after, limit, given).await
    }

    async fn set_organisation(&self, organisation: &OrganisationId, settings: Organisation) -> StoreResult<()> {
        self.write_settings(organisation, &settings).await
    }

    async fn set_external(&self, organisation: &OrganisationId, value: Option<String>) -> StoreResult<()> {
        let ops = Ops::none().op("set_external").int(u8::from(value.is_some()));
        let ops = match &value {
            Some(value) => ops.text(value),
            None => ops,
        };
        self.send(organisation, ops).await.map(drop)
    }

    async fn slot_use(&self, organisation: &OrganisationId) -> StoreResult<SlotUse> {
        super::census::slots(&mut self.send(organisation, Ops::none().op("slots")).await?.list()?)
    }

    fn wakeups(&self) -> Listener {
        self.bell.listen()
    }
}
