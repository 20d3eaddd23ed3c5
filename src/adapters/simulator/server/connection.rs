//! One worker's connection: one task reads and answers, writes, and notices silence; one more a stream of reports.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{AbortHandle, JoinSet};

use super::apps::Listening;
use super::{SILENCE, Shared};
use crate::adapters::simulator::exchange::{Exchange, Outcome};
use crate::adapters::simulator::leg::Playback;
use crate::adapters::simulator::wire::{
    Answer, Asked, GREETING, Garbled, Inbox, LEGS_A_FRAME, Pace, Question, Told, put, read, set_up, write_all,
};
use crate::callflow::program::Target;
use crate::model::{LegId, Phone, Timestamp};
use crate::ports::TelephonyError;
use crate::ports::telephony::{LegReport, LegState, NewLeg};

/// A client that leaves this many bytes unread is too slow: it is better off asking anew where things stand.
const MOST_UNSENT: usize = 32 * 1024 * 1024;

/// Reports taken from a stream at a time.
const REPORTS_AT_ONCE: usize = 256;

/// Streams that one connection may have open.
const MOST_STREAMS: usize = 1_024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("it was closed")]
    Closed,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it sent {0}")]
    Garbled(#[from] Garbled),
    #[error("it does not speak this protocol, or another version of it")]
    Stranger,
    #[error("it reads too slowly")]
    TooSlow,
    #[error("it was silent for too long")]
    Silent,
}

/// What waits to be sent.
#[derive(Default)]
struct Outbox {
    unsent: Mutex<Vec<u8>>,
    wake: Notify,
}

impl Outbox {
    /// Adds messages.
    fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut unsent = self.unsent.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing_before = unsent.is_empty();
        write(&mut unsent);
        if nothing_before && !unsent.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Takes everything, in exchange for an empty buffer.
    fn take(&self, empty: &mut Vec<u8>) {
        std::mem::swap(&mut *self.unsent.lock().unwrap_or_else(PoisonError::into_inner), empty);
    }

    fn is_too_full(&self) -> bool {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner).len() > MOST_UNSENT
    }
}

/// Serves a client until either side ends it.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let Err(over) = talk(&shared, &stream).await;
    match over {
        Over::Closed => tracing::debug!(%peer, "a client has gone"),
        over => tracing::warn!(%peer, reason = %over, "a client was let go"),
    }
}

async fn talk(shared: &Arc<Shared>, stream: &TcpStream) -> Result<std::convert::Infallible, Over> {
    set_up(stream)?;
    let mut inbox = Inbox::new();
    let greeted = shared.wall.sleep_until(shared.wall.now() + SILENCE);
    tokio::select! {
        biased;
        greeting = greet(stream, &mut inbox) => greeting?,
        () = greeted => return Err(Over::Silent),
    }
    let (outbox, last_heard) = (Arc::new(Outbox::default()), Mutex::new(shared.wall.now()));
    let streams = Streams { open: BTreeMap::new(), fresh: Vec::new(), tasks: JoinSet::new() };
    let mut client = Client { shared, outbox: &outbox, streams };
    tokio::select! {
        biased;
        over = client.hear(stream, &mut inbox, &last_heard) => over,
        over = send(shared, stream, &outbox) => over,
        over = notice_silence(shared, &outbox, &last_heard) => over,
    }
}

async fn greet(stream: &TcpStream, inbox: &mut Inbox) -> Result<(), Over> {
    write_all(stream, &GREETING).await?;
    loop {
        if inbox.fill(stream).await? == 0 {
            return Err(Over::Closed);
        }
        if let Some(greeting) = inbox.take(GREETING.len()) {
            return if *greeting == GREETING { Ok(()) } else { Err(Over::Stranger) };
        }
    }
}

/// Sends what is waiting, after the log tells of it.
async fn send(shared: &Shared, stream: &TcpStream, outbox: &Outbox) -> Result<std::convert::Infallible, Over> {
    let (mut bytes, mut pace) = (Vec::new(), Pace::new(shared.between_writes));
    loop {
        outbox.wake.notified().await;
        pace.gather(&*shared.wall).await;
        outbox.take(&mut bytes);
        shared.write_log()?;
        write_all(stream, &bytes).await?;
        bytes.clear();
        bytes.shrink_to(1024 * 1024);
    }
}

