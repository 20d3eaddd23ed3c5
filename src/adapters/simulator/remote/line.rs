//! What is to be sent, what was sent and is not answered yet, and what comes back. Nothing in here waits.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;

use super::streams::Streams;
use crate::adapters::simulator::wire::{Answer, Asked, Garbled, Question, Told, put};
use crate::model::{LegId, Timestamp};
use crate::ports::TelephonyError;
use crate::ports::telephony::LegState;

/// A request.
pub(super) struct Ask {
    pub(super) what: Question,
    /// Nothing is sent after this.
    pub(super) not_after: Option<Timestamp>,
    /// What its success means here.
    pub(super) meaning: Meaning,
}

/// What a request's success means to the streams.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    Nothing,
    /// A stream tells of a new leg.
    Makes(u32, LegId),
    /// A stream has begun, or goes on.
    Listens(u32),
}

/// What an answer says.
#[derive(Debug)]
pub(super) enum Got {
    Done,
    Leg(Option<LegState>),
    Legs(Vec<(LegId, LegState)>),
}

pub(super) type Reply = oneshot::Sender<Result<Got, TelephonyError>>;

/// Requests to be sent: their frames one after the other, and where each ends.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) requests: VecDeque<Waiting>,
}

/// A request that is to be sent.
pub(super) struct Waiting {
    id: u32,
    /// Where its frame ends.
    pub(super) end: usize,
    pub(super) not_after: Option<Timestamp>,
    asked_at: Timestamp,
    meaning: Meaning,
    /// None: nobody waits for the answer.
    reply: Option<Reply>,
    /// Its answer was given without the network's help.
    answered: bool,
}

/// A request that was sent.
struct Sent {
    id: u32,
    sent_at: Timestamp,
    meaning: Meaning,
    reply: Option<Reply>,
}

/// Both directions of the line, whether or not there is a connection just now.
pub(super) struct Line {
    outbox: Batch,
    sent: VecDeque<Sent>,
    /// Of an answer whose end has not come yet.
    legs: Vec<(LegId, LegState)>,
    next_id: u32,
    pub(super) streams: Streams,
    /// Why there is no connection.
    pub(super) trouble: String,
}

impl Waiting {
    /// Answers a request that is not going to be sent.
    pub(super) fn refuse(&mut self, error: TelephonyError) {
        self.answered = true;
        if let Some(reply) = self.reply.take() {
            // Nobody waits for it any more.
            let _unheard = reply.send(Err(error));
        }
    }

    /// Whether sending it would be of any use.
    pub(super) fn is_wanted(&self) -> bool {
        !self.answered && self.reply.as_ref().is_none_or(|reply| !reply.is_closed())
    }
}

