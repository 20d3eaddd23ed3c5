//! Every leg this process knows of, by name, and the streams of reports that are listened to.
//!
//! Pure but for the channels that reports go out by: an event comes in, reports go out, and what is to be asked of
//! Asterisk in consequence is answered as [`Errand`]s.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::ari::event::{AriEvent, Kind};
use super::leg::{Heard, Leg, playback_of, state_of};
use crate::callflow::call::LegEnd;
use crate::model::{LegId, LegRole, Timestamp, WorkerId};
use crate::ports::telephony::{LegEvent, LegReport, LegState};

/// What is to be asked of Asterisk because of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// A leg is to wait for a machine's beep.
    AwaitBeep(LegId),
    /// A leg that was answered is to be joined with the callee.
    Join {
        /// The callee.
        leg: LegId,
        /// Who was answered.
        other: LegId,
    },
    /// A leg is to go: the one it was for has gone.
    HangUp(LegId),
    /// The callee is gone.
    ClearBridge {
        /// The callee, whose name the bridge has.
        leg: LegId,
        /// Where.
        node: usize,
    },
    /// Somebody who may have listened in is gone.
    TakeEars {
        /// Who.
        listener: LegId,
        /// Where.
        node: usize,
    },
    /// The callee is to hear no ringing any more.
    Hush(LegId),
    /// An answered leg is to end by itself after this long.
    Limit {
        /// Which.
        leg: LegId,
        /// From now on.
        length: Duration,
    },
}

/// By number; a newer one has a higher number.
struct Stream {
    app: WorkerId,
    reports: UnboundedSender<LegReport>,
    /// On which nodes its socket is open.
    open_on: BTreeSet<usize>,
}

/// Legs and streams.
pub struct Table {
    legs: HashMap<LegId, Leg>,
    /// How many legs there are, and how many of them are no callees', by node.
    by_node: Vec<(usize, usize)>,
    streams: BTreeMap<u64, Stream>,
    next: u64,
}

impl Table {
    /// Nobody, and nobody listens.
    pub fn new(nodes: usize) -> Self {
        Self { legs: HashMap::new(), by_node: vec![(0, 0); nodes], streams: BTreeMap::new(), next: 0 }
    }

    /// A stream of an app's reports; the older one ends.
    pub fn open(&mut self, app: &WorkerId) -> (u64, UnboundedReceiver<LegReport>) {
        self.streams.retain(|_, stream| stream.app != *app);
        let (reports, listener) = unbounded_channel();
        let number = self.next;
        self.next += 1;
        self.streams.insert(number, Stream { app: app.clone(), reports, open_on: BTreeSet::new() });
        (number, listener)
    }

    /// Ends a stream, and forgets the legs it told of.
    pub fn close(&mut self, number: u64) {
        if let Some(Stream { app, .. }) = self.streams.remove(&number) {
            let gone: Vec<LegId> = self.of_app(&app).map(|(leg, _)| leg).collect();
            gone.into_iter().for_each(|leg| drop(self.remove(leg)));
        }
    }

    /// Whether somebody listens to a stream.
    pub fn is_heard(&self, number: u64) -> bool {
        self.streams.get(&number).is_some_and(|stream| !stream.reports.is_closed())
    }

    /// A stream's socket on a node was opened, or is closed.
    pub fn set_open(&mut self, number: u64, node: usize, open: bool) {
        if let Some(stream) = self.streams.get_mut(&number) {
            if open {
                stream.open_on.insert(node)
            } else {
                stream.open_on.remove(&node)
            };
        }
    }

    /// On which nodes an app hears of its legs now.
    pub fn hears_on(&self, app: &WorkerId) -> BTreeSet<usize> {
        self.streams.values().find(|stream| stream.app == *app).map(|stream| stream.open_on.clone()).unwrap_or_default()
    }

    /// On which nodes anything is heard now.
    pub fn heard_on(&self) -> BTreeSet<usize> {
        self.streams.values().flat_map(|stream| stream.open_on.iter().copied()).collect()
    }

    /// Which apps are listened to.
    pub fn apps(&self) -> BTreeSet<WorkerId> {
        self.streams.values().map(|stream| stream.app.clone()).collect()
    }

    /// A leg that is asked for; completes when it is there. None if the name is in use.
    pub fn ask_for(&mut self, leg: LegId, app: &WorkerId, node: usize) -> Option<oneshot::Receiver<()>> {
        let (there, is_there) = oneshot::channel();
        self.insert(leg, || Leg::asked_for(app.clone(), node, there)).then_some(is_there)
    }

