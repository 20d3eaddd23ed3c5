//! `POST /v1/calls/{callId}/disposition`: how a call went, as whoever handled it says; and a call-back, if one was agreed on.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::{Refusal, json};
use super::asked::Asked;
use super::calls::absent;
use super::{Api, submit};
use crate::model::note::{AgentDisposition, CallNote, Remark};
use crate::model::request::WindowZone;
use crate::model::{
    CallId, CallType, CallingWindow, Destination, DispositionName, EventFilter, Organisation, RequestHeader, RequestId,
    Timestamp,
};
use crate::ports::store::RequestKey;
use crate::reading::{Fields, Problems};
use crate::request::{CallRequestDocument, CallingWindowDocument, DestinationDocument, Flag, HookDocument, Weekday};

/// How `callBackDTS` is written.
const DTS: &str = "%Y%m%d%H%M%S";

/// How a call went.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "DispositionNote")]
#[expect(dead_code, reason = "a shape to be described: what is read is read with all its problems")]
pub(super) struct Body {
    /// One of the organisation's names for it; any, if it has none.
    disposition: DispositionName,
    /// Whether to call back. Default: false.
    callback: Option<Flag>,
    /// When to call back, `yyyyMMddHHmmss` on the clock of the organisation's `timeZone`.
    #[serde(rename = "callBackDTS")]
    #[schemars(regex(pattern = "^[0-9]{14}$"))]
    call_back_dts: Option<String>,
    /// When to call back, RFC 3339 with an offset: instead of `callBackDTS`.
    callback_at: Option<Timestamp>,
    /// What else is to be known.
    notes: Option<Remark>,
}

/// What is noted now.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Disposed")]
pub(super) struct Answer {
    /// The call.
    call_id: String,
    /// How it went.
    agent_disposition: AgentDisposition,
    /// The call-back; null if none was asked for.
    callback: Option<Callback>,
}

/// A call-back.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Callback {
    /// Its request.
    request_id: RequestId,
    /// Its call.
    call_id: String,
    /// Nothing is dialled before.
    scheduled_at: Timestamp,
}

/// What is said of a call.
struct Said {
    disposition: DispositionName,
    /// When to call back, if so.
    callback: Option<Timestamp>,
    notes: Option<Remark>,
}

/// Notes how a call went.
pub(super) async fn dispose(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    let call: CallId = asked.path("callId")?;
    let body = Value::Object(asked.object()?);
    let key = api.request_of(&asked, call).await?;
    // Whether there is such a call is told before anything is made for it.
    api.notes(&key, call).await?;
    let settings = api.ask(api.ports.store.organisation(asked.organisation())).await?;
    let now = api.ports.clock.now();
    let mut problems = Problems::default();
    let said = read(&body, &settings, now, &mut problems).filter(|_| problems.is_empty());
    let Some(Said { disposition, callback, notes }) = said else { return Err(Refusal::invalid(problems)) };
    // Made before it is noted: whoever dies in between is asked again, and the request is known then.
    let callback = match callback {
        Some(at) => Some(call_back(&api, &key, call, at).await?),
        None => None,
    };
    let request = callback.as_ref().map(|callback| callback.request_id.clone());
    let disposition =
        AgentDisposition { disposition, notes, callback: request, by: asked.caller.label.clone(), at: now };
    api.annotate(&key, call, &CallNote::Disposition(disposition.clone())).await?;
    let code = if callback.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(code, &Answer { call_id: call.to_string(), agent_disposition: disposition, callback }))
}

fn read(body: &Value, settings: &Organisation, now: Timestamp, problems: &mut Problems) -> Option<Said> {
    let mut fields = Fields::of(body, "", problems)?;
    fields.required("disposition");
    let disposition: Option<DispositionName> = parsed(&mut fields, "disposition");
    if let Some(name) = &disposition
        && !settings.dispositions.is_empty()
        && !settings.dispositions.contains(name)
    {
        let names: Vec<&str> = settings.dispositions.iter().map(DispositionName::as_str).collect();
        fields.refuse("disposition", format!("must be one of: {}", names.join(", ")));
    }
    let callback = fields.boolean("callback").unwrap_or_default();
    let name = if fields.optional("callBackDTS").is_some() { "callBackDTS" } else { "callbackAt" };
    let on_clock = fields
        .string("callBackDTS")
        .and_then(|text| on_the_clock(text, settings).map_err(|error| fields.refuse("callBackDTS", error)).ok());
    let at = fields.string("callbackAt").and_then(|text| {
        Timestamp::parse_rfc3339(text).map_err(|error| fields.refuse("callbackAt", error.to_string())).ok()
    });
    let both = fields.optional("callBackDTS").is_some() && fields.optional("callbackAt").is_some();
    let neither = fields.optional("callBackDTS").is_none() && fields.optional("callbackAt").is_none();
    let when = on_clock.or(at);
    match callback {
        true if both => fields.refuse("callbackAt", "stands beside callBackDTS: say the time once"),
        true if neither => fields.refuse("callbackAt", "is missing, and so is callBackDTS"),
        true if when.is_some_and(|when| when <= now) => fields.refuse(name, "has passed"),
        false if !neither => fields.refuse(name, "means nothing unless callback is true"),
        true | false => {}
    }
    let notes = parsed(&mut fields, "notes");
    fields.finish();
    Some(Said { disposition: disposition?, callback: when.filter(|_| callback), notes })
}

