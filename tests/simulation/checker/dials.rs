//! I1, I3 and I7 at every commitment, every granted slot and every INVITE.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use futures_util::FutureExt as _;
use robocall::adapters::simulator::Invite;
use robocall::callflow::program::Target;
use robocall::model::{
    AttemptId, Fact, Happening, LegId, LegRole, Organisation, OrganisationId, RequestStatus, Timestamp,
};
use robocall::ports::store::{CampaignStore, Held, Token};

use super::{Checker, key_of};

/// How long after its commitment, or the grant of its slot, an INVITE may follow.
const COMMITMENT: Duration = Duration::from_secs(1);

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Dials {
    invites: BTreeMap<LegId, Timestamp>,
    pub commitments: BTreeMap<AttemptId, (Held, Timestamp)>,
    /// When the store last said that a second leg holds a slot.
    grants: BTreeMap<LegId, Timestamp>,
    /// Ends that their owners made.
    ended: BTreeSet<(AttemptId, Token)>,
    pub rates: BTreeMap<OrganisationId, Pace>,
}

/// An organisation's latest dials under one rate.
#[derive(Default)]
pub(super) struct Pace {
    pub per_second: Option<u32>,
    pub latest: VecDeque<Timestamp>,
}

impl Dials {
    pub fn invites(&self) -> usize {
        self.invites.len()
    }
}

impl Checker {
    fn settings(&self, organisation: &OrganisationId) -> Organisation {
        self.store.organisation(organisation).now_or_never().and_then(Result::ok).unwrap_or_default()
    }

    /// A dial was committed to.
    pub fn committed(&self, held: &Held, at: Timestamp) {
        let attempt = held.attempt;
        let before = self.seen.lock().unwrap().dials.commitments.insert(attempt, (held.clone(), at));
        if let Some((_, first)) = before {
            return self.expect(first == at, || format!("I1: {attempt} was committed to at {first} and again at {at}"));
        }
        let Some(call) = self.call(&key_of(held), attempt.call) else {
            return self.broken(format!("I9: {attempt} was committed to and is unknown"));
        };
        let dials = call.history.iter().filter(|fact| matches!(fact.what, Happening::Dialing { .. })).count();
        let retries = call.history.iter().filter(|fact| matches!(fact.what, Happening::RetryScheduled { .. })).count();
        self.expect(dials == retries + 1, || {
            format!("I1: {attempt} dialled although the attempt before it has no recorded, retryable end")
        });
        let due = call.history.iter().rev().find_map(|fact| match fact.what {
            Happening::RetryScheduled { due, .. } => Some(due),
            _ => None,
        });
        self.expect(due.is_none_or(|due| due <= at), || format!("I7: {attempt} was dialled before {due:?}"));
        self.check_limit(&held.organisation, "I3: at the dial of", attempt);
        let status = self.books(&key_of(held)).map(|books| books.status);
        self.expect(status == Some(RequestStatus::OnProgress), || {
            format!("I7: {attempt} dialled although its request is paused, cancelled or over")
        });
        self.check_orders(held, call.destination.number.phone());
        self.check_terms(held, &call.destination, at);
        self.check_rate(held, at);
    }

    /// The rate holds over every second, but for the tenth that may be caught up.
    fn check_rate(&self, held: &Held, at: Timestamp) {
        let per_second = self.settings(&held.organisation).calls_per_second;
        let mut seen = self.seen.lock().unwrap();
        let pace = seen.dials.rates.entry(held.organisation.clone()).or_default();
        if pace.per_second != per_second {
            *pace = Pace { per_second, latest: VecDeque::new() };
        }
        pace.latest.retain(|before| at.since(*before) < SECOND);
        pace.latest.push_back(at);
        let (dials, Some(rate)) = (pace.latest.len(), per_second) else { return };
        *seen.tally.entry("dials under a rate").or_default() += 1;
        drop(seen);
        let most = rate + (rate / 10).max(1) - 1;
        self.expect(dials <= most as usize, || format!("I7: {dials} dials within a second at a rate of {rate}"));
    }

    /// Whether a call is held under another token than this one.
    pub fn is_stale(&self, held: &Held) -> bool {
        self.store.audit_token(held.attempt.call).is_some_and(|token| token != held.token)
    }

    /// Whether an end that the store accepted was its owner's, or is answered again: whoever heard no answer asks once
    /// more, and by then the call's next attempt may be another's.
    pub fn may_end(&self, held: &Held, stale: bool) -> bool {
        let ended = &mut self.seen.lock().unwrap().dials.ended;
        if !stale {
            ended.insert((held.attempt, held.token));
        }
        ended.contains(&(held.attempt, held.token))
    }

