//! `POST /v1/call/call-out`: one person is called and told something. It is a request of one, which goes the way of all
//! requests.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer::{Refusal, json};
use super::asked::{Asked, ONCE_HEADER};
use super::status::StatusDocument;
use super::{Api, SpokenVoice, submit};
use crate::callflow::program::Gender;
use crate::callflow::schema::{MessageDocument, PlayDocument, StepDocument};
use crate::command::SomebodyType;
use crate::model::{CallId, CallType, Phone, RequestId};
use crate::reading::{Fields, Problems, element};
use crate::request::{CallRequestDocument, DestinationDocument};

/// How often something is said if nobody says how often, and at most.
const LOOPS: u8 = 3;
const MOST_LOOPS: u64 = 10;

/// Most actions: said as often as possible they still fit into a flow.
const MOST_ACTIONS: usize = 25;

/// The middle of the rates of speech.
const MIDDLE: f64 = 5.0;

/// Call one person and tell them something.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CallOut")]
#[expect(dead_code, reason = "a shape to be described: what is read is read with all its problems")]
pub(super) struct Body {
    /// The request's name. Default: one that follows from `Idempotency-Key`, or one that nobody else has.
    request_id: Option<RequestId>,
    /// The number to show.
    from: From,
    /// Whom to call.
    to: To,
    /// What they hear, one after the other.
    #[schemars(length(min = 1, max = MOST_ACTIONS))]
    actions: Vec<Action>,
}

/// A number to show.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CallOutFrom")]
#[expect(dead_code, reason = "a shape to be described")]
struct From {
    /// What the number is; one of the organisation's in any case.
    r#type: SomebodyType,
    /// The number, with its country code.
    number: Phone,
    /// A name for it, for people.
    alias: Option<String>,
}

/// Whom to call.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CallOutTo")]
#[expect(dead_code, reason = "a shape to be described")]
struct To {
    /// A number of the public network: nobody else is called out to.
    #[schemars(extend("const" = "external"))]
    r#type: String,
    /// The number, with its country code.
    number: Phone,
    /// A name for it, for people.
    alias: Option<String>,
}

/// What they hear.
#[derive(JsonSchema)]
#[serde(tag = "action", rename_all = "camelCase")]
#[schemars(rename = "CallOutAction")]
#[expect(dead_code, reason = "a shape to be described")]
enum Action {
    /// A text is spoken.
    Talk(Talk),
    /// A recorded file is played.
    Play(Play),
}

/// A text is spoken.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CallOutTalk")]
#[expect(dead_code, reason = "a shape to be described")]
struct Talk {
    /// What is spoken, as it stands: there are no placeholders.
    #[schemars(length(min = 1, max = 1000))]
    text: String,
    /// `female` (default), `male`, or a name that the operator gave to a voice.
    voice: Option<String>,
    /// How much faster than usual; -5 is the slowest, 4 the fastest. Default: 0.
    speed: Option<f64>,
    /// How often in all. Default: 3.
    r#loop: Option<Loops>,
}

/// A recorded file is played.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CallOutPlay")]
#[expect(dead_code, reason = "a shape to be described")]
struct Play {
    /// The file, by its name.
    #[schemars(length(min = 1, max = 128))]
    media: String,
    /// Means nothing here.
    voice: Option<String>,
    /// Means nothing here.
    speed: Option<f64>,
    /// How often in all. Default: 3.
    r#loop: Option<Loops>,
}

/// A number from 1 to 10, which may be written as a string.
struct Loops;

impl JsonSchema for Loops {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Loops".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words: Vec<String> = (1..=MOST_LOOPS).map(|loops| loops.to_string()).collect();
        schemars::json_schema!({
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_LOOPS}, {"enum": words}],
        })
    }
}

/// The request, and its only call.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CalledOut")]
pub(super) struct Answer {
    #[serde(flatten)]
    status: StatusDocument,
    /// The call.
    call_id: String,
}

/// A call as it was asked for.
struct Read<'v> {
    request: Option<RequestId>,
    from: &'v str,
    to: &'v str,
    /// What is said, and by which action.
    steps: Vec<(usize, StepDocument)>,
}

/// Calls somebody.
pub(super) async fn call_out(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    let body = Value::Object(asked.object()?);
    let mut problems = Problems::default();
    let read = read(&body, &api, &mut problems);
    let Some(Read { request, from, to, steps }) = read.filter(|_| problems.is_empty()) else {
        return Err(Refusal::invalid(problems));
    };
    let is_named = request.is_some();
    let request = match request {
        Some(request) => request,
        None => asked.name_for("call-out", &api)?,
    };
    let (owners, steps): (Vec<usize>, Vec<StepDocument>) = steps.into_iter().unzip();
    let phone = |path: &str, text: &str| text.parse::<Phone>().map_err(|error| Refusal::wrong(path, error.to_string()));
    let mut flow = Map::new();
    flow.insert("steps".to_owned(), json!(steps));
    let document = CallRequestDocument {
        caller: Some(phone("from.number", from)?),
        call_type: Some(CallType::CallOut),
        ..CallRequestDocument::of_one(request, DestinationDocument::of(phone("to.number", to)?), flow)
    };
    let summary = submit::hand_in(&api, asked.organisation(), asked.trace(), &document).await;
    let summary = summary.map_err(|refusal| refusal.at(|path| place(path, &owners, is_named)))?;
    let call_id = CallId::new(asked.organisation(), &summary.request_id, 0).to_string();
    Ok(json(StatusCode::OK, &Answer { status: StatusDocument::without_details(summary), call_id }))
}

