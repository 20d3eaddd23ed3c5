//! The network's legs, and what workers may ask of them. Time is an argument; nothing waits.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::agenda::{Agenda, Due};
use super::callee::Callee;
use super::dice;
use super::leg::{AppIndex, Audience, Leg, Link, Playback, Scene};
use super::log::{Counters, DialLog, Invite, Seen};
use super::population::NetworkSettings;
use crate::callflow::call::LegEnd;
use crate::callflow::program::Target;
use crate::model::{LegId, Party, Phone, Timestamp, WorkerId};
use crate::ports::TelephonyError;
use crate::ports::telephony::{LegReport, LegState, NewLeg};

/// How long the network lets the target of a blind transfer ring.
const BLIND_RING_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) type Outcome<T> = Result<T, TelephonyError>;

/// The network's state.
pub(super) struct Exchange {
    pub(super) settings: NetworkSettings,
    /// By fingerprint; never walked in its own order.
    pub(super) legs: HashMap<u64, Leg, AsItIs>,
    /// Fingerprints of all names that were ever used.
    used: HashSet<u64, AsItIs>,
    pub(super) agenda: Agenda,
    pub(super) audience: Audience,
    pub(super) counters: Counters,
    pub(super) log: DialLog,
}

impl Exchange {
    pub(super) fn new(settings: NetworkSettings) -> Self {
        let log = DialLog::new(settings.dial_log);
        Self {
            settings,
            legs: HashMap::default(),
            used: HashSet::default(),
            agenda: Agenda::new(),
            audience: Audience::default(),
            counters: Counters::default(),
            log,
        }
    }

    /// A leg by its fingerprint, and what it needs when something happens to it.
    pub(super) fn scene(&mut self, key: u64, at: Timestamp) -> Option<(&mut Leg, Scene<'_>)> {
        let Self { legs, agenda, audience, counters, log, settings, .. } = self;
        Some((legs.get_mut(&key)?, Scene { at, agenda, audience, counters, log, population: &settings.population }))
    }

    fn leg(&mut self, leg: LegId, at: Timestamp) -> Outcome<(&mut Leg, Scene<'_>)> {
        self.scene(dice::fingerprint(leg), at).filter(|(found, _)| found.id == leg).ok_or(TelephonyError::NoSuchLeg)
    }

    /// An answered leg that is the worker's to play to.
    fn answered_leg(&mut self, leg: LegId, at: Timestamp) -> Outcome<(&mut Leg, Scene<'_>)> {
        match self.leg(leg, at)? {
            (leg, scene) if leg.state == LegState::Up && !matches!(leg.link, Link::Handed(_)) => Ok((leg, scene)),
            _ => Err(TelephonyError::Conflict),
        }
    }

    pub(super) fn listen(&mut self, app: &WorkerId) -> UnboundedReceiver<LegReport> {
        self.audience.listen(app)
    }

    pub(super) fn create(&mut self, app: &WorkerId, new: &NewLeg, now: Timestamp) -> Outcome<()> {
        let app = self
            .audience
            .present(app)
            .ok_or_else(|| TelephonyError::Unavailable(format!("nobody listens to the app {app}")))?;
        let over = now + new.lives_at_most;
        let made = self.make(app, new.leg, new.target.clone(), new.caller, (over, new.talks_at_most)).map(drop);
        self.note_refusal("create", new.leg, &made, now);
        made
    }

    fn make(
        &mut self,
        app: AppIndex,
        id: LegId,
        target: Target,
        caller: Option<Phone>,
        (over, talks_at_most): (Timestamp, Duration),
    ) -> Outcome<u64> {
        let key = dice::fingerprint(id);
        if !self.used.insert(key) {
            return Err(TelephonyError::Conflict);
        }
        let callee = Callee::behind(&target, dice::seed_of(self.settings.seed, id, &target), &self.settings.population);
        let mut leg = Leg::new(id, key, app, target, caller, callee, talks_at_most);
        leg.plan(&mut self.agenda, over, Due::LifeOver);
        self.legs.insert(key, leg);
        self.counters.created += 1;
        self.counters.most_live = self.counters.most_live.max(self.counters.live());
        Ok(key)
    }

    pub(super) fn dial(&mut self, leg: LegId, ring_timeout: Duration, now: Timestamp) -> Outcome<Invite> {
        let dialled = self.invite(leg, ring_timeout, now);
        self.note_refusal("dial", leg, &dialled, now);
        dialled
    }

    fn invite(&mut self, leg: LegId, ring_timeout: Duration, now: Timestamp) -> Outcome<Invite> {
        let (leg, mut scene) = self.leg(leg, now)?;
        if leg.state != LegState::Created {
            return Err(TelephonyError::Conflict);
        }
        let seen = Seen::Invited { app: scene.audience.name(leg.app), target: &leg.target, caller: leg.caller };
        scene.log.saw(now, leg.id, seen);
        leg.dialled(&mut scene, ring_timeout);
        let invite = Invite { leg: leg.id, target: leg.target.clone(), caller: leg.caller, at: now };
        self.log.note(&invite);
        Ok(invite)
    }

    fn note_refusal<T>(&mut self, command: &'static str, leg: LegId, outcome: &Outcome<T>, now: Timestamp) {
        if let Err(error) = outcome {
            self.log.saw(now, leg, Seen::Refused { command, error });
        }
    }

