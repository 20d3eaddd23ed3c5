//! Requests and organisations as a whole: commands, Status, settings, and what leaves.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::Value;

use super::codec::{self, unfit, unreadable};
use super::intake::{first_call, unexpected};
use super::listing::read_shown;
use super::organisations::read_change;
use super::reply::{Reply, call_status, readable};
use super::script::Ops;
use super::store::{AT_A_TIME, RedisStore};
use crate::model::{AttemptId, CallId, CallStatus, OrganisationId, Phone, RequestId, Timestamp, WorkerId};
use crate::ports::store::*;
use crate::ports::{StoreError, StoreResult};

/// Events confirmed at once: the database does nothing else meanwhile.
const CONFIRMED: usize = 64;

/// Most calls shown by one script: others wait for it.
const BATCH: usize = 256;

/// Blocked numbers in one piece, about.
const BLOCKED: u32 = 1_000;

impl RedisStore {
    pub(super) async fn owner_of(
        &self,
        organisation: &OrganisationId,
        call: CallId,
    ) -> StoreResult<Option<(Held, WorkerId)>> {
        let ops = Ops::none().op("owner").text(&call.to_string());
        let owner = self.send(organisation, ops).await?.list()?;
        if owner.is_empty() { Ok(None) } else { read_owner(organisation, owner).map(Some) }
    }

