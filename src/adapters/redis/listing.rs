//! An organisation's requests, page by page.

use futures_util::{StreamExt as _, stream};

use super::reply::Reply;
use super::script::{Ops, request_hash};
use super::store::{AT_A_TIME, RedisStore};
use crate::model::status::RequestSummary;
use crate::model::{CallId, OrganisationId, RequestStatus, Timestamp};
use crate::ports::store::*;
use crate::ports::{StoreError, StoreResult};

/// Most requests that one script shows: others wait for it.
const SHOWN: u32 = 128;

/// A request as a script shows it: its summary, whether it was accepted, when it was sealed.
type Shown = (RequestSummary, bool, Option<Timestamp>);

/// What a script shows of a page.
struct Piece {
    shown: Vec<Shown>,
    /// After which place there are more; empty: nowhere.
    more: String,
    /// Whether the lists hold more or less than there is.
    astray: bool,
}

pub(super) fn read_shown(list: &mut Reply) -> StoreResult<Shown> {
    let (summary, accepted, sealed_at) = (list.summary()?, list.int()? == 1, list.int()?);
    Ok((summary, accepted, (sealed_at >= 0).then_some(Timestamp::from_millis(sealed_at))))
}

impl RedisStore {
    pub(super) async fn list(
        &self,
        organisation: &OrganisationId,
        filter: &RequestFilter,
        limit: u32,
    ) -> StoreResult<RequestPage> {
        let wanted: Vec<RequestStatus> = match &filter.statuses {
            Some(statuses) => statuses.iter().copied().collect(),
            None => RequestStatus::ALL.to_vec(),
        };
        let (mut shown, mut left) = (Vec::new(), limit.max(1));
        let mut after = filter.after.map(|cursor| cursor.to_string()).unwrap_or_default();
        let mut piece = self.piece(organisation, &wanted, &after, left).await?;
        if piece.astray {
            self.mend_lists(organisation).await?;
            piece = self.piece(organisation, &wanted, &after, left).await?;
        }
        loop {
            left = left.saturating_sub(u32::try_from(piece.shown.len()).unwrap_or(u32::MAX));
            shown.append(&mut piece.shown);
            after = std::mem::take(&mut piece.more);
            if left == 0 || after.is_empty() {
                break;
            }
            piece = self.piece(organisation, &wanted, &after, left).await?;
        }
        let next = (!after.is_empty()).then(|| after.parse().map_err(super::codec::unreadable)).transpose()?;
        let snapshots = stream::iter(shown).map(|shown| self.snapshot_of(organisation, shown)).buffered(AT_A_TIME);
        let snapshots: Vec<_> = snapshots.collect().await;
        let mut requests = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            match snapshot {
                Ok(snapshot) => requests.push(snapshot),
                // Its time was over meanwhile.
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(RequestPage { requests, next })
    }

    async fn piece(
        &self,
        organisation: &OrganisationId,
        wanted: &[RequestStatus],
        after: &str,
        limit: u32,
    ) -> StoreResult<Piece> {
        let ops = Ops::none().op("list").text(after).int(limit.min(SHOWN)).count(wanted.len());
        let ops = wanted.iter().fold(ops, |ops, status| ops.text(status.as_str()));
        let mut answer = self.send(organisation, ops).await?.list()?;
        let shown = answer.lists()?.into_iter().map(|mut list| read_shown(&mut list)).collect::<StoreResult<_>>()?;
        Ok(Piece { shown, more: answer.text()?, astray: answer.int()? == 1 })
    }

    /// Has every request put on its list, and nothing else.
    async fn mend_lists(&self, organisation: &OrganisationId) -> StoreResult<()> {
        tracing::info!(%organisation, "another version has written requests: they are listed anew");
        for which in 0_u32.. {
            let mut piece = "0".to_owned();
            loop {
                let ops = Ops::none().op("list_mend").int(which).text(&piece);
                let mut answer = self.send(organisation, ops).await?.list()?;
                if answer.is_empty() {
                    return Ok(());
                }
                piece = answer.text()?;
                if piece == "0" {
                    break;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn snapshot_of(
        &self,
        organisation: &OrganisationId,
        (summary, accepted, queued_at): Shown,
    ) -> StoreResult<RequestSnapshot> {
        let call = CallId::new(organisation, &summary.request_id, 0);
        let header = match (accepted, queued_at) {
            (false, _) => None,
            (true, Some(at)) => Some(self.header(organisation, call, at).await?),
            (true, None) => self.header_now(organisation, &request_hash(call)).await?,
        };
        Ok(RequestSnapshot { summary, header, queued_at })
    }
}
