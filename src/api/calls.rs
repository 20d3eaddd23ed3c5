//! `/v1/calls`: the live calls of an organisation, and one call in full.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Refusal, json};
use super::asked::Asked;
use super::{Api, STORE_WITHIN};
use crate::model::event::CallStatusHint;
use crate::model::status::CallDetail;
use crate::model::{CallId, Fact, Happening, LegId, LegRole, Number, Phone, RequestId, Timestamp};
use crate::ports::store::{CallSnapshot, LiveCall, RequestKey, RequestSnapshot, Stage};

/// Calls on a page if nobody says how many, and at most.
pub(super) const ROWS: u32 = 100;
pub(super) const MOST_ROWS: u32 = 1_000;

/// By what calls are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    /// By organisation.
    Account,
    /// By request.
    Outbound,
    /// By flow.
    VisualIvr,
    /// By callee.
    Dnis,
}

const PRODUCTS: [(&str, Product); 4] = [
    ("ACCOUNT", Product::Account),
    ("OUTBOUND", Product::Outbound),
    ("VISUAL_IVR", Product::VisualIvr),
    ("DNIS", Product::Dnis),
];

/// A live call.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ActiveCall")]
pub(super) struct ActiveCall {
    /// The call's id.
    uii: String,
    /// The organisation.
    account_id: String,
    /// The number shown to the callee; null where the backend chose.
    ani: Option<Phone>,
    /// The number dialled.
    dnis: String,
    /// When the request was sealed.
    enqueue_time: Option<Timestamp>,
    /// When the call was dialled.
    dequeue_time: Option<Timestamp>,
    /// How far it is.
    call_state: ActiveState,
    /// Always false: what is listed is live.
    archive: bool,
    /// Always null: no agent is signed in here.
    agent_first_name: Option<String>,
    /// Always null.
    agent_last_name: Option<String>,
    /// Whom the callee was transferred to, or is just being, as dialled; null if nobody is there.
    destination_name: Option<String>,
    /// The submitter's own name for the destination.
    external_id: Option<String>,
    /// Always null.
    cnam: Option<String>,
}

/// How far a live call is.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum ActiveState {
    /// Nobody has picked up yet.
    Ringing,
    /// It is answered.
    Active,
}

/// Lists live calls.
pub(super) async fn list(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    let mut query = std::mem::take(&mut asked.query);
    query.word("state", &[("active", ())]);
    let product = query.word("product", &PRODUCTS).unwrap_or(Product::Account);
    let mut is_other = false;
    let (mut request, mut flow, mut callee): (Option<RequestId>, Option<String>, Option<Phone>) = (None, None, None);
    match product {
        Product::Account => {
            is_other = query.text("productId").is_some_and(|id| id != asked.organisation().as_str());
        }
        Product::Outbound => request = query.parsed("productId"),
        Product::VisualIvr => flow = query.text("productId").map(str::to_owned),
        Product::Dnis => callee = query.parsed("productId"),
    }
    if product != Product::Account && query.text("productId").is_none() {
        query.refuse("productId", "is missing: a request's id, a flow's hash or a callee's number");
    }
    let page = query.whole("page", 1..=u32::MAX).unwrap_or(1);
    let rows = query.whole("maxRows", 1..=MOST_ROWS).unwrap_or(ROWS);
    query.finish()?;
    if is_other {
        return Err(Refusal::not_found("productId is not this key's organisation"));
    }
    let listing = api.within(STORE_WITHIN, api.listings.take_one(asked.organisation())).await;
    let _held_while_calls_are = listing.ok_or_else(|| Refusal::unavailable("too many list live calls: ask again"))?;
    let live = api.ask(api.ports.store.live_calls(asked.organisation(), request.as_ref())).await?;
    let mut requests = Requests { api: &api, known: BTreeMap::new() };
    let mut wanted = Vec::new();
    let skip = (page as usize - 1).saturating_mul(rows as usize);
    let mut place = 0;
    for call in live.into_iter().filter(|call| call.stage == Stage::Dialing) {
        if callee.is_some_and(|callee| call.destination.number != Number::Valid(callee)) {
            continue;
        }
        if let Some(flow) = &flow
            && requests.flow_hash(&call).await?.as_ref() != Some(flow)
        {
            continue;
        }
        if place >= skip {
            wanted.push(active(&mut requests, call).await?);
        }
        place += 1;
        if wanted.len() == rows as usize {
            break;
        }
    }
    Ok(json(StatusCode::OK, &wanted))
}

