//! `robocall flow`: look at flows, and try them.

mod check;
mod library;
mod play;
mod render;
mod transcript;

use std::sync::Arc;

use clap::{Args, Subcommand};

use super::documents::{FoundFlow, Input, find_flow};
use super::{Exit, Failure, Terminal};
use crate::callflow::{Program, Utterances};
use crate::daemon;
use crate::dispatch::Programs;
use crate::model::status::RejectReason;
use crate::model::{Destination, IdError, Number, OrganisationId, RequestHeader};
use crate::reading::Problems;
use crate::request::{CheckError, DestinationStream, FlowCompiler as _, Limits};

pub use library::{FlowLibrary, PAYMENT_REMINDER};
pub use transcript::word;

/// What can be done with a flow.
#[derive(Debug, Subcommand)]
pub enum FlowCommand {
    Check(check::CheckArgs),
    Render(render::RenderArgs),
    Play(play::PlayArgs),
}

/// Runs one of them.
pub fn run(command: FlowCommand, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    match command {
        FlowCommand::Check(args) => check::run(args, json, terminal),
        FlowCommand::Render(args) => render::run(args, json),
        FlowCommand::Play(args) => play::run(args, json, terminal),
    }
}

/// Values for placeholders.
#[derive(Debug, Args)]
pub struct Properties {
    /// A value for a placeholder, such as `name=Alex`; may be given several times.
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
    properties: Vec<(String, String)>,
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The compiler of flows in files: its engine is the simulator's.
pub fn compiler() -> Result<Programs, Failure> {
    Ok(Programs::new(FlowLibrary::default().catalogue()?, daemon::silent_speech()))
}

/// The program of a flow in a file.
fn compiled(input: &Input) -> Result<(FoundFlow, Arc<Program>), Failure> {
    let found = find_flow(input)?;
    let mut problems = Problems::default();
    match compiler()?.compile(&found.flow, found.path, &mut problems) {
        Some(compiled) => Ok((found, compiled.program)),
        None => Err(Failure::problems(&input.name, RejectReason::Invalid, problems)),
    }
}

/// What one callee will hear, and the header of the request it comes from.
type Prepared = (Arc<Program>, Utterances, Option<RequestHeader>);

/// A flow made ready for one callee: the request's first destination, or one with the given properties.
fn prepared(input: &Input, given: &Properties) -> Result<Prepared, Failure> {
    let (found, program) = compiled(input)?;
    let (header, destination) = if found.is_request { first_destination(input)? } else { (None, None) };
    let nobody = Destination {
        index: 0,
        number: Number::Invalid("nobody".into()),
        caller: None,
        external_id: None,
        time_zone: None,
        properties: Vec::new(),
    };
    let mut destination = destination.unwrap_or(nobody);
    for (name, value) in given.properties.iter().rev() {
        // What was given here comes before what the request says.
        destination.properties.insert(0, (name.as_str().into(), value.as_str().into()));
    }
    match program.prepare(&destination) {
        Ok(utterances) => Ok((program, utterances, header)),
        Err(unspeakable) => {
            let path = program.messages.get(usize::from(unspeakable.message)).map_or("", |message| &message.path);
            let mut problems = Problems::default();
            problems.add(path, format!("{}; give values with --property NAME=VALUE", unspeakable.detail));
            Err(Failure::problems(&input.name, RejectReason::Invalid, problems))
        }
    }
}

fn first_destination(input: &Input) -> Result<(Option<RequestHeader>, Option<Destination>), Failure> {
    let header = match checked(input, &nobody()?)? {
        Ok(accepted) => accepted.header,
        Err(CheckError::Unreadable(error)) => return Err(Failure::unreadable(&input.name, &error)),
        Err(CheckError::Refused(refused)) => {
            return Err(Failure::problems(&input.name, refused.reason, refused.problems));
        }
    };
    let mut stream = DestinationStream::new(input.reader()?, &header, 0);
    let first = stream.next_chunk(1).map_err(|error| input.changed(&error))?;
    Ok((Some(header), first.into_iter().next()))
}

/// The organisation of requests that are only looked at.
fn nobody() -> Result<OrganisationId, Failure> {
    "default".parse().map_err(|error: IdError| Failure::Internal(error.to_string()))
}

/// The judgement on a whole request, as an embedded run would judge it.
pub fn checked(input: &Input, organisation: &OrganisationId) -> Result<crate::request::Checked, Failure> {
    let limits = Limits { max_bytes: None, ..Limits::default() };
    Ok(crate::request::check(input.reader()?, organisation, &compiler()?, limits))
}
