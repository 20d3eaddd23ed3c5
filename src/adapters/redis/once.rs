//! What was given under which id, so that it is done once.

use std::time::Duration;

use super::intake::{first_call, unexpected};
use super::reply::request_status;
use super::requests::read_owner;
use super::script::Ops;
use super::store::RedisStore;
use crate::model::{OrganisationId, RequestStatus};
use crate::ports::store::*;
use crate::ports::{StoreError, StoreResult};

impl RedisStore {
    pub(super) async fn control_request(
        &self,
        key: &RequestKey,
        control: Control,
        given: Option<&Given>,
    ) -> StoreResult<Controlled> {
        let what = match control {
            Control::Pause => "pause",
            Control::Resume => "resume",
            Control::Cancel { hang_up: false } => "cancel",
            Control::Cancel { hang_up: true } => "hangup",
        };
        let ops = Ops::none().op("control").request(first_call(key)).text(what);
        let actor = given.and_then(|given| given.actor.as_ref()).map_or("", |actor| actor.as_str());
        let expect = given.and_then(|given| given.expect).map_or("", RequestStatus::as_str);
        let ops = ops.text(given.map_or("", |given| &given.id)).text(actor).text(expect);
        let mut answer = self.send(&key.organisation, ops).await?.list()?;
        let again = match answer.text()?.as_str() {
            "done" => false,
            "again" => true,
            "missing" => return Err(StoreError::NotFound),
            "taken" => return Err(StoreError::IdTaken),
            "unmet" => return Err(StoreError::Unmet { found: request_status(&answer.text()?)? }),
            other => return Err(unexpected(other)),
        };
        let (summary, events) = (answer.summary()?, answer.events(&key.organisation)?);
        let live = answer.lists()?.into_iter().map(|owner| read_owner(&key.organisation, owner));
        Ok(Controlled { summary, events, live: live.collect::<StoreResult<_>>()?, again })
    }

    pub(super) async fn ask_once(
        &self,
        organisation: &OrganisationId,
        id: &str,
        fingerprint: &[u8; 32],
        life: Duration,
    ) -> StoreResult<Remembered> {
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let ops = Ops::none().op("remember").text(id).bytes(fingerprint).unsigned(life);
        let mut answer = self.send(organisation, ops).await?.list()?;
        match answer.text()?.as_str() {
            "first" => Ok(Remembered::First),
            "different" => Ok(Remembered::Different),
            "unanswered" => Ok(Remembered::Again(None)),
            "again" => Ok(Remembered::Again(Some(answer.bytes()?.into()))),
            other => Err(unexpected(other)),
        }
    }

    pub(super) async fn answer_to(&self, organisation: &OrganisationId, id: &str) -> StoreResult<Option<Box<[u8]>>> {
        let mut answer = self.send(organisation, Ops::none().op("recalled").text(id)).await?.list()?;
        if answer.is_empty() { Ok(None) } else { Ok(Some(answer.bytes()?.into())) }
    }

    pub(super) async fn keep_answer(&self, organisation: &OrganisationId, id: &str, answer: &[u8]) -> StoreResult<()> {
        self.send(organisation, Ops::none().op("answered").text(id).bytes(answer)).await.map(drop)
    }
}
