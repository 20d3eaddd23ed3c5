//! Requests on their way in: opened, loaded chunk by chunk, sealed; or refused.

use std::sync::Arc;

use super::PARTS_WITHIN;
use super::lane::{Lane, StoredChunk};
use super::record::{Call, write};
use super::request::{Life, LoadedChunk, Over, PartLoad, Refusal, Request};
use super::slab::ReqIx;
use super::state::{Deadline, State, bare_header};
use crate::model::event::RequestEvent;
use crate::model::status::{Counts, RequestSummary};
use crate::model::{EventType, RequestHeader, RequestStatus};
use crate::ports::store::{Chunk, Loaded, Opened, Rejection, RequestKey, StoreError, StoreResult, Totals};

/// A refusal of what only a mistake of ours can ask for.
fn mistaken(what: String) -> StoreError {
    StoreError::Refused(what)
}

/// Whether two headers are of the same request: the same but for what each part has for itself.
fn of_one_request(one: &RequestHeader, other: &RequestHeader) -> bool {
    let count = |header: &RequestHeader| header.part.map(|part| part.count);
    let bare =
        |header: &RequestHeader| RequestHeader { content_hash: [0; 32], part: None, trace: None, ..header.clone() };
    count(one) == count(other) && bare(one) == bare(other)
}

impl State {
    pub fn open_request(&mut self, header: &Arc<RequestHeader>, totals: Totals) -> Opened {
        self.taken_in(&header.organisation, &header.id);
        let part = header.part.map_or(0, |part| part.index);
        let known = self.place_for(header);
        let Some(ix) = known else { return Opened::Conflict };
        let request = &mut self.requests[ix];
        if !of_one_request(&request.header, header) || part >= request.part_count() {
            return Opened::Conflict;
        }
        if let Some(there) = request.parts.get(&part) {
            return if there.content_hash != header.content_hash {
                Opened::Conflict
            } else if there.sealed || request.life == Life::Complete {
                Opened::Known(request.summary(self.now))
            } else {
                Opened::Load { next_chunk: there.next_chunk }
            };
        }
        if request.life == Life::Complete {
            // Ended before this part came: cancelled, or too late.
            return Opened::Known(request.summary(self.now));
        }
        if part == 0 {
            // The header of a request in parts is that of its first part, in whatever order they come.
            request.header = Arc::clone(header);
        }
        let load = PartLoad {
            content_hash: header.content_hash,
            totals,
            loaded: 0,
            next_chunk: 0,
            sealed: false,
            chunks: Vec::new(),
        };
        request.parts.insert(part, load);
        Opened::Load { next_chunk: 0 }
    }

    /// The record under a header's name, made if there is none; none if the name's hash is another's.
    fn place_for(&mut self, header: &Arc<RequestHeader>) -> Option<ReqIx> {
        let key = RequestKey { organisation: header.organisation.clone(), request: header.id.clone() };
        let life = Life::Loading { since: self.now };
        if let Some(ix) = self.find(&key) {
            if self.requests[ix].life == Life::Rejected {
                // A rejected request may come again, put right. Its events go on counting.
                self.unlist(ix);
                let rejected = &mut self.requests[ix];
                let mut anew = Request::new(rejected.org, Arc::clone(header), life);
                anew.events = std::mem::take(&mut rejected.events);
                if let Some(until) = rejected.kept_until {
                    self.deadlines.remove(&(until, Deadline::Retention, ix));
                }
                *rejected = anew;
                self.deadlines.insert((self.now + PARTS_WITHIN, Deadline::Parts, ix));
            }
            return Some(ix);
        }
        let org = self.org_ix(&header.organisation);
        let request = Request::new(org, Arc::clone(header), life);
        if self.by_hash.contains_key(&request.first_call.request_hash()) {
            return None;
        }
        let ix = self.insert(request);
        self.deadlines.insert((self.now + PARTS_WITHIN, Deadline::Parts, ix));
        Some(ix)
    }

