//! `POST /v1/calls`: a call at a time to come, in the words of an older interface. It is a request of one, which goes the way
//! of all requests; what the older interface says of menus, tickets and permissions is said here in flows and external ids.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::{Refusal, json};
use super::asked::{Asked, ONCE_HEADER};
use super::following::Earlier;
use super::{Api, submit};
use crate::model::status::RequestStatus;
use crate::model::{CallId, CallType, OrganisationId, Phone, RequestId, Timestamp};
use crate::ports::store::RequestKey;
use crate::reading::{Fields, Problems};
use crate::request::{CallRequestDocument, DestinationDocument, Flag};

/// Kinds of call: those that are made at a time to come, and not.
const TYPES: [&str; 2] = ["Voice Scheduled (API)", "ScheduledCall"];

/// What is said of recording, and whether it is recorded then.
const PERMISSIONS: [(&str, bool); 3] = [
    ("recording_permission_not_asked", false),
    ("recording_permission_denied", false),
    ("recording_permission_granted", true),
];

/// A call at a time to come.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ScheduleCall")]
#[expect(dead_code, reason = "a shape to be described: what is read is read with all its problems")]
pub(super) struct Body {
    /// No other kinds are made here.
    #[schemars(extend("enum" = TYPES))]
    call_type: String,
    /// Which flow: one of those that the operator has given numbers. Needed unless there is a `call_id`.
    menu_id: Option<Menu>,
    /// The call that this one follows from: without `menu_id`, its flow is used again.
    #[schemars(regex(pattern = CallId::PATTERN))]
    call_id: Option<String>,
    /// Whom to call, with the country code; blanks, hyphens, dots and brackets are passed over.
    #[schemars(regex(pattern = r"^[ .()-]*\+?[ .()-]*[1-9]([ .()-]*[0-9]){1,14}[ .()-]*$"))]
    end_user_number: String,
    /// Nothing is dialled before: RFC 3339, in time to come.
    scheduled_at: Timestamp,
    /// The submitter's own name for it: `externalId`.
    #[schemars(length(min = 1, max = 256))]
    ticket_id: Option<String>,
    /// Whether it is recorded. Default: it is not.
    #[schemars(extend("enum" = PERMISSIONS.map(|(name, _)| name)))]
    recording_permission: Option<String>,
    /// Means nothing here: what is said has its language in the flow.
    #[schemars(length(max = 35))]
    lang: Option<String>,
}

/// The number of a menu, which may be written as a string.
struct Menu;

impl JsonSchema for Menu {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Menu".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1, "maxLength": 64}],
        })
    }
}

/// A call that will be made. What is not known yet, or is somebody else's to know, is null.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScheduledCall")]
pub(super) struct Answer {
    /// The call.
    id: String,
    /// Its request.
    request_id: RequestId,
    /// The call that it follows from.
    parent_id: Option<String>,
    /// What it is.
    call_type: &'static str,
    /// How far its request is: `scheduled`, unless it was asked for before.
    status: RequestStatus,
    /// Now.
    created_at: Timestamp,
    /// When it was dialled.
    queued_at: Option<Timestamp>,
    /// When somebody picked up.
    connected_at: Option<Timestamp>,
    /// When it ended.
    ends_at: Option<Timestamp>,
    /// Nothing is dialled before.
    scheduled_at: Timestamp,
    /// Seconds it has waited.
    wait_duration: u64,
    /// Seconds it has lasted.
    call_duration: u64,
    /// Whom it calls.
    end_user_number: Phone,
    /// The submitter's own name for it.
    out_ticket_id: Option<String>,
    /// As it was said.
    recording_permission: &'static str,
    /// The menu whose flow it has.
    selected_menu: Option<SelectedMenu>,
}

/// A menu.
#[derive(Serialize, JsonSchema)]
struct SelectedMenu {
    /// As it was said.
    id: Value,
    /// The flow.
    name: String,
}

