//! The network's own log of every dial, as a file: one JSON object a line, for checkers that believe nobody else.
//!
//! Lines are gathered in memory in the order in which things take effect, and handed to the system before anything that
//! follows from them leaves the process: whoever kills it finds in the file every dial that anybody can have heard of.
//! Not synced: it survives the process, not the machine.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::log::{Seen, Witness};
use crate::callflow::call::LegEnd;
use crate::model::{LegId, Party, Timestamp};
use crate::ports::TelephonyError;
use crate::ports::telephony::{LegEvent, LegState};

/// The file. Clones write to the same.
#[derive(Clone)]
pub(super) struct DialLogFile {
    shared: Arc<Mutex<Open>>,
}

struct Open {
    file: File,
    /// Not handed to the system yet.
    lines: Vec<u8>,
}

/// A line. What it does not concern is left out.
#[derive(Default, Serialize)]
struct Line<'a> {
    /// Milliseconds since 1970, by the network's clock.
    at: i64,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    leg: Option<Text<LegId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<Text<LegId>>,
    #[serde(rename = "whispersTo", skip_serializing_if = "Option::is_none")]
    whispers_to: Option<Text<LegId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<LegState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sip: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Party>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
}

/// Written as it is shown.
struct Text<T>(T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl DialLogFile {
    /// Goes on writing at the end of a file, which is made if need be; what a crash cut in the middle of a line stays a
    /// line of its own.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut lines = Vec::new();
        if file.metadata()?.len() > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                lines.push(b'\n');
            }
        }
        Ok(Self { shared: Arc::new(Mutex::new(Open { file, lines })) })
    }

    /// A network of this seed has begun: of the legs before it none lives.
    pub(super) fn began(&self, at: Timestamp, seed: u64) {
        let version = Some(env!("CARGO_PKG_VERSION"));
        self.open_file().write(&Line {
            at: at.as_millis(),
            event: "began",
            seed: Some(seed),
            version,
            ..Line::default()
        });
    }

    /// Hands every line to the system.
    pub(super) fn flush(&self) -> io::Result<()> {
        let mut open = self.open_file();
        let Open { file, lines } = &mut *open;
        if !lines.is_empty() {
            file.write_all(lines)?;
            lines.clear();
        }
        Ok(())
    }

    fn open_file(&self) -> MutexGuard<'_, Open> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn write(&mut self, line: &Line<'_>) {
        let before = self.lines.len();
        match serde_json::to_writer(&mut self.lines, line) {
            Ok(()) => self.lines.push(b'\n'),
            // Names, numbers and a vector: there is nothing in them that could fail.
            Err(_) => self.lines.truncate(before),
        }
    }
}

impl Witness for DialLogFile {
    fn saw(&mut self, at: Timestamp, leg: LegId, what: Seen<'_>) {
        let line = Line { at: at.as_millis(), leg: Some(Text(leg)), ..Line::default() };
        let line = match what {
            Seen::Invited { app, target, caller } => Line {
                event: "invite",
                app: app.map(crate::model::WorkerId::as_str),
                to: Some(target.as_dialled()),
                external: Some(target.needs_slot(leg.role)),
                caller: caller.map(|caller| caller.to_string()),
                ..line
            },
            Seen::Refused { command, error } => {
                Line { event: "refused", command: Some(command), why: Some(reason(error)), ..line }
            }
            Seen::Reported { event: LegEvent::Ringing, .. } => Line { event: "ringing", ..line },
            Seen::Reported { event: LegEvent::Answered, .. } => Line { event: "answered", ..line },
            Seen::Reported { event: LegEvent::Ended(end), state } => {
                let LegEnd { cause, sip, by, lost: _ } = *end;
                Line { event: "ended", state: Some(state), cause, sip, by, ..line }
            }
            Seen::Reported { .. } => return,
            Seen::Bridged { with } => Line { event: "bridged", with: Some(Text(with)), ..line },
            Seen::ListensIn { to, whispers_to } => {
                Line { event: "listensIn", with: Some(Text(to)), whispers_to: whispers_to.map(Text), ..line }
            }
        };
        self.open_file().write(&line);
    }
}

const fn reason(error: &TelephonyError) -> &'static str {
    match error {
        TelephonyError::NoSuchLeg => "noSuchLeg",
        TelephonyError::Conflict => "conflict",
        TelephonyError::TooLate => "tooLate",
        TelephonyError::Unavailable(_) => "unavailable",
    }
}
