//! What a call's task writes down: its history, what of it the store does not have yet, and what goes out.

use std::sync::Arc;
use std::time::Duration;

use super::asked::Answer;
use super::shared::Shared;
use crate::callflow::call::CallState;
use crate::model::event::{Beginning, CallContext, RequestEvent};
use crate::model::happening::events_in;
use crate::model::{Event, Fact, Happening, Timestamp};
use crate::ports::StoreError;
use crate::ports::store::{AttemptEnd, Finished, Held, Written};
use crate::telemetry::calls;

/// How soon an unanswering store is told again what it has lost.
const AGAIN: Duration = Duration::from_millis(500);

/// The books of one call.
pub struct Ledger<'s> {
    shared: &'s Shared,
    /// What the events refer to.
    pub context: Arc<CallContext>,
    /// Proof of holding the call.
    pub held: Held,
    /// Shared with the events that are on their way out; copied only if a new fact comes while some still are.
    history: Arc<Vec<Fact>>,
    stored: usize,
    /// Whether the store may not know where the flow stands.
    unsaved: bool,
    /// Where the flow stood when the store was last told; none before the dial.
    state: Option<CallState>,
    /// To be given when what was asked is stored, at the latest with the end.
    pub(super) answers: Vec<Answer>,
}

/// The call is somebody else's: its task ends without another word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced;

impl<'s> Ledger<'s> {
    /// Books that agree with the store's. What an earlier owner published without seeing it confirmed is published
    /// again first.
    pub fn new(shared: &'s Shared, context: Arc<CallContext>, held: Held, history: Vec<Fact>, confirmed: u32) -> Self {
        let ledger = Self {
            shared,
            context,
            held,
            stored: history.len(),
            history: Arc::new(history),
            unsaved: false,
            state: None,
            answers: Vec::new(),
        };
        if events_in(&ledger.history) > confirmed {
            let end = (0..=ledger.history.len()).rev().find(|end| events_in(&ledger.history[..*end]) <= confirmed);
            ledger.publish_from(end.unwrap_or(0));
        }
        ledger
    }

    /// The history so far.
    pub fn history(&self) -> &[Fact] {
        &self.history
    }

    /// This attempt's recording, if it began and has not ended: where it is kept, if it is.
    pub fn recording(&self) -> Option<Option<Box<str>>> {
        let attempt = self.history.iter().rev();
        let mut attempt = attempt.take_while(|fact| !matches!(fact.what, Happening::Dialing { .. }));
        attempt.find_map(|fact| match &fact.what {
            Happening::RecordingStarted { recording } => Some(Some(kept_at(recording))),
            Happening::RecordingStopped { .. } => Some(None),
            _ => None,
        })?
    }

    /// Whether something is not stored yet.
    pub fn is_behind(&self) -> bool {
        self.unsaved || self.stored < self.history.len()
    }

    /// Writes down what happened; [`Ledger::store`] makes it last.
    pub fn note(&mut self, at: Timestamp, what: Happening) {
        Arc::make_mut(&mut self.history).push(Fact { at, what });
    }

    /// Takes over a history that the store has extended, and publishes what is new in it.
    pub fn replace(&mut self, history: Vec<Fact>) {
        let known = self.stored.min(history.len());
        self.history = Arc::new(history);
        self.stored = self.history.len();
        self.tell_from(known);
    }

    /// Notes where the flow stands, as the store was told.
    pub fn stands_at(&mut self, state: &CallState) {
        self.state = Some(state.clone());
    }

    /// Says everything again that the store has lost, and publishes what was not stored before. An unanswering store
    /// leaves it for the next time.
    ///
    /// # Errors
    /// When the call is somebody else's.
    pub async fn say_again(&mut self) -> Result<bool, Fenced> {
        // What was not dialled is nobody's loss.
        let Some(state) = &self.state else { return Err(Fenced) };
        let (store, worker) = (&self.shared.ports.store, &self.shared.settings.id);
        match store.reassert(&self.held, worker, &self.context, &self.history, state).await {
            Ok(Written::Done(events)) => {
                tracing::warn!("the store had lost this call, and was told of it again");
                publish_requests(self.shared, events);
                let known = std::mem::replace(&mut self.stored, self.history.len());
                self.unsaved = false;
                self.tell_from(known);
                Ok(true)
            }
            Err(StoreError::Unavailable(_)) => {
                self.unsaved = true;
                Ok(false)
            }
            Ok(Written::Fenced) | Err(_) => Err(Fenced),
        }
    }

