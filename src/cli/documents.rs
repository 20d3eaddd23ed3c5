//! Files that people hand in: a whole request, or a flow alone.
//!
//! A request may be larger than memory: of its destinations, none is kept here.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::exit::Failure;
use super::spool::{Spool, SpoolError};
use crate::model::status::RejectReason;
use crate::reading::Problems;
use crate::request::{Piece, Position, Scanner, Stop, StreamError};

/// Largest flow that is read as one, in bytes.
const MAX_FLOW_FILE: u64 = 16 << 20;

/// A file of the command line; `-` is stdin, kept in a temporary file, as requests are read twice.
#[derive(Debug)]
pub struct Input {
    /// As it was given, for messages.
    pub name: String,
    path: PathBuf,
    spool: Option<Spool>,
}

impl Input {
    /// A file, or stdin.
    ///
    /// # Errors
    /// When there is nothing to read, or it is no regular file, or more than is kept of stdin.
    pub fn open(name: &str) -> Result<Self, Failure> {
        if name == "-" {
            let spool = Spool::of(io::stdin().lock()).map_err(|error| match error {
                SpoolError::Kept { folder, error } => {
                    Failure::unwritten(&format!("stdin, kept in {}", folder.display()), &error)
                }
                SpoolError::Source(error) => Failure::unreadable("stdin", &error),
                error @ SpoolError::TooLarge => Failure::usage(format!("stdin {error}")),
            })?;
            return Ok(Self { name: "stdin".to_owned(), path: spool.path().to_owned(), spool: Some(spool) });
        }
        let path = PathBuf::from(name);
        // What is not there or may not be read is said before anything else happens.
        drop(open_regular(&path)?);
        Ok(Self { name: name.to_owned(), path, spool: None })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it came over stdin.
    pub fn is_stdin(&self) -> bool {
        self.spool.is_some()
    }

    /// Refuses to write `output` over this input, called `what`.
    ///
    /// # Errors
    /// When both are the same file, under whatever name, or redirected to stdin.
    pub fn keep_from(&self, output: &Path, what: &str) -> Result<(), Failure> {
        if self.is_stdin() { not_over_stdin(output, what) } else { not_over(output, &self.path, what) }
    }

    /// That it could not be read a second time as it was read the first time.
    pub fn changed(&self, error: &StreamError) -> Failure {
        Failure::usage(format!("{}: {error}", self.name))
    }

    /// Its text, from the beginning.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub fn reader(&self) -> Result<impl BufRead + Send + use<>, Failure> {
        self.open_again().map_err(|error| Failure::unreadable(&self.name, &error))
    }

    /// The same, for whoever has words of its own for what goes wrong.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub fn open_again(&self) -> io::Result<impl BufRead + Send + use<>> {
        Ok(BufReader::with_capacity(1 << 18, File::open(&self.path)?))
    }
}

/// Opens a file that was named on the command line. What may never end, or can be read only once, is refused unopened.
///
/// # Errors
/// When it is not there, may not be read, or is no regular file.
pub fn open_regular(path: &Path) -> Result<File, Failure> {
    let name = path.display().to_string();
    let unreadable = |error: io::Error| Failure::unreadable(&name, &error);
    let kind = fs::metadata(path).map_err(unreadable)?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() {
            "a directory"
        } else if kind.is_fifo() {
            "a pipe"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        let stdin = if kind.is_dir() { "" } else { "; `-` reads stdin" };
        return Err(Failure::usage(format!("{name}: is {what}, not a regular file{stdin}")));
    }
    File::open(path).map_err(unreadable)
}

/// Refuses an output that would be written over what is read.
///
/// # Errors
/// When both are the same file, whatever their names.
pub fn not_over(output: &Path, read: &Path, what: &str) -> Result<(), Failure> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|there| (there.dev(), there.ino()));
    match identity(output) {
        Some(same) if identity(read) == Some(same) => {
            Err(Failure::usage(format!("{}: is {what} itself, which would be written over", output.display())))
        }
        _ => Ok(()),
    }
}

/// Refuses an output that would be written over the file that stdin comes from.
///
/// # Errors
/// When both are the same file.
fn not_over_stdin(output: &Path, what: &str) -> Result<(), Failure> {
    // A copy of the handle: stdin itself stays open. What cannot be asked is no file that could be written over.
    let stdin = io::stdin().as_fd().try_clone_to_owned().and_then(|stdin| File::from(stdin).metadata());
    let stdin = stdin.ok().filter(fs::Metadata::is_file).map(|there| (there.dev(), there.ino()));
    let output_is = fs::metadata(output).ok().map(|there| (there.dev(), there.ino()));
    if stdin.is_some() && stdin == output_is {
        let output = output.display();
        return Err(Failure::usage(format!(
            "{output}: is {what} itself, read from stdin, which would be written over"
        )));
    }
    Ok(())
}

/// The text of a small file: settings, or a flow.
///
/// # Errors
/// When it cannot be read, is no UTF-8, or larger than any flow.
pub fn read_small(path: &Path) -> Result<String, Failure> {
    let name = path.display().to_string();
    let mut text = String::new();
    let read = open_regular(path)?.take(MAX_FLOW_FILE + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::unreadable(&name, &error))?;
    if text.len() as u64 > MAX_FLOW_FILE {
        return Err(Failure::usage(format!("{name}: is larger than {} MiB", MAX_FLOW_FILE >> 20)));
    }
    Ok(text)
}

