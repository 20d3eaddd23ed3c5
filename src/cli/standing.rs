//! How a request of a deployment stands: told once, or followed until nothing more will happen.

use std::io::{self, BufWriter, Write as _};
use std::sync::Arc;
use std::time::Duration;

use super::campaign::exit_of;
use super::outcome::Outcome;
use super::progress::{LOOKED, Shown, View};
use super::report;
use super::status_document::{self, Shared};
use super::{Exit, Failure, Terminal, waiting};
use crate::callflow::Program;
use crate::daemon::{Console, ConsoleError};
use crate::model::RequestHeader;
use crate::model::status::RequestSummary;
use crate::ports::store::{RequestKey, RequestSnapshot};

/// How long the database may be away while a request is followed.
const AWAY: Duration = Duration::from_secs(60);

/// How long is waited before the next look at a database that is away.
const AGAIN: Duration = Duration::from_secs(1);

/// Which calls are told of.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// From this place in the request on.
    pub from: u32,
    /// At most so many.
    pub most: u32,
}

impl Range {
    /// All of them.
    pub const ALL: Self = Self { from: 0, most: u32::MAX };
}

/// Tells how a request stands: with `json` its Status document, else a report over all of its calls.
pub fn tell(
    console: &Console,
    key: &RequestKey,
    snapshot: &RequestSnapshot,
    range: Range,
    json: bool,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let RequestSnapshot { summary, header, queued_at } = snapshot;
    let accepted = header.as_ref().zip(*queued_at);
    let program = accepted.as_ref().map(|(header, _)| program(header)).transpose()?;
    let pages = console.pages(key, range.from, range.most);
    if json {
        let shared = accepted.zip(program.as_ref()).map(|((header, queued_at), program)| Shared {
            header: Arc::clone(header),
            steps: Arc::clone(&program.labels),
            queued_at,
        });
        let end = range.from.saturating_add(range.most);
        let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
        return status_document::write(&mut out, summary, shared.as_ref(), pages, (end < summary.total).then_some(end));
    }
    let Some(program) = program else { return refused(summary) };
    let mut outcome = Outcome::of(&program);
    for page in pages {
        page?.iter().for_each(|call| outcome.add(call));
    }
    let mut text = report::in_words(summary, &outcome, terminal.on_stdout);
    if let Some((header, _)) = accepted.as_ref().filter(|_| !summary.status.is_final()) {
        let slots = console.slots(&key.organisation)?;
        let mut read = Ok(());
        let pages = console.pages(key, 0, u32::MAX).map_while(|page| page.map_err(|error| read = Err(error)).ok());
        let reason = waiting::reason(summary, header, slots, pages.flatten(), console.now());
        read?;
        text.push_str(&reason.map(|reason| format!("\n{reason}\n")).unwrap_or_default());
    }
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// The flow as it was frozen.
pub fn program(header: &RequestHeader) -> Result<Program, Failure> {
    Program::from_canonical(&header.flow)
        .map_err(|error| Failure::Internal(format!("its flow was frozen by another version of this program: {error}")))
}

/// A request that has no calls: refused, or not all of it there.
fn refused(summary: &RequestSummary) -> Result<(), Failure> {
    let mut text = format!("{} {}\n", summary.request_id, super::flow::word(&summary.status));
    for error in &summary.errors {
        text.push_str(&format!("  {}\n", crate::reading::shown(&error.to_string())));
    }
    let more = u64::from(summary.error_count).saturating_sub(summary.errors.len() as u64);
    if more > 0 {
        text.push_str(&format!("  … and {more} more\n"));
    }
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// Follows a request until nothing more will happen to it, then tells how it stands. `expected`: it may not be known
/// yet, since no worker has looked at it.
pub fn follow(
    console: &Console,
    key: &RequestKey,
    expected: bool,
    json: bool,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut view = View::of(if json { Shown::Notes } else { Shown::Progress }, terminal);
    let (mut seen, mut away_since) = (!expected, None);
    loop {
        match console.progress(key) {
            Ok((summary, slots)) => {
                (seen, away_since) = (true, None);
                view.show(&summary, slots, None);
                // Calls that were live when it was cancelled may go on.
                if summary.status.is_final() && summary.counts.on_progress == 0 {
                    break;
                }
            }
            Err(ConsoleError::NotFound) if !seen => {}
            Err(error @ ConsoleError::Unreachable { .. }) => {
                let since = *away_since.get_or_insert_with(|| {
                    view.note(&format!("{error}; it is looked for again"));
                    console.now()
                });
                if console.now().since(since) > AWAY {
                    view.close();
                    return Err(error.into());
                }
                console.pause(AGAIN);
            }
            Err(error) => {
                view.close();
                return Err(error.into());
            }
        }
        console.pause(LOOKED);
    }
    view.close();
    let snapshot = console.request(key)?;
    tell(console, key, &snapshot, Range::ALL, json, terminal)?;
    Ok(exit_of(snapshot.summary.status))
}
