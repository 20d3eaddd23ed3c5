//! Says which promises the evidence breaks. It believes the log of dials first, then the events, then the store.

use std::collections::{BTreeMap, BTreeSet};

use robocall::model::{CallId, CallStatus, DispositionResult, EventType, Fact, Happening, OrganisationId};
use robocall::ports::store::RequestKey;

use crate::evidence::{Call, Evidence, Line, Logged};

/// An INVITE follows its commitment within a second; clocks of one machine agree to less than this.
const INVITE_WITHIN: i64 = 1_000;
const SLACK: i64 = 500;

/// How long a lease lives.
const TIME_TO_LIVE: i64 = 30_000;

/// How long a lease may stay after the backend reported the end: a time to live, a round, and a loaded machine.
const RELEASED_WITHIN: i64 = 45_000;

/// How soon a handed-over call must be in other hands: a round, and a loaded machine.
const TAKEN_WITHIN: i64 = 12_000;

/// Every promise that is broken.
pub fn broken(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    one_dial_an_attempt(evidence, &mut found);
    slots_are_never_exceeded(evidence, &mut found);
    slots_come_back(evidence, &mut found);
    no_leg_is_forgotten(evidence, &mut found);
    nothing_is_dialled_that_is_forbidden(evidence, &mut found);
    events_say_the_same(evidence, &mut found);
    if evidence.emptied_at.is_none() {
        sums_add_up(evidence, &mut found);
        every_transition_has_its_event(evidence, &mut found);
        dials_are_written_down(evidence, &mut found);
        nothing_is_cut(evidence, &mut found);
    } else {
        losses_are_told(evidence, &mut found);
        a_loss_closes(evidence, &mut found);
    }
    found
}

fn invites(evidence: &Evidence) -> impl Iterator<Item = &Line> {
    evidence.dials.iter().filter(|line| line.event == "invite")
}

fn calls(evidence: &Evidence) -> impl Iterator<Item = &Call> {
    evidence.requests.iter().filter_map(|kept| kept.known.as_ref()).flat_map(|(_, calls)| calls)
}

/// Which organisation a call is of.
fn owners(evidence: &Evidence) -> BTreeMap<[u8; 10], &RequestKey> {
    let key = |key: &RequestKey| CallId::new(&key.organisation, &key.request, 0).request_hash();
    evidence.requests.iter().map(|kept| (key(&kept.key), &kept.key)).collect()
}

/// I1, as far as the log of dials and the events tell.
fn one_dial_an_attempt(evidence: &Evidence, found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    let mut attempts: BTreeMap<CallId, u32> = BTreeMap::new();
    let owners = owners(evidence);
    for line in invites(evidence) {
        if !seen.insert(&line.leg) {
            found.push(format!("I1: {} was dialled twice", line.leg));
        }
        let Some(call) = line.call() else { continue };
        if !owners.contains_key(&call.request_hash()) {
            found.push(format!("I1: {} was dialled, and nobody asked for it", line.leg));
        }
        if line.is_callee() {
            *attempts.entry(call).or_default() += 1;
        }
    }
    let mut retries: BTreeMap<CallId, BTreeSet<&str>> = BTreeMap::new();
    for event in evidence.events.iter().filter(|event| event.kind == "call.retryScheduled") {
        if let Some(call) = event.call {
            retries.entry(call).or_default().insert(&event.id);
        }
    }
    for (call, dials) in attempts {
        let granted = 1 + retries.get(&call).map_or(0, BTreeSet::len);
        // Events of a call may have been lost with the database.
        if dials as usize > granted {
            found.push(format!("I1: {call} was dialled {dials} times, {granted} were granted"));
        }
    }
}