    /// Puts a leg in unless it is there; whether it was not.
    fn insert(&mut self, leg: LegId, new: impl FnOnce() -> Leg) -> bool {
        let Entry::Vacant(place) = self.legs.entry(leg) else { return false };
        let node = place.insert(new()).node;
        self.by_node[node].0 += 1;
        self.by_node[node].1 += usize::from(leg.role != LegRole::Callee);
        true
    }

    /// A leg, if it is known.
    pub fn get(&mut self, leg: LegId) -> Option<&mut Leg> {
        self.legs.get_mut(&leg)
    }

    /// Forgets a leg.
    pub fn remove(&mut self, leg: LegId) -> Option<Leg> {
        let gone = self.legs.remove(&leg)?;
        self.by_node[gone.node].0 -= 1;
        self.by_node[gone.node].1 -= usize::from(leg.role != LegRole::Callee);
        Some(gone)
    }

    /// How many legs this process has on a node.
    pub fn count(&self, node: usize) -> usize {
        self.by_node[node].0
    }

    /// How many of them are not callees'.
    pub fn second_legs(&self, node: usize) -> usize {
        self.by_node[node].1
    }

    /// An app's legs, in no order.
    fn of_app<'a>(&'a self, app: &'a WorkerId) -> impl Iterator<Item = (LegId, &'a Leg)> {
        self.legs.iter().filter(move |(_, leg)| leg.app == *app).map(|(id, leg)| (*id, leg))
    }

    /// An app's legs on a node that are surely there, as far as anybody said.
    pub fn there(&self, app: &WorkerId, node: usize) -> BTreeSet<LegId> {
        let there = self.of_app(app).filter(|(_, leg)| leg.node == node && leg.is_there());
        there.map(|(leg, _)| leg).collect()
    }

    /// The other legs of a callee's attempt. Few calls have any, and they are looked for seldom.
    fn others(&self, callee: LegId) -> impl Iterator<Item = (LegId, &Leg)> {
        const ROLES: [LegRole; 3] = [LegRole::Transfer, LegRole::Participant, LegRole::Supervisor];
        let names = ROLES.into_iter().flat_map(move |role| {
            // Nobody has more of them at a time; their numbers are counted up from 1.
            (1..=self.highest(callee)).map(move |ordinal| LegId { attempt: callee.attempt, role, ordinal })
        });
        names.filter_map(|name| self.legs.get(&name).map(|leg| (name, leg)))
    }

    fn highest(&self, callee: LegId) -> u16 {
        self.legs.get(&callee).map_or(0, |leg| leg.highest_other)
    }

    /// Notes that a second leg was asked for.
    pub fn note_other(&mut self, other: LegId) {
        if let Some(callee) = self.legs.get_mut(&LegId::callee(other.attempt)) {
            callee.highest_other = callee.highest_other.max(other.ordinal);
        }
    }

    /// Hears of an event, on an app's stream.
    pub fn hear(&mut self, number: u64, node: usize, event: &AriEvent<'_>, at: Timestamp) -> Vec<Errand> {
        let Some(app) = self.streams.get(&number).map(|stream| stream.app.clone()) else { return Vec::new() };
        if let Some(playback) = &event.playback {
            let Some((leg, playback_number)) = playback_of(&playback.id) else { return Vec::new() };
            // What is played to several is told to every app.
            let Some(known) = self.legs.get_mut(&leg).filter(|known| known.app == app) else { return Vec::new() };
            let heard = known.has_played(playback_number, playback.state == "done");
            return self.follow(number, leg, heard, at);
        }
        let Some(channel) = event.about() else { return Vec::new() };
        // Channels that are no legs: the ears that record and supervise.
        let Ok(leg) = channel.id.parse::<LegId>() else { return Vec::new() };
        self.insert(leg, || {
            // Its creation went unanswered, or it is a former owner's.
            let dialled = event.kind != Kind::StasisStart;
            let is_over = event.kind == Kind::ChannelDestroyed;
            let state = if is_over { state_of(&channel.state, dialled) } else { LegState::Created };
            let mut found = found(leg, app, node, state);
            if dialled {
                found.is_dialled();
            }
            found
        });
        let Some(known) = self.legs.get_mut(&leg) else { return Vec::new() };
        let heard = known.hear(event);
        self.follow(number, leg, heard, at)
    }

    /// A listing shows a leg: it may be new here, or further than it was known to be. Callees are to come before others.
    pub fn find(&mut self, number: u64, leg: LegId, node: usize, state: LegState, at: Timestamp) -> Vec<Errand> {
        let Some(app) = self.streams.get(&number).map(|stream| stream.app.clone()) else { return Vec::new() };
        let is_new = self.insert(leg, || found(leg, app, node, state));
        self.note_other(leg);
        if is_new {
            let is_met = state == LegState::Up && leg.role == LegRole::Transfer;
            return if is_met { self.answered(leg, at) } else { Vec::new() };
        }
        let Some(known) = self.legs.get_mut(&leg) else { return Vec::new() };
        let heard = known.is_found(state);
        self.follow(number, leg, heard, at)
    }

    /// A listing shows a leg ringing.
    pub fn rings(&mut self, number: u64, leg: LegId, at: Timestamp) {
        let Some(known) = self.legs.get_mut(&leg) else { return };
        let heard = known.rings();
        // Nothing follows from it but a report.
        let _nothing = self.follow(number, leg, heard, at);
    }

    /// A playback was found to be over.
    pub fn has_played(&mut self, leg: LegId, playback: u32, played: bool, at: Timestamp) -> Vec<Errand> {
        let Some(known) = self.legs.get_mut(&leg) else { return Vec::new() };
        let (heard, app) = (known.has_played(playback, played), known.app.clone());
        let number = self.streams.iter().find(|(_, stream)| stream.app == app).map(|(number, _)| *number);
        number.map(|number| self.follow(number, leg, heard, at)).unwrap_or_default()
    }

    /// A leg is gone, and nobody will say how it ended.
    pub fn lose(&mut self, leg: LegId, at: Timestamp) -> Vec<Errand> {
        let Some(known) = self.legs.get(&leg) else { return Vec::new() };
        let number = self.streams.iter().find(|(_, stream)| stream.app == known.app).map(|(number, _)| *number);
        let lost = Heard::Report(LegEvent::Ended(LegEnd { lost: true, ..LegEnd::default() }));
        number.map(|number| self.follow(number, leg, vec![lost], at)).unwrap_or_default()
    }

    /// Reports what was heard of a leg, and says what it leads to.
    fn follow(&mut self, number: u64, leg: LegId, heard: Vec<Heard>, at: Timestamp) -> Vec<Errand> {
        let mut errands = Vec::new();
        for heard in heard {
            let what = match heard {
                Heard::Report(what) => what,
                Heard::AwaitBeep => {
                    errands.push(Errand::AwaitBeep(leg));
                    continue;
                }
            };
            match what {
                LegEvent::Answered => errands.extend(self.answered(leg, at)),
                LegEvent::Ended(_) => errands.extend(self.ended(leg)),
                _ => {}
            }
            if let Some(stream) = self.streams.get(&number) {
                // Whoever does not listen any more is found out in the next round.
                let _unheard = stream.reports.send(LegReport { leg, at, what });
            }
        }
        errands
    }

    fn answered(&self, leg: LegId, at: Timestamp) -> Vec<Errand> {
        let Some(known) = self.legs.get(&leg) else { return Vec::new() };
        let joins = known.joins.then_some(Errand::Join { leg: LegId::callee(leg.attempt), other: leg });
        // It was told so at its making; from now on it is less.
        let sooner = known.limit.filter(|(length, until)| at + *length < *until);
        let limit = sooner.map(|(length, _)| Errand::Limit { leg, length });
        joins.into_iter().chain(limit).collect()
    }

    fn ended(&mut self, leg: LegId) -> Vec<Errand> {
        if leg.role == LegRole::Callee {
            let left_behind: Vec<LegId> =
                self.others(leg).filter(|(_, other)| other.joins).map(|(other, _)| other).collect();
            let Some(gone) = self.remove(leg) else { return Vec::new() };
            let clear = gone.is_bridged.then_some(Errand::ClearBridge { leg, node: gone.node });
            return left_behind.into_iter().map(Errand::HangUp).chain(clear).collect();
        }
        let mut errands = Vec::new();
        let gone = self.remove(leg);
        if let Some(gone) = gone.as_ref().filter(|gone| gone.listens) {
            errands.push(Errand::TakeEars { listener: leg, node: gone.node });
        }
        let callee = LegId::callee(leg.attempt);
        if gone.is_some_and(|gone| gone.is_waited_for)
            && let Some(known) = self.legs.get_mut(&callee)
            && std::mem::take(&mut known.hears_ringing)
        {
            errands.push(Errand::Hush(callee));
        }
        errands
    }
}

/// A leg that somebody else made.
fn found(leg: LegId, app: WorkerId, node: usize, state: LegState) -> Leg {
    let mut found = Leg::found(app, node, state);
    // It may have been meant to join by itself. If not, whoever joins it now asks for it once more, which is harmless.
    found.joins = leg.role == LegRole::Transfer;
    found.is_waited_for = found.joins;
    // Looked for once too often rather than never.
    found.is_bridged = leg.role == LegRole::Callee && state == LegState::Up;
    found.listens = matches!(leg.role, LegRole::Participant | LegRole::Supervisor);
    found
}
