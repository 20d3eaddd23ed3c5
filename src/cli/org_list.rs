//! `robocall org list`: which organisations there are, and which of them stand still.

use std::io::{self, Write as _};

use clap::Args;
use serde::Serialize;

use super::amounts::counted;
use super::configuration::ConfigArgs;
use super::report::{right, table};
use super::{Exit, Failure};
use crate::daemon::Console;
use crate::model::OrganisationId;
use crate::ports::{Standing, Standings, Unread};
use crate::reading::shown;

/// List organisations that have or had requests, with their slots, and what is wrong with them.
///
/// Who waits could be dialled now, had the organisation slots for all of them.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ListArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

const HELP: &str = "\
Exit codes:
  0    listed, whatever is wrong with them
  2    a setting or an option cannot be used
  4    the database does not answer

Examples:
  robocall org list
  robocall org list --json";

/// An organisation as it is shown.
#[derive(Serialize)]
struct Row {
    organisation: OrganisationId,
    /// Null if they cannot be read.
    slots: Option<Slots>,
    /// Destinations that could be dialled now; null if that cannot be read.
    waiting: Option<u32>,
    /// Why nothing is dialled, or not as it should be; null if nothing is wrong.
    wrong: Option<String>,
}

#[derive(Serialize)]
struct Slots {
    limit: u32,
    /// Null if what other applications wrote is no number.
    external: Option<u32>,
    leased: u32,
    suspect: u32,
}

/// Lists them.
pub fn list(args: &ListArgs, json: bool) -> Result<Exit, Failure> {
    let console = Console::open(&args.config.read()?)?;
    let Standings { read, unread } = console.standings()?;
    let mut rows: Vec<Row> = read.into_iter().map(Row::of).chain(unread.into_iter().map(Row::of_unread)).collect();
    rows.sort_by(|one, other| one.organisation.cmp(&other.organisation));
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, &serde_json::json!({ "organisations": rows }))?;
        out.write_all(b"\n")?;
    } else {
        out.write_all(in_words(&rows).as_bytes())?;
    }
    Ok(Exit::Completed)
}

impl Row {
    fn of(standing: Standing) -> Self {
        let wrong = if standing.is_external_unreadable() {
            Some("what others use is no number: nothing is dialled".to_owned())
        } else {
            Some(standing.drift()).filter(|drift| *drift > 0).map(|drift| {
                format!("{} taken that the limit does not allow: nothing is dialled", counted(drift.into(), "slot"))
            })
        };
        let external = Some(standing.slots.external).filter(|_| !standing.is_external_unreadable());
        let Standing { organisation, slots, due, .. } = standing;
        let slots = Slots { limit: slots.limit, external, leased: slots.leased, suspect: slots.suspect };
        Self { organisation, slots: Some(slots), waiting: Some(due), wrong }
    }

    fn of_unread(unread: Unread) -> Self {
        let Unread { organisation, why } = unread;
        Self { organisation, slots: None, waiting: None, wrong: Some(format!("it cannot be read: {why}")) }
    }
}

fn in_words(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "No organisation has had any requests.\n".to_owned();
    }
    let mut listed = table(&["organisation", "limit", "leased", "external", "suspect", "waiting", "wrong"]);
    for Row { organisation, slots, waiting, wrong } in rows {
        let slot = |of: fn(&Slots) -> Option<u32>| slots.as_ref().and_then(of);
        let number = |number: Option<u32>| number.map_or("?".to_owned(), |number| number.to_string());
        listed.add_row([
            organisation.to_string(),
            number(slot(|slots| Some(slots.limit))),
            number(slot(|slots| Some(slots.leased))),
            number(slot(|slots| slots.external)),
            number(slot(|slots| Some(slots.suspect))),
            number(*waiting),
            shown(wrong.as_deref().unwrap_or_default()).to_string(),
        ]);
    }
    right(&mut listed, 1..6);
    let ill = rows.iter().filter(|row| row.wrong.is_some()).count();
    let ill = if ill == 0 { String::new() } else { format!(", something is wrong with {ill}") };
    format!("{}\n\n{}{ill}\n", listed.trim_fmt(), counted(rows.len() as u64, "organisation"))
}