    /// The store let somebody act on a call that is another's.
    pub fn let_through(&self, held: &Held, what: &str) {
        self.broken(format!("I7: {what} of {} was accepted under a token that is not its owner's", held.attempt));
    }

    /// A slot for a second leg was granted, or said to be held still.
    pub fn slot_granted(&self, held: &Held, leg: LegId) {
        self.check_limit(&held.organisation, "I3: at the slot of", leg);
        let now = self.now();
        self.seen.lock().unwrap().dials.grants.insert(leg, now);
    }

    fn check_limit(&self, organisation: &OrganisationId, what: &str, whom: impl std::fmt::Display) {
        let slots = self.store.audit_slots();
        let Some(found) = slots.iter().find(|slots| slots.id == *organisation) else {
            return self.broken(format!("{what} {whom}: no such organisation"));
        };
        let leases = found.leases.len() as u64;
        self.expect(leases + u64::from(found.external) <= u64::from(found.limit), || {
            format!(
                "{what} {whom}: {leases} leases and {} elsewhere exceed the limit of {}",
                found.external, found.limit
            )
        });
    }

    /// The network saw an INVITE.
    pub fn invited(&self, invite: &Invite) {
        let leg = invite.leg;
        let mut seen = self.seen.lock().unwrap();
        seen.trace(&format!("{} {leg}", invite.at));
        self.tell(|| format!("INVITE {leg} {:?}", invite.target));
        let before = seen.dials.invites.insert(leg, invite.at);
        let commitment = seen.dials.commitments.get(&leg.attempt).cloned();
        let granted = seen.dials.grants.get(&leg).copied();
        let external = invite.number().is_some() && leg.role != LegRole::Supervisor;
        if external {
            seen.legs.external.insert(leg);
        }
        drop(seen);
        self.expect(before.is_none(), || format!("I1: {leg} was dialled twice"));
        let Some((held, at)) = commitment else {
            return self.broken(format!("I1: {leg} was dialled without a commitment"));
        };
        if external {
            let leased = self.store.audit_slots().iter().any(|slots| slots.leases.iter().any(|lease| lease.leg == leg));
            self.expect(leased, || format!("I3: {leg} was dialled without a slot"));
        }
        self.check_numbers(&held, invite);
        let history = self.history(&held);
        if leg.role == LegRole::Callee {
            self.expect(invite.at.since(at) <= COMMITMENT, || {
                format!("I7: {leg} was dialled {:?} after its commitment", invite.at.since(at))
            });
            let is_commitment =
                |fact: &Fact| matches!(fact.what, Happening::Dialing { claim, .. } if claim == leg.attempt.claim);
            return self.check_untouched(leg, &history, is_commitment);
        }
        self.check_untouched(
            leg,
            &history,
            |fact| matches!(fact.what, Happening::LegAdded { leg: added, .. } if added == leg),
        );
        if leg.role.is_third_party() {
            self.count("third parties dialled");
        }
        if external {
            self.count("external second legs");
            let late = granted.is_none_or(|granted| invite.at.since(granted) > COMMITMENT);
            self.expect(!late, || format!("I3: {leg} was dialled at {} on a slot granted at {granted:?}", invite.at));
        }
    }

    /// An INVITE is the next thing that happens to a call after what committed to it was written down.
    fn check_untouched(&self, leg: LegId, history: &[Fact], is_commitment: impl Fn(&Fact) -> bool) {
        let Some(since) = history.iter().rposition(is_commitment) else {
            return self.broken(format!("I1: {leg} was dialled without being written down before"));
        };
        let fenced = |fact: &Fact| matches!(fact.what, Happening::Adopted { .. }) || fact.what.ends_attempt();
        self.expect(!history[since..].iter().any(fenced), || {
            format!("I7: {leg} was dialled by a worker that is fenced")
        });
    }

    /// The number dialled and the number shown are allowed.
    fn check_numbers(&self, held: &Held, invite: &Invite) {
        let Target::External(phone) = invite.target else { return };
        let settings = self.settings(&held.organisation);
        let digits = phone.digits().to_string();
        let denied = settings.denied_prefixes.iter().find(|prefix| digits.starts_with(prefix.as_str()));
        self.expect(denied.is_none(), || format!("I7: {} leads to the denied prefix {denied:?}", invite.leg));
        let listed = |caller| settings.caller_ids.is_empty() || settings.caller_ids.contains(&caller);
        self.expect(invite.caller.is_none_or(listed), || format!("I7: {} shows a foreign number", invite.leg));
        if invite.leg.role == LegRole::Callee {
            let call = self.call(&key_of(held), held.attempt.call);
            let meant = call.and_then(|call| call.destination.number.phone());
            self.expect(meant == Some(phone), || format!("I1: {} leads to another number than it should", invite.leg));
        }
    }
}
