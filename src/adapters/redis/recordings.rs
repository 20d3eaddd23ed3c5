//! Which recordings there are.

use async_trait::async_trait;
use redis::Value;

use super::reply::Reply;
use super::script::Ops;
use super::store::RedisStore;
use crate::model::{AttemptId, OrganisationId, Recording, Timestamp};
use crate::ports::{RecordingIndex, StoreResult};

/// How many organisations Redis is asked for at a time.
const AT_A_TIME: u32 = 256;

fn read(mut found: Reply) -> StoreResult<Option<Recording>> {
    if found.is_empty() {
        return Ok(None);
    }
    let (attempt, place) = (found.parse()?, found.text()?.into());
    Ok(Some(Recording { attempt, place, ended_at: Timestamp::from_millis(found.int()?) }))
}

#[async_trait]
impl RecordingIndex for RedisStore {
    async fn recording(&self, organisation: &OrganisationId, attempt: AttemptId) -> StoreResult<Option<Recording>> {
        let ops = Ops::none().op("recording").text(&attempt.to_string());
        read(self.send(organisation, ops).await?.list()?)
    }

    async fn recordings_before(
        &self,
        organisation: &OrganisationId,
        before: Timestamp,
        behind: Option<&Recording>,
        limit: u32,
    ) -> StoreResult<Vec<Recording>> {
        let (since, name) = behind.map_or_else(Default::default, |last| (last.ended_at, last.attempt.to_string()));
        let ops = Ops::none().op("recordings").time(Some(before)).int(limit).time(Some(since)).text(&name);
        let found = self.send(organisation, ops).await?.lists()?;
        found.into_iter().filter_map(|found| read(found).transpose()).collect()
    }

    async fn forget_recording(&self, organisation: &OrganisationId, attempt: AttemptId) -> StoreResult<()> {
        self.send(organisation, Ops::none().op("forget_recording").text(&attempt.to_string())).await.map(drop)
    }

    /// The ready ring knows when to look at which organisation, and forgets none.
    async fn organisations(&self, from: u64) -> StoreResult<(Vec<OrganisationId>, u64)> {
        let mut piece = redis::cmd("ZSCAN");
        piece.arg(self.ring.key("look")).arg(from).arg("COUNT").arg(AT_A_TIME);
        let answer: Value = self.command(&piece).await?;
        let mut answer = Reply::of(answer)?;
        let (next, mut found, mut organisations) = (answer.parse()?, answer.list()?, Vec::new());
        while !found.is_empty() {
            organisations.push(found.parse()?);
            found.text()?;
        }
        Ok((organisations, next))
    }
}