    pub fn load_chunk(&mut self, key: &RequestKey, part: u32, number: u32, chunk: &Chunk) -> StoreResult<Loaded> {
        let ix = self.find_accepted(key)?;
        let request = &mut self.requests[ix];
        let Some(load) = request.parts.get_mut(&part) else { return Err(StoreError::NotFound) };
        let next_chunk = load.next_chunk;
        if load.sealed || request.life == Life::Complete || number != next_chunk {
            return Ok(Loaded::Expected { next_chunk });
        }
        let total = load.totals.total;
        if let Some(bad) = chunk.destinations.iter().find(|destination| destination.index >= total) {
            return Err(mistaken(format!("destination {} of a part of {total}", bad.index)));
        }
        let mut places = Vec::with_capacity(chunk.destinations.len());
        self.scratch.clear();
        for destination in &chunk.destinations {
            places.push((destination.index, u32::try_from(self.scratch.len()).unwrap_or(u32::MAX)));
            write(&mut self.scratch, destination);
        }
        if u32::try_from(self.scratch.len()).is_err() {
            return Err(mistaken("a chunk of more than 4 GiB".to_owned()));
        }
        load.loaded = load.loaded.saturating_add(u32::try_from(places.len()).unwrap_or(u32::MAX));
        load.next_chunk = load.next_chunk.saturating_add(1);
        load.chunks.push(LoadedChunk { zones: chunk.zones.clone(), bytes: self.scratch.as_slice().into(), places });
        Ok(Loaded::Stored)
    }

