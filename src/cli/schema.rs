//! `robocall schema`: the shapes of what comes in and goes out, as JSON Schema.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use super::{Exit, Failure};
use crate::api::StatusDocument;
use crate::callflow::schema::FlowDocument;
use crate::model::event::{CommandNote, LegNote, OrganisationData};
use crate::model::status::{CallEntry, RequestSummary};
use crate::model::{EventType, Timestamp, WorkerId};
use crate::request::CallRequestDocument;

/// Print a JSON Schema.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of what.
    of: Document,
}

/// What there is a schema of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// A call request, as it is submitted.
    Request,
    /// The status of a request, as `run --json` prints it.
    Status,
    /// An event, as `run --events` writes it.
    Event,
    /// A call flow.
    Flow,
    /// Everything that goes over the broker: an AsyncAPI 3 document.
    Asyncapi,
}

/// A CloudEvent, version 1.0, in structured JSON.
#[derive(JsonSchema)]
#[schemars(title = "Event")]
#[expect(dead_code, reason = "a shape to be described; `model::event` writes it")]
pub(super) struct CloudEvent {
    #[schemars(extend("const" = "1.0"))]
    specversion: String,
    /// The same however often the event is published.
    id: String,
    /// `/robocall/{organisation}`.
    source: String,
    /// `robocall.` and the kind.
    #[serde(rename = "type")]
    #[schemars(schema_with = "event_types")]
    kind: String,
    /// The request, or request and call; `organisation` where the organisation itself was changed.
    subject: String,
    time: Timestamp,
    #[schemars(extend("const" = "application/json"))]
    datacontenttype: String,
    /// The trace that the request was submitted in, if it came with one (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    data: EventData,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a shape to be described; `model::event` writes it")]
enum EventData {
    /// Something happened in a call.
    Call(Box<CallData>),
    /// Something happened to a request.
    Request(Box<RequestData>),
    /// In `command.executed`: an organisation's settings or its do-not-call list were changed.
    Organisation(OrganisationData<'static>),
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "a shape to be described; `model::event` writes it")]
struct CallData {
    /// Place among the call's events, from 1, without gaps.
    seq: u32,
    /// The worker that carried the call then; null if it was never dialled.
    worker: Option<WorkerId>,
    #[serde(flatten)]
    entry: CallEntry<'static>,
    /// In `leg.*`: which leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    leg: Option<LegNote<'static>>,
    /// In `command.executed`: which command.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandNote<'static>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "a shape to be described; `model::event` writes it")]
struct RequestData {
    /// Place among the request's events, from 1, without gaps.
    seq: u32,
    #[serde(flatten)]
    summary: RequestSummary,
    /// In `request.paused`, `.resumed` and `.cancelled`: the command that caused it, if one did. In `command.executed`: which
    /// command, about which of its calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandNote<'static>>,
}

fn event_types(_: &mut schemars::SchemaGenerator) -> Schema {
    let types: Vec<String> = EventType::ALL.iter().map(|kind| format!("robocall.{}", kind.as_str())).collect();
    schemars::json_schema!({"enum": types})
}

/// Prints the schema.
pub fn run(args: SchemaArgs) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text(args.of)?.as_bytes())?;
    Ok(Exit::Completed)
}

fn text(of: Document) -> Result<String, Failure> {
    let outgoing = SchemaSettings::draft2020_12().for_serialize();
    let schema = match of {
        // Both are read leniently and described as they should be written.
        Document::Request => {
            SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<CallRequestDocument>()
        }
        Document::Flow => SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<FlowDocument>(),
        Document::Status => outgoing.into_generator().into_root_schema_for::<StatusDocument>(),
        Document::Event => outgoing.into_generator().into_root_schema_for::<CloudEvent>(),
        Document::Asyncapi => return Ok(serde_json::to_string_pretty(&super::asyncapi::document())? + "\n"),
    };
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}
