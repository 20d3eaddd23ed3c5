//! What happens by itself: the time's work on the network's legs.

use super::agenda::Due;
use super::callee::Response;
use super::exchange::Exchange;
use super::leg::Link;
use super::log::Seen;
use crate::callflow::call::LegEnd;
use crate::model::{Party, Timestamp};
use crate::ports::telephony::LegState;

/// How a leg ends that the network itself takes down after a transfer it was handed for.
const TAKEN_DOWN: LegEnd = LegEnd { cause: Some(16), sip: None, by: Some(Party::Us), lost: false };

impl Exchange {
    /// Lets everything happen that is due by `now`, each thing at its own time.
    pub(super) fn catch_up(&mut self, now: Timestamp) {
        while let Some((at, leg, due)) = self.agenda.take_due(now) {
            self.happen(at, leg, due);
        }
    }

    fn happen(&mut self, at: Timestamp, key: u64, due: Due) {
        let Some((leg, mut scene)) = self.scene(key, at) else { return };
        leg.taken(due);
        match due {
            Due::Progress => self.progress(at, key),
            Due::PlaybackEnd => leg.playback_ended(&mut scene),
            Due::Key => leg.presses_key(&mut scene),
            Due::Verdict => leg.detected(&mut scene),
            Due::Beep => leg.beeped(&mut scene),
            Due::RingTimeout => {
                let end = LegEnd { cause: Some(19), sip: Some(480), by: Some(Party::Us), lost: false };
                self.end(key, at, end);
            }
            Due::LifeOver => {
                scene.counters.outlived += 1;
                self.end(key, at, LegEnd { cause: Some(0), sip: None, by: Some(Party::Us), lost: false });
            }
            Due::Leave | Due::TiredOfSilence => {
                let cause = leg.callee.hang_up_cause();
                self.end(key, at, LegEnd { cause: Some(cause), sip: None, by: Some(Party::Callee), lost: false });
            }
        }
    }

    fn progress(&mut self, at: Timestamp, key: u64) {
        let Some((leg, mut scene)) = self.scene(key, at) else { return };
        let response = leg.callee.response;
        if response.rings() && !leg.rang {
            leg.rings(&mut scene);
            if response != Response::RingForEver {
                let next = at + leg.callee.ring(scene.population);
                leg.plan(scene.agenda, next, Due::Progress);
            }
            return;
        }
        if let Some(end) = response.end() {
            self.end(key, at, end);
            return;
        }
        leg.answered(&mut scene);
        if let Link::Handed(other) = leg.link {
            self.join(other, key, Link::Handed, at);
        }
    }

    /// Lets two answered legs hear each other, and decides which of them hangs up after their talk.
    pub(super) fn join(&mut self, one: u64, two: u64, link: fn(u64) -> Link, at: Timestamp) {
        for (key, other) in [(one, two), (two, one)] {
            if let Some((leg, scene)) = self.scene(key, at) {
                leg.joined(scene.agenda, link(other));
            }
        }
        let Some((first, second)) = self.legs.get(&one).zip(self.legs.get(&two)) else { return };
        let until = at + first.callee.talk(&self.settings.population);
        self.log.saw(at, first.id, Seen::Bridged { with: second.id });
        let leaver = match (first.callee.ends_talks(), second.callee.ends_talks()) {
            (true, true) if first.callee.has_last_word() => one,
            (true, false) => one,
            (_, true) => two,
            (false, false) => return,
        };
        if let Some((leg, scene)) = self.scene(leaver, at) {
            leg.plan(scene.agenda, until, Due::Leave);
        }
    }

    /// Parts a leg from whomever it is bridged with.
    pub(super) fn part(&mut self, key: u64, at: Timestamp) {
        let Some(Link::Bridged(other)) = self.legs.get(&key).map(|leg| leg.link) else { return };
        for key in [key, other] {
            if let Some((leg, mut scene)) = self.scene(key, at) {
                leg.left_alone(&mut scene);
            }
        }
    }

    /// Ends a leg. Whoever was bridged with it stays and hears nothing; whoever the network itself joined with it goes
    /// too, unless they were not joined yet because the target was not reached.
    pub(super) fn end(&mut self, key: u64, at: Timestamp, end: LegEnd) {
        let Some((leg, mut scene)) = self.scene(key, at) else { return };
        leg.ended(&mut scene, end);
        let (link, state) = (leg.link, leg.state);
        self.legs.remove(&key);
        match link {
            Link::Alone | Link::Attends(_) => {}
            Link::Handed(other) if state == LegState::Up => self.end(other, at, TAKEN_DOWN),
            Link::Bridged(other) | Link::Handed(other) => {
                if let Some((other, mut scene)) = self.scene(other, at) {
                    other.left_alone(&mut scene);
                }
            }
        }
    }
}
