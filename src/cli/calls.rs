//! `robocall calls`: who is in a call now.

use std::io::{self, Write as _};

use clap::Args;
use serde::Serialize;

use super::amounts::{counted, lasting};
use super::configuration::ConfigArgs;
use super::report::table;
use super::{Exit, Failure, values};
use crate::daemon::Console;
use crate::model::status::LiveState;
use crate::model::{Fact, Happening, Number, OrganisationId, RequestId, Timestamp, WorkerId};
use crate::ports::store::{LiveCall, Stage};

/// Show the live calls of an organisation.
///
/// Those that a worker holds: claimed, dialled, ringing, answered. Numbers are shown without their middle.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct CallsArgs {
    /// The organisation that calls.
    #[arg(long, default_value = "default", value_parser = values::organisation)]
    org: OrganisationId,
    /// Of this request only.
    #[arg(long, value_name = "REQUESTID")]
    request: Option<RequestId>,
    #[command(flatten)]
    config: ConfigArgs,
}

const HELP: &str = "\
Exit codes:
  0    shown, if only that there are none
  2    a setting or an option cannot be used
  4    the database does not answer

Examples:
  robocall calls
  robocall calls --org bank --request reminder-1 --json";

/// A call as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    call_id: String,
    request_id: RequestId,
    destination: String,
    state: &'static str,
    worker: WorkerId,
    attempt: u32,
    /// When the state began; null of what is only claimed.
    since: Option<Timestamp>,
    /// Its owner has not renewed it in time: another will look after it.
    suspect: bool,
}

/// Shows them.
pub fn run(args: CallsArgs, json: bool) -> Result<Exit, Failure> {
    let console = Console::open(&args.config.read()?)?;
    let live = console.ask_store(console.store().live_calls(&args.org, args.request.as_ref()))?;
    let now = console.now();
    let calls: Vec<Shown> = live.into_iter().map(|call| Shown::of(call, now)).collect();
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, &serde_json::json!({ "calls": calls }))?;
        out.write_all(b"\n")?;
        return Ok(Exit::Completed);
    }
    if calls.is_empty() {
        writeln!(out, "No live calls.")?;
        return Ok(Exit::Completed);
    }
    let mut shown = table(&["call", "request", "number", "state", "for", "attempt", "worker"]);
    for call in &calls {
        shown.add_row([
            call.call_id.clone(),
            call.request_id.to_string(),
            call.destination.clone(),
            format!("{}{}", call.state, if call.suspect { ", suspect" } else { "" }),
            call.since.map(|since| lasting(now.since(since))).unwrap_or_default(),
            call.attempt.to_string(),
            call.worker.to_string(),
        ]);
    }
    writeln!(out, "{}\n\n{}", shown.trim_fmt(), counted(calls.len() as u64, "live call"))?;
    Ok(Exit::Completed)
}

impl Shown {
    fn of(call: LiveCall, now: Timestamp) -> Self {
        let LiveCall { held, worker, stage, renewed_until, destination, history } = call;
        let (state, attempt, since) = state(stage, &history);
        Self {
            call_id: held.attempt.call.to_string(),
            request_id: held.request,
            destination: match destination.number {
                Number::Valid(phone) => phone.masked(),
                Number::Invalid(_) => "(invalid)".to_owned(),
            },
            state,
            worker,
            attempt,
            since,
            suspect: renewed_until <= now,
        }
    }
}

/// How far a call is, which dial that is, and since when.
fn state(stage: Stage, history: &[Fact]) -> (&'static str, u32, Option<Timestamp>) {
    let dials = history.iter().rev().find_map(|fact| match fact.what {
        Happening::Dialing { attempt, .. } => Some(attempt),
        _ => None,
    });
    if stage == Stage::Claimed {
        return ("claimed", dials.unwrap_or(0) + 1, None);
    }
    let (state, since) = LiveState::of(history).unzip();
    (state.map_or("dialing", LiveState::as_str), dials.unwrap_or(1), since)
}