/// Where that which is wrong with the request stands in what was asked.
fn place(path: &str, owners: &[usize], is_named: bool) -> String {
    let of_action = || {
        let (index, rest) = path.strip_prefix("callFlow.steps[")?.split_once(']')?;
        let action = element("actions", *owners.get(index.parse::<usize>().ok()?)?);
        let field = match rest {
            ".message.msg" => ".text",
            ".message.media" => ".media",
            _ => "",
        };
        Some(action + field)
    };
    match path {
        "requestId" if !is_named => ONCE_HEADER.to_owned(),
        "caller" => "from.number".to_owned(),
        path if path.starts_with("destinations[0]") => "to.number".to_owned(),
        path => of_action().unwrap_or_else(|| path.to_owned()),
    }
}

fn read<'v>(body: &'v Value, api: &Api, problems: &mut Problems) -> Option<Read<'v>> {
    let mut fields = Fields::of(body, "", problems)?;
    let request = fields.string("requestId").and_then(|text| {
        text.parse().map_err(|error: crate::model::IdError| fields.refuse("requestId", error.to_string())).ok()
    });
    if fields.optional("answer_url").is_some() {
        fields.refuse("answer_url", "a flow must be known before dialling: say it with actions");
    }
    let from = somebody(&mut fields, "from");
    let to = somebody(&mut fields, "to");
    fields.required("actions");
    let actions = fields.array("actions").unwrap_or_default();
    if fields.optional("actions").is_some_and(Value::is_array) && !(1..=MOST_ACTIONS).contains(&actions.len()) {
        fields.refuse("actions", format!("must hold 1 to {MOST_ACTIONS} actions"));
    }
    let mut steps = Vec::new();
    for (index, value) in actions.iter().take(MOST_ACTIONS).enumerate() {
        if let Some((message, loops)) = action(value, index, api, fields.problems) {
            let step = StepDocument::Play(PlayDocument { message });
            steps.extend(std::iter::repeat_n((index, step), loops.into()));
        }
    }
    fields.finish();
    Some(Read { request, from: from?, to: to?, steps })
}

/// Somebody's number: one to show, or one to call.
fn somebody<'v>(fields: &mut Fields<'v, '_>, at: &'static str) -> Option<&'v str> {
    let value = fields.required(at)?;
    let path = fields.path_of(at);
    let mut inner = Fields::of(value, path, fields.problems)?;
    inner.required("type");
    let types = [("internal", false), ("external", true), ("queue", false)];
    let is_external = inner.word("type", &types);
    if at == "to" && is_external == Some(false) {
        inner.refuse("type", "only external numbers can be called out to");
    }
    let number = inner.required_string("number");
    let is_phone = number.map(str::parse::<Phone>);
    if let Some(Err(error)) = &is_phone {
        inner.refuse("number", error.to_string());
    }
    // For people only.
    inner.string("alias");
    inner.finish();
    number
}

/// What is said in one action, and how often.
fn action(value: &Value, index: usize, api: &Api, problems: &mut Problems) -> Option<(MessageDocument, u8)> {
    let mut fields = Fields::of(value, element("actions", index), problems)?;
    fields.required("action");
    let talks = fields.word("action", &[("talk", true), ("play", false)]);
    let (text, media) = (fields.string("text"), fields.string("media"));
    let (wanted, other, name) = match talks {
        Some(true) => (text, media, ("text", "media")),
        Some(false) => (media, text, ("media", "text")),
        None => (Some(""), None, ("", "")),
    };
    if wanted.is_none() && fields.optional(name.0).is_none() {
        fields.refuse(name.0, "is missing");
    }
    if other.is_some() {
        fields.refuse(name.1, format!("does not belong here: what is heard is in {}", name.0));
    }
    if text.is_some_and(|text| text.contains("{{")) {
        fields.refuse("text", "has a placeholder, for which there is no value here");
    }
    let voice = match fields.string("voice") {
        None => SpokenVoice::default(),
        Some(name) => api.voice(name).unwrap_or_else(|| {
            fields.refuse("voice", "must be female, male, or a name that the operator gave to a voice");
            SpokenVoice::default()
        }),
    };
    let speed = speed(&mut fields);
    let loops = loops(&mut fields);
    fields.finish();
    let message = MessageDocument {
        msg: text.map(str::to_owned),
        media: media.map(str::to_owned),
        language: voice.language,
        gender: Some(voice.gender),
        rate: Some(speed),
        ..MessageDocument::default()
    };
    talks.map(|_| (message, loops))
}

fn speed(fields: &mut Fields<'_, '_>) -> u8 {
    let Some(value) = fields.optional("speed") else { return MIDDLE as u8 };
    let Some(speed) = value.as_f64() else {
        fields.refuse("speed", "must be a number");
        return MIDDLE as u8;
    };
    // Within what there is of rates.
    (MIDDLE + speed).round().clamp(0.0, 9.0) as u8
}

fn loops(fields: &mut Fields<'_, '_>) -> u8 {
    let Some(value) = fields.optional("loop") else { return LOOPS };
    let number = match value {
        Value::String(text) => text.parse().ok().filter(|number: &u64| number.to_string() == *text),
        value => value.as_u64(),
    };
    let number = number.filter(|number| (1..=MOST_LOOPS).contains(number)).and_then(|number| u8::try_from(number).ok());
    number.unwrap_or_else(|| {
        fields.refuse("loop", format!("must be a whole number from 1 to {MOST_LOOPS}"));
        LOOPS
    })
}

impl Api {
    /// A voice by its name.
    fn voice(&self, name: &str) -> Option<SpokenVoice> {
        match name {
            "female" => Some(SpokenVoice { gender: Gender::Female, language: None }),
            "male" => Some(SpokenVoice { gender: Gender::Male, language: None }),
            name => self.settings.voices.get(name).cloned(),
        }
    }
}
