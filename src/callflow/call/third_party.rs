//! Participants, supervisors, and those to whom a command transfers the callee: whoever is called into a call from
//! outside, beside its flow.
//!
//! Each has a leg of its own with its own deadlines. The flow goes on as it would without them; only its end waits for
//! whoever is talking with the callee.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::leg::{HANG_UP_AGAIN, RING_MARGIN};
use super::{CallCommand, Invitation, LegEnd, LegStage, Refusal, Turn};
use crate::callflow::program::Target;
use crate::model::{
    AttemptId, Disposition, DispositionResult, Happening, LegId, LegRole, Party, Phone, SessionType, Timestamp,
};
use crate::policy::disposition::{Asked, Seen, classify};

/// How long the phone of whoever is called in may ring, and how long a slot is waited for.
const RINGS: Duration = Duration::from_secs(30);

/// Most of them in a call at a time.
const MOST: usize = 8;

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::callflow) struct ThirdParties {
    list: Vec<ThirdParty>,
    /// The last participant's ordinal.
    participants: u16,
    /// The last supervisor's.
    supervisors: u16,
}

/// One of them, from the wish to the leg's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ThirdParty {
    role: LegRole,
    ordinal: u16,
    target: Target,
    caller: Option<Phone>,
    session: SessionType,
    /// Who hears it, if it coaches.
    coaches: Option<LegId>,
    stage: LegStage,
    /// When it must have gone further; of no meaning once it has joined.
    deadline: Timestamp,
}

impl ThirdParty {
    fn id(&self, attempt: AttemptId) -> LegId {
        LegId { attempt, role: self.role, ordinal: self.ordinal }
    }

    fn has_joined(&self) -> bool {
        self.stage == LegStage::Joined
    }

    fn is_leaving(&self) -> bool {
        matches!(self.stage, LegStage::Closing { .. })
    }

    fn talks(&self) -> bool {
        self.has_joined() && self.session == SessionType::BargeIn
    }

    /// Of our side, and heard: somebody who can be coached.
    fn can_be_coached(&self) -> bool {
        self.talks() && self.role != LegRole::Supervisor
    }

    fn is_target(&self) -> bool {
        self.role == LegRole::Transfer
    }

    fn is_coming(&self) -> bool {
        matches!(self.stage, LegStage::AwaitingSlot | LegStage::Dialling)
    }
}

impl ThirdParties {
    /// Whether there are none left, not even leaving ones.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one of them is talking with the callee.
    pub fn talk(&self) -> bool {
        self.list.iter().any(ThirdParty::talks)
    }

    /// Whether this is the leg of one of them.
    pub fn has(&self, leg: LegId) -> bool {
        self.list.iter().any(|party| party.id(leg.attempt) == leg)
    }

    /// To whom the callee is to be transferred: whoever waits for a slot, or rings.
    pub fn coming_target(&self, attempt: AttemptId) -> Option<LegId> {
        self.list.iter().find(|party| party.is_target() && party.is_coming()).map(|party| party.id(attempt))
    }

    /// To whom the callee was transferred from outside.
    pub fn joined_target(&self, attempt: AttemptId) -> Option<LegId> {
        self.list.iter().find(|party| party.is_target() && party.has_joined()).map(|party| party.id(attempt))
    }

    /// Those that hold a slot, or wait for one.
    pub fn slots(&self, attempt: AttemptId) -> impl Iterator<Item = LegId> {
        self.list.iter().filter(|party| party.target.needs_slot(party.role)).map(move |party| party.id(attempt))
    }

    /// Those that were dialled, or were to be, and have not ended.
    pub fn dialled(&self, attempt: AttemptId) -> impl Iterator<Item = LegId> {
        let dialled = self.list.iter().filter(|party| party.stage != LegStage::AwaitingSlot);
        dialled.map(move |party| party.id(attempt))
    }

    /// Whether one that was to be dialled still is.
    pub fn is_dialling(&self, leg: LegId) -> bool {
        self.list.iter().any(|party| party.id(leg.attempt) == leg && party.stage == LegStage::Dialling)
    }