    /// Stores what is not stored yet together with where the flow stands, then publishes it. An unanswering store
    /// leaves it for the next time.
    ///
    /// # Errors
    /// When the call is somebody else's.
    pub async fn store(&mut self, state: &CallState) -> Result<bool, Fenced> {
        self.stands_at(state);
        let (before, fresh) = self.history.split_at(self.stored);
        let after = u32::try_from(before.len()).unwrap_or(u32::MAX);
        match self.shared.ports.store.checkpoint(&self.held, after, fresh, state).await {
            Ok(Written::Done(())) => {
                let known = std::mem::replace(&mut self.stored, self.history.len());
                self.unsaved = false;
                self.tell_from(known);
                Ok(true)
            }
            Ok(Written::Fenced) | Err(StoreError::NotFound | StoreError::IdTaken | StoreError::Unmet { .. }) => {
                Err(Fenced)
            }
            Err(StoreError::Forgotten) => self.say_again().await,
            Err(StoreError::Refused(reason)) => {
                tracing::error!(reason, "the store refuses a checkpoint");
                Err(Fenced)
            }
            Err(StoreError::Unavailable(reason)) => {
                tracing::debug!(%reason, "a checkpoint waits for the store");
                self.unsaved = true;
                Ok(false)
            }
        }
    }

    /// Where what was recorded of this attempt is kept, if it is.
    fn recorded(&self) -> Option<Box<str>> {
        let attempt = self.history.iter().rev();
        let mut attempt = attempt.take_while(|fact| !matches!(fact.what, Happening::Dialing { .. }));
        attempt.find_map(|fact| match &fact.what {
            Happening::RecordingStarted { recording: place } | Happening::RecordingStopped { url: Some(place) } => {
                kept_at(place)
            }
            _ => None,
        })
    }

    /// Ends the attempt, asking for as many destinations to carry instead; asks until the store answers.
    ///
    /// # Errors
    /// When the call is somebody else's.
    pub async fn finish(mut self, end: AttemptEnd, refill: u32) -> Result<Finished, Fenced> {
        let end = AttemptEnd { recording: self.recorded(), ..end };
        let ports = &self.shared.ports;
        let ended = loop {
            let (before, fresh) = self.history.split_at(self.stored);
            let after = u32::try_from(before.len()).unwrap_or(u32::MAX);
            let ask = || ports.store.finish(&self.held, &self.shared.settings.id, after, fresh, end.clone(), refill);
            match super::insist::insist(&*ports.clock, ask).await {
                Err(StoreError::Forgotten) => {
                    if !self.say_again().await? {
                        ports.clock.sleep_until(ports.clock.now() + AGAIN).await;
                    }
                }
                ended => break ended,
            }
        };
        let Ok(Written::Done(mut finished)) = ended else { return Err(Fenced) };
        std::mem::take(&mut self.answers).into_iter().for_each(Answer::give);
        self.replace(std::mem::take(&mut finished.history));
        publish_requests(self.shared, std::mem::take(&mut finished.events));
        Ok(finished)
    }

    /// Counts and publishes what has become lasting.
    fn tell_from(&self, known: usize) {
        calls::happened(&self.context, &self.history, known);
        self.publish_from(known);
    }

    fn publish_from(&self, known: usize) {
        let mut seq = events_in(&self.history[..known]);
        for (index, fact) in self.history.iter().enumerate().skip(known) {
            if fact.what.event_type().is_none() {
                continue;
            }
            seq += 1;
            self.shared.publisher.publish(Event::Call {
                context: Arc::clone(&self.context),
                facts: Beginning::of(&self.history, index + 1),
                seq,
            });
        }
    }
}

/// Publishes what something meant for its request.
pub fn publish_requests(shared: &Shared, events: Vec<RequestEvent>) {
    for event in events {
        shared.publisher.publish(Event::Request(Arc::new(event)));
    }
}

/// A recording's place, if it is one: a name alone leads nowhere.
fn kept_at(recording: &str) -> Option<Box<str>> {
    recording.contains("://").then(|| recording.into())
}
