//! One leg: its state, what is due on it, and what it reports.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::agenda::{Agenda, Due, Entry};
use super::callee::Callee;
use super::log::{Counters, DialLog, Seen};
use super::population::Population;
use crate::callflow::call::LegEnd;
use crate::callflow::program::{Digit, Target};
use crate::model::{AnsweredBy, LegId, Phone, Timestamp, WorkerId};
use crate::ports::telephony::{LegEvent, LegReport, LegState};

/// How long it takes to find out that something cannot be played.
const NOTHING_TO_PLAY: Duration = Duration::from_millis(20);

/// A leg that has not ended.
pub(super) struct Leg {
    pub(super) id: LegId,
    /// The id's fingerprint, by which the agenda and other legs know it.
    pub(super) key: u64,
    /// Who made it.
    pub(super) app: AppIndex,
    pub(super) target: Target,
    pub(super) caller: Option<Phone>,
    pub(super) callee: Callee,
    pub(super) state: LegState,
    pub(super) rang: bool,
    pub(super) link: Link,
    waits_for_beep: bool,
    /// In milliseconds.
    talks_at_most: u32,
    answered_at: Timestamp,
    playing: Option<Playback>,
    waiting: Vec<Playback>,
    /// How often the far end was asked for a key.
    asked: u32,
    next_key: Option<Digit>,
    due: [Option<Entry>; Due::PLACES],
}

/// Whom a leg's far end hears. Others are named by their fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// What is played to it, and nobody.
    Alone,
    /// Another leg, joined by the worker.
    Bridged(u64),
    /// Another leg, joined or about to be joined by the network itself: they end together.
    Handed(u64),
    /// Another leg, as a third party: neither keeps the other.
    Attends(u64),
}

/// Something to be played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Playback {
    pub(super) number: u32,
    pub(super) millis: u32,
    pub(super) expects_key: bool,
    pub(super) missing: bool,
}

/// What a leg needs of the network when something happens to it at an instant.
pub(super) struct Scene<'a> {
    pub(super) at: Timestamp,
    pub(super) agenda: &'a mut Agenda,
    pub(super) audience: &'a mut Audience,
    pub(super) counters: &'a mut Counters,
    pub(super) log: &'a mut DialLog,
    pub(super) population: &'a Population,
}

impl Leg {
    pub(super) fn new(
        id: LegId,
        key: u64,
        app: AppIndex,
        target: Target,
        caller: Option<Phone>,
        callee: Callee,
        talks_at_most: Duration,
    ) -> Self {
        Self {
            id,
            key,
            app,
            target,
            caller,
            callee,
            state: LegState::Created,
            rang: false,
            link: Link::Alone,
            waits_for_beep: false,
            talks_at_most: u32::try_from(talks_at_most.as_millis()).unwrap_or(u32::MAX),
            answered_at: Timestamp::default(),
            playing: None,
            waiting: Vec::new(),
            asked: 0,
            next_key: None,
            due: [None; Due::PLACES],
        }
    }

    /// Plans something for `at`, in place of what stood in its place.
    pub(super) fn plan(&mut self, agenda: &mut Agenda, at: Timestamp, due: Due) {
        self.call_off(agenda, due);
        self.due[due.place()] = Some(agenda.put(at, self.key, due));
    }

    /// Calls something off.
    pub(super) fn call_off(&mut self, agenda: &mut Agenda, due: Due) {
        if let Some(entry) = self.due[due.place()].take() {
            agenda.remove(entry);
        }
    }

    /// Notes that the agenda has given something out.
    pub(super) const fn taken(&mut self, due: Due) {
        self.due[due.place()] = None;
    }

    /// When something is due, if it is.
    pub(super) fn due_at(&self, due: Due) -> Option<Timestamp> {
        self.due[due.place()].map(|entry| entry.at)
    }

    fn report(&self, scene: &mut Scene<'_>, what: LegEvent) {
        scene.log.saw(scene.at, self.id, Seen::Reported { event: &what, state: self.state });
        if !scene.audience.tell(self.app, LegReport { leg: self.id, at: scene.at, what }) {
            scene.counters.reports_lost += 1;
        }
    }