impl Batch {
    /// Drops what was taken, keeping the room.
    pub(super) fn clear(&mut self) {
        const KEPT: usize = 1024 * 1024;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.requests.clear();
    }
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            outbox: Batch::default(),
            sent: VecDeque::new(),
            legs: Vec::new(),
            next_id: 0,
            streams: Streams::default(),
            trouble: "not connected yet".to_owned(),
        }
    }

    pub(super) fn has_nothing_to_send(&self) -> bool {
        self.outbox.requests.is_empty()
    }

    /// Adds a request to those to be sent.
    ///
    /// # Errors
    /// When it is too long for a frame.
    pub(super) fn put(&mut self, ask: Ask, reply: Option<Reply>, now: Timestamp) -> Result<(), TelephonyError> {
        let waiting = Self::numbered(&mut self.next_id, &mut self.outbox.bytes, ask, reply, now)
            .map_err(|error| TelephonyError::Unavailable(format!("it cannot be asked that: {error}")))?;
        self.outbox.requests.push_back(waiting);
        Ok(())
    }

    fn numbered(
        next_id: &mut u32,
        bytes: &mut Vec<u8>,
        ask: Ask,
        reply: Option<Reply>,
        now: Timestamp,
    ) -> Result<Waiting, Garbled> {
        let Ask { what, not_after, meaning } = ask;
        let id = *next_id;
        put(bytes, &Asked { id, what })?;
        *next_id = next_id.wrapping_add(1);
        Ok(Waiting { id, end: bytes.len(), not_after, asked_at: now, meaning, reply, answered: false })
    }

    /// Takes everything that is to be sent, in exchange for an empty batch.
    pub(super) fn take(&mut self, empty: &mut Batch) {
        std::mem::swap(&mut self.outbox, empty);
    }

    /// What to say first over a new connection: the streams go on.
    pub(super) fn go_on(&mut self, now: Timestamp) -> Result<Batch, Garbled> {
        let mut batch = Batch::default();
        for (stream, app, age) in self.streams.resumable() {
            let what = Question::Listen { stream, app, since: Some(age) };
            let ask = Ask { what, not_after: None, meaning: Meaning::Listens(stream) };
            batch.requests.push_back(Self::numbered(&mut self.next_id, &mut batch.bytes, ask, None, now)?);
        }
        Ok(batch)
    }

    /// Notes that a request's first byte has left.
    pub(super) fn sent(&mut self, waiting: Waiting, now: Timestamp) {
        let Waiting { id, meaning, reply, .. } = waiting;
        self.sent.push_back(Sent { id, sent_at: now, meaning, reply });
    }

    /// Since when an answer has been waited for.
    pub(super) fn waits_since(&self) -> Option<Timestamp> {
        self.sent.front().map(|sent| sent.sent_at)
    }

    /// Something came from the network.
    pub(super) fn told(&mut self, told: Told, now: Timestamp) -> Result<(), Garbled> {
        match told {
            Told::Report { stream, report } => {
                if !self.streams.report(stream, report) {
                    self.streams.close(stream);
                    self.hush(stream, now);
                }
            }
            Told::TakenOver { stream } => self.streams.close(stream),
            Told::Legs(legs) => self.legs.extend(legs),
            Told::Answer { id, answer } => {
                let sent = self.sent.pop_front().filter(|sent| sent.id == id).ok_or(Garbled::OutOfTurn)?;
                let legs = std::mem::take(&mut self.legs);
                self.answered(sent, answer, legs, now);
            }
        }
        Ok(())
    }

    fn answered(&mut self, sent: Sent, answer: Answer, legs: Vec<(LegId, LegState)>, now: Timestamp) {
        let Sent { meaning, reply, .. } = sent;
        let mut taken_over = false;
        let result = match answer {
            Answer::Done => Ok(Got::Done),
            Answer::Leg(state) => Ok(Got::Leg(state)),
            Answer::Legs => Ok(Got::Legs(legs)),
            Answer::Listening(age) => {
                if let Meaning::Listens(stream) = meaning {
                    self.streams.listening(stream, age, legs, now);
                }
                Ok(Got::Done)
            }
            Answer::Superseded => {
                taken_over = true;
                Err(TelephonyError::Conflict)
            }
            Answer::NoSuchLeg => Err(TelephonyError::NoSuchLeg),
            Answer::Conflict => Err(TelephonyError::Conflict),
            Answer::Unavailable(reason) => Err(TelephonyError::Unavailable(reason)),
        };
        match meaning {
            Meaning::Makes(stream, leg) if result.is_ok() => self.streams.made(stream, leg),
            Meaning::Listens(stream) if taken_over => self.streams.close(stream),
            Meaning::Nothing | Meaning::Makes(..) | Meaning::Listens(_) => {}
        }
        if let Some(reply) = reply {
            // Whoever asked does not wait any more.
            let _unheard = reply.send(result);
        }
    }

    /// The connection is gone: what was sent and not answered is in doubt.
    pub(super) fn lost(&mut self, trouble: String) {
        self.legs.clear();
        for sent in self.sent.drain(..) {
            if let Some(reply) = sent.reply {
                let _unheard = reply.send(Err(TelephonyError::Unavailable(trouble.clone())));
            }
        }
        self.trouble = trouble;
    }

    /// Gives up what could not be sent for too long.
    pub(super) fn give_up(&mut self, now: Timestamp, patience: Duration) {
        let overdue = |waiting: &&mut Waiting| now.since(waiting.asked_at) > patience;
        for waiting in self.outbox.requests.iter_mut().take_while(overdue).filter(|waiting| !waiting.answered) {
            waiting.refuse(TelephonyError::Unavailable(self.trouble.clone()));
        }
        if self.outbox.requests.iter().all(|waiting| waiting.answered) {
            self.outbox.clear();
        }
    }

    /// Keeps the connection from falling silent, and ends streams that nobody listens to. Whether there is something to
    /// send now.
    pub(super) fn look_after(&mut self, now: Timestamp, ping: bool) -> bool {
        for stream in self.streams.take_unheard() {
            self.hush(stream, now);
        }
        if ping && self.sent.is_empty() && self.outbox.requests.is_empty() {
            self.put_unasked(Question::Ping, now);
        }
        !self.has_nothing_to_send()
    }

    fn hush(&mut self, stream: u32, now: Timestamp) {
        self.put_unasked(Question::Hush { stream }, now);
    }

    fn put_unasked(&mut self, what: Question, now: Timestamp) {
        let ask = Ask { what, not_after: None, meaning: Meaning::Nothing };
        if let Err(error) = self.put(ask, None, now) {
            tracing::error!(%error, "a request of a few bytes does not fit a frame");
        }
    }
}
