//! `robocall run`: one request, from its file to its last status, without any server.

use clap::Args;

use super::campaign::{Campaign, CampaignArgs};
use super::documents::{Input, taken_for_a_request};
use super::numbers::MAGIC_NUMBERS;
use super::{Exit, Failure, Terminal};
use crate::daemon::Pace;

/// Run a call request on a simulated phone network, to its end.
///
/// Everything is in this process: queue, store, phones. Nobody is really called. Prints what became of the calls;
/// with --json, the request's whole status document.
#[derive(Debug, Args)]
#[command(after_long_help = HELP.as_str(), after_help = "More with --help: magic numbers, exit codes, examples.")]
pub struct RunArgs {
    /// The request; `-` is stdin.
    request: String,
    #[command(flatten)]
    how: CampaignArgs,
}

static HELP: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| format!("{MAGIC_NUMBERS}\n\n{EXITS}\n\n{EXAMPLES}"));

const EXITS: &str = "\
Exit codes:
  0    the request completed
  1    something broke: an output failed while it was written, a worker failed
  2    the request, an option or a file cannot be used; nothing was dialled
  3    the request ended otherwise: cancelled, expired
  130  interrupted a second time, or before the request was accepted: ended at once
The first interrupt (Ctrl-C, SIGTERM) cancels the request: live calls go on to their end.";

const EXAMPLES: &str = "\
Examples:
  robocall run reminder.json                      as fast as the clock on the wall
  robocall run reminder.json --speed 20           twenty times as fast
  robocall run reminder.json --instant --json     at once; the status document on stdout
  robocall run reminder.json --instant --answer 6 --busy 1 --unanswered 3 --seed 7
  robocall run - --instant --events events.jsonl < reminder.json";

/// Runs it.
pub fn run(args: RunArgs, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    let input = Input::open(&args.request)?;
    if let Some(events) = args.how.events.as_deref() {
        input.keep_from(events, "the request")?;
    }
    let mut campaign = Campaign::new(&args.how, args.how.pace(Pace::Real), json, None)?;
    campaign.run(input.path(), &input.name, terminal).map_err(|failure| match (failure, taken_for_a_request(&input)) {
        (Failure::BadInput(refusal), Some(what)) if !refusal.errors.is_empty() => {
            Failure::usage(format!("{} {what}", input.name))
        }
        (failure, _) => failure,
    })
}