    pub(super) async fn find_request_of(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<RequestId> {
        let ops = Ops::none().op("request_of").text(&call.to_string());
        let mut answer = self.send(organisation, ops).await?.list()?;
        if answer.is_empty() { Err(StoreError::NotFound) } else { answer.parse() }
    }

    pub(super) async fn find_live(
        &self,
        organisation: &OrganisationId,
        request: Option<&RequestId>,
    ) -> StoreResult<Vec<LiveCall>> {
        let ops = Ops::none().op("live");
        let ops = match request {
            Some(request) => ops.request(CallId::new(organisation, request, 0)),
            None => ops.text(""),
        };
        let answer = self.send(organisation, ops).await?.lists()?;
        let mut found: Vec<LiveCall> =
            answer.into_iter().map(|live| read_live(organisation, live)).collect::<StoreResult<_>>()?;
        found.sort_by(|one, other| {
            let place = |call: &LiveCall| (call.held.request.clone(), call.held.attempt.call.index());
            place(one).cmp(&place(other))
        });
        Ok(found)
    }

    pub(super) async fn show(&self, key: &RequestKey) -> StoreResult<RequestSnapshot> {
        let ops = Ops::none().op("request").request(first_call(key));
        let mut answer = self.send(&key.organisation, ops).await?.list()?;
        if answer.is_empty() {
            return Err(StoreError::NotFound);
        }
        let shown = read_shown(&mut answer)?;
        if shown.0.request_id != key.request {
            return Err(StoreError::NotFound);
        }
        self.snapshot_of(&key.organisation, shown).await
    }

    pub(super) async fn show_calls(&self, key: &RequestKey, from: u32, limit: u32) -> StoreResult<Vec<CallSnapshot>> {
        let (mut calls, end) = (Vec::new(), from.saturating_add(limit));
        let (mut from, batch) = (from, u32::try_from(BATCH).unwrap_or(u32::MAX));
        while from < end {
            let want = batch.min(end - from);
            let ops = Ops::none().op("calls").request(first_call(key)).int(from).int(want);
            let mut answer = self.send(&key.organisation, ops).await?.list()?;
            if answer.text()? == "missing" {
                return Err(StoreError::NotFound);
            }
            let over = answer.text()?;
            let found = answer.bytes()?;
            if found.is_empty() {
                break;
            }
            let mut left = &*found;
            while !left.is_empty() {
                calls.push(read_call(&over, &mut left)?);
            }
            from += want;
        }
        Ok(calls)
    }

    /// A piece at a time, outside the script: the list may be long, and nobody must wait for it.
    pub(super) async fn read_is_blocked(&self, organisation: &OrganisationId, phone: Phone) -> StoreResult<bool> {
        let mut asked = redis::cmd("SISMEMBER");
        asked.arg(self.key(organisation, "blocked")).arg(phone.digits());
        match self.command(&asked).await? {
            redis::Value::Int(listed) => Ok(listed == 1),
            other => Err(unfit(&other, "to SISMEMBER")),
        }
    }

    pub(super) async fn read_blocked(&self, organisation: &OrganisationId) -> StoreResult<Vec<Phone>> {
        let (key, mut cursor, mut found) = (self.key(organisation, "blocked"), "0".to_owned(), BTreeSet::new());
        loop {
            let mut piece = redis::cmd("SSCAN");
            piece.arg(&key).arg(&cursor).arg("COUNT").arg(BLOCKED);
            let mut answer = Reply::of(self.command(&piece).await?)?;
            cursor = answer.text()?;
            let mut numbers = answer.list()?;
            while !numbers.is_empty() {
                found.insert(numbers.parse()?);
            }
            if cursor == "0" {
                return Ok(found.into_iter().collect());
            }
        }
    }

    pub(super) async fn note_confirmed(&self, confirmations: &[Confirmation]) -> StoreResult<()> {
        let mut by_organisation: BTreeMap<&OrganisationId, Vec<&Confirmation>> = BTreeMap::new();
        for confirmation in confirmations {
            by_organisation.entry(&confirmation.organisation).or_default().push(confirmation);
        }
        let mut told = Vec::new();
        for (organisation, confirmations) in &by_organisation {
            told.extend(confirmations.chunks(CONFIRMED).map(|batch| self.note_confirmed_of(organisation, batch)));
        }
        stream::iter(told).buffered(AT_A_TIME).try_collect().await
    }

    async fn note_confirmed_of(&self, organisation: &OrganisationId, batch: &[&Confirmation]) -> StoreResult<()> {
        let ops = batch.iter().fold(Ops::none(), |ops, confirmation| {
            let ops = match &confirmation.subject {
                Subject::Call(call) => ops.op("confirm_call").text(&call.to_string()),
                Subject::Request(request) => ops.op("confirm_request").request(CallId::new(organisation, request, 0)),
                Subject::Organisation => ops.op("confirm_change"),
            };
            ops.int(confirmation.seq)
        });
        readable(organisation, self.send(organisation, ops).await).map(drop)
    }

    async fn unconfirmed_call(&self, organisation: &OrganisationId, mut list: Reply) -> StoreResult<Unconfirmed> {
        let call = list.call()?;
        let (destination, queued_at, facts) = (list.bytes()?, list.time()?, list.bytes()?);
        Ok(Unconfirmed::Call {
            header: self.header(organisation, call, queued_at).await?,
            destination: codec::read_destination(call.index(), &destination)?,
            queued_at,
            history: codec::read_facts(&facts)?,
            confirmed: list.small()?,
        })
    }

    pub(super) async fn find_unconfirmed(&self, before: Timestamp, limit: u32) -> StoreResult<Vec<Unconfirmed>> {
        let (mut events, mut calls, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        let unheard = self.ring.unheard(before).await?;
        // However many of its own one organisation has made, they keep nobody else's waiting.
        let share = share_of(limit, unheard.len());
        for organisation in unheard {
            let ops = Ops::none().op("unconfirmed").time(Some(before)).int(limit).int(share);
            let Some(mut answer) = readable(&organisation, self.send(&organisation, ops).await)? else { continue };
            let mut answer = answer.list()?;
            events.extend(answer.events(&organisation)?.into_iter().map(Unconfirmed::Request));
            for list in answer.lists()? {
                calls.extend(readable(&organisation, self.unconfirmed_call(&organisation, list).await)?);
            }
            for list in answer.lists()? {
                changes.extend(readable(&organisation, read_change(&organisation, list))?);
            }
            if events.len() + calls.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                break;
            }
        }
        events.extend(calls);
        events.extend(changes.into_iter().map(Unconfirmed::Organisation));
        events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(events)
    }
}

pub(super) fn read_owner(organisation: &OrganisationId, mut list: Reply) -> StoreResult<(Held, WorkerId)> {
    let request = list.parse()?;
    let attempt = AttemptId { call: list.call()?, claim: list.small()? };
    let token = Token(list.large()?);
    Ok((Held { organisation: organisation.clone(), request, attempt, token }, list.parse()?))
}

fn read_live(organisation: &OrganisationId, mut list: Reply) -> StoreResult<LiveCall> {
    let request = list.parse()?;
    let attempt = AttemptId { call: list.call()?, claim: list.small()? };
    let held = Held { organisation: organisation.clone(), request, attempt, token: Token(list.large()?) };
    let (worker, stage) = (list.parse()?, super::transitions::stage(&list.text()?));
    Ok(LiveCall {
        worker,
        stage,
        renewed_until: list.time()?,
        destination: codec::read_destination(attempt.call.index(), &list.bytes()?)?,
        history: codec::read_facts(&list.bytes()?)?,
        held,
    })
}

/// The next of calls that stand one after the other.
fn read_call(over: &str, bytes: &mut &[u8]) -> StoreResult<CallSnapshot> {
    let half = || unreadable("half a call");
    let number = |bytes: &mut &[u8]| {
        let (number, rest) = bytes.split_first_chunk::<4>().ok_or_else(half)?;
        *bytes = rest;
        Ok::<_, StoreError>(u32::from_be_bytes(*number))
    };
    let index = number(bytes)?;
    let ([status, held], rest) = bytes.split_first_chunk::<2>().ok_or_else(half)?;
    let (status, held) = (call_status(u32::from(*status))?, *held == 1);
    *bytes = rest;
    let (of_destination, of_facts) = (number(bytes)? as usize, number(bytes)? as usize);
    let (destination, rest) = bytes.split_at_checked(of_destination).ok_or_else(half)?;
    let (facts, rest) = rest.split_at_checked(of_facts).ok_or_else(half)?;
    *bytes = rest;
    // What waited when the request ended as a whole has ended with it, though its entry was not touched.
    let status = match over {
        _ if held || status.is_final() => status,
        "" => status,
        "C" => CallStatus::Cancelled,
        "E" | "I" => CallStatus::Expired,
        other => return Err(unexpected(other)),
    };
    let destination = codec::read_destination(index, destination)?;
    Ok(CallSnapshot { destination, status, history: codec::read_facts(facts)? })
}

/// Names that a plain command answered.
pub(super) fn names(answer: Value) -> StoreResult<Vec<OrganisationId>> {
    let values = match answer {
        Value::Set(values) => Value::Array(values),
        other => other,
    };
    let (mut list, mut names) = (Reply::of(values)?, Vec::new());
    while !list.is_empty() {
        names.push(list.parse()?);
    }
    Ok(names)
}
