//! `/v1/organisation`: what the organisation may do, and its slots.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Api;
use super::answer::{Refusal, json};
use super::asked::Asked;
use crate::model::{Organisation, OrganisationId};
use crate::ports::store::{LimitChange, SlotUse};
use crate::reading::Problems;

/// The setting that has a key of its own.
const LIMIT: &str = "limit";

/// How often a change is tried that others are in the way of.
const TRIES: u8 = 10;

/// An organisation as it is now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OrganisationAnswer")]
pub(super) struct Answer {
    /// Its name.
    organisation: OrganisationId,
    /// What it may do.
    settings: Organisation,
    /// Its slots.
    slots: Slots,
}

/// An organisation's slots.
#[derive(Serialize, JsonSchema)]
struct Slots {
    /// Concurrent calls allowed.
    limit: u32,
    /// Held by other applications; null if what they wrote is no number.
    external: Option<u32>,
    /// Held by us, suspects included.
    leased: u32,
    /// Held by workers that have not renewed in time.
    suspect: u32,
}

/// Answers it.
pub(super) async fn show(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    shown(&api, asked.organisation()).await
}

async fn shown(api: &Api, organisation: &OrganisationId) -> Result<Response, Refusal> {
    let settings = api.ask(api.ports.store.organisation(organisation)).await?;
    let SlotUse { limit, external, leased, suspect } = api.ask(api.ports.store.slot_use(organisation)).await?;
    let slots = Slots { limit, external: (external != u32::MAX).then_some(external), leased, suspect };
    Ok(json(StatusCode::OK, &Answer { organisation: organisation.clone(), settings, slots }))
}

/// Changes some of its settings.
pub(super) async fn change(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    let fields = asked.object()?;
    let given = api.given(&asked)?;
    let (store, organisation) = (&api.ports.store, asked.organisation());
    let limit = if fields.contains_key(LIMIT) { LimitChange::Set } else { LimitChange::Kept };
    for _ in 0..TRIES {
        let before = api.ask(store.organisation(organisation)).await?;
        let after = merged(&before, fields.clone(), limit)?;
        if api.ask(store.change_organisation(organisation, &before, after, limit, Some(&given))).await? {
            let changed: Vec<&String> = fields.keys().collect();
            tracing::info!(%organisation, actor = asked.caller.label.as_str(), ?changed, "settings were changed");
            return shown(&api, organisation).await;
        }
    }
    Err(Refusal::unavailable("others change the settings at this moment: ask again"))
}

/// Settings with others written over them.
fn merged(before: &Organisation, given: Map<String, Value>, limit: LimitChange) -> Result<Organisation, Refusal> {
    let unwritable = |error: serde_json::Error| Refusal::wrong("", error.to_string());
    let mut settings = serde_json::to_value(before).map_err(unwritable)?;
    if let Value::Object(fields) = &mut settings {
        fields.extend(given);
    }
    let settings: Organisation = serde_path_to_error::deserialize(settings).map_err(|error| {
        let path = error.path().to_string();
        Refusal::wrong(if path == "." { "" } else { &path }, error.into_inner().to_string())
    })?;
    let mut problems = Problems::default();
    // What others have written into the limit's key is not for whoever changes something else to answer for.
    let is_ours = |path: &str| path != LIMIT || limit == LimitChange::Set;
    for problem in settings.problems().into_iter().filter(|problem| is_ours(&problem.path)) {
        problems.add(problem.path, problem.message);
    }
    if problems.is_empty() { Ok(settings) } else { Err(Refusal::invalid(problems)) }
}
