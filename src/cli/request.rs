//! `robocall request`: look at call requests.

use std::io::{self, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::FutureExt as _;
use serde::Serialize;

use super::documents::Input;
use super::flow::checked;
use super::report::lasting;
use super::{Exit, Failure, values};
use crate::callflow::Program;
use crate::callflow::program::Action;
use crate::daemon;
use crate::model::OrganisationId;
use crate::model::status::{RejectReason, RequestError};
use crate::request::{AcceptedRequest, CheckError, DestinationStream};

/// What can be done with a request.
#[derive(Debug, Subcommand)]
pub enum RequestCommand {
    Check(CheckArgs),
}

/// Find everything that is wrong with requests, without sending them anywhere.
///
/// Exit code 2 if any of them would be rejected.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Requests; `-` is stdin.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The organisation they are for.
    #[arg(long, default_value = "default", value_parser = values::organisation)]
    org: OrganisationId,
    /// Slots to estimate the duration with.
    #[arg(long, default_value_t = 6, value_parser = values::whole(1..=1_000_000_u32))]
    limit: u32,
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
    let RequestCommand::Check(args) = command;
    let mut exit = Exit::Completed;
    for file in &args.files {
        let verdict = judge(file, &args)?;
        if matches!(verdict, Verdict::Refused(_)) {
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
            let (errors, error_count) = refused.problems.into_parts();
            Ok(Verdict::Refused(Refused {
                file: input.name.clone(),
                status: refused.reason,
                request_id: refused.request_id.map(|id| id.to_string()),
                message: if error_count == 1 { "1 error".to_owned() } else { format!("{error_count} errors") },
                errors,
                error_count,
            }))
        }
    }
}

fn summary(input: &Input, slots: u32, accepted: AcceptedRequest) -> Result<Summary, Failure> {
    let AcceptedRequest { header, program, total, duplicates, invalid, .. } = accepted;
    let mut stream = DestinationStream::new(input.reader()?, &header, 0);
    let first = stream.next_chunk(1).map_err(|error| Failure::Internal(error.to_string()))?;
    let lengths = match first.first().map(|destination| program.prepare(destination)) {
        Some(Ok(utterances)) => {
            let speech = daemon::silent_speech();
            let length = |utterance| speech.prepare(utterance).now_or_never().and_then(Result::ok);
            utterances.iter().map(|utterance| length(utterance).map_or(Duration::ZERO, |audio| audio.length)).collect()
        }
        _ => Vec::new(),
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
    })
}

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
            Verdict::Refused(refused) => {
                let mut text = format!("{}: {}\n", refused.file, refused.message);
                for error in &refused.errors {
                    text.push_str(&format!("  {error}\n"));
                }
                let more = refused.error_count as usize - refused.errors.len();
                if more > 0 {
                    text.push_str(&format!("  … and {more} more\n"));
                }
                text
            }
            Verdict::Valid(valid) => {
                let Summary { file, request_id, total, duplicates, invalid, flow_hash, steps, slots, .. } = valid;
                let mut text = format!("{file}: valid\n  request       {request_id}\n  destinations  {total}");
                if *duplicates > 0 {
                    text.push_str(&format!(", {duplicates} duplicates left out"));
                }
                if *invalid > 0 {
                    text.push_str(&format!(", {invalid} of them invalid"));
                }
                let hash = flow_hash.get(..12).unwrap_or(flow_hash);
                let (call, all) =
                    (Duration::from_secs(valid.estimated_call_secs), Duration::from_secs(valid.estimated_secs));
                text.push_str(&format!(
                    "\n  flow          {hash}…, {steps} steps\n  takes         about {} with {slots} slots, {} a call if everybody answers\n",
                    lasting(all),
                    lasting(call)
                ));
                text
            }
        }
    }
}
