//! Takes requests in: check, load, seal; only then acknowledge.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::insist::insist;
use super::ledger::publish_requests;
use super::shared::Shared;
use crate::model::event::RequestEvent;
use crate::model::request::WindowZone;
use crate::model::status::{RejectReason, RequestSummary};
use crate::model::{Destination, RequestHeader, RequestId};
use crate::policy::prefix_zones;
use crate::ports::queue::Verdict;
use crate::ports::store::{Chunk, Loaded, Opened, Rejection, RequestKey, Totals};
use crate::ports::{Delivery, QueueError, StoreError};
use crate::reading::Problems;
use crate::request::{AcceptedRequest, CheckError, Checker, DestinationStream, Limits, Step};
use crate::telemetry::dispatch as telemetry;
use crate::telemetry::spans;

/// Destinations checked between two looks at what else is to be done.
const CHECKED_AT_ONCE: usize = 512;

/// Destinations in a chunk.
const CHUNK: usize = 256;

/// How long to wait before the queue is asked again after it did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// Takes requests in until the queue is closed or the task is dropped; an unsettled delivery then comes again.
pub async fn take_in(shared: Arc<Shared>) {
    let mut loading: JoinSet<()> = JoinSet::new();
    loop {
        while loading.len() >= shared.settings.intakes {
            loading.join_next().await;
        }
        let delivery = tokio::select! {
            biased;
            Some(_) = loading.join_next(), if !loading.is_empty() => continue,
            delivery = shared.ports.queue.next() => delivery,
        };
        match delivery {
            Ok(Some(delivery)) => {
                let shared = Arc::clone(&shared);
                loading.spawn(async move { take(&shared, delivery).await });
            }
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "no request can be taken in");
                shared.ports.clock.sleep_until(shared.ports.clock.now() + AGAIN).await;
            }
        }
    }
    while loading.join_next().await.is_some() {}
}

