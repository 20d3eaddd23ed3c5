//! `robocall request list`: which requests an organisation has, and how far they are.

use std::io::{self, Write as _};

use clap::Args;

use super::amounts::counted;
use super::configuration::ConfigArgs;
use super::flow::word;
use super::report::{right, table};
use super::{Exit, Failure, values};
use crate::api::RequestList;
use crate::daemon::Console;
use crate::model::{OrganisationId, RequestCursor, RequestStatus};
use crate::ports::store::{RequestFilter, RequestPage, RequestSnapshot};

/// List an organisation's requests, the newest first.
///
/// How far each is: its status, how many of its calls have ended, and how many are live. With --json, what
/// `GET /v1/requests` answers.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ListArgs {
    /// The organisation they are of.
    #[arg(long, default_value = "default", value_parser = values::organisation)]
    org: OrganisationId,
    /// Only those that have not ended: scheduled, in progress, paused.
    #[arg(long)]
    live: bool,
    /// Most that are listed.
    #[arg(long, value_name = "REQUESTS", default_value_t = 100, value_parser = values::whole(1..=1000_u32))]
    limit: u32,
    /// Begin after those of an earlier page, as it says at its end.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<RequestCursor>,
    #[command(flatten)]
    config: ConfigArgs,
}

const HELP: &str = "\
Exit codes:
  0    listed, if only that there are none
  2    a setting or an option cannot be used
  4    the database does not answer

Examples:
  robocall request list --live
  robocall request list --org bank --limit 20 --json";

/// Lists them.
pub fn list(args: ListArgs, json: bool) -> Result<Exit, Failure> {
    let ListArgs { org, live, limit, cursor, config } = args;
    let console = Console::open(&config.read()?)?;
    let open = || RequestStatus::ALL.iter().copied().filter(|status| !status.is_final()).collect();
    let filter = RequestFilter { statuses: live.then(open), after: cursor };
    let page = console.ask_store(console.store().requests(&org, &filter, limit))?;
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, &RequestList::of(page))?;
        out.write_all(b"\n")?;
    } else {
        out.write_all(in_words(&page, &org, live).as_bytes())?;
    }
    Ok(Exit::Completed)
}

fn in_words(page: &RequestPage, org: &OrganisationId, live: bool) -> String {
    if page.requests.is_empty() {
        return format!("{org} has no {}requests.\n", if live { "live " } else { "" });
    }
    let mut listed = table(&["request", "status", "ended", "of", "live", "accepted", "scheduled for"]);
    for RequestSnapshot { summary, header, queued_at } in &page.requests {
        let scheduled_at = header.as_ref().and_then(|header| header.scheduled_at);
        let time = |at: Option<_>| at.as_ref().map(ToString::to_string).unwrap_or_default();
        listed.add_row([
            summary.request_id.to_string(),
            word(&summary.status),
            summary.counts.ended().to_string(),
            summary.total.to_string(),
            summary.counts.on_progress.to_string(),
            time(*queued_at),
            time(scheduled_at),
        ]);
    }
    right(&mut listed, 2..5);
    let more = page.next.as_ref().map(|next| format!("; more with --cursor {next}")).unwrap_or_default();
    let count = counted(page.requests.len() as u64, if live { "live request" } else { "request" });
    format!("{}\n\n{count}{more}\n", listed.trim_fmt())
}