    /// The INVITE leaves.
    pub(super) fn dialled(&mut self, scene: &mut Scene<'_>, ring_timeout: Duration) {
        self.state = LegState::Dialled;
        scene.counters.dialled += 1;
        self.plan(scene.agenda, scene.at + ring_timeout, Due::RingTimeout);
        let first = scene.at + self.callee.post_dial(scene.population);
        self.plan(scene.agenda, first, Due::Progress);
    }

    /// The far end's phone rings.
    pub(super) fn rings(&mut self, scene: &mut Scene<'_>) {
        self.rang = true;
        scene.counters.rang += 1;
        self.report(scene, LegEvent::Ringing);
    }

    /// The far end answers.
    pub(super) fn answered(&mut self, scene: &mut Scene<'_>) {
        self.call_off(scene.agenda, Due::RingTimeout);
        self.state = LegState::Up;
        self.answered_at = scene.at;
        scene.counters.answered += 1;
        let over = scene.at + Duration::from_millis(self.talks_at_most.into());
        if self.due_at(Due::LifeOver).is_some_and(|at| over < at) {
            self.plan(scene.agenda, over, Due::LifeOver);
        }
        self.report(scene, LegEvent::Answered);
        if let Some(after) = self.callee.leaves_after(scene.population) {
            self.plan(scene.agenda, scene.at + after, Due::Leave);
        }
        self.hears_nothing(scene);
    }

    /// Nothing is played and nobody is there: the far end bears it for a while.
    pub(super) fn hears_nothing(&mut self, scene: &mut Scene<'_>) {
        if let (Link::Alone, Some(patience)) = (self.link, self.callee.bears_silence(scene.population)) {
            self.plan(scene.agenda, scene.at + patience, Due::TiredOfSilence);
        }
    }

    /// The far end talks with somebody from now on.
    pub(super) fn joined(&mut self, agenda: &mut Agenda, link: Link) {
        self.link = link;
        self.call_off(agenda, Due::TiredOfSilence);
        if self.callee.ends_talks() {
            self.call_off(agenda, Due::Leave);
        }
    }

    /// The other one is gone.
    pub(super) fn left_alone(&mut self, scene: &mut Scene<'_>) {
        self.link = Link::Alone;
        if self.callee.ends_talks() {
            self.call_off(scene.agenda, Due::Leave);
        }
        if self.playing.is_none() {
            self.hears_nothing(scene);
        }
    }

    /// Whether a playback of this number plays or waits.
    pub(super) fn has_playback(&self, number: u32) -> bool {
        self.playing.iter().chain(&self.waiting).any(|playback| playback.number == number)
    }

    /// Plays something, or lets it wait for what plays.
    pub(super) fn play(&mut self, scene: &mut Scene<'_>, playback: Playback) {
        if self.playing.is_some() {
            self.waiting.push(playback);
            return;
        }
        self.playing = Some(playback);
        scene.counters.playbacks += 1;
        self.call_off(scene.agenda, Due::TiredOfSilence);
        if playback.missing {
            self.plan(scene.agenda, scene.at + NOTHING_TO_PLAY, Due::PlaybackEnd);
            return;
        }
        let length = Duration::from_millis(playback.millis.into());
        self.plan(scene.agenda, scene.at + length, Due::PlaybackEnd);
        // Whoever is about to press a key does not think again.
        if playback.expects_key && self.next_key.is_none() {
            let pressed = self.callee.key(scene.population, self.asked, length);
            self.asked = self.asked.saturating_add(1);
            if let Some((key, after)) = pressed {
                self.next_key = Some(key);
                self.plan(scene.agenda, scene.at + after, Due::Key);
            }
        }
    }

    /// What plays has ended; what waits follows.
    pub(super) fn playback_ended(&mut self, scene: &mut Scene<'_>) {
        self.call_off(scene.agenda, Due::PlaybackEnd);
        let Some(ended) = self.playing.take() else { return };
        self.report(scene, LegEvent::PlaybackFinished { playback: ended.number, played: !ended.missing });
        if self.waiting.is_empty() {
            self.hears_nothing(scene);
        } else {
            let next = self.waiting.remove(0);
            self.play(scene, next);
        }
    }

