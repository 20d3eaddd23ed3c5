//! What an organisation may do.

use super::codec::{from_json, unreadable};
use super::script::Ops;
use super::store::RedisStore;
use crate::model::organisation::RequestOrder;
use crate::model::{Organisation, OrganisationId};
use crate::ports::StoreResult;
use crate::ports::store::LimitChange;

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

impl RedisStore {
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
    ) -> StoreResult<bool> {
        let (kept, found) = self.settings(organisation).await?;
        let counts = if limit == LimitChange::Kept { before.limit } else { found };
        if read(&kept, counts)? != *before {
            return Ok(false);
        }
        self.ring.expect(organisation, self.now()).await?;
        let ops = limit_of(Ops::none().op("change_organisation").bytes(&kept), found, limit);
        Ok(self.send(organisation, written(ops, after, limit)?).await?.int()? == 1)
    }
}
