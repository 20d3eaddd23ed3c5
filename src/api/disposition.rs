//! `POST /v1/calls/{callId}/disposition`: how a call went, as whoever handled it says; and a call-back, if one was agreed on.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Refusal, json};
use super::asked::Asked;
use super::following::Earlier;
use super::{Api, submit};
use crate::model::note::{AgentDisposition, CallNote, CallNotes, Remark};
use crate::model::{CallId, CallType, DispositionName, Organisation, RequestId, Timestamp};
use crate::ports::store::RequestKey;
use crate::reading::{Fields, Problems};
use crate::request::{CallRequestDocument, Flag};

/// Before every time.
const EVER: Timestamp = Timestamp::from_millis(i64::MIN);

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
    let given = api.given(&asked)?;
    let key = api.request_of(&asked, call).await?;
    // Whether there is such a call is told before anything is made for it.
    let notes = api.notes(&key, call).await?;
    let settings = api.ask(api.ports.store.organisation(asked.organisation())).await?;
    let now = api.ports.clock.now();
    let when = read(&body, &settings, EVER, &mut Problems::default()).and_then(|said| said.callback);
    let after = match when {
        // Whoever asks again has not heard that it was noted, and must not be told that it is too late.
        Some(at) if at <= now && is_made(&api, &asked, call, at, &notes).await? => EVER,
        _ => now,
    };
    let mut problems = Problems::default();
    let said = read(&body, &settings, after, &mut problems).filter(|_| problems.is_empty());
    let Some(Said { disposition, callback, notes }) = said else { return Err(Refusal::invalid(problems)) };
    let by = asked.caller.label.clone();
    let request = callback.map(|at| name_of(call, at)).transpose()?;
    let disposition = AgentDisposition { disposition, notes, callback: request, by, at: now };
    let note = CallNote::Disposition(disposition.clone());
    let callback = match callback {
        // Its time has passed, so it was made.
        Some(at) if at <= now => Some(Callback::of(&key, name_of(call, at)?, at)),
        Some(at) => {
            let document = call_back(&api, &key, call, at).await?;
            // Known under its id before anything is made, so that nothing is made for what that id refuses; and made before
            // it is noted: whoever dies in between is asked again, and the request is known then.
            api.begin_note(&key, call, &note, &given).await?;
            let summary = submit::hand_in(&api, &key.organisation, asked.trace(), &document).await;
            // What is wrong with it stands in no body that anybody sent.
            let summary = summary.map_err(|refusal| refusal.at(|_| "callback".to_owned()))?;
            Some(Callback::of(&key, summary.request_id, at))
        }
        None => None,
    };
    let noted = api.annotate(&key, call, &note, &given).await?;
    // Noted under the same id before, it says who did and when.
    let disposition = noted.disposition.unwrap_or(disposition);
    let code = if callback.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(code, &Answer { call_id: call.to_string(), agent_disposition: disposition, callback }))
}

/// Reads what is said; nobody is called back at `after` or before.
fn read(body: &Value, settings: &Organisation, after: Timestamp, problems: &mut Problems) -> Option<Said> {
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
        true if when.is_some_and(|when| when <= after) => fields.refuse(name, "has passed"),
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

/// The name of the request that calls back: by the same call and time it is the same one.
fn name_of(call: CallId, at: Timestamp) -> Result<RequestId, Refusal> {
    let name = format!("callback-{call}-{}", at.as_millis());
    name.parse().map_err(|error: crate::model::IdError| Refusal::wrong("callback", error.to_string()))
}

/// Whether somebody who asks again under an `Idempotency-Key` has this call-back already: it is noted, or there.
async fn is_made(api: &Api, asked: &Asked, call: CallId, at: Timestamp, notes: &CallNotes) -> Result<bool, Refusal> {
    let name = name_of(call, at)?;
    let noted = notes.disposition.as_ref().and_then(|disposition| disposition.callback.as_ref());
    Ok(asked.is_named() && (noted == Some(&name) || api.is_known(asked, &name).await?))
}

impl Callback {
    fn of(key: &RequestKey, request_id: RequestId, scheduled_at: Timestamp) -> Self {
        let call_id = CallId::new(&key.organisation, &request_id, 0).to_string();
        Self { request_id, call_id, scheduled_at }
    }
}

/// The request that calls back.
async fn call_back(api: &Api, key: &RequestKey, call: CallId, at: Timestamp) -> Result<CallRequestDocument, Refusal> {
    let earlier = Earlier::find(api, key, call).await?;
    let Some(phone) = earlier.person.number.phone() else {
        return Err(Refusal::conflict("callback", "the call has no number that can be called"));
    };
    Ok(CallRequestDocument {
        scheduled_at: Some(at),
        call_type: Some(CallType::Callback),
        ..earlier.followed_by(name_of(call, at)?, earlier.same_person(phone))?
    })
}
