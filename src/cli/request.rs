//! `robocall request`: look at call requests.

use std::fmt;
use std::io::{self, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::FutureExt as _;
use serde::Serialize;

use super::amounts::{counted, lasting};
use super::command::{self, CancelArgs, ToRequest};
use super::documents::{Input, taken_for_a_request};
use super::exit::{Refusal, place};
use super::flow::checked;
use super::missing::{self, Missing};
use super::requests::{self, ListArgs};
use super::untimely::{self, Untimely};
use super::{Exit, Failure, values};
use crate::callflow::Program;
use crate::callflow::program::Action;
use crate::daemon;
use crate::model::OrganisationId;
use crate::model::status::{RejectReason, RequestError};
use crate::reading::shown;
use crate::request::{AcceptedRequest, CheckError, DestinationStream};

/// What can be done with a request.
#[derive(Debug, Subcommand)]
pub enum RequestCommand {
    Check(CheckArgs),
    List(ListArgs),
    /// Dial nothing more of a request until it is resumed; live calls go on.
    Pause(ToRequest),
    /// Go on with a paused request.
    Resume(ToRequest),
    /// Dial nothing more of a request, ever; live calls go on to their end, unless they are to be hung up.
    Cancel(CancelArgs),
}

/// Find everything that is wrong with requests, without sending them anywhere.
///
/// Destinations that lack a value for a placeholder are warned of: they fail before they are dialled; so are hours that
/// leave no time to call, by the clock on the wall. Exit code 2 if any request would be rejected, or has warnings with
/// --deny-warnings.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Requests; `-` is stdin.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The organisation they are for.
    #[arg(long, default_value = "default", value_parser = values::organisation)]
    org: OrganisationId,
    /// Slots to estimate the duration with.
    #[arg(long, allow_negative_numbers = true, default_value_t = 6, value_name = "SLOTS", value_parser = values::whole(1..=1_000_000_u32))]
    limit: u32,
    /// Take warnings for errors.
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Verdict {
    Valid(Summary),
    Refused(Refused),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    file: String,
    status: &'static str,
    request_id: String,
    total: u32,
    duplicates: u32,
    invalid: u32,
    flow_hash: String,
    steps: usize,
    estimated_call_secs: u64,
    estimated_secs: u64,
    slots: u32,
    /// What will keep people from being called; the request is accepted all the same.
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Warning {
    Missing(Missing),
    Untimely(Untimely),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    file: String,
    status: RejectReason,
    request_id: Option<String>,
    message: String,
    errors: Vec<RequestError>,
    error_count: u32,
}

/// Runs one of them.
pub fn run(command: RequestCommand, json: bool) -> Result<Exit, Failure> {
    let args = match command {
        RequestCommand::Check(args) => args,
        RequestCommand::List(args) => return requests::list(args, json),
        RequestCommand::Pause(args) => return command::pause(args, json),
        RequestCommand::Resume(args) => return command::resume(args, json),
        RequestCommand::Cancel(args) => return command::cancel(args, json),
    };
    let mut exit = Exit::Completed;
    for file in &args.files {
        let verdict = match judge(file, &args) {
            // One file that cannot be read says nothing of the others.
            Err(Failure::BadInput(refusal)) => Verdict::Refused(Refused::unread(file, refusal)),
            judged => judged?,
        };
        let warned = |summary: &Summary| args.deny_warnings && !summary.warnings.is_empty();
        if match &verdict {
            Verdict::Valid(summary) => warned(summary),
            Verdict::Refused(_) => true,
        } {
            exit = Exit::BadInput;
        }
        let mut out = io::stdout().lock();
        if json {
            serde_json::to_writer(&mut out, &verdict)?;
            out.write_all(b"\n")?;
        } else {
            out.write_all(verdict.in_words().as_bytes())?;
        }
    }
    Ok(exit)
}

fn judge(file: &str, args: &CheckArgs) -> Result<Verdict, Failure> {
    let input = Input::open(file)?;
    match checked(&input, &args.org)? {
        Ok(accepted) => summary(&input, args.limit, accepted).map(Verdict::Valid),
        Err(CheckError::Unreadable(error)) => Err(Failure::unreadable(&input.name, &error)),
        Err(CheckError::Refused(refused)) => {
            let (mut errors, mut error_count) = refused.problems.into_parts();
            let mut message = if error_count == 1 { "1 error".to_owned() } else { format!("{error_count} errors") };
            if let Some(what) = taken_for_a_request(&input) {
                (message, errors, error_count) = (what, Vec::new(), 0);
            }
            Ok(Verdict::Refused(Refused {
                file: input.name.clone(),
                status: refused.reason,
                request_id: refused.request_id.map(|id| id.to_string()),
                message,
                errors,
                error_count,
            }))
        }
    }
}

impl Refused {
    fn unread(file: &str, refusal: Refusal) -> Self {
        let Refusal { status, message, errors, error_count } = refusal;
        let file = if file == "-" { "stdin" } else { file };
        let message = message.strip_prefix(&format!("{file}: ")).unwrap_or(&message).to_owned();
        Self { file: file.to_owned(), status, request_id: None, message, errors, error_count }
    }
}

fn summary(input: &Input, slots: u32, accepted: AcceptedRequest) -> Result<Summary, Failure> {
    let mut warnings: Vec<_> = missing::look(input, &accepted)?.into_iter().map(Warning::Missing).collect();
    let mut people = DestinationStream::new(input.reader()?, &accepted.header, 0);
    let people = std::iter::from_fn(|| people.next_placed().transpose()).map(|next| next.map(|(_, person)| person));
    let untimely = untimely::look(&accepted.header, daemon::wall_clock(), people);
    warnings.extend(untimely.map_err(|error| input.changed(&error))?.map(Warning::Untimely));
    let AcceptedRequest { header, program, total, duplicates, invalid, .. } = accepted;
    let mut stream = DestinationStream::new(input.reader()?, &header, 0);
    let some = stream.next_chunk(LISTENED_TO).map_err(|error| input.changed(&error))?;
    let lengths = match some.iter().find_map(|destination| program.prepare(destination).ok()) {
        Some(utterances) => {
            let speech = daemon::silent_speech();
            let length = |utterance| speech.prepare(utterance).now_or_never().and_then(Result::ok);
            utterances.iter().map(|utterance| length(utterance).map_or(Duration::ZERO, |audio| audio.length)).collect()
        }
        None => Vec::new(),
    };
    let call = TO_ANSWER + talking(&program, &lengths);
    let rounds = total.div_ceil(slots);
    Ok(Summary {
        file: input.name.clone(),
        status: "valid",
        request_id: header.id.to_string(),
        total,
        duplicates,
        invalid,
        flow_hash: header.flow_hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        steps: program.steps.len(),
        estimated_call_secs: call.as_secs(),
        estimated_secs: (call * rounds).as_secs(),
        slots,
        warnings,
    })
}

/// Of so many destinations, the first that can be spoken to is taken for all.
const LISTENED_TO: usize = 100;

/// From the dial to the answer, as a rule.
const TO_ANSWER: Duration = Duration::from_secs(12);

/// From the end of a question to the key.
const TO_KEY: Duration = Duration::from_secs(2);

/// How long callee and the target of a transfer talk, as a rule.
const TALK: Duration = Duration::from_secs(60);

/// How long a call takes in which the first branch is always taken.
fn talking(program: &Program, lengths: &[Duration]) -> Duration {
    let length = |message: u16| lengths.get(usize::from(message)).copied().unwrap_or_default();
    let mut total = Duration::ZERO;
    let mut next = Some(0);
    // Steps lead only forward, so no call takes more of them than there are.
    while let Some(step) = next.and_then(|index: u16| program.steps.get(usize::from(index))) {
        next = match &step.action {
            Action::Play { message } => {
                total += length(*message);
                step.next
            }
            Action::Gather(gather) => {
                total += length(gather.message) + TO_KEY;
                gather.branches.first().map(|(_, branch)| *branch).or(gather.default)
            }
            Action::Transfer(transfer) => {
                total += transfer.message.map_or(Duration::ZERO, length) + TALK;
                None
            }
            Action::Hangup => None,
            Action::OptOut { message } => {
                total += message.map_or(Duration::ZERO, length);
                None
            }
        };
    }
    total
}

impl Verdict {
    fn in_words(&self) -> String {
        match self {
            Verdict::Refused(refused) => refused.in_words(),
            Verdict::Valid(valid) => valid.in_words(),
        }
    }
}

impl Refused {
    fn in_words(&self) -> String {
        let mut text = format!("{}: {}\n", shown(&self.file), shown(&self.message));
        for error in &self.errors {
            text.push_str(&format!("  {}: {}\n", shown(place(error)), shown(&error.message)));
        }
        let more = u64::from(self.error_count).saturating_sub(self.errors.len() as u64);
        if more > 0 {
            text.push_str(&format!("  … and {more} more\n"));
        }
        text
    }
}

impl Summary {
    fn in_words(&self) -> String {
        let Summary { file, request_id, total, duplicates, invalid, flow_hash, steps, slots, .. } = self;
        let mut text = format!("{}: valid\n  request       {request_id}\n  destinations  {total}", shown(file));
        if *duplicates > 0 {
            text.push_str(&format!(", {} left out", counted(u64::from(*duplicates), "duplicate")));
        }
        if *invalid > 0 {
            text.push_str(&format!(", {invalid} of them invalid"));
        }
        let hash = flow_hash.get(..12).unwrap_or(flow_hash);
        let (call, all) = (Duration::from_secs(self.estimated_call_secs), Duration::from_secs(self.estimated_secs));
        text.push_str(&format!(
            "\n  flow          {hash}…, {}\n  takes         about {} with {slots} slots, {} a call if everybody answers\n",
            counted(*steps as u64, "step"),
            lasting(all),
            lasting(call)
        ));
        for warning in &self.warnings {
            text.push_str(&format!("  {warning}\n"));
        }
        text
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { placeholder, destinations, first } = match self {
            Warning::Missing(missing) => missing,
            Warning::Untimely(untimely) => return untimely.fmt(f),
        };
        let verb = if *destinations == 1 { "destination has" } else { "destinations have" };
        write!(
            f,
            "warning: {destinations} {verb} no value for {{{{{}}}}} and will fail undialled: {}{}",
            shown(placeholder),
            first.join(", "),
            if *destinations > first.len() as u64 { ", …" } else { "" }
        )
    }
}
