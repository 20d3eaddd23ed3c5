//! What the sentences are told with: requests, destinations, workers.

use std::sync::Arc;
use std::time::Duration;

use crate::callflow;
use crate::callflow::call::{CallInput, CallMachine, CallState, CallTerms};
use crate::model::request::{Part, WindowZone};
use crate::model::status::RequestSummary;
use crate::model::{
    AttemptId, CallId, CallingWindow, Destination, Disposition, DispositionResult, Fact, Happening, LegId,
    MachineDetection, Number, Organisation, OrganisationId, Party, RequestHeader, RetryPolicy, Timestamp, Via,
    WorkerId,
};
use crate::ports::CampaignStore;
use crate::ports::store::*;
use crate::reading::Problems;

/// The store of a world.
pub type Store = Arc<dyn CampaignStore>;

/// Where a flow stands: anywhere, without a second leg.
pub fn flow_state() -> CallState {
    let attempt = AttemptId { call: call("anywhere", 0), claim: 1 };
    machine(&serde_json::json!([{"name": "hangup"}]), attempt).state().clone()
}

/// Where a flow stands whose `ordinal`th transfer waits for a slot.
pub fn transferring(attempt: AttemptId, ordinal: u16) -> CallState {
    let transfer = serde_json::json!({"name": "transfer", "destination": "+6590000001", "onFailure": "continue"});
    let mut machine = machine(&serde_json::Value::from(vec![transfer; usize::from(ordinal)]), attempt);
    machine.handle(Timestamp::VIRTUAL_START, CallInput::Answered);
    for _ in 1..ordinal {
        let at = machine.next_timeout().unwrap();
        machine.handle_timeout(at);
    }
    assert_eq!(machine.state().slots(), [LegId::transfer(attempt, ordinal)]);
    machine.state().clone()
}

fn machine(steps: &serde_json::Value, attempt: AttemptId) -> CallMachine {
    let flow = serde_json::json!({ "steps": steps });
    let program = callflow::compile(&flow, callflow::compile::FLOW_PATH, &mut Problems::default()).unwrap();
    CallMachine::start(Arc::new(program), CallTerms::from(&header("anywhere")), attempt, Timestamp::VIRTUAL_START)
}

/// An organisation.
pub fn organisation(name: &str) -> OrganisationId {
    name.parse().unwrap()
}

/// A worker.
pub fn worker(name: &str) -> WorkerId {
    name.parse().unwrap()
}

/// The name of a request of `bank`.
pub fn key(request: &str) -> RequestKey {
    key_of("bank", request)
}

/// The name of a request.
pub fn key_of(organisation: &str, request: &str) -> RequestKey {
    RequestKey { organisation: organisation.parse().unwrap(), request: request.parse().unwrap() }
}

/// A call of a request of `bank`.
pub fn call(request: &str, index: u32) -> CallId {
    let key = key(request);
    CallId::new(&key.organisation, &key.request, index)
}

/// A request of `bank` with nothing special about it.
pub fn header(request: &str) -> RequestHeader {
    header_of("bank", request)
}

/// A request with nothing special about it.
pub fn header_of(organisation: &str, request: &str) -> RequestHeader {
    let RequestKey { organisation, request: id } = key_of(organisation, request);
    RequestHeader {
        organisation,
        id,
        content_hash: [1; 32],
        flow: r#"{"steps":[{"name":"hangup"}]}"#.into(),
        flow_hash: [2; 32],
        caller: None,
        recording: false,
        scheduled_at: None,
        expires_at: None,
        ring_timeout: Duration::from_secs(30),
        max_call_duration: Duration::from_secs(600),
        retry: RetryPolicy::default(),
        calling_window: None,
        machine_detection: MachineDetection::Off,
        priority: 5,
        hooks: Vec::new(),
        part: None,
        allow_duplicates: false,
        skip_invalid: false,
        parent: None,
        call_type: crate::model::CallType::Campaign,
        trace: None,
    }
}

/// A window that opens every day from one hour to another.
pub fn hours(time_zone: WindowZone, from: u16, to: u16) -> CallingWindow {
    CallingWindow { time_zone, days: 0x7f, from_minute: from * 60, to_minute: to * 60 }
}

/// A destination that shows by its number which it is.
pub fn destination(index: u32) -> Destination {
    Destination {
        index,
        number: Number::Valid(format!("+6580{index:06}").parse().unwrap()),
        caller: None,
        external_id: Some(format!("customer-{index}").into()),
        time_zone: None,
        properties: vec![("name".into(), "Ann".into())],
    }
}

/// Destinations of a request or part, in one chunk without zones.
pub fn chunk(indices: std::ops::Range<u32>) -> Chunk {
    Chunk { zones: Vec::new(), destinations: indices.map(destination).collect() }
}

/// So many destinations, no duplicates.
pub fn totals(total: u32) -> Totals {
    Totals { total, duplicates: 0 }
}

/// Loads and seals a whole request.
pub async fn submit(store: &Store, header: RequestHeader, total: u32) -> RequestSummary {
    submit_chunks(store, header, vec![chunk(0..total)]).await
}

