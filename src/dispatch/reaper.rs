//! Looking after what others left: suspect calls, time-driven changes, events nobody published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::apps::Apps;
use super::assignment::{Adoption, Assignment};
use super::fence::AUTHORITY;
use super::leases::TIME_TO_LIVE;
use super::ledger::publish_requests;
use super::shared::Shared;
use crate::model::event::{Beginning, CallContext};
use crate::model::happening::events_in;
use crate::model::{CallId, Event, Timestamp, WorkerId};
use crate::ports::store::{Stage, Suspect, Unconfirmed, Written};
use crate::ports::{StoreError, StoreResult};
use crate::telemetry::dispatch as telemetry;
use crate::telemetry::spans;

/// How often to look.
const ROUND: Duration = Duration::from_secs(3);

/// How soon to look again at what time alone brings. With thousands of organisations something is due all the time, and every
/// worker looks.
const SOONEST: Duration = Duration::from_millis(250);

/// After so long without an answered round the world may have stood still, the store with it: nobody could renew.
const STANDSTILL: Duration = Duration::from_secs(15);

/// Suspects looked at in one round, and unpublished records.
const BATCH: u32 = 256;

/// Suspects looked at if none of those that came first could be taken over.
const REACH: u32 = 65_536;

/// Looks after others for as long as the worker lives, which could claim nothing before `began_at`.
pub async fn look_after_others(shared: Arc<Shared>, began_at: Timestamp) {
    let clock = Arc::clone(&shared.ports.clock);
    let mut patience = Patience { began_at, answering_since: began_at, last_answer: began_at };
    let mut apps = Apps::default();
    let (mut reach, mut republished) = (BATCH, 0);
    let mut whole_at = clock.now() + ROUND;
    let mut next = whole_at;
    loop {
        clock.sleep_until(next).await;
        let now = clock.now();
        let looked = if now < whole_at {
            sweep(&shared).await.map(|look_at| Looked { look_at, is_to_go_on: false })
        } else {
            whole_at = now + ROUND;
            round(&shared, &mut apps, &mut patience, &mut reach, &mut republished).await
        };
        match looked {
            Ok(looked) => {
                patience.answered(clock.now());
                if looked.is_to_go_on {
                    whole_at = now + Duration::from_millis(1);
                }
                next = looked.look_at.map_or(whole_at, |at| at.max(now + SOONEST).min(whole_at));
            }
            Err(error) => {
                tracing::warn!(%error, "could not look after others");
                patience.start_anew(clock.now());
                whole_at = clock.now() + ROUND;
                next = whole_at;
            }
        }
    }
}

/// What a look found.
struct Looked {
    /// When time alone brings something next.
    look_at: Option<Timestamp>,
    /// Whether there are more suspects, and nobody speaks to their callees.
    is_to_go_on: bool,
}

/// Carries out what time alone brings; answers when there is more.
async fn sweep(shared: &Shared) -> StoreResult<Option<Timestamp>> {
    let (events, look_at) = shared.ports.store.sweep().await?;
    publish_requests(shared, events);
    Ok(look_at)
}

/// After an outage every lease looks expired: their owners get a whole time to live to renew them first, but for those
/// who surely are no more.
struct Patience {
    began_at: Timestamp,
    answering_since: Timestamp,
    last_answer: Timestamp,
}

impl Patience {
    fn start_anew(&mut self, now: Timestamp) {
        (self.answering_since, self.last_answer) = (now, now);
    }

    /// A round was answered, however long it took.
    fn answered(&mut self, now: Timestamp) {
        self.notice_standstill(now);
        self.last_answer = now;
    }

    /// Whether the store has been answering for long enough.
    fn is_over(&mut self, now: Timestamp) -> bool {
        self.notice_standstill(now);
        now.since(self.answering_since) >= TIME_TO_LIVE
    }

    /// Whether calls in this worker's own name that look expired at `now` are an earlier process's. That one is dead, or
    /// about to find its name taken; and nothing that this one was granted can have run out so soon. Later on it may be
    /// its own: a call that has left the roster is settled for as long as the store takes to answer.
    fn own_are_anothers(&self, now: Timestamp) -> bool {
        now.since(self.began_at) < AUTHORITY
    }

    fn notice_standstill(&mut self, now: Timestamp) {
        if now.since(self.last_answer) > STANDSTILL {
            self.start_anew(now);
        }
    }
}

/// One look at everything.
async fn round(
    shared: &Shared,
    apps: &mut Apps,
    patience: &mut Patience,
    reach: &mut u32,
    republished: &mut usize,
) -> StoreResult<Looked> {
    let began_at = shared.ports.clock.now();
    let may_adopt = patience.is_over(began_at);
    apps.keep(shared).await?;
    let look_at = sweep(shared).await?;
    let mut suspects = shared.ports.store.suspects(*reach).await?;
    let all = suspects.len();
    let from_before = patience.own_are_anothers(shared.ports.clock.now());
    let own = |suspect: &Suspect| suspect.worker == shared.settings.id;
    // Nobody renews what was handed over: it waits for an adopter and for nothing else.
    suspects.retain(|suspect| may_adopt || suspect.handed_over || (from_before && own(suspect)));
    let found = adopt(shared, apps, suspects, began_at + STANDSTILL).await?;
    let looked = Looked { look_at, is_to_go_on: found > 0 && all == *reach as usize };
    // Those that cannot be taken over must not hide the others.
    let may_adopt = may_adopt || from_before;
    *reach = if may_adopt && found == 0 && all == *reach as usize { reach.saturating_mul(2).min(REACH) } else { BATCH };
    // What was handed in last time is still waiting, as while the bus does not confirm.
    if !shared.publisher.has_confirmed(*republished) {
        return Ok(looked);
    }
    let before = shared.ports.clock.now() - TIME_TO_LIVE;
    for unconfirmed in shared.ports.store.unconfirmed(before, BATCH).await? {
        publish_again(shared, unconfirmed);
        *republished = shared.publisher.handed_in();
    }
    Ok(looked)
}