/// A flow as it was found in a file.
#[derive(Debug)]
pub struct FoundFlow {
    /// The flow's document.
    pub flow: Value,
    /// Where it stands: `callFlow` in a request, nowhere in a file of its own.
    pub path: &'static str,
    /// The text that diagnostics point into: the lines and columns are the file's.
    pub text: String,
    /// Whether the file is a whole request.
    pub is_request: bool,
}

/// Finds the flow in a file, whether it is a request or a flow alone.
///
/// # Errors
/// When it is neither, or no JSON.
pub fn find_flow(input: &Input) -> Result<FoundFlow, Failure> {
    let mut problems = Problems::default();
    let found = scan(input, &mut problems)?;
    let Some((raw, at, is_request)) = found else {
        if problems.is_empty() {
            problems.add("", "is neither a flow (`steps`) nor a request (`callFlow`)");
        }
        return Err(Failure::problems(&input.name, RejectReason::Invalid, problems));
    };
    if !is_request {
        return whole_file(input);
    }
    let text = String::from_utf8(raw).map_err(|_| Failure::usage(format!("{}: callFlow is not UTF-8", input.name)))?;
    let flow = serde_json::from_str(&text).map_err(|error| not_json(input, "callFlow", &error, at))?;
    Ok(FoundFlow { flow, path: "callFlow", text: placed(&text, at), is_request })
}

/// What is said instead of everything that a flow lacks when a request was expected; none if the file is no flow.
pub fn taken_for_a_request(input: &Input) -> Option<String> {
    let mut scanner = Scanner::new(input.reader().ok()?, None);
    let mut is_flow = false;
    while let Ok(Some(piece)) = scanner.next() {
        match piece {
            Piece::Field { name: "steps", .. } | Piece::Fault { field: Some("steps"), .. } => is_flow = true,
            Piece::Field { name: "callFlow" | "destinations" | "requestId", .. } | Piece::Destinations => return None,
            Piece::Field { .. } | Piece::Fault { .. } | Piece::Destination { .. } => {}
        }
    }
    let file = if input.is_stdin() { "-" } else { &input.name };
    is_flow.then(|| {
        format!(
            "is a flow, not a request: `robocall flow check {file}` looks at it, `robocall flow play {file}` tries it; \
             a request has it as `callFlow`, beside `requestId` and `destinations`"
        )
    })
}

type Found = Option<(Vec<u8>, Position, bool)>;

/// The raw flow, where it begins, and whether it is a request's.
fn scan(input: &Input, problems: &mut Problems) -> Result<Found, Failure> {
    let mut scanner = Scanner::new(input.reader()?, None);
    loop {
        match scanner.next() {
            Ok(Some(Piece::Field { name: "callFlow", raw, at })) => return Ok(Some((raw.to_vec(), at, true))),
            Ok(Some(Piece::Field { name: "steps", at, .. })) => return Ok(Some((Vec::new(), at, false))),
            Ok(Some(Piece::Fault { field: Some("steps"), .. })) => {
                return Ok(Some((Vec::new(), Position::START, false)));
            }
            Ok(Some(Piece::Fault { path, message, .. })) => problems.add(path, message),
            Ok(Some(Piece::Field { .. } | Piece::Destinations | Piece::Destination { .. })) => {}
            Ok(None) => return Ok(None),
            Err(Stop::Unreadable(error)) => return Err(Failure::unreadable(&input.name, &error)),
            Err(stop) => {
                problems.add("", stop.to_string());
                return Ok(None);
            }
        }
    }
}

fn whole_file(input: &Input) -> Result<FoundFlow, Failure> {
    let mut text = String::new();
    let read = input.reader()?.take(MAX_FLOW_FILE + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::unreadable(&input.name, &error))?;
    if text.len() as u64 > MAX_FLOW_FILE {
        let message = format!("{}: is larger than {} MiB, more than a flow may have", input.name, MAX_FLOW_FILE >> 20);
        return Err(Failure::usage(message));
    }
    let json = text.trim_start_matches('\u{feff}');
    let flow = serde_json::from_str(json).map_err(|error| not_json(input, "", &error, Position::START))?;
    Ok(FoundFlow { flow, path: "", text, is_request: false })
}

fn not_json(input: &Input, path: &str, error: &serde_json::Error, at: Position) -> Failure {
    let line = at.line + (error.line() as u64).saturating_sub(1);
    let column =
        if error.line() <= 1 { at.column + (error.column() as u64).saturating_sub(1) } else { error.column() as u64 };
    let full = error.to_string();
    let what = full.rsplit_once(" at line ").map_or(full.as_str(), |(what, _)| what);
    let mut problems = Problems::default();
    problems.add(path, format!("is not JSON: {what} at line {line}, column {column}"));
    Failure::problems(&input.name, RejectReason::Invalid, problems)
}

/// A piece of a file, moved to the line and column it has in the file, so that diagnostics can name them.
fn placed(text: &str, at: Position) -> String {
    let (lines, columns) = (at.line.saturating_sub(1), at.column.saturating_sub(1));
    // A request on one line of many megabytes would make as many blanks; the column is then the flow's own.
    let columns = if columns > 1 << 16 { 0 } else { columns };
    let blank = (0..lines).map(|_| '\n').chain((0..columns).map(|_| ' '));
    blank.chain(text.chars()).collect()
}