/// The requests of listed calls, each looked up once.
struct Requests<'a> {
    api: &'a Api,
    known: BTreeMap<RequestId, Option<RequestSnapshot>>,
}

impl Requests<'_> {
    async fn of(&mut self, call: &LiveCall) -> Result<Option<&RequestSnapshot>, Refusal> {
        let request = &call.held.request;
        if !self.known.contains_key(request) {
            let key = RequestKey { organisation: call.held.organisation.clone(), request: request.clone() };
            // A call outlives a request that the store has lost.
            let found = match self.api.request(&key).await {
                Ok(found) => Some(found),
                Err(refusal) if refusal.says_not_found() => None,
                Err(refusal) => return Err(refusal),
            };
            self.known.insert(request.clone(), found);
        }
        Ok(self.known.get(request).and_then(Option::as_ref))
    }

    async fn flow_hash(&mut self, call: &LiveCall) -> Result<Option<String>, Refusal> {
        Ok(self.of(call).await?.and_then(|request| request.summary.flow_hash.clone()))
    }
}

async fn active(requests: &mut Requests<'_>, call: LiveCall) -> Result<ActiveCall, Refusal> {
    let enqueue_time = requests.of(&call).await?.and_then(|request| request.queued_at);
    let LiveCall { held, destination, history, .. } = call;
    let (mut ani, mut dequeue_time, mut call_state) = (None, None, ActiveState::Ringing);
    // To whom the callee is transferred, and whether they have answered; the next one may ring beside them.
    let mut targets: Vec<(LegId, String, bool)> = Vec::new();
    for Fact { at, what } in &history {
        match what {
            Happening::Dialing { caller, .. } => {
                (ani, dequeue_time, call_state) = (*caller, Some(*at), ActiveState::Ringing);
                targets.clear();
            }
            Happening::Answered => call_state = ActiveState::Active,
            Happening::LegAdded { leg, dest } if leg.role == LegRole::Transfer => {
                targets.push((*leg, dest.to_string(), false));
            }
            Happening::LegAnswered { leg } => {
                targets.iter_mut().filter(|target| target.0 == *leg).for_each(|target| target.2 = true);
            }
            Happening::LegFailed { leg, .. } | Happening::LegRemoved { leg } => {
                targets.retain(|target| target.0 != *leg);
            }
            _ => {}
        }
    }
    let talks = targets.iter().rposition(|target| target.2).or(targets.len().checked_sub(1));
    let destination_name = talks.map(|place| targets.swap_remove(place).1);
    Ok(ActiveCall {
        uii: held.attempt.call.to_string(),
        account_id: held.organisation.to_string(),
        ani,
        dnis: destination.number.to_string(),
        enqueue_time,
        dequeue_time,
        call_state,
        archive: false,
        agent_first_name: None,
        agent_last_name: None,
        destination_name,
        external_id: destination.external_id.map(String::from),
        cnam: None,
    })
}

impl Api {
    /// The request of the path's call, if the call may be there.
    pub(super) async fn request_of(&self, asked: &Asked, call: CallId) -> Result<RequestKey, Refusal> {
        let organisation = asked.organisation().clone();
        let request = self.ask(self.ports.store.request_of(&organisation, call)).await;
        Ok(RequestKey { organisation, request: request.map_err(|refusal| refusal.about(|| absent(call)))? })
    }
}

/// That a call is not there.
pub(super) fn absent(call: CallId) -> String {
    format!("there is no call {call}")
}

/// One call in full.
pub(super) async fn show(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    let call: CallId = asked.path("callId")?;
    let key = api.request_of(&asked, call).await?;
    let snapshot = api.request(&key).await?;
    let found = api.ask(api.ports.store.calls(&key, call.index(), 1)).await?;
    let found = found.into_iter().find(|found: &CallSnapshot| found.destination.index == call.index());
    let (Some(found), Some(shared)) = (found, api.shared(&snapshot)?) else {
        return Err(Refusal::not_found(absent(call)));
    };
    let notes = api.notes(&key, call).await?;
    let program = api.flows.of(&shared.header)?;
    let language = program.messages.first().map(|message| &*message.voice.language);
    let (context, status, history) = shared.context(found);
    let now = api.ports.clock.now();
    let detail = CallDetail::fold(&context, CallStatusHint::Stored(status), &history, &notes, language, now);
    Ok(json(StatusCode::OK, &detail))
}