    pub(super) fn hang_up(&mut self, leg: LegId, now: Timestamp) -> Outcome<()> {
        let (leg, _) = self.leg(leg, now)?;
        let (cause, sip) = if leg.state == LegState::Created { (21, Some(603)) } else { (16, None) };
        let key = leg.key;
        self.end(key, now, LegEnd { cause: Some(cause), sip, by: Some(Party::Us), lost: false });
        Ok(())
    }

    pub(super) fn play(&mut self, leg: LegId, playback: Playback, now: Timestamp) -> Outcome<()> {
        let (leg, mut scene) = self.answered_leg(leg, now)?;
        if leg.has_playback(playback.number) {
            return Err(TelephonyError::Conflict);
        }
        leg.play(&mut scene, playback);
        Ok(())
    }

    pub(super) fn stop_playback(&mut self, leg: LegId, playback: u32, now: Timestamp) -> Outcome<()> {
        let (leg, mut scene) = self.leg(leg, now)?;
        leg.stop(&mut scene, playback);
        Ok(())
    }

    pub(super) fn detect_machine(&mut self, leg: LegId, wait_for_beep: bool, now: Timestamp) -> Outcome<()> {
        let (leg, mut scene) = self.answered_leg(leg, now)?;
        leg.detects(&mut scene, wait_for_beep);
        Ok(())
    }

    pub(super) fn bridge(&mut self, leg: LegId, other: LegId, now: Timestamp) -> Outcome<()> {
        let (one, two) = (self.answered_leg(leg, now)?.0, dice::fingerprint(other));
        let (one, link) = (one.key, one.link);
        self.answered_leg(other, now)?;
        if one == two {
            return Err(TelephonyError::Conflict);
        }
        match link {
            Link::Bridged(with) if with == two => {}
            // A third party: the talk goes on as it would without.
            Link::Bridged(_) | Link::Handed(_) => self.attend(two, leg, now, |with| Seen::Bridged { with }),
            Link::Alone | Link::Attends(_) => {
                self.part(two, now);
                self.join(one, two, Link::Bridged, now);
            }
        }
        Ok(())
    }

    /// Who whispers to whom makes no difference to anybody here: nobody has ears.
    pub(super) fn listen_in(
        &mut self,
        leg: LegId,
        other: LegId,
        whispers_to: Option<LegId>,
        now: Timestamp,
    ) -> Outcome<()> {
        for there in [Some(leg), whispers_to] {
            there.map_or(Ok(()), |there| self.answered_leg(there, now).map(drop))?;
        }
        let two = self.answered_leg(other, now)?.0.key;
        if leg == other || whispers_to == Some(other) {
            return Err(TelephonyError::Conflict);
        }
        self.attend(two, leg, now, |to| Seen::ListensIn { to, whispers_to });
        Ok(())
    }

    /// Lets a leg attend another's call, as nobody's partner.
    fn attend<'a>(&mut self, two: u64, leg: LegId, now: Timestamp, seen: impl Fn(LegId) -> Seen<'a>) {
        self.part(two, now);
        if let Some((attends, scene)) = self.scene(two, now) {
            attends.joined(scene.agenda, Link::Attends(dice::fingerprint(leg)));
            scene.log.saw(now, attends.id, seen(leg));
        }
    }

    pub(super) fn blind_transfer(
        &mut self,
        leg: LegId,
        other: LegId,
        target: &Target,
        now: Timestamp,
    ) -> Outcome<Invite> {
        let (leg, _) = self.answered_leg(leg, now)?;
        if leg.link != Link::Alone {
            return Err(TelephonyError::Conflict);
        }
        let (key, app, caller, over) = (leg.key, leg.app, leg.caller, leg.due_at(Due::LifeOver).unwrap_or(now));
        let new = self.make(app, other, target.clone(), caller, (over, over.since(now)))?;
        if let Some(leg) = self.legs.get_mut(&key) {
            leg.link = Link::Handed(new);
        }
        if let Some(leg) = self.legs.get_mut(&new) {
            leg.link = Link::Handed(key);
        }
        self.dial(other, BLIND_RING_TIMEOUT, now)
    }

    /// Recording is not simulated: only whether there is a leg to record is looked at.
    pub(super) fn record(&mut self, leg: LegId, now: Timestamp) -> Outcome<()> {
        self.leg(leg, now).map(drop)
    }

    pub(super) fn inspect(&self, leg: LegId) -> Option<LegState> {
        self.legs.get(&dice::fingerprint(leg)).filter(|found| found.id == leg).map(|found| found.state)
    }

    /// The legs of an app, or of all, in the order of their names.
    pub(super) fn legs_of(&self, app: Option<&WorkerId>) -> Vec<(LegId, LegState)> {
        let index = app.map(|app| self.audience.index(app));
        let mut legs: Vec<_> = self
            .legs
            .values()
            .filter(|leg| index.is_none_or(|index| index == Some(leg.app)))
            .map(|leg| (leg.id, leg.state))
            .collect();
        legs.sort_unstable_by_key(|(leg, _)| *leg);
        legs
    }
}

/// Fingerprints need no further hashing.
pub(super) type AsItIs = BuildHasherDefault<Identity>;

/// The hash of a number is the number.
#[derive(Default)]
pub(super) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| dice::fold(hash, u64::from(*byte)));
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