/// A call as it was asked for.
struct Read {
    menu: Option<SelectedMenu>,
    parent: Option<CallId>,
    phone: Phone,
    at: Timestamp,
    ticket: Option<String>,
    permission: (&'static str, bool),
}

/// Has somebody called at a time.
pub(super) async fn schedule(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    let body = Value::Object(asked.object()?);
    let name = asked.name_for("scheduled", &api)?;
    let now = api.ports.clock.now();
    let mut problems = Problems::default();
    // Whoever asks again has not heard that it is scheduled, and must not be told that it is not.
    let after = if api.is_known(&asked, &name).await? { Timestamp::from_millis(i64::MIN) } else { now };
    let read = read(&body, &api, after, &mut problems).filter(|_| problems.is_empty());
    let Some(read) = read else { return Err(older(Refusal::invalid(problems))) };
    let document = document(&api, asked.organisation(), name, &read).await?;
    let summary = submit::hand_in(&api, asked.organisation(), asked.trace(), &document).await;
    let summary = summary.map_err(|refusal| refusal.at(|path| place(path, &read)))?;
    let Read { menu, parent, phone, at, ticket, permission } = read;
    let answer = Answer {
        id: CallId::new(asked.organisation(), &summary.request_id, 0).to_string(),
        request_id: summary.request_id,
        parent_id: parent.map(|parent| parent.to_string()),
        call_type: TYPES[0],
        status: match summary.status {
            RequestStatus::Submitted => RequestStatus::Scheduled,
            status => status,
        },
        created_at: now,
        queued_at: None,
        connected_at: None,
        ends_at: None,
        scheduled_at: at,
        wait_duration: 0,
        call_duration: 0,
        end_user_number: phone,
        out_ticket_id: ticket,
        recording_permission: permission.0,
        selected_menu: menu,
    };
    Ok(json(StatusCode::CREATED, &answer))
}

/// The older interface tells of one thing at a time, by its name and without a path.
fn older(refusal: Refusal) -> Refusal {
    let first = refusal.first().map(|first| match (&*first.path, &*first.message) {
        ("call_type", _) => "Invalid call type".to_owned(),
        (path, "is missing") => format!("{path} is required"),
        (path, message) => format!("{path} {message}"),
    });
    match first {
        Some(first) => refusal.saying(first),
        None => refusal,
    }
}

/// Reads a call that is to be made after some time.
fn read(body: &Value, api: &Api, after: Timestamp, problems: &mut Problems) -> Option<Read> {
    let mut fields = Fields::of(body, "", problems)?;
    if !fields.required_string("call_type").is_none_or(|kind| TYPES.contains(&kind)) {
        fields.refuse("call_type", "must be Voice Scheduled (API): calls to us and calls of agents are not made here");
    }
    let parent = fields
        .string("call_id")
        .and_then(|id| id.parse::<CallId>().map_err(|error| fields.refuse("call_id", error.to_string())).ok());
    let menu = match fields.optional("menu_id") {
        None if fields.optional("call_id").is_none() => {
            fields.refuse("menu_id", "is missing");
            None
        }
        None => None,
        Some(id) => {
            let found = menu(api, id);
            if found.is_none() {
                fields.refuse("menu_id", no_menu(id));
            }
            found
        }
    };
    let phone = fields.required_string("end_user_number").and_then(|text| {
        let plain = text.chars().filter(|mark| !matches!(mark, ' ' | '-' | '.' | '(' | ')'));
        let phone = plain.collect::<String>().parse::<Phone>();
        phone.map_err(|_| fields.refuse("end_user_number", "is not well formed")).ok()
    });
    let at = fields.required_string("scheduled_at").and_then(|text| {
        Timestamp::parse_rfc3339(text).map_err(|error| fields.refuse("scheduled_at", error.to_string())).ok()
    });
    if at.is_some_and(|at| at <= after) {
        fields.refuse("scheduled_at", "has passed");
    }
    let ticket = fields.string("ticket_id").map(str::to_owned);
    if ticket.as_ref().is_some_and(|ticket| !(1..=256).contains(&ticket.chars().count())) {
        fields.refuse("ticket_id", "must have 1 to 256 characters");
    }
    let said = fields.word("recording_permission", &PERMISSIONS.map(|(name, granted)| (name, (name, granted))));
    if fields.string("lang").is_some_and(|lang| lang.chars().count() > 35) {
        fields.refuse("lang", "must have at most 35 characters");
    }
    fields.finish();
    Some(Read { menu, parent, phone: phone?, at: at?, ticket, permission: said.unwrap_or(PERMISSIONS[0]) })
}

impl Api {
    /// Whether a request that somebody asks for again, under an `Idempotency-Key`, was taken in.
    pub(super) async fn is_known(&self, asked: &Asked, name: &RequestId) -> Result<bool, Refusal> {
        if !asked.is_named() {
            return Ok(false);
        }
        let key = RequestKey { organisation: asked.organisation().clone(), request: name.clone() };
        match self.request(&key).await {
            Ok(found) => Ok(found.header.is_some()),
            Err(refusal) if refusal.says_not_found() => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }
}

/// The menu of this id, if there is one.
fn menu(api: &Api, id: &Value) -> Option<SelectedMenu> {
    let written = match id {
        Value::String(text) => text.clone(),
        id => id.as_u64()?.to_string(),
    };
    let name = api.settings.menus.get(&written)?.clone();
    Some(SelectedMenu { id: id.clone(), name })
}

/// What the older interface says of a menu that is none.
fn no_menu(id: &Value) -> String {
    let is_number = |text: &str| (1..=20).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    match id {
        Value::Number(number) if number.is_u64() => format!("{number} is not found"),
        Value::String(text) if is_number(text) => format!("{text} is not found"),
        _ => "is not well formed".to_owned(),
    }
}

async fn document(
    api: &Api,
    organisation: &OrganisationId,
    name: RequestId,
    read: &Read,
) -> Result<CallRequestDocument, Refusal> {
    let flow = read.menu.as_ref().map(|menu| Map::from_iter([("flow".to_owned(), Value::from(&*menu.name))]));
    let document = match read.parent {
        Some(call) => {
            let request = api.ask(api.ports.store.request_of(organisation, call)).await;
            let request = request.map_err(|refusal| refusal.about(|| format!("there is no call {call}")))?;
            let key = RequestKey { organisation: organisation.clone(), request };
            let earlier = Earlier::find(api, &key, call).await?;
            // What is known of one person is not said to another.
            let is_same = earlier.person.number.phone() == Some(read.phone);
            let person = if is_same { earlier.same_person(read.phone) } else { DestinationDocument::of(read.phone) };
            earlier.followed_by(name, person)?
        }
        None => CallRequestDocument::of_one(name, DestinationDocument::of(read.phone), Map::new()),
    };
    let call_flow = flow.unwrap_or(document.call_flow);
    let destinations = document
        .destinations
        .into_iter()
        .map(|person| DestinationDocument { external_id: read.ticket.clone().or(person.external_id), ..person });
    Ok(CallRequestDocument {
        destinations: destinations.collect(),
        call_flow,
        enable_call_recording: Some(Flag(read.permission.1)),
        scheduled_at: Some(read.at),
        call_type: Some(CallType::Scheduled),
        ..document
    })
}

/// Where that which is wrong with the request stands in what was asked.
fn place(path: &str, read: &Read) -> String {
    let place = match path {
        path if path.starts_with("destinations[0].phone") => "end_user_number",
        path if path.starts_with("destinations[0].externalId") => "ticket_id",
        "scheduledAt" => "scheduled_at",
        "requestId" => ONCE_HEADER,
        _ if read.menu.is_some() => "menu_id",
        _ => "call_id",
    };
    place.to_owned()
}
