//! What an organisation may do, whom it never calls, and what is told of changing that.

use super::codec::{from_json, unreadable};
use super::reply::Reply;
use super::script::Ops;
use super::store::RedisStore;
use crate::model::event::{NUMBER_ADDED, NUMBER_REMOVED, OrganisationEvent};
use crate::model::organisation::RequestOrder;
use crate::model::{Organisation, OrganisationId, Phone};
use crate::ports::StoreResult;
use crate::ports::store::{Given, LimitChange, OrganisationChange};

fn read(settings: &[u8], limit: u32) -> StoreResult<Organisation> {
    let organisation = match settings {
        b"" => Organisation::default(),
        text => from_json(text, "settings")?,
    };
    // Its own key counts: other applications read it, and may write it.
    Ok(Organisation { limit, ..organisation })
}

fn written(ops: Ops, settings: &Organisation, limit: LimitChange) -> StoreResult<Ops> {
    let ops = limit_of(ops.bytes(&serde_json::to_vec(settings).map_err(unreadable)?), settings.limit, limit);
    let ops = ops.int(settings.weight).int(u8::from(settings.request_order == RequestOrder::FirstCome));
    let ops = match settings.calls_per_second {
        Some(rate) => ops.int(rate),
        None => ops.text(""),
    };
    Ok(ops.unsigned(settings.retention_secs))
}

/// A limit, if it means anything.
fn limit_of(ops: Ops, number: u32, limit: LimitChange) -> Ops {
    match limit {
        LimitChange::Kept => ops.text(""),
        LimitChange::Set => ops.int(number),
    }
}

/// A command, if somebody gave it, and what it is to.
fn command(ops: Ops, given: Option<&Given>, what: OrganisationChange) -> Ops {
    let actor = given.and_then(|given| given.actor.as_ref()).map_or("", |actor| actor.as_str());
    ops.text(given.map_or("", |given| &given.id)).text(actor).text(what.name())
}

/// An event of an organisation's own.
pub(super) fn read_change(organisation: &OrganisationId, mut list: Reply) -> StoreResult<OrganisationEvent> {
    let (seq, at, command) = (list.small()?, list.time()?, list.list()?.command()?);
    let (mut names, mut changed) = (list.list()?, Vec::new());
    while !names.is_empty() {
        changed.push(names.text()?.into());
    }
    Ok(OrganisationEvent { organisation: organisation.clone(), seq, at, command, changed })
}

impl RedisStore {
    /// Puts a number on the do-not-call list, or takes it off; whether that changed it.
    pub(super) async fn list_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        is_blocked: bool,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        let (name, changed) = if is_blocked { ("block", NUMBER_ADDED) } else { ("unblock", NUMBER_REMOVED) };
        if given.is_some() {
            // Of an organisation that has no work nobody else would find what is to be told.
            self.ring.expect(organisation, self.now()).await?;
        }
        let ops = Ops::none().op(name).text(changed).text(&phone.digits().to_string());
        let ops = command(ops, given, OrganisationChange::DoNotCall);
        Ok(self.send(organisation, ops).await?.int()? == 1)
    }

    /// The settings, and as what they are kept.
    async fn settings(&self, organisation: &OrganisationId) -> StoreResult<(Vec<u8>, u32)> {
        let mut answer = self.send(organisation, Ops::none().op("organisation")).await?.list()?;
        Ok((answer.bytes()?, answer.small()?))
    }

    pub(super) async fn read_settings(&self, organisation: &OrganisationId) -> StoreResult<Organisation> {
        let (settings, limit) = self.settings(organisation).await?;
        read(&settings, limit)
    }

    pub(super) async fn write_settings(
        &self,
        organisation: &OrganisationId,
        settings: &Organisation,
    ) -> StoreResult<()> {
        self.ring.expect(organisation, self.now()).await?;
        let ops = written(Ops::none().op("set_organisation"), settings, LimitChange::Set)?;
        self.send(organisation, ops).await.map(drop)
    }

    pub(super) async fn change_settings(
        &self,
        organisation: &OrganisationId,
        before: &Organisation,
        after: &Organisation,
        limit: LimitChange,
        given: Option<&Given>,
    ) -> StoreResult<bool> {
        let (kept, found) = self.settings(organisation).await?;
        let counts = if limit == LimitChange::Kept { before.limit } else { found };
        let found_settings = read(&kept, counts)?;
        if found_settings != *before {
            return Ok(false);
        }
        let changed = match limit {
            LimitChange::Kept => Organisation { limit: counts, ..after.clone() }.changed_since(&found_settings),
            LimitChange::Set => after.changed_since(&found_settings),
        };
        self.ring.expect(organisation, self.now()).await?;
        let ops = limit_of(Ops::none().op("change_organisation").bytes(&kept), found, limit);
        let ops = command(written(ops, after, limit)?, given, OrganisationChange::Settings).count(changed.len());
        let ops = changed.iter().fold(ops, |ops, name| ops.text(name));
        Ok(self.send(organisation, ops).await?.int()? == 1)
    }
}
