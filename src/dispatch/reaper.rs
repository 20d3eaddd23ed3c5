//! Looking after what others left: suspect calls, time-driven changes, events nobody published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::claims::Assignment;
use super::leases::TIME_TO_LIVE;
use super::ledger::publish_requests;
use super::legs::hand_on;
use super::worker::Shared;
use crate::model::event::{Beginning, CallContext};
use crate::model::happening::events_in;
use crate::model::{CallId, Event, Timestamp, WorkerId};
use crate::ports::store::{Stage, Suspect, Unconfirmed, Written};
use crate::ports::{StoreError, StoreResult};

/// How often to look.
const ROUND: Duration = Duration::from_secs(3);

/// Most suspects looked at in one round, and most unpublished records.
const BATCH: u32 = 256;

/// Looks after others for as long as the worker lives.
pub async fn look_after_others(shared: Arc<Shared>) {
    let clock = Arc::clone(&shared.ports.clock);
    let mut answering_since: Option<Timestamp> = Some(clock.now());
    let mut adopted_apps = AdoptedApps::default();
    let mut next = clock.now() + ROUND;
    loop {
        clock.sleep_until(next).await;
        let now = clock.now();
        // After an outage every lease looks expired: their owners get a whole time to live to renew them first.
        let may_adopt = answering_since.is_some_and(|since| now.since(since) >= TIME_TO_LIVE);
        match round(&shared, &mut adopted_apps, may_adopt).await {
            Ok(sweep_at) => {
                answering_since = answering_since.or(Some(now));
                next = sweep_at.map_or(now + ROUND, |at| at.clamp(now + Duration::from_millis(1), now + ROUND));
            }
            Err(error) => {
                tracing::warn!(%error, "could not look after others");
                answering_since = None;
                next = clock.now() + ROUND;
            }
        }
    }
}

/// Streams of reports of workers that are gone.
#[derive(Default)]
struct AdoptedApps {
    open: BTreeMap<WorkerId, tokio::task::AbortHandle>,
    tasks: JoinSet<()>,
}

impl AdoptedApps {
    /// Listens in the name of a worker that is gone, unless that is done already.
    async fn listen(&mut self, shared: &Shared, app: &WorkerId) -> bool {
        while self.tasks.try_join_next().is_some() {}
        if *app == shared.settings.id || self.open.get(app).is_some_and(|task| !task.is_finished()) {
            return true;
        }
        match shared.ports.telephony.listen(app).await {
            Ok(reports) => {
                let task = self.tasks.spawn(hand_on(reports, Arc::clone(&shared.roster)));
                self.open.insert(app.clone(), task);
                true
            }
            Err(error) => {
                tracing::warn!(%app, %error, "cannot listen in the name of a worker that is gone");
                false
            }
        }
    }
}

async fn round(shared: &Shared, apps: &mut AdoptedApps, may_adopt: bool) -> StoreResult<Option<Timestamp>> {
    let (events, sweep_at) = shared.ports.store.sweep().await?;
    publish_requests(shared, events);
    let suspects = shared.ports.store.suspects(BATCH).await?;
    if may_adopt && !shared.is_draining() {
        adopt(shared, apps, suspects).await?;
    }
    // While the bus does not confirm, what was handed in last time is still waiting.
    if shared.publisher.waiting() > 0 {
        return Ok(sweep_at);
    }
    let before = shared.ports.clock.now() - TIME_TO_LIVE;
    for unconfirmed in shared.ports.store.unconfirmed(before, BATCH).await? {
        publish_again(shared, unconfirmed);
    }
    Ok(sweep_at)
}

async fn adopt(shared: &Shared, apps: &mut AdoptedApps, suspects: Vec<Suspect>) -> StoreResult<()> {
    let mut locked: BTreeMap<WorkerId, bool> = BTreeMap::new();
    for suspect in suspects {
        // Our own, because this worker stood still: the next renewal tells whether it still is.
        if suspect.worker == shared.settings.id && shared.roster.holds(suspect.held.attempt) {
            continue;
        }
        let mine = match locked.get(&suspect.worker) {
            Some(mine) => *mine,
            None => {
                let mine = shared.ports.store.lock_adoption(&suspect.worker, &shared.settings.id).await?;
                locked.insert(suspect.worker.clone(), mine);
                mine
            }
        };
        let app = &suspect.app;
        // Without its reports a live call cannot be carried: better another worker tries, or this one later.
        if !mine || (suspect.stage == Stage::Dialing && !apps.listen(shared, app).await) {
            continue;
        }
        match shared.ports.store.adopt(&suspect.held, &shared.settings.id).await {
            Ok(Written::Done(adopted)) => {
                tracing::info!(attempt = %suspect.held.attempt, from = %suspect.worker, "adopted");
                // Only a worker that is ending has closed this; the lease then runs out again.
                let _ = shared.assignments.send(Assignment::Adopted(Box::new(adopted)));
            }
            Ok(Written::Fenced) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn publish_again(shared: &Shared, unconfirmed: Unconfirmed) {
    match unconfirmed {
        Unconfirmed::Request(event) => publish_requests(shared, vec![event]),
        Unconfirmed::Call { header, destination, queued_at, history, confirmed } => {
            let steps =
                shared.programs.of(&header).map(|program| Arc::clone(&program.labels)).unwrap_or_else(|_| [].into());
            let call = CallId::new(&header.organisation, &header.id, destination.index);
            let context = Arc::new(CallContext { header, steps, call, destination, queued_at });
            let history = Arc::new(history);
            for (index, fact) in history.iter().enumerate() {
                let seq = events_in(&history[..=index]);
                if seq > confirmed && fact.what.event_type().is_some() {
                    let facts = Beginning::of(&history, index + 1);
                    let worker = shared.settings.id.clone();
                    shared.publisher.publish(Event::Call { context: Arc::clone(&context), facts, seq, worker });
                }
            }
        }
    }
}
