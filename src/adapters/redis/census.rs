//! How all organisations stand.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::Value;

use super::reply::Reply;
use super::script::Ops;
use super::store::RedisStore;
use crate::model::OrganisationId;
use crate::ports::store::SlotUse;
use crate::ports::{Census, Standing, Standings, StoreError, StoreResult, Unread, Whose};

/// Organisations that are asked about at a time: workers' own questions come in between.
const AT_A_TIME: usize = 4;

/// At which the ready ring looks at organisations that have nothing to look at: later than anything that happens.
const NEVER: &str = "(9000000000000000";

/// Slots, as scripts tell of them.
pub(super) fn slots(answer: &mut Reply) -> StoreResult<SlotUse> {
    let (limit, external) = (answer.small()?, answer.small()?);
    Ok(SlotUse { limit, external, leased: answer.small()?, suspect: answer.small()? })
}

impl RedisStore {
    /// How one organisation stands, `horizon` ahead, also one that has never had anything.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn standing_of(
        &self,
        organisation: &OrganisationId,
        horizon: Duration,
    ) -> StoreResult<Result<Standing, Unread>> {
        match self.standing(organisation, horizon).await {
            Ok(standing) => Ok(Ok(standing)),
            Err(error @ StoreError::Unavailable(_)) => Err(error),
            Err(error) => Ok(Err(Unread { organisation: organisation.clone(), why: error.to_string() })),
        }
    }

    async fn standing(&self, organisation: &OrganisationId, horizon: Duration) -> StoreResult<Standing> {
        let ops = Ops::none().op("standing").unsigned(u64::try_from(horizon.as_millis()).unwrap_or(u64::MAX));
        let mut answer = self.send(organisation, ops).await?.list()?;
        let slots = slots(&mut answer)?;
        Ok(Standing { organisation: organisation.clone(), slots, due: answer.small()?, soon: answer.small()? })
    }
}

#[async_trait]
impl Census for RedisStore {
    /// The ready ring knows who has, or had, anything.
    async fn standings(&self, whose: Whose, horizon: Duration) -> StoreResult<Standings> {
        let latest = match whose {
            Whose::Busy => NEVER,
            Whose::Known => "+inf",
        };
        let mut known = redis::cmd("ZRANGEBYSCORE");
        known.arg(self.ring.key("look")).arg("-inf").arg(latest);
        let answer: Value = self.command(&known).await?;
        let (mut answer, mut organisations) = (Reply::of(answer)?, Vec::new());
        while !answer.is_empty() {
            match answer.parse::<OrganisationId>() {
                Ok(organisation) => organisations.push(organisation),
                Err(error) => tracing::warn!(%error, "what waits of somebody is not counted"),
            }
        }
        let asked =
            organisations.into_iter().map(|organisation| async move { self.standing_of(&organisation, horizon).await });
        let mut told = stream::iter(asked).buffered(AT_A_TIME);
        let mut standings = Standings::default();
        while let Some(one) = told.try_next().await? {
            match one {
                Ok(standing) => standings.read.push(standing),
                Err(unread) => standings.unread.push(unread),
            }
        }
        Ok(standings)
    }
}