async fn notice_silence(
    shared: &Shared,
    outbox: &Outbox,
    last_heard: &Mutex<Timestamp>,
) -> Result<std::convert::Infallible, Over> {
    const LOOK_EVERY: Duration = Duration::from_secs(1);
    loop {
        shared.wall.sleep_until(shared.wall.now() + LOOK_EVERY).await;
        if outbox.is_too_full() {
            return Err(Over::TooSlow);
        }
        let heard_at = *last_heard.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.wall.now().since(heard_at) > SILENCE {
            return Err(Over::Silent);
        }
    }
}

/// The client as the server sees it.
struct Client<'s> {
    shared: &'s Arc<Shared>,
    outbox: &'s Arc<Outbox>,
    streams: Streams,
}

/// The streams of reports that a client listens to.
struct Streams {
    open: BTreeMap<u32, AbortHandle>,
    /// Asked for, and to be begun when the answers to that are on their way.
    fresh: Vec<(u32, UnboundedReceiver<LegReport>)>,
    /// Dropped with the connection.
    tasks: JoinSet<()>,
}

impl Client<'_> {
    async fn hear(
        &mut self,
        stream: &TcpStream,
        inbox: &mut Inbox,
        last_heard: &Mutex<Timestamp>,
    ) -> Result<std::convert::Infallible, Over> {
        let mut answers = Vec::new();
        loop {
            let mut heard = Ok(());
            while let Some(frame) = inbox.frame()? {
                heard = read::<Asked>(frame).and_then(|asked| self.answer(asked, &mut answers));
                if heard.is_err() {
                    break;
                }
            }
            self.outbox.add(|unsent| unsent.append(&mut answers));
            self.streams.begin(self.outbox);
            heard?;
            if self.outbox.is_too_full() {
                return Err(Over::TooSlow);
            }
            if inbox.fill(stream).await? == 0 {
                return Err(Over::Closed);
            }
            *last_heard.lock().unwrap_or_else(PoisonError::into_inner) = self.shared.wall.now();
        }
    }

    /// Carries out a request; what cannot be true of any leg is refused like what cannot be read.
    fn answer(&mut self, asked: Asked, answers: &mut Vec<u8>) -> Result<(), Garbled> {
        let Asked { id, what } = asked;
        let network = &self.shared.network;
        let answer = match what {
            Question::Ping => Answer::Done,
            Question::Listen { stream, app, since } => match self.shared.listen(&app, since) {
                Listening::Heard { age, legs, reports } => {
                    tell_legs(answers, &legs)?;
                    self.streams.open(stream, reports)?;
                    Answer::Listening(age)
                }
                Listening::Superseded => Answer::Superseded,
                Listening::TooMany => Answer::Unavailable("too many apps".to_owned()),
            },
            Question::Hush { stream } => {
                self.streams.close(stream);
                Answer::Done
            }
            Question::Create { app, leg, target, caller, lives_at_most, talks_at_most } => {
                for number in caller.iter().chain(number_of(&target)) {
                    plausible(*number)?;
                }
                let [lives_at_most, talks_at_most] = [lives_at_most, talks_at_most].map(Duration::from_millis);
                let new = NewLeg { leg, target, caller, lives_at_most, talks_at_most, trunk: 0, is_waited_for: false };
                self.act(|exchange, now| exchange.create(&app, &new, now))
            }
            Question::Dial { leg, ring_timeout } => {
                let ring_timeout = Duration::from_millis(ring_timeout);
                let dialled = network.ask(|exchange, now| exchange.dial(leg, ring_timeout, now));
                answer_to(dialled.map(|invite| network.tell(&invite)))
            }
            Question::HangUp { leg } => self.act(|exchange, now| exchange.hang_up(leg, now)),
            Question::Play { leg, playback: number, millis, expects_key, missing } => {
                self.act(|exchange, now| exchange.play(leg, Playback { number, millis, expects_key, missing }, now))
            }
            Question::StopPlayback { leg, playback } => {
                self.act(|exchange, now| exchange.stop_playback(leg, playback, now))
            }
            Question::DetectMachine { leg, wait_for_beep } => {
                self.act(|exchange, now| exchange.detect_machine(leg, wait_for_beep, now))
            }
            Question::Bridge { leg, other } => self.act(|exchange, now| exchange.bridge(leg, other, now)),
            Question::ListenIn { leg, other, whispers_to } => {
                self.act(|exchange, now| exchange.listen_in(leg, other, whispers_to, now))
            }
            Question::BlindTransfer { leg, other, target } => {
                number_of(&target).map_or(Ok(()), |number| plausible(*number))?;
                let dialled = network.ask(|exchange, now| exchange.blind_transfer(leg, other, &target, now));
                answer_to(dialled.map(|invite| network.tell(&invite)))
            }
            Question::Record { leg } => self.act(|exchange, now| exchange.record(leg, now)),
            Question::Inspect { leg } => Answer::Leg(network.ask(|exchange, _| exchange.inspect(leg))),
            Question::LegsOf { app } => {
                tell_legs(answers, &network.ask(|exchange, _| exchange.legs_of(Some(&app))))?;
                Answer::Legs
            }
        };
        put(answers, &Told::Answer { id, answer })
    }

    fn act(&self, command: impl FnOnce(&mut Exchange, Timestamp) -> Outcome<()>) -> Answer {
        answer_to(self.shared.network.ask(command))
    }
}