/// Loads and seals a whole request, or a part of one, of several chunks.
pub async fn submit_chunks(store: &Store, header: RequestHeader, chunks: Vec<Chunk>) -> RequestSummary {
    let key = RequestKey { organisation: header.organisation.clone(), request: header.id.clone() };
    let part = header.part.map_or(0, |part| part.index);
    let total = chunks.iter().map(|chunk| u32::try_from(chunk.destinations.len()).unwrap()).sum();
    let opened = store.open_request(&Arc::new(header), totals(total)).await.unwrap();
    assert_eq!(opened, Opened::Load { next_chunk: 0 });
    for (number, chunk) in (0..).zip(chunks) {
        assert_eq!(store.load_chunk(&key, part, number, &chunk).await.unwrap(), Loaded::Stored);
    }
    store.seal(&key, part).await.unwrap().0
}

/// The header of one part.
pub fn part_of(header: &RequestHeader, index: u32, count: u32) -> RequestHeader {
    let content_hash = [10 + u8::try_from(index).unwrap(); 32];
    RequestHeader { part: Some(Part { index, count }), content_hash, ..header.clone() }
}

/// Gives an organisation a limit, and leaves the rest as it is.
pub async fn limit(store: &Store, organisation: &str, limit: u32) {
    set(store, organisation, |settings| settings.limit = limit).await;
}

/// Changes an organisation's settings.
pub async fn set(store: &Store, organisation: &str, change: impl FnOnce(&mut Organisation) + Send) {
    let id = organisation.parse().unwrap();
    let mut settings = store.organisation(&id).await.unwrap();
    change(&mut settings);
    store.set_organisation(&id, settings).await.unwrap();
}

/// What worker `w` gets when it wants so many: one claim after the other, until nothing comes.
pub async fn claim_all(store: &Store, want: u32) -> Vec<Claim> {
    let mut all: Vec<Claim> = Vec::new();
    loop {
        let left = want - u32::try_from(all.len()).unwrap();
        let claims = store.claim(&worker("w"), left).await.unwrap().claims;
        if claims.is_empty() {
            return all;
        }
        all.extend(claims);
    }
}

/// The one call that worker `w` gets.
pub async fn claim_one(store: &Store) -> Claim {
    let mut claims = store.claim(&worker("w"), 1).await.unwrap().claims;
    assert_eq!(claims.len(), 1, "one call can be claimed");
    claims.pop().unwrap()
}

/// Request and index of what was claimed.
pub fn names(claims: &[Claim]) -> Vec<(&str, u32)> {
    claims.iter().map(|claim| (claim.held.request.as_str(), claim.destination.index)).collect()
}

/// Indices of what was claimed.
pub fn indices(claims: &[Claim]) -> Vec<u32> {
    claims.iter().map(|claim| claim.destination.index).collect()
}

/// What committing to a dial finds.
pub async fn try_dial(store: &Store, held: &Held) -> DialDecision {
    store.begin_dial(held, &worker("w"), &Via::default(), &flow_state()).await.unwrap()
}

/// Commits to a dial; the call's history then.
pub async fn dial(store: &Store, held: &Held) -> Vec<Fact> {
    match try_dial(store, held).await {
        DialDecision::Dial { history, .. } => history,
        refused => panic!("nothing speaks against the dial: {refused:?}"),
    }
}

/// Claims and dials one call; how long its history is then.
pub async fn claim_and_dial(store: &Store) -> (Claim, u32) {
    let claim = claim_one(store).await;
    let history = dial(store, &claim.held).await;
    (claim, u32::try_from(history.len()).unwrap())
}

/// An end that is not tried again.
pub fn ends(result: DispositionResult) -> AttemptEnd {
    AttemptEnd::of(Disposition::new(result, Some(Party::Callee)))
}

/// An end that is tried again.
pub fn retries(result: DispositionResult, at: Timestamp) -> AttemptEnd {
    AttemptEnd { retry_at: Some(at), ..ends(result) }
}

/// Ends an attempt whose history has `after` facts.
pub async fn finish(store: &Store, held: &Held, after: u32, end: AttemptEnd) -> Finished {
    done(store.finish(held, &worker("w"), after, &[], end, 0).await.unwrap())
}

/// Claims, dials and ends one call.
pub async fn call_through(store: &Store, end: AttemptEnd) -> Finished {
    let (claim, after) = claim_and_dial(store).await;
    finish(store, &claim.held, after, end).await
}

/// What was written, by whoever may.
pub fn done<T: std::fmt::Debug>(written: Written<T>) -> T {
    match written {
        Written::Done(value) => value,
        Written::Fenced => panic!("the owner is not fenced"),
    }
}

/// Something that happened.
pub fn fact(at: Timestamp, what: Happening) -> Fact {
    Fact { at, what }
}

/// A request's summary.
pub async fn summary(store: &Store, key: &RequestKey) -> RequestSummary {
    store.request(key).await.unwrap().summary
}

/// Slots of `bank` held by us.
pub async fn leased(store: &Store) -> u32 {
    store.slot_use(&organisation("bank")).await.unwrap().leased
}

/// So many seconds.
pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
