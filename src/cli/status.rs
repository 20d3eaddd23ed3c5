//! `robocall status`: how a request of a deployment stands.

use clap::Args;

use super::configuration::ConfigArgs;
use super::standing::{self, Range};
use super::{Exit, Failure, Terminal, values};
use crate::daemon::{Console, ConsoleError};
use crate::model::{OrganisationId, RequestId};
use crate::ports::store::RequestKey;

/// Show how far a request is.
///
/// Prints what became of its calls so far; with --json, its status document: a thousand calls, or as many as asked for.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct StatusArgs {
    /// The request.
    #[arg(value_name = "REQUESTID")]
    request: RequestId,
    /// The organisation it is of.
    #[arg(long, default_value = "default", value_parser = values::organisation)]
    org: OrganisationId,
    /// With --json: begin with this call, as `nextCursor` of the page before says.
    #[arg(long, value_name = "CURSOR", default_value_t = 0, conflicts_with = "all")]
    cursor: u32,
    /// With --json: at most so many calls.
    #[arg(long, value_name = "CALLS", default_value_t = 1000, value_parser = values::whole(1..=1000_u32), conflicts_with = "all")]
    limit: u32,
    /// With --json: all calls.
    #[arg(long)]
    all: bool,
    /// Follow it until it has ended; then show all calls. Ctrl-C ends only the following.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

const HELP: &str = "\
Exit codes:
  0    shown; with --watch: it completed
  2    there is no such request, or a setting or option cannot be used
  3    with --watch: it ended otherwise: cancelled, expired, failed
  4    the database does not answer

Examples:
  robocall status reminder-1
  robocall status reminder-1 --json --limit 100 --cursor 100
  robocall status reminder-1 --watch";

/// Shows it.
pub fn run(args: StatusArgs, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    let console = Console::open(&args.config.read()?)?;
    let key = RequestKey { organisation: args.org, request: args.request };
    let known = |error| match error {
        ConsoleError::NotFound => no_such_request(&key),
        error => error.into(),
    };
    let snapshot = console.request(&key).map_err(known)?;
    if args.watch {
        return standing::follow(&console, &key, false, json, terminal);
    }
    // Words are about all of its calls, a document about some.
    let range = if args.all || !json { Range::ALL } else { Range { from: args.cursor, most: args.limit } };
    standing::tell(&console, &key, &snapshot, range, json, terminal)?;
    Ok(Exit::Completed)
}

/// That there is none of that name.
pub fn no_such_request(key: &RequestKey) -> Failure {
    Failure::NotFound(format!("organisation {} has no request {}", key.organisation, key.request))
}
