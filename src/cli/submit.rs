//! `robocall submit`: a request handed to a deployment's workers, in parts if it is large.

use std::fs;
use std::io::{self, Write as _};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::amounts::counted;
use super::configuration::ConfigArgs;
use super::documents::{Input, taken_for_a_request};
use super::exit::say;
use super::flow::FlowLibrary;
use super::{Exit, Failure, Terminal, standing, values};
use crate::config::Settings;
use crate::daemon::{self, Client, Console, ConsoleError, MAX_REQUEST};
use crate::dispatch::Programs;
use crate::model::status::RequestSummary;
use crate::model::{OrganisationId, RequestId};
use crate::ports::store::RequestKey;
use crate::request::{CheckError, CutError, Limits, Piece, Plan, Scanner};

/// Hand a request to the workers.
///
/// It is checked here first, as `request check` does. A request that is larger than a message may be is cut into parts,
/// numbers that stand there twice left out; nothing of it is dialled before all parts are there. Then the answer of a
/// worker is waited for. The same request again is known and changes nothing.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct SubmitArgs {
    /// The request; `-` is stdin.
    request: String,
    /// The organisation that calls.
    #[arg(long, default_value = "default", value_parser = values::organisation)]
    org: OrganisationId,
    /// Follow it until it has ended, and show what became of its calls, as `run` does. Ctrl-C ends only the following.
    #[arg(long)]
    watch: bool,
    /// Do not check it here: workers do in any case.
    #[arg(long)]
    no_check: bool,
    /// Seconds to wait for a worker's answer, for each part.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = values::whole(1..=86_400_u64))]
    wait: u64,
    /// Largest part, in MiB. The same request is the same only in the same parts.
    #[arg(long, value_name = "MIB", default_value_t = MAX_REQUEST >> 20, value_parser = values::whole(1..=MAX_REQUEST >> 20))]
    part_size: u64,
    #[command(flatten)]
    flows: FlowLibrary,
    #[command(flatten)]
    config: ConfigArgs,
}

const HELP: &str = "\
Exit codes:
  0    accepted, or known already; with --watch: it completed
  2    the request was rejected, or it, an option or a setting cannot be used
  3    with --watch: it ended otherwise: cancelled, expired, failed
  4    a server does not answer; of a request in parts, some may be there: submit it again
  5    no worker has answered in time; the request is with the broker, and is taken when one comes

Examples:
  robocall submit reminder.json
  robocall submit reminder.json --watch
  robocall submit - --org bank --wait 5 --json < million.json";

/// What workers said to a request.
enum Answer {
    /// To the last of its parts.
    Accepted(RequestSummary),
    /// Nothing, in time.
    Unanswered(Duration),
}

/// Submits it.
pub fn run(args: SubmitArgs, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    let input = Input::open(&args.request)?;
    let settings = args.config.read()?;
    if !args.no_check {
        check(&input, &args, &settings)?;
    }
    let request = request_id(&input)?;
    let size = fs::metadata(input.path()).map_err(|error| Failure::unreadable(&input.name, &error))?.len();
    let plan = if size > args.part_size << 20 { Some(plan(&input, args.part_size)?) } else { None };
    let console = Console::open(&settings)?;
    let key = request.map(|request| RequestKey { organisation: args.org.clone(), request });
    let Some(key) = key else { return submit_unnamed(&console, &args, &input) };
    let was_known = known_before(&console, &key, args.watch)?;
    let answer = match &plan {
        None => whole(&console, &args, &input)?,
        Some(plan) => in_parts(&console, &args, &input, plan, json, terminal)?,
    };
    let answer = match answer {
        Answer::Accepted(summary) if summary.reason.is_some() => {
            if plan.is_some() && !json {
                say("The parts that were sent before stay incomplete, and fail after a day.\n");
            }
            return Err(Failure::rejected(&input.name, summary));
        }
        answer => answer,
    };
    let word = match &answer {
        Answer::Accepted(_) if was_known => "known",
        Answer::Accepted(_) => "accepted",
        Answer::Unanswered(_) => "unanswered",
    };
    let (parts, duplicates) = plan.as_ref().map_or((1, 0), |plan| (plan.parts, plan.duplicates));
    let summary = match &answer {
        Answer::Accepted(summary) => Some(summary),
        Answer::Unanswered(_) => None,
    };
    if args.watch {
        if !json {
            say(&in_words(&key, word, summary, parts, duplicates));
        }
        return standing::follow(&console, &key, true, json, terminal);
    }
    let Some(summary) = summary else {
        let waited = Duration::from_secs(args.wait);
        let at = "the request is with the broker, and is taken when a worker comes";
        return Err(Failure::Unanswered(format!("{}; {at}", ConsoleError::Unanswered(waited))));
    };
    let mut out = io::stdout().lock();
    if json {
        let document = json!({"status": word, "parts": parts, "duplicates": duplicates, "request": summary});
        writeln!(out, "{document}")?;
    } else {
        out.write_all(in_words(&key, word, Some(summary), parts, duplicates).as_bytes())?;
    }
    Ok(Exit::Completed)
}

