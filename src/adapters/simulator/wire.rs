//! What the simulated network and its workers say to each other over TCP.
//!
//! A connection begins with eight bytes from the client, `robosim` and the version of this protocol; the server answers
//! with its own eight and closes if the versions differ. Then both send frames: the length of what follows as four
//! bytes, little-endian, at most [`MOST_BYTES`]; then a message as postcard writes it. The client sends [`Asked`], the
//! server [`Told`]. Requests may follow one another without waiting; they are carried out, and answered, in their order.
//! A report may come before the answer to the request that led to it.
//!
//! **Invariant:** whoever sends what cannot be read, or a frame that is too long, loses the connection and nothing else.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::callflow::program::Target;
use crate::model::{LegId, Phone, Timestamp, WorkerId};
use crate::ports::Clock;
use crate::ports::telephony::{LegReport, LegState};

/// What either side says first: a name, and the version of the protocol.
pub(super) const GREETING: [u8; 8] = *b"robosim\x03";

/// Longest frame, without its length. Lists are cut into several.
pub const MOST_BYTES: usize = 64 * 1024;

/// Shortest time between two writes to a busy connection: a write costs either side more than a dozen messages do.
pub const BETWEEN_WRITES: Duration = Duration::from_millis(1);

/// Legs told in one frame: each takes at most 40 bytes.
pub(super) const LEGS_A_FRAME: usize = 1_000;

/// Bytes of a frame's length.
const LENGTH: usize = 4;

/// A request, numbered so that its answer can be recognised.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) id: u32,
    pub(super) what: Question,
}

/// What a worker asks of the network. Lengths of time are milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Question {
    /// Are you there?
    Ping,
    /// Reports on the legs of `app`, marked with `stream`, a number of the client's choice. With `since` it goes on
    /// with a stream of that age, which is refused if a newer one was opened meanwhile; without, it takes over.
    Listen {
        stream: u32,
        app: WorkerId,
        since: Option<u64>,
    },
    /// No more of these reports.
    Hush {
        stream: u32,
    },
    Create {
        app: WorkerId,
        leg: LegId,
        target: Target,
        caller: Option<Phone>,
        lives_at_most: u64,
        talks_at_most: u64,
    },
    Dial {
        leg: LegId,
        ring_timeout: u64,
    },
    HangUp {
        leg: LegId,
    },
    Play {
        leg: LegId,
        playback: u32,
        millis: u32,
        expects_key: bool,
        missing: bool,
    },
    StopPlayback {
        leg: LegId,
        playback: u32,
    },
    DetectMachine {
        leg: LegId,
        wait_for_beep: bool,
    },
    Bridge {
        leg: LegId,
        other: LegId,
    },
    ListenIn {
        leg: LegId,
        other: LegId,
        whispers_to: Option<LegId>,
    },
    BlindTransfer {
        leg: LegId,
        other: LegId,
        target: Target,
    },
    Record {
        leg: LegId,
    },
    Inspect {
        leg: LegId,
    },
    LegsOf {
        app: WorkerId,
    },
}

/// What the network says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// A part of the answer to the oldest request that is not answered yet; more follows.
    Legs(Vec<(LegId, LegState)>),
    /// The answer.
    Answer { id: u32, answer: Answer },
    /// Something happened.
    Report { stream: u32, report: LegReport },
    /// Somebody else listens to the legs that a stream was about.
    TakenOver { stream: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    Done,
    NoSuchLeg,
    Conflict,
    Unavailable(String),
    /// To [`Question::Inspect`].
    Leg(Option<LegState>),
    /// To [`Question::Listen`], after all legs of the app: the stream's age, greater than that of any before it.
    Listening(u64),
    /// To [`Question::Listen`]: a newer stream was opened.
    Superseded,
    /// To [`Question::LegsOf`], after all of them.
    Legs,
}

/// Why a peer cannot be talked with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Garbled {
    #[error("a frame of {0} bytes, which is more than {MOST_BYTES}")]
    TooLong(usize),
    #[error("a message that cannot be read: {0}")]
    Unreadable(String),
    #[error("an answer that nobody waits for")]
    OutOfTurn,
}

