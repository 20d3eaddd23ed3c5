//! How a command ends: its exit code, and what is said when it could not do its work.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::terminal::Terminal;
use crate::daemon::{ConsoleError, DaemonError};
use crate::model::status::{RejectReason, RequestError, RequestSummary};
use crate::ports::StoreError;
use crate::reading::{Problems, shown};

/// How a command ended. The numbers are part of the interface: see `docs/cli.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well; a request that was run has completed.
    Completed = 0,
    /// Something broke that is not the caller's fault.
    Failed = 1,
    /// What was given cannot be used. Nothing was dialled.
    BadInput = 2,
    /// The request ended otherwise: cancelled, expired.
    EndedOtherwise = 3,
    /// A server does not answer, or does not let us in.
    Unreachable = 4,
    /// The servers answer, but no worker has in time: what was asked for may be done all the same.
    Unanswered = 5,
    /// Interrupted for the second time, or before the request was accepted: ended at once.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// What was given cannot be used.
    BadInput(Refusal),
    /// Something broke that is not the caller's fault.
    Internal(String),
    /// A server does not answer.
    Unreachable(String),
    /// No worker has answered in time.
    Unanswered(String),
    /// What was named does not exist.
    NotFound(String),
    /// Whoever read our output has gone: nothing more to say.
    NobodyReads,
}

/// What is wrong with what was given.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// `invalid`, `conflict` or `tooLarge`.
    pub status: RejectReason,
    /// In a sentence.
    pub message: String,
    /// The first hundred, each with its place.
    pub errors: Vec<RequestError>,
    /// How many there are in all.
    pub error_count: u32,
}

impl Failure {
    /// Something is wrong that needs no place: a file that is not there, an option that cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::BadInput(Refusal { status: RejectReason::Invalid, message, errors: Vec::new(), error_count: 0 })
    }

    /// It cannot be done as things stand.
    pub fn conflict(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::BadInput(Refusal { status: RejectReason::Conflict, message, errors: Vec::new(), error_count: 0 })
    }

    /// A document with problems.
    pub fn problems(what: &str, status: RejectReason, problems: Problems) -> Self {
        let (errors, error_count) = problems.into_parts();
        Self::BadInput(Refusal { status, message: found(what, error_count), errors, error_count })
    }

    /// A request that was rejected.
    pub fn rejected(what: &str, summary: RequestSummary) -> Self {
        let RequestSummary { errors, error_count, reason, .. } = summary;
        let status = reason.unwrap_or(RejectReason::Invalid);
        Self::BadInput(Refusal { status, message: found(what, error_count), errors, error_count })
    }

    /// A file that cannot be read.
    pub fn unreadable(name: &str, error: &io::Error) -> Self {
        Self::usage(format!("{name}: cannot be read: {}", plain(error)))
    }

    /// A file that was given to be written and cannot be opened for it: told before any work is begun.
    pub fn unwritable(name: &str, error: &io::Error) -> Self {
        Self::usage(format!("{name}: cannot be written: {}", plain(error)))
    }

    /// An output that failed while it was written: a disk that is full, say.
    pub fn unwritten(name: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::Internal(format!("{name}: cannot be written: {}", plain(error))),
        }
    }

    /// Says what is wrong: on stdout as JSON if that was asked for, else on stderr.
    pub fn tell(&self, json: bool, terminal: &Terminal) -> Exit {
        match (self, json) {
            (Failure::NobodyReads, _) => Exit::Completed,
            (Failure::BadInput(refusal), true) => {
                print_json(refusal);
                Exit::BadInput
            }
            (Failure::BadInput(refusal), false) => {
                refusal.explain(terminal);
                Exit::BadInput
            }
            (Failure::Internal(message), _) => told("unavailable", "failed", message, Exit::Failed, json, terminal),
            (Failure::Unreachable(message), _) => {
                told("unavailable", "failed", message, Exit::Unreachable, json, terminal)
            }
            (Failure::Unanswered(message), _) => {
                told("unanswered", "failed", message, Exit::Unanswered, json, terminal)
            }
            (Failure::NotFound(message), _) => told("notFound", "error", message, Exit::BadInput, json, terminal),
        }
    }
}

/// Says what is wrong without a place in a document.
fn told(status: &str, word: &str, message: &str, exit: Exit, json: bool, terminal: &Terminal) -> Exit {
    if json {
        let errors: [RequestError; 0] = [];
        print_json(&serde_json::json!({"status": status, "message": message, "errors": errors}));
    } else {
        terminal.complain(&format!("{}: {}\n", terminal.on_stderr.red(word), shown(message)));
    }
    exit
}

/// A store in this process has no reason not to answer.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// What a deployment does not do.
impl From<ConsoleError> for Failure {
    fn from(error: ConsoleError) -> Self {
        match error {
            ConsoleError::Daemon(error) => error.into(),
            ConsoleError::Unreachable { .. } => Self::Unreachable(error.to_string()),
            ConsoleError::Unanswered(_) => Self::Unanswered(error.to_string()),
            ConsoleError::NotFound => Self::NotFound(error.to_string()),
            ConsoleError::Refused(_) => Self::usage(error.to_string()),
            ConsoleError::Unusable(_) => Self::Internal(error.to_string()),
        }
    }
}

/// What keeps a daemon, or a client, from beginning.
impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::Config(error) => Self::usage(error.to_string()),
            DaemonError::Settings(message) => Self::usage(message),
            DaemonError::Dead(_) => Self::Unreachable(error.to_string()),
            DaemonError::Runtime(_) | DaemonError::Store(_) | DaemonError::Worker(_) => {
                Self::Internal(error.to_string())
            }
        }
    }
}

impl Refusal {
    fn explain(&self, terminal: &Terminal) {
        let paint = terminal.on_stderr;
        let mut text = format!("{}: {}\n", paint.red("error"), shown(&self.message));
        for error in &self.errors {
            text.push_str(&format!("  {}: {}\n", paint.bold(&shown(place(error))), shown(&error.message)));
        }
        let more = u64::from(self.error_count).saturating_sub(self.errors.len() as u64);
        if more > 0 && !self.errors.is_empty() {
            text.push_str(&format!("  … and {more} more\n"));
        }
        terminal.complain(&text);
    }
}

/// What commands write is mostly on stdout; errors of anything else are named where they occur.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::unwritten("stdout", &error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::from(io::Error::from(error))
    }
}

/// Where an error is, for people: what concerns the document as a whole has no path.
pub(super) fn place(error: &RequestError) -> &str {
    if error.path.is_empty() { "(document)" } else { &error.path }
}

fn found(what: &str, count: u32) -> String {
    match count {
        0 => format!("{what} was refused"),
        1 => format!("{what} has 1 error"),
        many => format!("{what} has {many} errors"),
    }
}

/// An input/output error without the system's number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Says something on stderr; if nobody can hear it, there is nobody to tell.
pub(super) fn say(text: &str) {
    let _unheard = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a file.
pub(super) fn write_file(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let name = path.display().to_string();
    let mut file = File::create(path).map_err(|error| Failure::unwritable(&name, &error))?;
    file.write_all(content).map_err(|error| Failure::unwritten(&name, &error))
}

/// An answer on stdout: one line, as everything that is written there as JSON.
fn print_json(value: &impl Serialize) {
    let mut out = io::stdout().lock();
    let written = serde_json::to_writer(&mut out, value).map_err(io::Error::from).and_then(|()| out.write_all(b"\n"));
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // The answer cannot be given where it was asked for: people at least should know.
        say(&format!("failed: stdout: cannot be written: {}\n", plain(&error)));
    }
}