fn in_words(key: &RequestKey, word: &str, summary: Option<&RequestSummary>, parts: u32, duplicates: u32) -> String {
    let mut text = format!("{}: {word}", key.request);
    if let Some(summary) = summary {
        let total = counted(u64::from(summary.total), "destination");
        text.push_str(&format!(", {total}, {}", super::flow::word(&summary.status)));
    }
    if parts > 1 {
        text.push_str(&format!(", in {parts} parts"));
    }
    if duplicates > 0 {
        text.push_str(&format!(", {} left out", counted(u64::from(duplicates), "duplicate")));
    }
    text.push('\n');
    text
}

/// Finds what is wrong with it before anybody is asked.
fn check(input: &Input, args: &SubmitArgs, settings: &Settings) -> Result<(), Failure> {
    let flows = args.flows.clone().or(settings.worker.flows.clone()).catalogue()?;
    let programs = Programs::new(flows, daemon::promised_speech(&settings.speech));
    let limits = Limits { max_bytes: None, max_destinations: settings.worker.max_destinations };
    match crate::request::check(input.reader()?, &args.org, &programs, limits) {
        Ok(_) => Ok(()),
        Err(CheckError::Unreadable(error)) => Err(Failure::unreadable(&input.name, &error)),
        Err(CheckError::Refused(refused)) => Err(match taken_for_a_request(input) {
            Some(what) => Failure::usage(format!("{} {what}", input.name)),
            None => Failure::problems(&input.name, refused.reason, refused.problems),
        }),
    }
}

/// The request's name, if it has one that can be read.
fn request_id(input: &Input) -> Result<Option<RequestId>, Failure> {
    let mut scanner = Scanner::new(input.reader()?, None);
    while let Ok(Some(piece)) = scanner.next() {
        if let Piece::Field { name: "requestId", raw, .. } = piece {
            let name: Option<Value> = serde_json::from_slice(raw).ok();
            return Ok(name.as_ref().and_then(Value::as_str).and_then(|name| name.parse().ok()));
        }
    }
    Ok(None)
}

/// Whether it was there before, as far as the database can tell: only `--watch` needs it.
fn known_before(console: &Console, key: &RequestKey, needed: bool) -> Result<bool, Failure> {
    match console.request(key) {
        Ok(snapshot) => Ok(snapshot.queued_at.is_some()),
        Err(ConsoleError::Unreachable { .. }) if !needed => Ok(false),
        Err(ConsoleError::NotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn plan(input: &Input, mib: u64) -> Result<Plan, Failure> {
    let most = usize::try_from(mib << 20).unwrap_or(usize::MAX);
    Plan::of(|| input.open_again(), most).map_err(|error| uncut(input, &error))
}

fn uncut(input: &Input, error: &CutError) -> Failure {
    Failure::usage(format!("{}: {error}", input.name))
}

/// Sends one message; what a worker said to it.
fn send(console: &Console, client: &Client, args: &SubmitArgs, body: &[u8]) -> Result<Answer, Failure> {
    let bound = Duration::from_secs(args.wait);
    match console.ask_broker(client.submit_and_wait(&args.org, body, bound)) {
        Ok(summary) => Ok(Answer::Accepted(summary)),
        Err(ConsoleError::Unanswered(bound)) => Ok(Answer::Unanswered(bound)),
        Err(error) => Err(error.into()),
    }
}

fn whole(console: &Console, args: &SubmitArgs, input: &Input) -> Result<Answer, Failure> {
    let mut body = Vec::new();
    io::Read::read_to_end(&mut input.reader()?, &mut body).map_err(|error| Failure::unreadable(&input.name, &error))?;
    send(console, &console.client()?, args, &body)
}

/// A request without a name, which was not checked: workers will say what is wrong with it.
fn submit_unnamed(console: &Console, args: &SubmitArgs, input: &Input) -> Result<Exit, Failure> {
    match whole(console, args, input)? {
        Answer::Accepted(summary) => Err(Failure::rejected(&input.name, summary)),
        Answer::Unanswered(bound) => Err(ConsoleError::Unanswered(bound).into()),
    }
}

/// Part by part: the next is sent when a worker has sealed the one before, or none answers any more.
fn in_parts(
    console: &Console,
    args: &SubmitArgs,
    input: &Input,
    plan: &Plan,
    json: bool,
    terminal: &Terminal,
) -> Result<Answer, Failure> {
    let client = console.client()?;
    let bar = bar(plan.parts, terminal.watched && !json);
    let mut answered = None;
    for part in plan.cut(input.reader()?) {
        let part = part.map_err(|error| uncut(input, &error))?;
        if matches!(answered, Some(Answer::Unanswered(_))) {
            // Nobody is there: what is sent waits for whoever comes.
            console.ask_broker(client.submit(&args.org, &part))?;
        } else {
            answered = Some(send(console, &client, args, &part)?);
        }
        bar.inc(1);
        // Of a request that was refused, the rest is not sent.
        if matches!(&answered, Some(Answer::Accepted(summary)) if summary.reason.is_some()) {
            break;
        }
    }
    bar.finish_and_clear();
    answered.ok_or_else(|| Failure::Internal("the request has no part".to_owned()))
}

fn bar(parts: u32, watched: bool) -> ProgressBar {
    let target = if watched { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(parts.into()), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:24.green/dim} {pos}/{len} parts") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar
}