/// A text that is read as what it stands for, if it is there.
fn parsed<T: FromStr<Err: Display>>(fields: &mut Fields<'_, '_>, name: &'static str) -> Option<T> {
    let text = fields.string(name)?;
    text.parse().map_err(|error: T::Err| fields.refuse(name, error.to_string())).ok()
}

/// When the organisation's clock shows a time. One that it skips is taken for the hour after, one that it shows twice for
/// the first.
fn on_the_clock(text: &str, settings: &Organisation) -> Result<Timestamp, String> {
    let zone = settings.time_zone.as_deref().unwrap_or("UTC");
    let is_written_so = text.len() == 14 && text.bytes().all(|digit| digit.is_ascii_digit());
    let there = is_written_so.then(|| jiff::civil::DateTime::strptime(DTS, text).ok()).flatten();
    let there = there.ok_or("must be a date and time as yyyyMMddHHmmss")?;
    let zone = TimeZone::get(zone).map_err(|_| format!("cannot be read: the time zone {zone} is not known"))?;
    let at = there.to_zoned(zone).map_err(|_| "is no time that can be told")?;
    Ok(Timestamp::from_millis(at.timestamp().as_millisecond()))
}

/// Makes the request that calls back: by the same call and time it is the same one.
async fn call_back(api: &Arc<Api>, key: &RequestKey, call: CallId, at: Timestamp) -> Result<Callback, Refusal> {
    let header = api.request(key).await?.header;
    let found = api.ask(api.ports.store.calls(key, call.index(), 1)).await?;
    let found = found.into_iter().find(|found| found.destination.index == call.index());
    let (Some(header), Some(found)) = (header, found) else { return Err(Refusal::not_found(absent(call))) };
    let document = document(&header, &found.destination, call, at)?;
    let summary = submit::hand_in(api, &key.organisation, &document).await;
    // What is wrong with it stands in no body that anybody sent.
    let summary = summary.map_err(|refusal| refusal.at(|_| "callback".to_owned()))?;
    let call_id = CallId::new(&key.organisation, &summary.request_id, 0).to_string();
    Ok(Callback { request_id: summary.request_id, call_id, scheduled_at: at })
}

/// A request of one, to the same person with the same flow.
fn document(
    header: &RequestHeader,
    person: &Destination,
    call: CallId,
    at: Timestamp,
) -> Result<CallRequestDocument, Refusal> {
    let Some(phone) = person.number.phone() else {
        return Err(Refusal::conflict("callback", "the call has no number that can be called"));
    };
    let name = format!("callback-{call}-{}", at.as_millis());
    let name = name.parse().map_err(|error: crate::model::IdError| Refusal::wrong("callback", error.to_string()))?;
    let flow: Map<String, Value> = serde_json::from_str(&header.flow).map_err(|error| {
        tracing::error!(request = %header.id, %error, "a flow was frozen by another version");
        Refusal::unavailable("the flow was frozen by another version of this program")
    })?;
    let properties = person.properties.iter();
    let destination = DestinationDocument {
        caller: person.caller,
        properties: properties.map(|(name, value)| (name.to_string(), Value::from(&**value))).collect(),
        external_id: person.external_id.as_deref().map(str::to_owned),
        time_zone: person.time_zone.as_deref().map(str::to_owned),
        ..DestinationDocument::of(phone)
    };
    let hooks = header.hooks.iter().map(|hook| HookDocument {
        url: hook.url.to_string(),
        events: hook.events.iter().filter_map(|event| event.parse::<EventFilter>().ok()).collect(),
    });
    Ok(CallRequestDocument {
        caller: header.caller,
        enable_call_recording: Some(Flag(header.recording)),
        scheduled_at: Some(at),
        ring_timeout_secs: u32::try_from(header.ring_timeout.as_secs()).ok(),
        max_call_duration_secs: u32::try_from(header.max_call_duration.as_secs()).ok(),
        calling_window: header.calling_window.as_ref().map(window),
        machine_detection: Some(header.machine_detection),
        priority: Some(header.priority),
        hooks: hooks.collect(),
        parent_id: Some(call.to_string()),
        call_type: Some(CallType::Callback),
        ..CallRequestDocument::of_one(name, destination, flow)
    })
}

/// Hours as they are written.
fn window(window: &CallingWindow) -> CallingWindowDocument {
    use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    let days = [Mon, Tue, Wed, Thu, Fri, Sat, Sun].into_iter().enumerate();
    let opens = |day: usize| window.days & 1 << day != 0;
    let hour = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    CallingWindowDocument {
        time_zone: match &window.time_zone {
            WindowZone::Named(name) => name.to_string(),
            WindowZone::Recipient => "recipient".to_owned(),
        },
        days: Some(days.filter(|(day, _)| opens(*day)).map(|(_, day)| day).collect()),
        from: hour(window.from_minute),
        to: hour(window.to_minute),
    }
}
