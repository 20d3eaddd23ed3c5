//! One attempt from its dial to its end, and who holds it.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::codec;
use super::intake::unexpected;
use super::reply::{Reply, readable, status_number};
use super::script::{Ops, leg_name};
use super::store::{AT_A_TIME, RedisStore};
use crate::callflow::call::CallState;
use crate::model::event::{CallContext, RequestEvent};
use crate::model::happening::dialled_by;
use crate::model::{
    AttemptId, CallStatus, Disposition, DispositionResult, Fact, Happening, LegId, OrganisationId, Party, Timestamp,
    Via, WorkerId,
};
use crate::ports::store::*;
use crate::ports::{StoreError, StoreResult};

/// Most calls named in one script: others wait for it.
const BATCH: usize = 256;

impl RedisStore {
    pub(super) async fn commit(
        &self,
        held: &Held,
        worker: &WorkerId,
        via: &Via,
        state: &CallState,
    ) -> StoreResult<DialDecision> {
        let (before, after) = codec::dialing(held.attempt.claim, via, worker)?;
        let disposition = Disposition::new(DispositionResult::Blocked, Some(Party::Us));
        let blocked = Happening::Ended { status: CallStatus::Blocked, disposition, refusal: None };
        let (blocked, state, organisation) = (codec::happening(&blocked)?, codec::state(state)?, &held.organisation);
        loop {
            let ops = Ops::none().op("begin").held(held).bytes(&before).bytes(&after);
            let mut asked = self.ask_for_good(organisation, ops.bytes(&state).bytes(&blocked)).await?;
            let mut answer = asked.answers.list()?;
            return Ok(match answer.text()?.as_str() {
                // Its window was read on the clocks meanwhile.
                "stale" => continue,
                "fenced" => DialDecision::Fenced,
                "dial" => DialDecision::Dial {
                    committed_at: answer.time()?,
                    again: answer.int()? == 1,
                    history: codec::read_facts(&answer.bytes()?)?,
                    events: answer.events(organisation)?,
                },
                "blocked" => DialDecision::Blocked(Finished {
                    history: codec::read_facts(&answer.bytes()?)?,
                    events: answer.events(organisation)?,
                    refill: Vec::new(),
                }),
                "back" => {
                    DialDecision::GivenBack { why: not_now(&answer.text()?)?, events: answer.events(organisation)? }
                }
                other => return Err(unexpected(other)),
            });
        }
    }

    pub(super) async fn return_claim(&self, held: &Held) -> StoreResult<Written<Vec<RequestEvent>>> {
        let organisation = &held.organisation;
        let mut answer = self.send(organisation, Ops::none().op("back").held(held)).await?.list()?;
        written(&answer.text()?, || answer.events(organisation))
    }

    pub(super) async fn write_checkpoint(
        &self,
        held: &Held,
        after: u32,
        facts: &[Fact],
        state: &CallState,
    ) -> StoreResult<Written<()>> {
        let kept = state.slots();
        let ops = Ops::none().op("checkpoint").held(held).int(after);
        let mut ops = ops.bytes(&codec::facts(facts)?).bytes(&codec::state(state)?);
        ops = ops.int(i64::try_from(kept.len()).unwrap_or_default());
        for leg in kept {
            ops = ops.text(&leg_name(leg));
        }
        let mut answer = self.send(&held.organisation, ops).await?.list()?;
        written(&answer.text()?, || Ok(()))
    }