/// I1 and I8, as the store tells: every INVITE follows its commitment, and every new one a retryable end.
fn dials_are_written_down(evidence: &Evidence, found: &mut Vec<String>) {
    let histories: BTreeMap<CallId, &[Fact]> = calls(evidence).map(|call| (call.id, &*call.facts)).collect();
    for line in invites(evidence).filter(|line| line.is_callee()) {
        let Some((call, claim)) = line.call().zip(line.claim()) else { continue };
        let facts = histories.get(&call).copied().unwrap_or_default();
        let committed = facts.iter().find_map(|fact| match fact.what {
            Happening::Dialing { claim: this, .. } if this == claim => Some(fact.at.as_millis()),
            _ => None,
        });
        match committed {
            None => found.push(format!("I1: {} was dialled without a commitment", line.leg)),
            Some(at) if line.at < at - SLACK || line.at > at + INVITE_WITHIN + SLACK => {
                found.push(format!("I1: {} was dialled {} ms after its commitment", line.leg, line.at - at));
            }
            Some(_) => {}
        }
    }
    for call in calls(evidence) {
        let mut under_way = false;
        for fact in &call.facts {
            match &fact.what {
                Happening::Dialing { .. } if under_way => {
                    found.push(format!("I1: {} was committed to before its attempt had ended", call.id));
                }
                Happening::Dialing { .. } => under_way = true,
                Happening::RetryScheduled { disposition, .. } => {
                    under_way = false;
                    use DispositionResult as R;
                    if !matches!(disposition.result, R::Busy | R::Unanswered | R::Unreachable | R::Congestion) {
                        found.push(format!("I1: {} is tried again after {:?}", call.id, disposition.result));
                    }
                }
                Happening::Ended { .. } => under_way = false,
                _ => {}
            }
        }
    }
}

/// I2.
fn sums_add_up(evidence: &Evidence, found: &mut Vec<String>) {
    for sum in evidence.sums.iter().chain(evidence.requests.iter().filter_map(|kept| Some(&kept.known.as_ref()?.0))) {
        if sum.counts.total() != sum.total && sum.reason.is_none() {
            found.push(format!(
                "I2: the states of {} add up to {}, not {}",
                sum.request_id,
                sum.counts.total(),
                sum.total
            ));
        }
    }
    for kept in &evidence.requests {
        let Some((summary, calls)) = &kept.known else {
            found.push(format!("I9: {:?} was taken by the broker, and nobody knows of it", kept.key));
            continue;
        };
        if !summary.status.is_final() {
            found.push(format!("I2: {} is at rest and {:?}", summary.request_id, summary.status));
        }
        for status in CallStatus::ALL {
            let counted = calls.iter().filter(|call| call.status == *status).count();
            if counted != summary.counts.of(*status) as usize {
                found.push(format!(
                    "I2: {} has {counted} {status:?} and says {}",
                    summary.request_id,
                    summary.counts.of(*status)
                ));
            }
        }
        for call in calls {
            let ends = call.facts.iter().filter(|fact| matches!(fact.what, Happening::Ended { .. })).count();
            let dialled = !call.facts.is_empty();
            if !call.status.is_final() || ends > 1 || (dialled && ends != 1) {
                found.push(format!("I2: {} is {:?} with {ends} ends", call.id, call.status));
            }
        }
    }
}

/// I3: by the log of dials alone, and by what the store says of leases.
fn slots_are_never_exceeded(evidence: &Evidence, found: &mut Vec<String>) {
    let owners = owners(evidence);
    let mut live: BTreeMap<&str, &OrganisationId> = BTreeMap::new();
    for line in &evidence.dials {
        match line.event.as_str() {
            "began" => live.clear(),
            "ended" => drop(live.remove(line.leg.as_str())),
            "invite" if line.external => {
                let Some(key) = line.call().and_then(|call| owners.get(&call.request_hash())) else { continue };
                live.insert(&line.leg, &key.organisation);
                let legs = live.values().filter(|organisation| **organisation == &key.organisation).count();
                let limit = evidence.limits.get(&key.organisation).copied().unwrap_or(u32::MAX);
                if legs > limit as usize {
                    found.push(format!(
                        "I3: {} is external leg {legs} of {}, {limit} are allowed",
                        line.leg, key.organisation
                    ));
                }
            }
            _ => {}
        }
    }
    for (organisation, slots) in &evidence.slots {
        if slots.leased + slots.external > slots.limit {
            found.push(format!("I3: {organisation} has {slots:?}"));
        }
    }
}