    pub fn seal(&mut self, key: &RequestKey, part: u32) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        let ix = self.find_accepted(key)?;
        let request = &mut self.requests[ix];
        let count = request.part_count();
        let Some(load) = request.parts.get_mut(&part) else { return Err(StoreError::NotFound) };
        if load.sealed || request.life == Life::Complete {
            return Ok((request.summary(self.now), self.seal_events(ix)));
        }
        if !is_whole(load) {
            return Err(mistaken(format!("part {part} has {} of {} destinations", load.loaded, load.totals.total)));
        }
        load.sealed = true;
        let totals = load.totals;
        request.total = request.total.saturating_add(totals.total);
        request.duplicates = request.duplicates.saturating_add(totals.duplicates);
        request.counts.queued = request.total;
        self.list_now(ix);
        let request = &mut self.requests[ix];
        if request.parts.values().filter(|load| load.sealed).count() < count as usize {
            return Ok((request.summary(self.now), Vec::new()));
        }
        self.assemble(ix);
        self.emit(ix, EventType::RequestAccepted);
        let request = &self.requests[ix];
        let (schedule, expiry) = (request.header.scheduled_at, request.header.expires_at);
        if let Some(at) = schedule.filter(|at| *at > self.now) {
            self.deadlines.insert((at, Deadline::Schedule, ix));
            self.emit(ix, EventType::RequestScheduled);
        }
        if let Some(at) = expiry {
            self.deadlines.insert((at, Deadline::Expiry, ix));
        }
        self.refresh(ix);
        self.check_rest(ix);
        self.woke = true;
        Ok((self.requests[ix].summary(self.now), self.seal_events(ix)))
    }

    /// What sealing a request meant, as long as nobody has confirmed it: asked twice, it is told twice.
    fn seal_events(&self, ix: ReqIx) -> Vec<RequestEvent> {
        let of_sealing = |event: &&RequestEvent| {
            matches!(event.kind, EventType::RequestAccepted | EventType::RequestScheduled)
                || event.kind == EventType::RequestCompleted && event.summary.total == 0
        };
        self.requests[ix].events.unconfirmed.iter().filter(of_sealing).cloned().collect()
    }

    /// Makes the calls of a request out of its sealed parts.
    pub fn assemble(&mut self, ix: ReqIx) {
        self.last_seal += 1;
        let request = &mut self.requests[ix];
        if let Life::Loading { since } = request.life {
            self.deadlines.remove(&(since + PARTS_WITHIN, Deadline::Parts, ix));
        }
        request.life = Life::Complete;
        request.seal_order = self.last_seal;
        request.sealed_at = Some(self.now);
        request.calls.reserve_exact(request.total as usize);
        let mut lanes = std::collections::BTreeMap::new();
        for load in request.parts.values_mut() {
            let chunks = std::mem::take(&mut load.chunks);
            if !load.sealed {
                continue;
            }
            let base = u32::try_from(request.calls.len()).unwrap_or(u32::MAX);
            let end = request.calls.len() + load.totals.total as usize;
            request.calls.resize_with(end, || Call::waiting(0, 0));
            for chunk in chunks.into_iter().filter(|chunk| !chunk.places.is_empty()) {
                let number = u32::try_from(request.chunks.len()).unwrap_or(u32::MAX);
                let lane = *lanes.entry(chunk.zones).or_insert_with_key(|zones| {
                    request.lanes.push(Lane::new(request.header.calling_window.as_ref(), zones));
                    request.lanes.len() - 1
                });
                request.lanes[lane].chunks.push(number);
                for (index, offset) in chunk.places {
                    request.calls[(base + index) as usize] = Call::waiting(number, offset);
                }
                let lane = u32::try_from(lane).unwrap_or(u32::MAX);
                request.chunks.push(StoredChunk { lane, bytes: chunk.bytes, base });
            }
        }
    }

    pub fn reject(&mut self, rejection: &Rejection) -> (RequestSummary, Vec<RequestEvent>) {
        self.taken_in(&rejection.key.organisation, &rejection.key.request);
        let now = self.now;
        let refusal =
            Refusal { reason: rejection.reason, errors: rejection.errors.clone(), error_count: rejection.error_count };
        let summary = RequestSummary {
            request_id: rejection.key.request.clone(),
            status: RequestStatus::Failed,
            total: 0,
            duplicates: 0,
            counts: Counts::default(),
            flow_hash: None,
            errors: refusal.errors.clone(),
            error_count: refusal.error_count,
            reason: Some(refusal.reason),
            trace: rejection.trace,
        };
        let ix = self.find(&rejection.key).unwrap_or_else(|| {
            let org = self.org_ix(&rejection.key.organisation);
            self.insert(Request::new(org, bare_header(&rejection.key), Life::Rejected))
        });
        let request = &mut self.requests[ix];
        if let Some(before) = request
            .events
            .last_rejection
            .as_deref()
            .filter(|before| RequestSummary { trace: summary.trace, ..before.summary.clone() } == summary)
        {
            // The same refusal again: nobody can tell a repeated question from a repeated mistake, so it is one event.
            return (summary, vec![before.clone()]);
        }
        if request.life == Life::Rejected {
            request.refusal = Some(Box::new(refusal));
            request.ended_at = Some(now);
            self.list_now(ix);
        }
        let request = &mut self.requests[ix];
        let event = request.emit_with(EventType::RequestRejected, now, summary.clone());
        request.events.last_rejection = Some(Box::new(event.clone()));
        self.note_unconfirmed(ix);
        if self.requests[ix].life == Life::Rejected {
            self.keep_for_retention(ix);
        }
        (summary, vec![event])
    }

    /// Gives up on parts that did not come in time.
    pub fn give_up_on_parts(&mut self, ix: ReqIx) -> Option<RequestEvent> {
        let request = &mut self.requests[ix];
        let missing: Vec<String> = (0..request.part_count())
            .filter(|index| !request.parts.get(index).is_some_and(|load| load.sealed))
            .map(|index| index.to_string())
            .collect();
        if missing.len() == request.part_count() as usize {
            // Nothing of it was acknowledged, so it may come again; to nobody does it exist.
            self.drop_request(ix);
            return None;
        }
        let shown = missing.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
        let message =
            format!("{} of {} parts did not come within 24 hours: {shown}", missing.len(), request.part_count());
        let error = crate::model::status::RequestError { path: "part".to_owned(), message };
        let reason = crate::model::status::RejectReason::Invalid;
        request.refusal = Some(Box::new(Refusal { reason, errors: vec![error], error_count: 1 }));
        self.end_waiting(ix, Over::Incomplete)
    }
}

/// Whether a part has each of its destinations once.
fn is_whole(load: &PartLoad) -> bool {
    let mut seen = vec![false; load.totals.total as usize];
    if load.loaded != load.totals.total {
        return false;
    }
    load.chunks
        .iter()
        .flat_map(|chunk| &chunk.places)
        .all(|(index, _)| seen.get_mut(*index as usize).is_some_and(|seen| !std::mem::replace(seen, true)))
}