    pub(super) async fn end(
        &self,
        held: &Held,
        worker: &WorkerId,
        after: u32,
        facts: &[Fact],
        end: AttemptEnd,
        refill: u32,
    ) -> StoreResult<Written<Finished>> {
        let AttemptEnd { disposition, refusal, retry_at, recording } = end;
        let organisation = &held.organisation;
        let ops = Ops::none().op("finish").held(held).text(worker.as_str()).int(after);
        let mut ops = ops.bytes(&codec::facts(facts)?).time(retry_at);
        ops = match retry_at {
            Some(due) => ops.bytes(&codec::happening(&Happening::RetryScheduled { disposition, due })?),
            None => ops.text(""),
        };
        // The store knows whether it was dialled. What was refused undialled has failed.
        let dialled = CallStatus::after(disposition.result);
        let undialled = if refusal.is_some() { CallStatus::Failed } else { dialled };
        for status in [dialled, undialled] {
            ops = ops.int(status_number(status));
            ops = ops.bytes(&codec::happening(&Happening::Ended { status, disposition, refusal })?);
        }
        let ops = ops.text(recording.as_deref().unwrap_or_default());
        let refill = if self.ring.is_closed() { 0 } else { refill };
        let mut asked = self.ask(organisation, ops.int(refill)).await?;
        let mut answer = asked.answers.list()?;
        match answer.text()?.as_str() {
            "done" => {}
            "fenced" => return Ok(Written::Fenced),
            "forgotten" => return Err(StoreError::Forgotten),
            other => return Err(unexpected(other)),
        }
        let (history, events) = (codec::read_facts(&answer.bytes()?)?, answer.events(organisation)?);
        let claims = self.claims_of(organisation, answer.lists()?).await?;
        let more = self.and_behind_windows(organisation, worker, refill, claims, asked.was_stale);
        // The end stands, whether or not there is a next.
        let mut refill = more.await.unwrap_or_default();
        if self.ring.is_closed() {
            // The server may have become another meanwhile, which does not know whom the one before had dialled.
            self.return_all(&std::mem::take(&mut refill)).await;
        }
        Ok(Written::Done(Finished { history, events, refill }))
    }

    pub(super) async fn ask_for_slot(
        &self,
        held: &Held,
        leg: LegId,
        until: Timestamp,
    ) -> StoreResult<Written<SlotAnswer>> {
        if leg.attempt != held.attempt {
            return Ok(Written::Fenced);
        }
        if self.ring.is_closed() {
            // Whoever holds slots may not have said so again.
            return Ok(Written::Done(SlotAnswer::Waiting));
        }
        let ops = Ops::none().op("slot").held(held).text(&leg_name(leg)).time(Some(until));
        let mut answer = self.send(&held.organisation, ops).await?.list()?;
        Ok(match answer.text()?.as_str() {
            "granted" => Written::Done(SlotAnswer::Granted),
            "waiting" => Written::Done(SlotAnswer::Waiting),
            "fenced" => Written::Fenced,
            "forgotten" => return Err(StoreError::Forgotten),
            other => return Err(unexpected(other)),
        })
    }

    pub(super) async fn say_again(
        &self,
        held: &Held,
        worker: &WorkerId,
        call: &CallContext,
        history: &[Fact],
        state: &CallState,
    ) -> StoreResult<Written<Vec<RequestEvent>>> {
        let organisation = &held.organisation;
        let dials = history.iter().filter(|fact| matches!(fact.what, Happening::Dialing { .. })).count();
        let longest = call.header.ring_timeout + call.header.max_call_duration;
        let (dials, longest) =
            (i64::try_from(dials).unwrap_or_default(), i64::try_from(longest.as_millis()).unwrap_or_default());
        let ops = Ops::none().op("reassert").held(held).text(worker.as_str()).text(held.request.as_str());
        let ops = ops.bytes(&codec::facts(history)?).bytes(&codec::state(state)?).int(dials).int(longest);
        let legs = state.slots();
        let ops = legs
            .iter()
            .fold(ops.int(i64::try_from(legs.len()).unwrap_or_default()), |ops, leg| ops.text(&leg_name(*leg)));
        let mut answer = self.send(organisation, ops).await?.list()?;
        written(&answer.text()?, || answer.events(organisation))
    }

    pub(super) async fn renew_all(&self, held: &[Held]) -> StoreResult<Renewed> {
        let mut renewed = Renewed::default();
        // Thousands of organisations may have calls here, and whoever renews late has lost them.
        let mut asked = Vec::new();
        for (organisation, batch) in batches(held) {
            asked.push(self.ask_about_all("renew", organisation, batch));
        }
        let answers: Vec<_> = stream::iter(asked).buffered(AT_A_TIME).try_collect().await?;
        for (batch, answer) in answers {
            let Some(mut answer) = answer else {
                // Not renewed, and so not ours for long.
                renewed.lost.extend(batch.into_iter().cloned());
                continue;
            };
            let mut answers = answer.list()?;
            for held in batch {
                match answers.int()? {
                    0 => renewed.lost.push(held.clone()),
                    1 => {}
                    3 => renewed.forgotten.push(held.clone()),
                    _ => renewed.hang_up.push(held.clone()),
                }
            }
        }
        Ok(renewed)
    }

    pub(super) async fn hand_all_over(&self, held: &[Held]) -> StoreResult<()> {
        let mut asked = Vec::new();
        for (organisation, batch) in batches(held) {
            asked.push(self.ask_about_all("hand_over", organisation, batch));
        }
        stream::iter(asked).buffered(AT_A_TIME).try_for_each(|_| std::future::ready(Ok(()))).await
    }

