//! Commands to requests and to live calls: read, handed in, and what became of them.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Api;
use super::answer::{Refusal, json};
use super::asked::Asked;
use crate::command::{Command, CommandReply, read};
use crate::ports::GateError;
use crate::reading::Problems;
use crate::telemetry::spans;

/// How long an answer is waited for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// What became of a command.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CommandAnswer")]
pub(super) struct Answer {
    status: AnswerStatus,
    /// The command's id; with the same `Idempotency-Key` it is carried out once.
    command_id: Box<str>,
    /// Who is called in: the leg's id, by which the session can be ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    leg_id: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum AnswerStatus {
    /// Carried out.
    Done,
    /// Somebody is called in; events tell what comes of it.
    Dialling,
}

/// What a command is to.
#[derive(Clone, Copy)]
enum Subject {
    Request,
    Call,
}

impl Subject {
    const fn name(self) -> &'static str {
        match self {
            Subject::Request => "requestId",
            Subject::Call => "callId",
        }
    }
}

/// Gives a command to the request of the path.
pub(super) async fn to_request(api: Arc<Api>, asked: Asked, name: &'static str) -> Result<Response, Refusal> {
    let body = asked.object()?;
    give(&api, asked, name, Subject::Request, body).await
}

/// Gives a command to the call of the path.
pub(super) async fn to_call(api: Arc<Api>, asked: Asked, name: &'static str) -> Result<Response, Refusal> {
    let body = asked.object()?;
    give(&api, asked, name, Subject::Call, body).await
}

/// Ends the session of the path.
pub(super) async fn end_session(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    let mut body = asked.object()?;
    if let Some(expect) = asked.query.text("expect") {
        // Who deletes something sends no body.
        body.insert("expect".to_owned(), expect.into());
    }
    body.insert("session".to_owned(), asked.written("session").into());
    give(&api, asked, "endSession", Subject::Call, body).await
}

async fn give(
    api: &Api,
    mut asked: Asked,
    name: &'static str,
    subject: Subject,
    mut body: Map<String, Value>,
) -> Result<Response, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    let id = asked.command_id(api)?;
    let named = asked.written(subject.name()).to_owned();
    if body.get(subject.name()).is_some_and(|other| *other != *named) {
        return Err(Refusal::wrong(subject.name(), "is another one than the path's"));
    }
    body.insert(subject.name().to_owned(), named.into());
    let mut problems = Problems::default();
    let Some((kind, expect)) = read(name, &Value::Object(body), &mut problems) else {
        return Err(Refusal::invalid(problems));
    };
    let actor = Some(asked.caller.label.clone());
    let (organisation, trace) = (asked.organisation().clone(), spans::goes_on_in(asked.trace()));
    let command = Command { id, organisation, actor, expect, trace, kind };
    // The gate's bound counts from when the command is in; the client's from when it was asked.
    let given = api.within(ANSWERED_WITHIN, api.ports.gate.command(&command, ANSWERED_WITHIN)).await;
    let reply = given.unwrap_or(Err(GateError::Unanswered))?;
    answer(command, reply, subject)
}

fn answer(command: Command, reply: CommandReply, subject: Subject) -> Result<Response, Refusal> {
    let (code, status, leg) = match reply {
        CommandReply::Done | CommandReply::Ended(_) => (StatusCode::OK, AnswerStatus::Done, None),
        CommandReply::Invited(leg) => (StatusCode::ACCEPTED, AnswerStatus::Dialling, Some(leg.to_string())),
        CommandReply::Refused(reason) => return Err(Refusal::conflict("", reason.to_string())),
        CommandReply::Unmet { expected, found } => return Err(Refusal::unmet(expected, found)),
        CommandReply::NotFound => {
            return Err(Refusal::not_found(match subject {
                Subject::Request => "there is no such request, or it has ended",
                Subject::Call => "there is no such live call, or no such session in it: ended, perhaps",
            }));
        }
        CommandReply::Adopting => return Err(Refusal::adopting()),
        CommandReply::Unavailable => return Err(Refusal::unanswered()),
    };
    Ok(json(code, &Answer { status, command_id: command.id, session_id: leg.clone(), leg_id: leg }))
}
