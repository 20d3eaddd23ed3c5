//! `robocall request pause|resume|cancel`, and how workers are told anything.

use std::io::{self, Write as _};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::configuration::ConfigArgs;
use super::{Exit, Failure, values};
use crate::command::{Command, CommandKind, CommandReply, Standing};
use crate::daemon::{Console, random_number};
use crate::model::{KeyLabel, OrganisationId, RequestId, RequestStatus};

/// A request, and how its workers are told.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ToRequest {
    /// The request.
    #[arg(value_name = "REQUESTID")]
    request: RequestId,
    /// The status that the request must have: otherwise nothing is done.
    #[arg(long, value_name = "STATUS", value_parser = values::request_status)]
    expect: Option<RequestStatus>,
    #[command(flatten)]
    teller: Teller,
}

impl ToRequest {
    fn tell(&self, kind: &CommandKind, done: &str, json: bool) -> Result<Exit, Failure> {
        let expect = self.expect.map(Standing::Request);
        tell(&self.teller, (kind, expect), done, &format!("request {}", self.request), json)
    }
}

/// A request to be cancelled.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct CancelArgs {
    #[command(flatten)]
    to: ToRequest,
    /// Hang its live calls up, too.
    #[arg(long)]
    hang_up: bool,
}

const HELP: &str = "\
Exit codes:
  0    a worker has done it
  2    there is no such request, or it had ended, or it is not as expected; or an option or setting cannot be used
  4    the broker does not answer
  5    no worker has answered in time: ask again

Examples:
  robocall request pause reminder-1
  robocall request cancel reminder-1 --hang-up --org bank
  robocall request resume reminder-1 --expect paused";

/// Who gives what is given at a terminal.
const ACTOR: &str = "command line";

/// A name for a command that nobody else has, and who gives it.
pub(super) fn signed() -> (Box<str>, Option<KeyLabel>) {
    (format!("{:032x}", random_number()).into(), ACTOR.parse().ok())
}

/// How workers are told.
#[derive(Debug, Args)]
pub(super) struct Teller {
    /// The organisation it is of.
    #[arg(long, default_value = "default", value_parser = values::organisation)]
    org: OrganisationId,
    /// Seconds to wait for a worker's answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = values::whole(1..=3600_u64))]
    wait: u64,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Pauses a request.
pub fn pause(args: ToRequest, json: bool) -> Result<Exit, Failure> {
    args.tell(&CommandKind::Pause(args.request.clone()), "paused", json)
}

/// Lets a request go on.
pub fn resume(args: ToRequest, json: bool) -> Result<Exit, Failure> {
    args.tell(&CommandKind::Resume(args.request.clone()), "resumed", json)
}

/// Cancels a request.
pub fn cancel(args: CancelArgs, json: bool) -> Result<Exit, Failure> {
    let CancelArgs { to, hang_up } = args;
    to.tell(&CommandKind::Cancel { request: to.request.clone(), hang_up }, "cancelled", json)
}

/// Tells the workers, and says what came of it.
pub(super) fn tell(
    teller: &Teller,
    (kind, expect): (&CommandKind, Option<Standing>),
    done: &str,
    what: &str,
    json: bool,
) -> Result<Exit, Failure> {
    let Teller { org, wait, config } = teller;
    let console = Console::open(&config.read()?)?;
    let client = console.client()?;
    let (id, actor) = signed();
    let command = Command { id, organisation: org.clone(), actor, expect, trace: None, kind: kind.clone() };
    let reply = console.ask_broker(client.command(&command, Duration::from_secs(*wait)))?;
    match reply {
        CommandReply::Done => {
            let mut out = io::stdout().lock();
            if json {
                writeln!(out, "{}", json!({"status": "done"}))?;
            } else {
                writeln!(out, "{what}: {done}")?;
            }
            Ok(Exit::Completed)
        }
        CommandReply::Ended(status) => Err(Failure::conflict(format!("{what} had already ended: {}", status.as_str()))),
        CommandReply::Invited(leg) => {
            let mut out = io::stdout().lock();
            if json {
                writeln!(out, "{}", json!({"status": "dialling", "sessionId": leg.to_string()}))?;
            } else {
                writeln!(out, "{what}: {done}, session {leg}")?;
            }
            Ok(Exit::Completed)
        }
        CommandReply::Unmet { expected, found } => Err(Failure::conflict(format!("{what} is {found}, not {expected}"))),
        CommandReply::Refused(reason) => Err(Failure::conflict(format!("{what}: {reason}"))),
        CommandReply::NotFound => Err(Failure::NotFound(format!("organisation {org} has no {}", missing(kind, what)))),
        CommandReply::Adopting => Err(Failure::Unanswered(format!("{what} is just changing hands: ask again"))),
        CommandReply::Unavailable => {
            Err(Failure::Unanswered(format!("the owner of {what} has not answered: ask again")))
        }
    }
}

/// What there is none of.
fn missing(kind: &CommandKind, what: &str) -> String {
    match kind {
        CommandKind::Pause(_) | CommandKind::Resume(_) | CommandKind::Cancel { .. } => what.to_owned(),
        CommandKind::EndSession { .. } => format!("live {what}, or no such session in it: ended, perhaps"),
        CommandKind::HangUp(_)
        | CommandKind::Invite { .. }
        | CommandKind::Transfer { .. }
        | CommandKind::Record { .. } => format!("live {what}: ended, perhaps"),
    }
}