    /// An operation on calls of one organisation, and the answer; none if what is kept of it cannot be read.
    async fn ask_about_all<'h>(
        &self,
        what: &str,
        organisation: &OrganisationId,
        batch: Vec<&'h Held>,
    ) -> StoreResult<(Vec<&'h Held>, Option<Reply>)> {
        let ops = batch.iter().fold(Ops::none().op(what).count(batch.len()), |ops, held| ops.held(held));
        let answer = readable(organisation, self.send(organisation, ops).await)?;
        Ok((batch, answer))
    }

    pub(super) async fn find_suspects(&self, limit: u32) -> StoreResult<Vec<Suspect>> {
        let (events, _) = self.look_around().await?;
        self.overhear(events);
        let mut found = Vec::new();
        for organisation in self.ring.suspects().await? {
            let ops = Ops::none().op("suspects").int(limit);
            let answer = self.send(&organisation, ops).await;
            let Some(mut answer) = readable(&organisation, answer)? else { continue };
            let lists = answer.lists()?;
            if lists.is_empty() {
                self.ring.suspect(&organisation, false).await?;
            }
            for list in lists {
                found.extend(readable(&organisation, suspect(&organisation, list))?);
            }
        }
        // Those handed over first, then by how long they have been suspect.
        found.sort_by_key(|(expired, suspect)| (*expired, suspect.held.attempt));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found.into_iter().map(|(_, suspect)| suspect).collect())
    }

    pub(super) async fn take_over(&self, suspect: &Held, adopter: &WorkerId) -> StoreResult<Written<Adopted>> {
        let organisation = &suspect.organisation;
        let fact = codec::happening(&Happening::Adopted { worker: adopter.clone() })?;
        let ops = Ops::none().op("adopt").held(suspect).text(adopter.as_str()).bytes(&fact);
        let mut answer = self.send(organisation, ops).await?.list()?;
        if answer.text()? == "fenced" {
            return Ok(Written::Fenced);
        }
        let claim = self.claim_of(organisation, answer.list()?).await?;
        let stage = stage(&answer.text()?);
        let state = codec::read_state(&answer.bytes()?)?;
        Ok(Written::Done(Adopted { claim, stage, state, hang_up: answer.int()? == 1 }))
    }
}

/// Held calls by organisation, a bounded number at a time.
fn batches(held: &[Held]) -> Vec<(&OrganisationId, Vec<&Held>)> {
    let mut by_organisation: BTreeMap<&OrganisationId, Vec<&Held>> = BTreeMap::new();
    for held in held {
        by_organisation.entry(&held.organisation).or_default().push(held);
    }
    let mut batches = Vec::new();
    for (organisation, held) in by_organisation {
        batches.extend(held.chunks(BATCH).map(|batch| (organisation, batch.to_vec())));
    }
    batches
}

fn written<T>(answer: &str, value: impl FnOnce() -> StoreResult<T>) -> StoreResult<Written<T>> {
    match answer {
        "done" => Ok(Written::Done(value()?)),
        "fenced" => Ok(Written::Fenced),
        "forgotten" => Err(StoreError::Forgotten),
        other => Err(unexpected(other)),
    }
}

fn not_now(why: &str) -> StoreResult<NotNow> {
    Ok(match why {
        "paused" => NotNow::Paused,
        "over" => NotNow::Over,
        "rate" => NotNow::Rate,
        "window" => NotNow::Window,
        "slot" => NotNow::NoSlot,
        other => return Err(unexpected(other)),
    })
}

pub(super) fn stage(text: &str) -> Stage {
    if text == "D" { Stage::Dialing } else { Stage::Claimed }
}

/// A suspect, and when its lease ended.
fn suspect(organisation: &OrganisationId, mut list: Reply) -> StoreResult<(i64, Suspect)> {
    let attempt = AttemptId { call: list.call()?, claim: list.small()? };
    let (token, worker): (_, WorkerId) = (Token(list.large()?), list.parse()?);
    let (stage, over_at, expired) = (stage(&list.text()?), list.time()?, list.int()?);
    let history = codec::read_facts(&list.bytes()?)?;
    let app = dialled_by(&history).unwrap_or(&worker).clone();
    let held = Held { organisation: organisation.clone(), request: list.parse()?, attempt, token };
    Ok((expired, Suspect { held, worker, app, stage, over_at, handed_over: expired == 0 }))
}
