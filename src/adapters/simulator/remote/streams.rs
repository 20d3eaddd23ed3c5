//! The streams of reports that this process listens to, and the legs they are about.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::callflow::call::LegEnd;
use crate::model::{LegId, Timestamp, WorkerId};
use crate::ports::telephony::{LegEvent, LegReport, LegState};

/// By number.
#[derive(Default)]
pub(super) struct Streams {
    open: BTreeMap<u32, Stream>,
    next: u32,
}

struct Stream {
    app: WorkerId,
    /// None until the network has answered.
    age: Option<u64>,
    listener: UnboundedSender<LegReport>,
    /// How far its legs are as far as is known here; never walked in its own order.
    legs: HashMap<LegId, LegState>,
}

impl Streams {
    /// A stream to be asked for.
    pub(super) fn open(&mut self, app: &WorkerId) -> (u32, UnboundedReceiver<LegReport>) {
        let (listener, reports) = unbounded_channel();
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let stream = Stream { app: app.clone(), age: None, listener, legs: HashMap::new() };
        self.open.insert(number, stream);
        (number, reports)
    }

    /// Ends a stream.
    pub(super) fn close(&mut self, number: u32) {
        self.open.remove(&number);
    }

    /// Which stream tells of an app's legs.
    pub(super) fn of_app(&self, app: &WorkerId) -> Option<u32> {
        self.open.iter().rev().find(|(_, stream)| stream.app == *app).map(|(number, _)| *number)
    }

    /// Which stream tells of a leg.
    pub(super) fn of_leg(&self, leg: LegId) -> Option<u32> {
        self.open.iter().rev().find(|(_, stream)| stream.legs.contains_key(&leg)).map(|(number, _)| *number)
    }

    /// A leg was made.
    pub(super) fn made(&mut self, number: u32, leg: LegId) {
        if let Some(stream) = self.open.get_mut(&number) {
            stream.legs.entry(leg).or_insert(LegState::Created);
        }
    }

    /// Hands a report on; not heard if nobody listens to its stream any more.
    pub(super) fn report(&mut self, number: u32, report: LegReport) -> bool {
        let Some(stream) = self.open.get_mut(&number) else { return true };
        match report.what {
            LegEvent::Ended(_) => {
                stream.legs.remove(&report.leg);
            }
            LegEvent::Answered => {
                stream.legs.insert(report.leg, LegState::Up);
            }
            LegEvent::Ringing
            | LegEvent::Digit(_)
            | LegEvent::PlaybackFinished { .. }
            | LegEvent::PartyDetected(_)
            | LegEvent::BeepHeard => {}
        }
        stream.listener.send(report).is_ok()
    }

    /// The network has begun a stream, or goes on with it: these are its legs now. Tells of what nobody heard.
    pub(super) fn listening(&mut self, number: u32, age: u64, legs: Vec<(LegId, LegState)>, at: Timestamp) {
        let Some(stream) = self.open.get_mut(&number) else { return };
        let goes_on = stream.age.replace(age).is_some();
        let before = std::mem::replace(&mut stream.legs, legs.into_iter().collect());
        if !goes_on {
            return;
        }
        let mut before: Vec<(LegId, LegState)> = before.into_iter().collect();
        before.sort_unstable_by_key(|(leg, _)| *leg);
        for (leg, was) in before {
            let what = match stream.legs.get(&leg) {
                None => LegEvent::Ended(LegEnd { lost: true, ..LegEnd::default() }),
                Some(LegState::Up) if was != LegState::Up => LegEvent::Answered,
                Some(_) => continue,
            };
            // Whoever does not listen any more is found out by the next report.
            let _unheard = stream.listener.send(LegReport { leg, at, what });
        }
    }

    /// The streams to go on with over a new connection; those that nobody listens to, or that had not begun, end.
    pub(super) fn resumable(&mut self) -> Vec<(u32, WorkerId, u64)> {
        self.open.retain(|_, stream| !stream.listener.is_closed());
        let begun = |(number, stream): (&u32, &Stream)| Some((*number, stream.app.clone(), stream.age?));
        self.open.iter().filter_map(begun).collect()
    }

    /// Ends streams that nobody listens to; they are to be hushed.
    pub(super) fn take_unheard(&mut self) -> Vec<u32> {
        let unheard: Vec<u32> =
            self.open.iter().filter(|(_, stream)| stream.listener.is_closed()).map(|(number, _)| *number).collect();
        unheard.iter().for_each(|number| self.close(*number));
        unheard
    }
}