/// Why a delivery could not be judged.
#[derive(Debug, thiserror::Error)]
enum IntakeError {
    #[error("the request cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("the request changed while it was loaded: {0}")]
    Changed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn take(shared: &Shared, delivery: Delivery) {
    let verdict = loop {
        // Anew each time: what it says of the request is said once.
        let span = spans::intake(&delivery);
        match judge(shared, &delivery).instrument(span.clone()).await {
            Ok(verdict) => break verdict,
            Err(error) => {
                span.in_scope(|| tracing::error!(%error, "a request is neither accepted nor rejected yet"));
                shared.ports.clock.sleep_until(shared.ports.clock.now() + AGAIN).await;
            }
        }
    };
    loop {
        match shared.ports.queue.settle(&delivery, verdict.clone()).await {
            Ok(()) => return,
            // Whoever gets it now will find it known.
            Err(QueueError::Stale) => return,
            Err(error) => {
                tracing::warn!(%error, "a request is judged but not yet acknowledged");
                shared.ports.clock.sleep_until(shared.ports.clock.now() + AGAIN).await;
            }
        }
    }
}

async fn judge(shared: &Shared, delivery: &Delivery) -> Result<Verdict, IntakeError> {
    let accepted = match check(shared, delivery).await {
        Ok(accepted) => accepted,
        Err(CheckError::Unreadable(error)) => {
            let id = nameless(delivery).or_else(|_| unnamed())?;
            spans::names_request(&id);
            return reject(shared, delivery, id, RejectReason::Invalid, problem(&error.into())).await;
        }
        Err(CheckError::Refused(refused)) => {
            let id = match refused.request_id {
                Some(id) => id,
                None => nameless(delivery)?,
            };
            spans::names_request(&id);
            return reject(shared, delivery, id, refused.reason, refused.problems).await;
        }
    };
    let AcceptedRequest { header, total, duplicates, .. } = accepted;
    let header = Arc::new(RequestHeader { trace: delivery.trace, ..header });
    let key = RequestKey { organisation: header.organisation.clone(), request: header.id.clone() };
    spans::names_request(&key.request);
    let totals = Totals { total, duplicates };
    let clock = &*shared.ports.clock;
    match insist(clock, || shared.ports.store.open_request(&header, totals)).await? {
        Opened::Known(summary) => Ok(Verdict::Accepted(summary)),
        Opened::Conflict => {
            let mut problems = Problems::default();
            problems.add("requestId", "another request of this name exists, with other content");
            reject(shared, delivery, key.request, RejectReason::Conflict, problems).await
        }
        Opened::Load { next_chunk } => {
            let (summary, events) = match load_and_seal(shared, delivery, &header, &key, totals, next_chunk).await {
                Ok(sealed) => sealed,
                Err(error @ IntakeError::Store(StoreError::Unavailable(_) | StoreError::NotFound)) => {
                    return Err(error);
                }
                // A file that changed, or what the store cannot take: it will not heal, and whoever submitted it must know.
                Err(error) => {
                    return reject(shared, delivery, key.request, RejectReason::Invalid, problem(&error)).await;
                }
            };
            publish_requests(shared, events);
            tracing::info!(total, duplicates, "accepted");
            telemetry::accepted(total);
            Ok(Verdict::Accepted(summary))
        }
    }
}

async fn check(shared: &Shared, delivery: &Delivery) -> Result<AcceptedRequest, CheckError> {
    let limits = Limits { max_bytes: delivery.max_bytes, max_destinations: shared.settings.max_destinations };
    let source = delivery.body.open().map_err(CheckError::Unreadable)?;
    let mut checker = Checker::new(source, &delivery.organisation, &*shared.programs, limits);
    loop {
        match checker.step(CHECKED_AT_ONCE) {
            Step::Done(checked) => return *checked,
            Step::More(rest) => checker = rest,
        }
        tokio::task::yield_now().await;
    }
}

async fn load_and_seal(
    shared: &Shared,
    delivery: &Delivery,
    header: &RequestHeader,
    key: &RequestKey,
    totals: Totals,
    next_chunk: u32,
) -> Result<(RequestSummary, Vec<RequestEvent>), IntakeError> {
    let loaded = load(shared, delivery, header, key, next_chunk).await?;
    if loaded != totals.total {
        let total = totals.total;
        return Err(IntakeError::Changed(format!("{total} destinations were checked, {loaded} are there now")));
    }
    let part = header.part.map_or(0, |part| part.index);
    Ok(insist(&*shared.ports.clock, || shared.ports.store.seal(key, part)).await?)
}

/// Loads what the store does not have yet; answers with how many destinations there are.
async fn load(
    shared: &Shared,
    delivery: &Delivery,
    header: &RequestHeader,
    key: &RequestKey,
    next_chunk: u32,
) -> Result<u32, IntakeError> {
    let source = delivery.body.open()?;
    let mut destinations = DestinationStream::new(source, header, 0);
    let mut lanes = Lanes::of(header);
    let mut sending =
        Sending { shared, key, part: header.part.map_or(0, |part| part.index), number: 0, next: next_chunk };
    let mut loaded = 0;
    loop {
        let batch = destinations.next_chunk(CHUNK).map_err(|error| match error {
            crate::request::StreamError::Unreadable(error) => IntakeError::Unreadable(error),
            crate::request::StreamError::Changed(what) => IntakeError::Changed(what),
        })?;
        if batch.is_empty() {
            break;
        }
        loaded += u32::try_from(batch.len()).unwrap_or(u32::MAX);
        for full in lanes.add(batch) {
            sending.send(full).await?;
        }
        tokio::task::yield_now().await;
    }
    for rest in lanes.rest() {
        sending.send(rest).await?;
    }
    Ok(loaded)
}

/// Chunks on their way to the store, counted.
struct Sending<'s> {
    shared: &'s Shared,
    key: &'s RequestKey,
    part: u32,
    number: u32,
    next: u32,
}