/// I4.
fn slots_come_back(evidence: &Evidence, found: &mut Vec<String>) {
    let owners = owners(evidence);
    for (organisation, at_rest) in &evidence.at_rest {
        let of_it = |line: &&Line| {
            let key = line.call().and_then(|call| owners.get(&call.request_hash()));
            key.is_some_and(|key| key.organisation == *organisation)
        };
        let last = evidence.dials.iter().filter(|line| line.event == "ended").filter(of_it).map(|line| line.at).max();
        match (at_rest, last) {
            (None, _) => found.push(format!("I4: {organisation} has leases left")),
            (Some(at), Some(last)) if at.as_millis() > last + RELEASED_WITHIN => {
                found.push(format!(
                    "I4: {organisation}'s last lease went {} ms after its last leg",
                    at.as_millis() - last
                ));
            }
            _ => {}
        }
    }
}

/// I4, at the other end: whose slot is free talks to nobody any more.
fn no_leg_is_forgotten(evidence: &Evidence, found: &mut Vec<String>) {
    found.extend(live(&evidence.dials).into_iter().map(|leg| format!("I4: {leg} is live, and nobody's")));
}

/// Legs that were dialled and have not ended.
pub fn live(dials: &[Line]) -> BTreeSet<&str> {
    let mut live = BTreeSet::new();
    for line in dials {
        match line.event.as_str() {
            "began" => live.clear(),
            "invite" => {
                live.insert(line.leg.as_str());
            }
            "ended" => {
                live.remove(line.leg.as_str());
            }
            _ => {}
        }
    }
    live
}

/// I7.
fn nothing_is_dialled_that_is_forbidden(evidence: &Evidence, found: &mut Vec<String>) {
    let owners = owners(evidence);
    for order in &evidence.forbidden {
        let until = order.until.map_or(i64::MAX, |until| until.as_millis());
        // A commitment of before may be dialled within its second.
        let from = order.from.as_millis() + INVITE_WITHIN;
        for line in invites(evidence).filter(|line| line.is_callee() && line.at > from && line.at < until) {
            let key = line.call().and_then(|call| owners.get(&call.request_hash()));
            if key.is_some_and(|key| **key == order.key) {
                found.push(format!(
                    "I7: {} was dialled {} ms after it was forbidden",
                    line.leg,
                    line.at - order.from.as_millis()
                ));
            }
        }
    }
}

/// I8: the same id has the same content; no event comes before the one before it; a call ends once.
fn events_say_the_same(evidence: &Evidence, found: &mut Vec<String>) {
    let mut first: BTreeMap<&str, &Logged> = BTreeMap::new();
    let mut last: BTreeMap<CallId, u64> = BTreeMap::new();
    let mut ends: BTreeMap<CallId, u32> = BTreeMap::new();
    for event in &evidence.events {
        if let Some(before) = first.get(event.id.as_str()) {
            if before.body != event.body {
                found.push(format!("I8: {} says another thing\n  {}\n  {}", event.id, before.body, event.body));
            }
            continue;
        }
        first.insert(&event.id, event);
        let Some(call) = event.call else { continue };
        let last = last.entry(call).or_default();
        if event.seq != *last + 1 && evidence.emptied_at.is_none() {
            found.push(format!("I8: {} came after {} of its call", event.id, last));
        }
        *last = event.seq.max(*last);
        if event.kind == "call.ended" {
            *ends.entry(call).or_default() += 1;
        }
    }
    found.extend(ends.iter().filter(|(_, ends)| **ends > 1).map(|(call, _)| format!("I8: {call} ended twice")));
}