    /// Stops a playback, if it has not ended yet.
    pub(super) fn stop(&mut self, scene: &mut Scene<'_>, number: u32) {
        if self.playing.is_some_and(|playing| playing.number == number) {
            self.playback_ended(scene);
        } else if let Some(place) = self.waiting.iter().position(|playback| playback.number == number) {
            self.waiting.remove(place);
            self.report(scene, LegEvent::PlaybackFinished { playback: number, played: true });
        }
    }

    /// The far end presses the key it had in mind.
    pub(super) fn presses_key(&mut self, scene: &mut Scene<'_>) {
        if let Some(key) = self.next_key.take() {
            scene.counters.keys += 1;
            self.report(scene, LegEvent::Digit(key));
        }
    }

    /// Machine detection begins, again if it was begun before.
    pub(super) fn detects(&mut self, scene: &mut Scene<'_>, wait_for_beep: bool) {
        self.waits_for_beep = wait_for_beep;
        self.call_off(scene.agenda, Due::Beep);
        let (_, after) = self.callee.verdict();
        self.plan(scene.agenda, scene.at + after, Due::Verdict);
    }

    /// Machine detection has made up its mind.
    pub(super) fn detected(&mut self, scene: &mut Scene<'_>) {
        let (found, _) = self.callee.verdict();
        self.report(scene, LegEvent::PartyDetected(found));
        if self.waits_for_beep && found == AnsweredBy::Machine {
            let beep = self.answered_at + self.callee.greeting(scene.population);
            self.plan(scene.agenda, beep.max(scene.at), Due::Beep);
        }
    }

    /// The beep is over.
    pub(super) fn beeped(&self, scene: &mut Scene<'_>) {
        self.report(scene, LegEvent::BeepHeard);
    }

    /// The leg is gone: what plays is cut off, and nothing follows.
    pub(super) fn ended(&mut self, scene: &mut Scene<'_>, end: LegEnd) {
        for playback in self.playing.take().into_iter().chain(std::mem::take(&mut self.waiting)) {
            self.report(scene, LegEvent::PlaybackFinished { playback: playback.number, played: false });
        }
        for entry in self.due.iter_mut().filter_map(Option::take) {
            scene.agenda.remove(entry);
        }
        scene.counters.ended += 1;
        self.report(scene, LegEvent::Ended(end));
    }
}

/// Who made a leg, as a place in the audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AppIndex(u32);

/// The apps and whoever listens to their legs.
#[derive(Default)]
pub(super) struct Audience {
    indices: BTreeMap<WorkerId, AppIndex>,
    names: Vec<WorkerId>,
    listeners: Vec<UnboundedSender<LegReport>>,
}

impl Audience {
    /// Lets somebody listen to an app's legs, in place of whoever did.
    pub(super) fn listen(&mut self, app: &WorkerId) -> UnboundedReceiver<LegReport> {
        let (sender, receiver) = mpsc::unbounded_channel();
        if let Some(listener) = self.index(app).and_then(|AppIndex(index)| self.listeners.get_mut(index as usize)) {
            *listener = sender;
        } else {
            let index = AppIndex(u32::try_from(self.listeners.len()).unwrap_or(u32::MAX));
            self.indices.insert(app.clone(), index);
            self.names.push(app.clone());
            self.listeners.push(sender);
        }
        receiver
    }

    /// The app, if anybody ever listened to it.
    pub(super) fn index(&self, app: &WorkerId) -> Option<AppIndex> {
        self.indices.get(app).copied()
    }

    /// An app's name.
    pub(super) fn name(&self, AppIndex(index): AppIndex) -> Option<&WorkerId> {
        self.names.get(index as usize)
    }

    /// The app, if somebody listens to it now.
    pub(super) fn present(&self, app: &WorkerId) -> Option<AppIndex> {
        self.index(app)
            .filter(|AppIndex(index)| self.listeners.get(*index as usize).is_some_and(|listener| !listener.is_closed()))
    }

    fn tell(&self, AppIndex(index): AppIndex, report: LegReport) -> bool {
        self.listeners.get(index as usize).is_some_and(|listener| listener.send(report).is_ok())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_leg_is_small() {
        assert!(size_of::<super::Leg>() <= 300, "{} bytes", size_of::<super::Leg>());
    }
}