/// Takes over what may be taken over; answers how many calls those were. After `until` what was read says nothing any
/// more: the store may have stood still in between, and nobody could renew.
async fn adopt(shared: &Shared, apps: &mut Apps, suspects: Vec<Suspect>, until: Timestamp) -> StoreResult<usize> {
    let mut adopted = BTreeMap::new();
    let taken = take_over(shared, apps, suspects, until, &mut adopted).await;
    // Each for itself, they would be hundreds of lines.
    for (worker, calls) in &adopted {
        tracing::info!(from = %worker, calls, "adopted {calls} calls of {worker}");
    }
    taken.map(|()| adopted.values().sum())
}

/// Counts calls by whose they were.
async fn take_over(
    shared: &Shared,
    apps: &mut Apps,
    suspects: Vec<Suspect>,
    until: Timestamp,
    taken: &mut BTreeMap<WorkerId, usize>,
) -> StoreResult<()> {
    apps.open(shared, &suspects, until).await?;
    for suspect in suspects {
        if shared.ports.clock.now() >= until {
            break;
        }
        // Our own, because this worker stood still: the next renewal tells whether it still is.
        if suspect.worker == shared.settings.id && shared.roster.holds(suspect.held.attempt) {
            continue;
        }
        if !apps.covers(shared, &suspect.app, suspect.stage).await? {
            continue;
        }
        let asked_at = shared.ports.clock.now();
        match shared.ports.store.adopt(&suspect.held, &shared.settings.id).await {
            Ok(Written::Done(adopted)) => {
                spans::call(&suspect.held).in_scope(|| tracing::debug!(from = %suspect.worker, "adopted"));
                telemetry::adopted();
                *taken.entry(suspect.worker).or_default() += 1;
                // From here on it is renewed, and its reports are kept for whoever will carry it.
                let seat = shared.roster.enter(&adopted.claim.held, suspect.app, asked_at);
                if adopted.stage == Stage::Dialing {
                    seat.is_dialling();
                }
                // Only a worker that is ending has closed this; the lease then runs out again.
                let _ = shared.assignments.send(Assignment::Adopted(Box::new(Adoption { adopted, seat })));
            }
            Ok(Written::Fenced) | Err(StoreError::NotFound) => {}
            // What nobody here can read keeps no other call waiting.
            Err(StoreError::Refused(reason)) => {
                spans::call(&suspect.held).in_scope(|| tracing::error!(reason, "a call cannot be taken over"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn publish_again(shared: &Shared, unconfirmed: Unconfirmed) {
    match unconfirmed {
        Unconfirmed::Request(event) => publish_requests(shared, vec![event]),
        Unconfirmed::Organisation(event) => shared.publisher.publish(Event::Organisation(Arc::new(event))),
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
                    shared.publisher.publish(Event::Call { context: Arc::clone(&context), facts, seq });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: Timestamp = Timestamp::VIRTUAL_START;

    fn at(secs: u64) -> Timestamp {
        BEGIN + Duration::from_secs(secs)
    }

    /// Patience after rounds that were answered every three seconds for so long.
    fn after(secs: u64) -> Patience {
        let mut patience = Patience { began_at: BEGIN, answering_since: BEGIN, last_answer: BEGIN };
        (0..=secs).step_by(3).for_each(|secs| patience.answered(at(secs)));
        patience
    }

    #[test]
    fn owners_have_a_time_to_live_to_renew_what_looks_expired() {
        assert!(!after(27).is_over(at(29)));
        assert!(after(30).is_over(at(30)));
    }

    #[test]
    fn what_expires_in_its_own_name_is_an_earlier_processs_until_it_may_be_its_own() {
        assert!(after(0).own_are_anothers(at(3)) && after(18).own_are_anothers(at(19)));
        assert!(!after(18).own_are_anothers(at(20)), "a clock that runs slow takes these for thirty");
        let mut patience = after(3);
        patience.start_anew(at(4));
        assert!(patience.own_are_anothers(at(5)), "an outage gives a dead process no time");
        assert!(!after(300).own_are_anothers(at(300)));
    }

    #[test]
    fn after_a_round_that_was_not_answered_owners_have_it_anew() {
        let mut patience = after(300);
        patience.start_anew(at(301));
        assert!(!patience.is_over(at(302)));
        (303..=330).step_by(3).for_each(|secs| patience.answered(at(secs)));
        assert!(!patience.is_over(at(330)) && patience.is_over(at(331)));
    }

    #[test]
    fn after_a_standstill_owners_have_it_anew_whether_it_was_between_rounds_or_in_one() {
        let mut between = after(300);
        assert!(between.is_over(at(315)) && !between.is_over(at(316)));
        let mut within = after(300);
        assert!(within.is_over(at(303)));
        within.answered(at(319));
        assert!(!within.is_over(at(319)) && !within.is_over(at(322)), "the store may have stood still as long");
    }
}