    /// Those that were dialled and should have been answered, or have ended, by now.
    pub fn overdue_dials(&self, attempt: AttemptId, now: Timestamp) -> impl Iterator<Item = LegId> {
        let dialled = self.list.iter().filter(|party| party.stage == LegStage::Dialling);
        dialled.filter(move |party| party.deadline <= now).map(move |party| party.id(attempt))
    }

    /// Who is in the call, or on the way, as this.
    pub fn find(&self, attempt: AttemptId, role: LegRole, target: &Target) -> Option<LegId> {
        let mut there = self.list.iter().filter(|party| party.role == role && party.target == *target);
        there.next_back().map(|party| party.id(attempt))
    }

    /// When the first of them must have gone further.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.list.iter().filter(|party| !party.has_joined()).map(|party| party.deadline).min()
    }
}

impl Turn<'_> {
    /// Calls somebody in; whoever is there already, or on the way, is given the session that is asked for.
    pub fn invite(&mut self, invitation: Invitation) -> Result<(LegId, Option<LegId>), Refusal> {
        let Invitation { role, target, caller, session } = invitation;
        if session == SessionType::Coaching && self.coached().is_none() {
            return Err(Refusal::NobodyToCoach);
        }
        let attempt = self.ledger.attempt;
        let there = |party: &&mut ThirdParty| party.role == role && party.target == target && !party.is_leaving();
        if let Some(party) = self.third_parties.list.iter_mut().find(there) {
            let (leg, changes) = (party.id(attempt), std::mem::replace(&mut party.session, session) != session);
            let joined = (changes && party.has_joined()).then_some(leg);
            return Ok((leg, joined));
        }
        if self.third_parties.list.iter().filter(|party| !party.is_target()).count() >= MOST {
            return Err(Refusal::TooMany);
        }
        let last = match role {
            LegRole::Supervisor => &mut self.third_parties.supervisors,
            LegRole::Callee | LegRole::Transfer | LegRole::Participant => &mut self.third_parties.participants,
        };
        let Some(ordinal) = last.checked_add(1) else { return Err(Refusal::TooMany) };
        *last = ordinal;
        let leg = LegId { attempt, role, ordinal };
        if self.call_in(leg, target, caller, session) {
            self.dial_third_party(leg);
        }
        Ok((leg, None))
    }

    /// Puts somebody among them and asks for the slot, if one is needed; true if they may ring without.
    pub fn call_in(&mut self, leg: LegId, target: Target, caller: Option<Phone>, session: SessionType) -> bool {
        let LegId { role, ordinal, .. } = leg;
        let may_ring = !target.needs_slot(role);
        let (stage, deadline) = (LegStage::AwaitingSlot, self.now + RINGS);
        self.third_parties.list.push(ThirdParty {
            role,
            ordinal,
            target,
            caller,
            session,
            coaches: None,
            stage,
            deadline,
        });
        if !may_ring {
            self.push(CallCommand::AcquireSlot { leg });
        }
        may_ring
    }

    /// Ends somebody's session, by the leg or by whom it leads to. None: nobody is in the call under that name.
    pub fn dismiss(&mut self, is_meant: impl Fn(LegId, &Target) -> bool) -> Option<LegId> {
        let attempt = self.ledger.attempt;
        let meant = |party: &&ThirdParty| !party.is_leaving() && is_meant(party.id(attempt), &party.target);
        let leg = self.third_parties.list.iter().find(meant).map(|party| party.id(attempt))?;
        self.close_third_party(leg, Asked::Requested);
        Some(leg)
    }

    /// Whether it waits for its slot.
    pub fn third_party_awaits_slot(&mut self, leg: LegId) -> bool {
        self.third_party(leg).is_some_and(|party| party.stage == LegStage::AwaitingSlot)
    }

    /// It was answered: true if it is to be let in now.
    pub fn third_party_answered(&mut self, leg: LegId) -> bool {
        let Some(party) = self.third_party(leg).filter(|party| party.stage == LegStage::Dialling) else { return false };
        party.stage = LegStage::Joined;
        self.record(Happening::LegAnswered { leg });
        true
    }

    /// Lets somebody who was answered hear, and be heard, as their session says. Whoever was to coach somebody who is
    /// not there any more listens.
    pub fn let_in(&mut self, leg: LegId) {
        let coached = self.coached_by(leg);
        let Some(party) = self.third_party(leg).filter(|party| party.has_joined()) else { return };
        if party.session == SessionType::Coaching && coached.is_none() {
            party.session = SessionType::Monitor;
        }
        party.coaches = coached.filter(|_| party.session == SessionType::Coaching);
        let session = party.session;
        if self.joins_by_itself(leg) {
            return;
        }
        let command = match session {
            SessionType::Monitor => CallCommand::ListenIn { leg, whispers_to: None },
            SessionType::Coaching => CallCommand::ListenIn { leg, whispers_to: coached },
            SessionType::BargeIn => CallCommand::Bridge { leg },
        };
        self.push(command);
    }

    /// Whether letting somebody in brings the callee together with others who was alone until now.
    pub fn begins_to_share(&mut self, leg: LegId) -> bool {
        let attempt = self.ledger.attempt;
        let alone = self.ledger.leg.is_none_or(|leg| leg.stage != LegStage::Joined);
        let others = self.third_parties.list.iter().any(|party| party.talks() && party.id(attempt) != leg);
        alone && !others && self.third_party(leg).is_some_and(|party| party.talks())
    }

    /// The backend says that the leg is gone. False if it is nobody's.
    pub fn third_party_ended(&mut self, leg: LegId, end: LegEnd) -> bool {
        let attempt = self.ledger.attempt;
        let Some(place) = self.third_parties.list.iter().position(|party| party.id(attempt) == leg) else {
            return false;
        };
        let stage = self.third_parties.list[place].stage;
        let seen = |answered, asked| Seen { rang: true, answered, asked };
        let what = match stage {
            // Never dialled: nothing of that name can have ended.
            LegStage::AwaitingSlot => return false,
            LegStage::Joined | LegStage::Closing { joined: true, .. } => Happening::LegRemoved { leg },
            LegStage::Dialling => Happening::LegFailed { leg, disposition: classify(seen(false, None), end) },
            LegStage::Closing { joined: false, asked } => {
                Happening::LegFailed { leg, disposition: classify(seen(false, Some(asked)), end) }
            }
        };
        let gone = self.third_parties.list.remove(place);
        self.record(what);
        if gone.target.needs_slot(gone.role) {
            self.push(CallCommand::ReleaseSlot { leg });
        }
        if gone.role != LegRole::Supervisor {
            self.coach_somebody_else();
        }
        true
    }

    /// Makes all of them go.
    pub fn close_third_parties(&mut self) {
        let attempt = self.ledger.attempt;
        let all: Vec<LegId> = self.third_parties.list.iter().map(|party| party.id(attempt)).collect();
        all.into_iter().for_each(|leg| self.close_third_party(leg, Asked::Requested));
    }

    /// Does what is overdue of them; whether somebody waits no more.
    pub fn third_parties_overdue(&mut self) -> bool {
        let (now, attempt) = (self.now, self.ledger.attempt);
        let overdue = self.third_parties.list.iter().filter(|party| !party.has_joined() && party.deadline <= now);
        let overdue: Vec<(LegId, bool)> = overdue.map(|party| (party.id(attempt), party.is_leaving())).collect();
        for (leg, leaving) in &overdue {
            if *leaving {
                self.hang_third_party_up(*leg);
            } else {
                self.close_third_party(*leg, Asked::RingTimeout);
            }
        }
        overdue.iter().any(|(_, leaving)| !leaving)
    }

    /// After an adoption: asks again for whatever they wait for. None is dialled again.
    pub fn resume_third_parties(&mut self) {
        let attempt = self.ledger.attempt;
        let all: Vec<(LegId, LegStage)> =
            self.third_parties.list.iter().map(|party| (party.id(attempt), party.stage)).collect();
        for (leg, stage) in all {
            match stage {
                LegStage::AwaitingSlot => {
                    self.push(CallCommand::AcquireSlot { leg });
                    self.keep_waiting(leg);
                }
                LegStage::Dialling => self.keep_waiting(leg),
                LegStage::Joined => self.let_in(leg),
                LegStage::Closing { .. } => self.hang_third_party_up(leg),
            }
        }
    }

    fn third_party(&mut self, leg: LegId) -> Option<&mut ThirdParty> {
        let attempt = self.ledger.attempt;
        self.third_parties.list.iter_mut().find(|party| party.id(attempt) == leg)
    }

    /// Whom a supervisor would coach: whoever the callee was transferred to, or else the first participant who talks.
    fn coached(&self) -> Option<LegId> {
        let attempt = self.ledger.attempt;
        let agent = self.ledger.leg.filter(|leg| leg.stage == LegStage::Joined).map(|leg| leg.id(attempt));
        let agent = agent.or_else(|| self.third_parties.joined_target(attempt));
        let participant = || self.third_parties.list.iter().find(|party| party.can_be_coached());
        agent.or_else(|| participant().map(|party| party.id(attempt)))
    }

    fn can_be_coached(&self, leg: LegId) -> bool {
        let attempt = self.ledger.attempt;
        let is_agent = self.ledger.leg.is_some_and(|agent| agent.stage == LegStage::Joined && agent.id(attempt) == leg);
        is_agent || self.third_parties.list.iter().any(|party| party.id(attempt) == leg && party.can_be_coached())
    }

    /// Whom this one coaches: whom it did until now, whoever else has come meanwhile, if they are there still.
    fn coached_by(&self, leg: LegId) -> Option<LegId> {
        let attempt = self.ledger.attempt;
        let coach = self.third_parties.list.iter().find(|party| party.id(attempt) == leg);
        let until_now = coach.and_then(|coach| coach.coaches).filter(|coached| self.can_be_coached(*coached));
        until_now.or_else(|| self.coached())
    }

    /// Whoever coached somebody who cannot be coached any more coaches another, or listens.
    pub fn coach_somebody_else(&mut self) {
        let attempt = self.ledger.attempt;
        let coaches = self.third_parties.list.iter().filter(|party| {
            let is_heard = party.coaches.is_some_and(|coached| self.can_be_coached(coached));
            party.has_joined() && party.session == SessionType::Coaching && !is_heard
        });
        let coaches: Vec<LegId> = coaches.map(|party| party.id(attempt)).collect();
        coaches.into_iter().for_each(|leg| self.let_in(leg));
    }

    /// Writes down that it is dialled, and dials it.
    pub fn dial_third_party(&mut self, leg: LegId) {
        let deadline = self.now + RINGS + RING_MARGIN;
        let Some(party) = self.third_party(leg) else { return };
        party.stage = LegStage::Dialling;
        party.deadline = deadline;
        let (target, caller) = (party.target.clone(), party.caller);
        self.record(Happening::LegAdded { leg, dest: target.as_dialled().into() });
        self.push(if self.joins_by_itself(leg) {
            CallCommand::BlindTransfer { leg, target }
        } else {
            CallCommand::DialLeg { leg, target, caller, ring_timeout: RINGS }
        });
    }

    /// Makes it go, however far it is.
    pub fn close_third_party(&mut self, leg: LegId, asked: Asked) {
        let Some(party) = self.third_party(leg) else { return };
        let joined = match party.stage {
            LegStage::AwaitingSlot => {
                let result = match asked {
                    Asked::RingTimeout => DispositionResult::Congestion,
                    Asked::Flow | Asked::Limit | Asked::Requested => DispositionResult::Cancelled,
                };
                self.third_parties.list.retain(|party| party.id(leg.attempt) != leg);
                self.record(Happening::LegFailed { leg, disposition: Disposition::new(result, Some(Party::Us)) });
                return self.push(CallCommand::ReleaseSlot { leg });
            }
            LegStage::Closing { .. } => return,
            LegStage::Dialling => false,
            LegStage::Joined => true,
        };
        party.stage = LegStage::Closing { joined, asked };
        self.hang_third_party_up(leg);
    }

    fn hang_third_party_up(&mut self, leg: LegId) {
        let deadline = self.now + HANG_UP_AGAIN;
        if let Some(party) = self.third_party(leg) {
            party.deadline = deadline;
            self.push(CallCommand::HangUpLeg { leg });
        }
    }

    fn keep_waiting(&mut self, leg: LegId) {
        let least = self.after_adoption();
        if let Some(party) = self.third_party(leg) {
            party.deadline = party.deadline.max(least);
        }
    }
}