/// After a loss nobody is dialled until every owner has had a time to live to say what is live.
fn a_loss_closes(evidence: &Evidence, found: &mut Vec<String>) {
    let Some(emptied) = evidence.emptied_at.map(|at| at.as_millis()) else { return };
    // A commitment of before may be dialled within its second; a server that was started anew takes a moment.
    let closed = emptied + 3 * INVITE_WITHIN..emptied + TIME_TO_LIVE;
    for line in invites(evidence).filter(|line| line.is_callee() && closed.contains(&line.at)) {
        found.push(format!("I3: {} was dialled {} ms after all was lost", line.leg, line.at - emptied));
    }
}

/// I9, of a database that forgot: what was accepted and has not ended is told to be lost.
fn losses_are_told(evidence: &Evidence, found: &mut Vec<String>) {
    let untold = untold(&evidence.events);
    found.extend(untold.into_iter().map(|subject| format!("I9: {subject} was lost, and nobody was told")));
}

/// Requests that the events show accepted, and neither ended nor lost.
pub fn untold(events: &[Logged]) -> BTreeSet<&str> {
    let mut open = BTreeSet::new();
    for event in events.iter().filter(|event| event.call.is_none()) {
        match event.kind.as_str() {
            "request.accepted" => {
                open.insert(event.subject());
            }
            "request.completed" | "request.cancelled" | "request.expired" | "request.lost" => {
                open.remove(event.subject());
            }
            _ => {}
        }
    }
    open
}

/// I8: what the store has written down is what was told.
fn every_transition_has_its_event(evidence: &Evidence, found: &mut Vec<String>) {
    let mut told: BTreeMap<CallId, BTreeMap<u64, &str>> = BTreeMap::new();
    for event in &evidence.events {
        if let Some(call) = event.call {
            told.entry(call).or_default().entry(event.seq).or_insert(event.kind.as_str());
        }
    }
    for call in calls(evidence) {
        let happened = call.facts.iter().filter_map(|fact| fact.what.event_type()).map(EventType::as_str);
        let happened: Vec<&str> = happened.collect();
        let told: Vec<&str> = told.get(&call.id).map(|told| told.values().copied().collect()).unwrap_or_default();
        if happened != told {
            found.push(format!("I8: of {} happened {happened:?} and was told {told:?}", call.id));
        }
    }
}

/// I10.
fn nothing_is_cut(evidence: &Evidence, found: &mut Vec<String>) {
    for drained in &evidence.drained {
        if drained.code != Some(0) {
            found.push(format!("I10: {} ended with {:?}", drained.app, drained.code));
        }
        let told = drained.told_at.as_millis();
        let over = told + i64::try_from(drained.grace_secs).unwrap_or(i64::MAX / 2_000) * 1_000;
        for line in invites(evidence).filter(|line| line.is_callee() && line.app == drained.app) {
            let end = evidence.dials.iter().find(|end| end.event == "ended" && end.leg == line.leg).map(|line| line.at);
            if line.at > told + INVITE_WITHIN {
                found.push(format!("I10: {} was dialled while draining", line.leg));
            }
            if end.is_none_or(|end| end <= told) {
                continue;
            }
            let Some(call) = calls(evidence).find(|call| Some(call.id) == line.call()) else { continue };
            if call.status == CallStatus::Unknown {
                found.push(format!("I10: {} was cut", line.leg));
            }
            let taken = call.facts.iter().find(|fact| matches!(fact.what, Happening::Adopted { .. }));
            if let Some(taken) = taken
                && taken.at.as_millis() > over + TAKEN_WITHIN
            {
                found.push(format!("I10: {} was taken over {} ms late", line.leg, taken.at.as_millis() - over));
            }
        }
    }
}
