//! `POST /v1/call`: a request is checked here as a worker would, and handed in durably.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Refusal, json};
use super::asked::Asked;
use super::status::{StatusDocument, without_details};
use super::{Api, STORE_WITHIN};
use crate::callflow::Program;
use crate::model::status::{Counts, RejectReason, RequestStatus, RequestSummary};
use crate::model::{Destination, Number, OrganisationId, RequestId, TraceParent};
use crate::ports::StoreError;
use crate::ports::store::{Remembered, RequestKey, RequestSnapshot, id_of_queued};
use crate::reading::Problems;
use crate::request::{
    AcceptedRequest, CallRequestDocument, CheckError, DestinationDocument, Limits, RefusedRequest, check,
};

/// Most bytes of a request, as at the broker.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// How long a request that is handed in keeps others from its name that no worker has compared with it: longer than workers
/// take as a rule. What they have taken in keeps its name by itself.
const NAME_KEPT: Duration = Duration::from_secs(600);

/// How long a request that no worker looks at is known to whoever asks after it.
const QUEUED_KEPT: Duration = Duration::from_secs(24 * 3600);

/// A request that would be accepted.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Validated")]
pub(super) struct Valid {
    /// `valid`.
    status: &'static str,
    /// The request.
    request_id: RequestId,
    /// Destinations, duplicates not counted.
    total: u32,
    /// Destinations left out because their number stood there before.
    duplicates: u32,
    /// Destinations that would fail undialled because they are wrong.
    invalid: u32,
    /// SHA-256 of the frozen flow, hexadecimal.
    flow_hash: String,
}

/// What is answered to a request.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the shapes of what is answered")]
pub(super) enum Submitted {
    /// It is queued, or known already.
    Queued(StatusDocument),
    /// It could be.
    Valid(Valid),
}

/// Takes a request in.
pub(super) async fn submit(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    let only_validate = asked.query.word("validate", &[("true", true), ("false", false)]).unwrap_or_default();
    std::mem::take(&mut asked.query).finish()?;
    let accepted = checked(&api, asked.organisation(), &asked.body).await?;
    if only_validate {
        return Ok(json(StatusCode::OK, &valid(&accepted)));
    }
    without_details(&let_in(&api, asked.organisation(), asked.trace(), &accepted, &asked.body).await?)
}

/// Takes in a request of our own making. Whoever it is to must be able to hear all of it: nobody but us can say what is missing.
pub(super) async fn hand_in(
    api: &Arc<Api>,
    organisation: &OrganisationId,
    trace: Option<TraceParent>,
    document: &CallRequestDocument,
) -> Result<RequestSummary, Refusal> {
    let written = serde_json::to_vec(document).map_err(|error| Refusal::wrong("", error.to_string()))?;
    let body = Bytes::from(written);
    let accepted = checked(api, organisation, &body).await?;
    if let Err(refusal) = speakable(&accepted.program, &document.destinations) {
        // What was taken in before is not refused now.
        let key = RequestKey { organisation: organisation.clone(), request: accepted.header.id.clone() };
        return known(api, &key, &accepted).await?.ok_or(refusal);
    }
    let_in(api, organisation, trace, &accepted, &body).await
}

/// Whether all messages can be spoken to all destinations: calls of which one cannot fail before anybody is dialled.
fn speakable(program: &Program, destinations: &[DestinationDocument]) -> Result<(), Refusal> {
    for person in destinations {
        let properties = person.properties.iter().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.as_str().into(), Box::<str>::from(value).into())
        });
        let destination = Destination {
            index: 0,
            number: Number::Valid(person.phone),
            caller: None,
            external_id: None,
            time_zone: None,
            properties: properties.collect(),
        };
        program.prepare(&destination).map_err(|unspeakable| {
            let path = program.messages.get(usize::from(unspeakable.message)).map_or("callFlow", |found| &*found.path);
            Refusal::wrong(path, format!("the flow cannot be spoken to them: {}", unspeakable.detail))
        })?;
    }
    Ok(())
}

/// Lets a request in that has been checked, unless it is known: as it is then.
async fn let_in(
    api: &Api,
    organisation: &OrganisationId,
    trace: Option<TraceParent>,
    accepted: &AcceptedRequest,
    body: &[u8],
) -> Result<RequestSummary, Refusal> {
    let key = RequestKey { organisation: organisation.clone(), request: accepted.header.id.clone() };
    if let Some(summary) = known(api, &key, accepted).await? {
        return Ok(summary);
    }
    take_name(api, &key, accepted).await?;
    let (queued, summary) = (id_of_queued(&key.request), submitted(accepted));
    // Noted before and answered after: a worker that has looked at it in between has forgotten it, and nothing is answered.
    let noting = api.ports.store.remember(organisation, &queued, &[0; 32], QUEUED_KEPT);
    let is_noted = matches!(api.within(STORE_WITHIN, noting).await, Some(Ok(_)));
    api.ports.gate.submit(organisation, body, trace).await?;
    if let (true, Ok(text)) = (is_noted, serde_json::to_vec(&summary)) {
        // Without it, it is unknown until a worker has looked at it: no harm but to whoever asks meanwhile.
        let _kept = api.within(STORE_WITHIN, api.ports.store.answered(organisation, &queued, &text)).await;
    }
    Ok(summary)
}

