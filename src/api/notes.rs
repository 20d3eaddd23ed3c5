//! What people note about calls: whom a call was with.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::Api;
use super::answer::{Refusal, json};
use super::asked::Asked;
use super::calls::absent;
use crate::model::CallId;
use crate::model::note::{CallNote, CallNotes, CustomerFlags};
use crate::ports::store::{COMMANDS_KEPT, Given, Remembered, RequestKey, StoreError};
use crate::reading::{Fields, Problems};
use crate::request::Flag;

/// What is to be noted of a call's customer; what is not named stays.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CustomerFlagsChange", extend("not" = differing()))]
#[expect(dead_code, reason = "a shape to be described: what is read is read with all its problems")]
pub(super) struct Change {
    /// They are who they say.
    verified_customer: Option<Flag>,
    /// They mean harm.
    bad_actor: Option<Flag>,
    /// They have been talked with before.
    repeat_customer: Option<Flag>,
    /// The same by another name.
    repeat_customers: Option<Flag>,
}

/// One thing said with two names is said once.
fn differing() -> Value {
    let (yes, no) = (json!({"enum": [true, "true"]}), json!({"enum": [false, "false"]}));
    let both = |one: &Value, other: &Value| {
        json!({
            "properties": {"repeat_customer": one, "repeat_customers": other},
            "required": ["repeat_customer", "repeat_customers"],
        })
    };
    json!({"anyOf": [both(&yes, &no), both(&no, &yes)]})
}

impl Api {
    /// What is noted about a call.
    pub(super) async fn notes(&self, key: &RequestKey, call: CallId) -> Result<CallNotes, Refusal> {
        let notes = self.ask(self.ports.store.notes(key, call.index())).await;
        notes.map_err(|refusal| refusal.about(|| absent(call)))
    }

    /// Under which id somebody notes or changes something, and who.
    pub(super) fn given(&self, asked: &Asked) -> Result<Given, Refusal> {
        Ok(Given { id: asked.command_id(self)?, actor: Some(asked.caller.label.clone()), expect: None })
    }

    /// Has it known what will be noted under an id, before anything else is made of it: nothing else is noted under it then.
    pub(super) async fn begin_note(
        &self,
        key: &RequestKey,
        call: CallId,
        note: &CallNote,
        given: &Given,
    ) -> Result<(), Refusal> {
        let (id, hash) = (given.id_of_note(), note.fingerprint(call));
        match self.ask(self.ports.store.remember(&key.organisation, &id, &hash, COMMANDS_KEPT)).await? {
            Remembered::First | Remembered::Again(_) => Ok(()),
            Remembered::Different => Err(StoreError::IdTaken.into()),
        }
    }

    /// Notes something about a call, once under its id.
    pub(super) async fn annotate(
        &self,
        key: &RequestKey,
        call: CallId,
        note: &CallNote,
        given: &Given,
    ) -> Result<CallNotes, Refusal> {
        let notes = self.ask(self.ports.store.annotate(key, call.index(), note, Some(given))).await;
        notes.map_err(|refusal| refusal.about(|| absent(call)))
    }
}

/// Whom a call was with.
pub(super) async fn customer(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    let call: CallId = asked.path("callId")?;
    let key = api.request_of(&asked, call).await?;
    Ok(json(StatusCode::OK, &api.notes(&key, call).await?.customer))
}

/// Notes whom a call was with.
pub(super) async fn note_customer(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    let call: CallId = asked.path("callId")?;
    let flags = read_flags(&Value::Object(asked.object()?))?;
    let given = api.given(&asked)?;
    let key = api.request_of(&asked, call).await?;
    let notes = api.annotate(&key, call, &CallNote::Customer(flags), &given).await?;
    Ok(json(StatusCode::OK, &notes.customer))
}

fn read_flags(body: &Value) -> Result<CustomerFlags, Refusal> {
    let mut problems = Problems::default();
    let mut flags = CustomerFlags::default();
    if let Some(mut fields) = Fields::of(body, "", &mut problems) {
        flags.verified_customer = fields.boolean("verified_customer");
        flags.bad_actor = fields.boolean("bad_actor");
        let (one, other) = (fields.boolean("repeat_customer"), fields.boolean("repeat_customers"));
        if one.zip(other).is_some_and(|(one, other)| one != other) {
            fields.refuse("repeat_customers", "says something else than repeat_customer");
        }
        flags.repeat_customer = one.or(other);
        fields.finish();
    }
    if problems.is_empty() { Ok(flags) } else { Err(Refusal::invalid(problems)) }
}
