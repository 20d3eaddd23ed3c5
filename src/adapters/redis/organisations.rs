//! What an organisation may do.

use super::codec::unreadable;
use super::script::Ops;
use super::store::RedisStore;
use crate::model::organisation::RequestOrder;
use crate::model::{Organisation, OrganisationId};
use crate::ports::StoreResult;

fn read(settings: &[u8], limit: u32) -> StoreResult<Organisation> {
    let organisation = match settings {
        b"" => Organisation::default(),
        text => serde_json::from_slice(text).map_err(unreadable)?,
    };
    // Its own key counts: other applications read it, and may write it.
    Ok(Organisation { limit, ..organisation })
}

fn written(ops: Ops, settings: &Organisation) -> StoreResult<Ops> {
    let ops = ops.bytes(&serde_json::to_vec(settings).map_err(unreadable)?).int(settings.limit);
    let ops = ops.int(settings.weight).int(u8::from(settings.request_order == RequestOrder::FirstCome));
    let ops = match settings.calls_per_second {
        Some(rate) => ops.int(rate),
        None => ops.text(""),
    };
    Ok(ops.unsigned(settings.retention_secs))
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
        self.send(organisation, written(Ops::none().op("set_organisation"), settings)?).await.map(drop)
    }

    pub(super) async fn change_settings(
        &self,
        organisation: &OrganisationId,
        before: &Organisation,
        after: &Organisation,
    ) -> StoreResult<bool> {
        let (kept, limit) = self.settings(organisation).await?;
        if read(&kept, limit)? != *before {
            return Ok(false);
        }
        self.ring.expect(organisation, self.now()).await?;
        let ops = Ops::none().op("change_organisation").bytes(&kept).int(limit);
        Ok(self.send(organisation, written(ops, after)?).await?.int()? == 1)
    }
}