impl Sending<'_> {
    /// Stores a chunk, unless the store has it from an earlier try.
    async fn send(&mut self, chunk: Chunk) -> Result<(), StoreError> {
        let number = self.number;
        self.number += 1;
        if number < self.next {
            return Ok(());
        }
        let ports = &self.shared.ports;
        let loaded = insist(&*ports.clock, || ports.store.load_chunk(self.key, self.part, number, &chunk)).await?;
        self.next = match loaded {
            Loaded::Stored => number + 1,
            Loaded::Expected { next_chunk } => next_chunk,
        };
        Ok(())
    }
}

/// Destinations sorted by the clock of their calling window. The same request gives the same chunks in the same order
/// every time, so that a second try can go on where the first one stopped.
struct Lanes {
    by_recipient: bool,
    filling: BTreeMap<Vec<Box<str>>, Vec<Destination>>,
}

impl Lanes {
    fn of(header: &RequestHeader) -> Self {
        let by_recipient =
            header.calling_window.as_ref().is_some_and(|window| window.time_zone == WindowZone::Recipient);
        Self { by_recipient, filling: BTreeMap::new() }
    }

    /// Sorts destinations in, and hands out the chunks that are full.
    fn add(&mut self, batch: Vec<Destination>) -> Vec<Chunk> {
        if !self.by_recipient {
            return vec![Chunk { zones: Vec::new(), destinations: batch }];
        }
        let mut full = Vec::new();
        for destination in batch {
            let zones = zones_of(&destination);
            let lane = self.filling.entry(zones.clone()).or_default();
            lane.push(destination);
            if lane.len() >= CHUNK {
                full.push(Chunk { zones, destinations: std::mem::take(lane) });
            }
        }
        full
    }

    /// What is left when all are sorted.
    fn rest(self) -> impl Iterator<Item = Chunk> {
        let left = self.filling.into_iter().filter(|(_, destinations)| !destinations.is_empty());
        left.map(|(zones, destinations)| Chunk { zones, destinations })
    }
}

fn zones_of(destination: &Destination) -> Vec<Box<str>> {
    match (&destination.time_zone, destination.number.phone()) {
        (Some(zone), _) => vec![zone.clone()],
        (None, Some(phone)) => prefix_zones::zones_of(phone).iter().map(|zone| Box::from(*zone)).collect(),
        // It fails when its turn comes, which must come.
        (None, None) => vec!["Etc/UTC".into()],
    }
}

async fn reject(
    shared: &Shared,
    delivery: &Delivery,
    id: RequestId,
    reason: RejectReason,
    problems: Problems,
) -> Result<Verdict, IntakeError> {
    let key = RequestKey { organisation: delivery.organisation.clone(), request: id };
    let (errors, error_count) = problems.into_parts();
    tracing::warn!(?reason, error_count, "rejected");
    let rejection = Rejection { key, reason, errors, error_count, trace: delivery.trace };
    let (summary, events) = insist(&*shared.ports.clock, || shared.ports.store.reject(&rejection)).await?;
    publish_requests(shared, events);
    telemetry::rejected(reason);
    // Whoever is told of a rejection learns its reasons even where an older request of the same name is kept.
    let Rejection { errors, error_count, .. } = rejection;
    Ok(Verdict::Rejected(RequestSummary { errors, error_count, reason: Some(reason), ..summary }))
}

fn problem(error: &IntakeError) -> Problems {
    let mut problems = Problems::default();
    problems.add("", error.to_string());
    problems
}

/// The name of a request of which nothing can be read.
fn unnamed() -> Result<RequestId, IntakeError> {
    "unreadable".parse().map_err(|_| IntakeError::Changed("it has no name".to_owned()))
}

/// How much of an unreadable request its name is made of: the rest may be endless.
const NAMED_BY: u64 = 64 << 10;

/// A name for a request that does not tell its own: the same for the same beginning.
fn nameless(delivery: &Delivery) -> Result<RequestId, IntakeError> {
    let mut beginning = Vec::new();
    delivery.body.open()?.take(NAMED_BY).read_to_end(&mut beginning)?;
    let digest = Sha256::digest(&beginning);
    let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    // Letters, digits and a dot: a name of at most 128 characters.
    format!("unreadable.{name}").parse().map_err(|_| IntakeError::Changed("its hash is not a name".to_owned()))
}
