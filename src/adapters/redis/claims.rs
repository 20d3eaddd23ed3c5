//! Destinations on their way to workers: whose turn it is, and what time alone brings to whom.

use futures_util::future::{join_all, try_join_all};

use super::codec;
use super::reply::{Reply, readable};
use super::ring::LOOKS;
use super::script::Ops;
use super::store::RedisStore;
use crate::model::event::RequestEvent;
use crate::model::{AttemptId, OrganisationId, Timestamp, WorkerId};
use crate::policy::fairness::{TOGETHER, share};
use crate::ports::store::*;
use crate::ports::{StoreError, StoreResult};

/// How many times an organisation that has nothing after all sends a claim on to the next.
const TRIES: usize = 1_000;

impl RedisStore {
    pub(super) async fn claim_for(&self, worker: &WorkerId, want: u32) -> StoreResult<Claims> {
        for _ in 0..TRIES {
            let pick = self.ring.pick(self.now(), LOOKS, want.min(TOGETHER)).await?;
            if !pick.due.is_empty() {
                let events = self.look_at(pick.due).await?;
                self.overhear(events);
                continue;
            }
            if let Some(until) = pick.closed_until {
                return Ok(Claims { claims: Vec::new(), again_at: Some(until) });
            }
            if pick.turn.is_empty() || want == 0 {
                return Ok(Claims { claims: Vec::new(), again_at: pick.next });
            }
            let claims = self.claim_from_each(&pick.turn, worker, share(want, pick.turn.len())).await?;
            if self.ring.is_closed() {
                // Another server may have given them, which does not know whom the one before had dialled.
                self.return_all(&claims).await;
                continue;
            }
            if !claims.is_empty() {
                return Ok(Claims { claims, again_at: Some(pick.now) });
            }
        }
        Ok(Claims::default())
    }

    /// Gives back what is not to be carried. What is not heard is given back when its leases are over.
    pub(super) async fn return_all(&self, claims: &[Claim]) {
        for claim in claims {
            let _ = self.return_claim(&claim.held).await;
        }
    }

    /// Claims from all whose turn it is. What one of them cannot be asked for keeps nobody else waiting.
    async fn claim_from_each(&self, turn: &[OrganisationId], worker: &WorkerId, share: u32) -> StoreResult<Vec<Claim>> {
        let asked = turn.iter().map(|organisation| self.claim_from(organisation, worker, share));
        let (mut claims, mut failure) = (Vec::new(), None);
        for (organisation, answer) in turn.iter().zip(join_all(asked).await) {
            match answer {
                Ok(own) => claims.extend(own),
                Err(StoreError::Refused(reason)) => {
                    tracing::error!(%organisation, reason, "what is kept of an organisation cannot be read");
                    failure = self.ring.pass_over(organisation).await.err().or(failure);
                }
                Err(error) => failure = Some(error),
            }
        }
        // Whoever is claimed is carried, whatever became of the others.
        match failure {
            Some(error) if claims.is_empty() => Err(error),
            _ => Ok(claims),
        }
    }

    async fn claim_from(&self, organisation: &OrganisationId, worker: &WorkerId, want: u32) -> StoreResult<Vec<Claim>> {
        let ops = Ops::none().op("claim").text(worker.as_str()).int(want);
        let mut answer = self.ask(organisation, ops).await?;
        let claims = self.claims_of(organisation, answer.answers.lists()?).await?;
        self.and_behind_windows(organisation, worker, want, claims, answer.was_stale).await
    }

    /// Claims, and those that windows hid which were out of date. They have been read meanwhile.
    pub(super) async fn and_behind_windows(
        &self,
        organisation: &OrganisationId,
        worker: &WorkerId,
        want: u32,
        mut claims: Vec<Claim>,
        was_stale: bool,
    ) -> StoreResult<Vec<Claim>> {
        let left = want.saturating_sub(u32::try_from(claims.len()).unwrap_or(u32::MAX));
        if !was_stale || left == 0 {
            return Ok(claims);
        }
        match Box::pin(self.claim_from(organisation, worker, left)).await {
            Ok(more) => claims.extend(more),
            // Those who are claimed are somebody's already.
            Err(error) if claims.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(claims)
    }

    /// Claims as scripts answer them.
    pub(super) async fn claims_of(&self, organisation: &OrganisationId, lists: Vec<Reply>) -> StoreResult<Vec<Claim>> {
        let mut claims = Vec::with_capacity(lists.len());
        for list in lists {
            claims.push(self.claim_of(organisation, list).await?);
        }
        Ok(claims)
    }

    pub(super) async fn claim_of(&self, organisation: &OrganisationId, mut list: Reply) -> StoreResult<Claim> {
        let call = list.call()?;
        let (claim, token, destination) = (list.small()?, Token(list.large()?), list.bytes()?);
        let (queued_at, facts, confirmed) = (list.time()?, list.bytes()?, list.small()?);
        let header = self.header(organisation, call, queued_at).await?;
        let attempt = AttemptId { call, claim };
        Ok(Claim {
            held: Held { organisation: organisation.clone(), request: header.id.clone(), attempt, token },
            header,
            destination: codec::read_destination(call.index(), &destination)?,
            queued_at,
            history: codec::read_facts(&facts)?,
            confirmed,
        })
    }

    /// Looks at organisations for which time may have brought something. What it meant for requests.
    async fn look_at(&self, organisations: Vec<OrganisationId>) -> StoreResult<Vec<RequestEvent>> {
        let looks = organisations.iter().map(|organisation| async move {
            let answer = self.send(organisation, Ops::none().op("look")).await;
            let Some(mut answer) = readable(organisation, answer)? else { return Ok(Vec::new()) };
            let mut answer = answer.list()?;
            let (events, suspect) = (answer.events(organisation)?, answer.int()?);
            if suspect > 0 {
                self.ring.suspect(organisation, true).await?;
            }
            Ok::<_, StoreError>(events)
        });
        Ok(try_join_all(looks).await?.into_iter().flatten().collect())
    }

    /// Looks at everything that is due. What it meant for requests, and when the next is due.
    pub(super) async fn look_around(&self) -> StoreResult<(Vec<RequestEvent>, Option<Timestamp>)> {
        for _ in 0..TRIES {
            let pick = self.ring.pick(self.now(), LOOKS, 0).await?;
            if pick.due.is_empty() {
                return Ok((self.take_overheard(), pick.next));
            }
            let events = self.look_at(pick.due).await?;
            self.overhear(events);
        }
        Ok((self.take_overheard(), None))
    }
}