/// Appends a message as a frame.
pub(super) fn put<T: Serialize>(bytes: &mut Vec<u8>, message: &T) -> Result<(), Garbled> {
    let begin = bytes.len();
    bytes.extend_from_slice(&[0; LENGTH]);
    if let Err(error) = postcard::serialize_with_flavor(message, Append(bytes)) {
        bytes.truncate(begin);
        return Err(Garbled::Unreadable(error.to_string()));
    }
    let length = bytes.len() - begin - LENGTH;
    match u32::try_from(length) {
        Ok(short) if length <= MOST_BYTES => {
            bytes[begin..begin + LENGTH].copy_from_slice(&short.to_le_bytes());
            Ok(())
        }
        _ => {
            bytes.truncate(begin);
            Err(Garbled::TooLong(length))
        }
    }
}

/// Lets postcard write at the end of what is there.
struct Append<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Reads a message.
pub(super) fn read<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<T, Garbled> {
    match postcard::take_from_bytes(frame) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(Garbled::Unreadable(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(Garbled::Unreadable(error.to_string())),
    }
}

/// Bytes that came, as frames. Never holds much more than one frame of the greatest length.
pub(super) struct Inbox {
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; 16 * 1024], begin: 0, end: 0 }
    }

    /// Waits for bytes and takes as many as there are and there is room for. None at all: the peer has closed.
    pub(super) async fn fill(&mut self, stream: &TcpStream) -> std::io::Result<usize> {
        loop {
            stream.readable().await?;
            match stream.try_read(self.room()) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Room at the end: at least for the rest of the frame that has begun.
    fn room(&mut self) -> &mut [u8] {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
        let needed = self.announced().map_or(LENGTH, |length| LENGTH + length.min(MOST_BYTES));
        if self.begin + needed > self.bytes.len() || self.end == self.bytes.len() {
            self.bytes.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        if needed > self.bytes.len() {
            self.bytes.resize(LENGTH + MOST_BYTES, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// The length of the frame that has begun.
    fn announced(&self) -> Option<usize> {
        let length = self.bytes[self.begin..self.end].first_chunk::<LENGTH>()?;
        Some(usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX))
    }

    /// The next whole frame.
    pub(super) fn frame(&mut self) -> Result<Option<&[u8]>, Garbled> {
        let Some(length) = self.announced() else { return Ok(None) };
        if length > MOST_BYTES {
            return Err(Garbled::TooLong(length));
        }
        let (begin, end) = (self.begin + LENGTH, self.begin + LENGTH + length);
        if end > self.end {
            return Ok(None);
        }
        self.begin = end;
        Ok(Some(&self.bytes[begin..end]))
    }

    /// Takes bytes that are no frame: a greeting.
    pub(super) fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.begin + count;
        if end > self.end {
            return None;
        }
        let begin = std::mem::replace(&mut self.begin, end);
        Some(&self.bytes[begin..end])
    }
}

/// Writes everything, waiting for room where there is none.
pub(super) async fn write_all(stream: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match stream.try_write(rest) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// When a connection is written to. A line on which little is said is written to at once; on a busy one what is said within
/// a moment goes together.
pub(super) struct Pace {
    between: Duration,
    last: Timestamp,
    /// Grows with every write by twice the time between two on a busy line, and passes with time.
    busy: Duration,
}

/// Writes in a row after which a line is busy.
const BURST: u32 = 10;

impl Pace {
    pub(super) const fn new(between: Duration) -> Self {
        Self { between, last: Timestamp::from_millis(0), busy: Duration::ZERO }
    }

    /// Lets others ask for more, and on a busy line some time pass, before the next write.
    pub(super) async fn gather(&mut self, clock: &dyn Clock) {
        match self.next_write(clock.now()) {
            Some(next) => clock.sleep_until(next).await,
            None => tokio::task::yield_now().await,
        }
        let now = clock.now();
        let each = self.between * 2;
        self.busy = (self.busy.saturating_sub(now.since(self.last)) + each).min(each * (BURST + 1));
        self.last = now;
    }

    /// When the next write may be, if not now.
    fn next_write(&self, now: Timestamp) -> Option<Timestamp> {
        let busy = self.busy.saturating_sub(now.since(self.last)) >= self.between * 2 * BURST;
        Some(self.last + self.between).filter(|next| busy && now < *next)
    }
}

/// A connection that is not kept waiting by small frames: they are gathered here already.
pub(super) fn set_up(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