impl Streams {
    fn open(&mut self, stream: u32, reports: UnboundedReceiver<LegReport>) -> Result<(), Garbled> {
        self.open.retain(|_, task| !task.is_finished());
        if self.open.len() + self.fresh.len() >= MOST_STREAMS {
            return Err(Garbled::Unreadable("too many streams".to_owned()));
        }
        self.close(stream);
        self.fresh.push((stream, reports));
        Ok(())
    }

    fn begin(&mut self, outbox: &Arc<Outbox>) {
        while self.tasks.try_join_next().is_some() {}
        for (stream, reports) in self.fresh.drain(..) {
            let task = self.tasks.spawn(forward(stream, reports, Arc::clone(outbox)));
            self.open.insert(stream, task);
        }
    }

    fn close(&mut self, stream: u32) {
        self.fresh.retain(|(fresh, _)| *fresh != stream);
        if let Some(task) = self.open.remove(&stream) {
            task.abort();
        }
    }
}

/// Sends a stream's reports until somebody else listens.
async fn forward(stream: u32, mut reports: UnboundedReceiver<LegReport>, outbox: Arc<Outbox>) {
    let mut some = Vec::new();
    while reports.recv_many(&mut some, REPORTS_AT_ONCE).await > 0 {
        outbox.add(|unsent| some.drain(..).for_each(|report| tell(unsent, &Told::Report { stream, report })));
        if outbox.is_too_full() {
            return;
        }
    }
    outbox.add(|unsent| tell(unsent, &Told::TakenOver { stream }));
}

fn tell(unsent: &mut Vec<u8>, told: &impl Serialize) {
    if let Err(error) = put(unsent, told) {
        tracing::error!(%error, "a report could not be written down");
    }
}

fn tell_legs(answers: &mut Vec<u8>, legs: &[(LegId, LegState)]) -> Result<(), Garbled> {
    legs.chunks(LEGS_A_FRAME).try_for_each(|some| put(answers, &Told::Legs(some.to_vec())))
}

fn answer_to(outcome: Outcome<()>) -> Answer {
    match outcome {
        Ok(()) => Answer::Done,
        Err(TelephonyError::NoSuchLeg) => Answer::NoSuchLeg,
        Err(TelephonyError::Conflict) => Answer::Conflict,
        // The network itself knows no fences.
        Err(TelephonyError::TooLate) => Answer::Unavailable("too late".to_owned()),
        Err(TelephonyError::Unavailable(reason)) => Answer::Unavailable(reason),
    }
}

const fn number_of(target: &Target) -> Option<&Phone> {
    match target {
        Target::External(number) => Some(number),
        Target::Extension(_) | Target::Queue(_) | Target::Sip(_) => None,
    }
}

/// Whether a number can be one.
fn plausible(number: Phone) -> Result<(), Garbled> {
    if (10..1_000_000_000_000_000).contains(&number.digits()) {
        Ok(())
    } else {
        Err(Garbled::Unreadable("a number that is none".to_owned()))
    }
}