/// A request that was handed in here and that no worker has looked at yet, as it was answered then.
pub(super) async fn queued(api: &Api, key: &RequestKey) -> Result<Option<RequestSummary>, Refusal> {
    let noted = api.ask(api.ports.store.recalled(&key.organisation, &id_of_queued(&key.request))).await?;
    Ok(noted.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// The judgement on a request, as a worker would judge it.
async fn checked(api: &Arc<Api>, organisation: &OrganisationId, body: &Bytes) -> Result<AcceptedRequest, Refusal> {
    let limits = Limits { max_bytes: Some(MOST_BYTES as u64), max_destinations: api.settings.max_destinations };
    let (body, organisation, flows) = (body.clone(), organisation.clone(), Arc::clone(&api.ports.flows));
    // Never closed.
    let Ok(desk) = Arc::clone(&api.desks).acquire_owned().await else {
        return Err(Refusal::unavailable("it is closing"));
    };
    let check = move || {
        // Until it is done, whether or not anybody still waits for it.
        let _desk = desk;
        check(&*body, &organisation, &*flows, limits)
    };
    let checked = tokio::task::spawn_blocking(check).await.map_err(|error| {
        tracing::error!(%error, "a request cannot be checked");
        Refusal::unavailable("the request cannot be checked")
    })?;
    checked.map_err(|error| match error {
        CheckError::Refused(RefusedRequest { problems, reason, .. }) => refused(reason, problems),
        // It is in memory.
        CheckError::Unreadable(error) => Refusal::wrong("", error.to_string()),
    })
}

fn refused(reason: RejectReason, problems: Problems) -> Refusal {
    match reason {
        RejectReason::TooLarge => Refusal::too_large(Refusal::invalid(problems).message()),
        RejectReason::Invalid | RejectReason::Conflict => Refusal::invalid(problems),
    }
}

/// The request as it is now, if it is the same that was handed in before.
async fn known(api: &Api, key: &RequestKey, asked: &AcceptedRequest) -> Result<Option<RequestSummary>, Refusal> {
    let snapshot = match api.within(STORE_WITHIN, api.ports.store.request(key)).await {
        Some(Ok(snapshot)) => snapshot,
        Some(Err(StoreError::NotFound)) => return Ok(None),
        failed => {
            // Whether it is known is found out by whoever takes it in.
            tracing::warn!(?failed, "a request is handed in without looking whether it is known");
            return Ok(None);
        }
    };
    let Some(header) = snapshot.header else { return Ok(None) };
    // Of a request in parts, any part may be new: workers tell.
    if header.part.is_some() && asked.header.part.is_some() {
        return Ok(None);
    }
    if header.content_hash == asked.header.content_hash {
        return Ok(Some(snapshot.summary));
    }
    Err(Refusal::conflict("requestId", "another request of this name exists, with other content"))
}

/// Refuses a request whose name another one has taken that was handed in just now and no worker knows yet.
async fn take_name(api: &Api, key: &RequestKey, asked: &AcceptedRequest) -> Result<(), Refusal> {
    let (store, header) = (&api.ports.store, &asked.header);
    let name = match header.part {
        Some(part) => format!("request/{}/{}", header.id, part.index),
        None => format!("request/{}", header.id),
    };
    let remembering = store.remember(&key.organisation, &name, &header.content_hash, NAME_KEPT);
    match api.within(STORE_WITHIN, remembering).await {
        Some(Ok(Remembered::First | Remembered::Again(_))) => return Ok(()),
        Some(Ok(Remembered::Different)) => {}
        failed => {
            // Whether it is another one is found out by whoever takes it in.
            tracing::warn!(?failed, "a request is handed in without looking whether its name is taken");
            return Ok(());
        }
    }
    match api.within(STORE_WITHIN, store.request(key)).await {
        // The other one was refused, and this one may be what was meant.
        Some(Ok(RequestSnapshot { header: None, .. })) => Ok(()),
        _ => Err(Refusal::conflict("requestId", "another request of this name was handed in, with other content")),
    }
}

fn hexadecimal(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn submitted(accepted: &AcceptedRequest) -> RequestSummary {
    RequestSummary {
        request_id: accepted.header.id.clone(),
        status: RequestStatus::Submitted,
        total: accepted.total,
        duplicates: accepted.duplicates,
        counts: Counts { queued: accepted.total, ..Counts::default() },
        flow_hash: Some(hexadecimal(accepted.header.flow_hash)),
        errors: Vec::new(),
        error_count: 0,
        reason: None,
        trace: None,
    }
}

fn valid(accepted: &AcceptedRequest) -> Valid {
    Valid {
        status: "valid",
        request_id: accepted.header.id.clone(),
        total: accepted.total,
        duplicates: accepted.duplicates,
        invalid: accepted.invalid,
        flow_hash: hexadecimal(accepted.header.flow_hash),
    }
}
