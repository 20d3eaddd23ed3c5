//! Finding requests and calls again.

use super::StoreWorld;
use super::scene::*;
use crate::model::status::RejectReason;
use crate::model::{CallId, CallType, DispositionResult, EventType, RequestHeader, RequestStatus};
use crate::ports::store::*;

/// Has everything confirmed that nobody has, so that retention can have its way.
async fn confirm_all(world: &dyn StoreWorld) {
    let store = world.store();
    for unconfirmed in store.unconfirmed(world.now() + secs(1), 1_000).await.unwrap() {
        let confirmation = match unconfirmed {
            Unconfirmed::Request(event) => {
                let key = RequestKey { organisation: event.organisation, request: event.request };
                Confirmation::of_request(key, event.seq)
            }
            Unconfirmed::Call { header, destination, .. } => {
                let call = CallId::new(&header.organisation, &header.id, destination.index);
                Confirmation::of_call(header.organisation.clone(), call, u32::MAX)
            }
            Unconfirmed::Organisation(event) => Confirmation::of_organisation(event.organisation, event.seq),
        };
        store.confirm(&[confirmation]).await.unwrap();
    }
}

/// Lets a day more than the usual retention pass.
pub(super) async fn outlive_retention(world: &dyn StoreWorld) {
    confirm_all(world).await;
    world.advance(secs(8 * 24 * 3600)).await;
    world.store().sweep().await.unwrap();
}

pub async fn a_request_that_is_kept_no_more_is_not_queued_either(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    call_through(&store, ends(DispositionResult::Answered)).await;
    // As by somebody who handed it in again, or if a version took it in that does not know of this.
    let (bank, id) = (organisation("bank"), id_of_queued(&key("r").request));
    let long = secs(30 * 24 * 3600);
    store.remember(&bank, &id, &[0; 32], long).await.unwrap();
    store.answered(&bank, &id, b"queued").await.unwrap();
    outlive_retention(world).await;
    assert_eq!(store.request(&key("r")).await.unwrap_err(), StoreError::NotFound);
    assert_eq!(store.recalled(&bank, &id).await.unwrap(), None);
}

pub async fn what_a_request_follows_from_is_kept_with_it(world: &dyn StoreWorld) {
    let store = world.store();
    let parent = Some(CallId::new(&organisation("bank"), &key("first").request, 7));
    let next = RequestHeader { parent, call_type: CallType::Callback, ..header("next") };
    submit(&store, next.clone(), 1).await;
    submit(&store, header("r"), 1).await;
    for header in [next, header("r")] {
        let snapshot = store.request(&key(header.id.as_str())).await.unwrap();
        assert_eq!(snapshot.header.as_deref(), Some(&header));
    }
}

pub async fn a_calls_id_leads_to_its_request_for_as_long_as_that_is_kept(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 3).await;
    submit(&store, header("s"), 1).await;
    let bank = organisation("bank");
    let (claim, after) = claim_and_dial(&store).await;
    assert_eq!(claim.held.attempt.call, call("r", 0));
    for index in 0..3 {
        assert_eq!(store.request_of(&bank, call("r", index)).await.unwrap().as_str(), "r", "held and waiting calls");
    }
    assert_eq!(store.request_of(&bank, call("s", 0)).await.unwrap().as_str(), "s");
    finish(&store, &claim.held, after, ends(DispositionResult::Answered)).await;
    store.control(&key("r"), Control::Cancel { hang_up: false }, None).await.unwrap();
    for index in 0..3 {
        assert_eq!(store.request_of(&bank, call("r", index)).await.unwrap().as_str(), "r", "ended calls");
    }
    outlive_retention(world).await;
    assert_eq!(store.request_of(&bank, call("r", 0)).await.unwrap_err(), StoreError::NotFound, "it is kept no more");
    assert_eq!(store.request_of(&bank, call("s", 0)).await.unwrap().as_str(), "s");
}

pub async fn an_id_that_no_call_has_leads_nowhere(world: &dyn StoreWorld) {
    let store = world.store();
    let of = async |organisation_: &str, call: CallId| store.request_of(&organisation(organisation_), call).await;
    assert_eq!(of("bank", call("r", 0)).await, Err(StoreError::NotFound), "no such request");
    submit(&store, header("r"), 2).await;
    assert_eq!(of("bank", call("r", 2)).await, Err(StoreError::NotFound), "past the last");
    assert_eq!(of("bank", call("r", u32::MAX)).await, Err(StoreError::NotFound));
    assert_eq!(of("shop", call("r", 0)).await, Err(StoreError::NotFound), "another's");
    let rejection =
        Rejection { key: key("bad"), reason: RejectReason::Invalid, errors: Vec::new(), error_count: 1, trace: None };
    let (_, events) = store.reject(&rejection).await.unwrap();
    assert_eq!(events[0].kind, EventType::RequestRejected);
    assert_eq!(of("bank", call("bad", 0)).await, Err(StoreError::NotFound), "what was refused has no calls");
    store.open_request(&header("half").into(), totals(1)).await.unwrap();
    store.load_chunk(&key("half"), 0, 0, &chunk(0..1)).await.unwrap();
    assert_eq!(of("bank", call("half", 0)).await, Err(StoreError::NotFound), "nor has what is not sealed");
}

/// Names of a page's requests, and what follows it.
async fn page(store: &Store, filter: &RequestFilter, limit: u32) -> (Vec<String>, Option<crate::model::RequestCursor>) {
    let page = store.requests(&organisation("bank"), filter, limit).await.unwrap();
    (page.requests.iter().map(|request| request.summary.request_id.to_string()).collect(), page.next)
}

/// Names of all requests of `bank` with one of these statuses, read in pages of two.
async fn listed(store: &Store, statuses: &[RequestStatus]) -> Vec<String> {
    let mut filter = RequestFilter { statuses: Some(statuses.iter().copied().collect()), after: None };
    let mut names = Vec::new();
    loop {
        let (found, next) = page(store, &filter, 2).await;
        assert!(found.len() == 2 || next.is_none(), "a page is full unless it is the last");
        names.extend(found);
        if next.is_none() {
            return names;
        }
        filter.after = next;
    }
}

async fn refuse(store: &Store, request: &str) {
    let rejection =
        Rejection { key: key(request), reason: RejectReason::Invalid, errors: Vec::new(), error_count: 1, trace: None };
    store.reject(&rejection).await.unwrap();
}

pub async fn requests_are_listed_newest_first_page_by_page(world: &dyn StoreWorld) {
    let store = world.store();
    let all = RequestFilter::default();
    assert_eq!(page(&store, &all, 9).await, (vec![], None), "there are none");
    for number in 0..300 {
        submit(&store, header(&format!("r{number}")), 0).await;
        if number % 7 == 0 {
            world.advance(secs(1)).await;
        }
    }
    world.advance(secs(1)).await;
    refuse(&store, "bad").await;
    submit(&store, header_of("shop", "theirs"), 0).await;
    let found = store.requests(&organisation("bank"), &all, 1).await.unwrap();
    let [bad] = &*found.requests else { panic!("a page of one") };
    assert_eq!(bad.summary, summary(&store, &key("bad")).await);
    assert_eq!((bad.header.is_none(), bad.queued_at), (true, None));
    let (names, none) = page(&store, &all, 1_000).await;
    assert_eq!((names.len(), none), (301, None));
    let found = store.requests(&organisation("bank"), &RequestFilter { after: found.next, ..all }, 1).await.unwrap();
    let alone = store.request(&RequestKey { request: found.requests[0].summary.request_id.clone(), ..key("r") }).await;
    assert_eq!(format!("{:?}", found.requests[0]), format!("{:?}", alone.unwrap()), "as it is shown alone");

    let (mut filter, mut paged) = (RequestFilter::default(), Vec::new());
    loop {
        let (found, next) = page(&store, &filter, 43).await;
        paged.extend(found);
        // It is the same after it was written down.
        filter.after = next.map(|cursor| cursor.to_string().parse().unwrap());
        if next.is_none() {
            break;
        }
    }
    assert_eq!(paged, names, "page by page as all at once");
    // Those of one moment stand in some order of their own.
    let moments = names[1..].iter().map(|name| name[1..].parse::<u32>().unwrap().div_ceil(7));
    assert!(moments.is_sorted_by(|one, other| one >= other));
    let mut sorted = paged.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 301, "each once");
}

pub async fn what_comes_meanwhile_changes_no_later_page(world: &dyn StoreWorld) {
    let store = world.store();
    for name in ["a", "b", "c", "d"] {
        submit(&store, header(name), 1).await;
        world.advance(secs(1)).await;
    }
    let (first, next) = page(&store, &RequestFilter::default(), 2).await;
    assert_eq!(first, ["d", "c"]);
    submit(&store, header("e"), 1).await;
    refuse(&store, "f").await;
    store.control(&key("b"), Control::Pause, None).await.unwrap();
    let (second, end) = page(&store, &RequestFilter { statuses: None, after: next }, 2).await;
    assert_eq!((&*second, end), (&["b".to_owned(), "a".to_owned()][..], None));
}

pub async fn requests_are_listed_by_status(world: &dyn StoreWorld) {
    use crate::model::RequestStatus::{
        Cancelled, Completed, Expired, Failed, OnProgress, Paused, Scheduled, Submitted,
    };
    let store = world.store();
    let soon = world.now() + secs(60);
    limit(&store, "bank", 1).await;
    for (name, total) in [("live", 2), ("waits", 1), ("done", 0)] {
        submit(&store, header(name), total).await;
        world.advance(secs(1)).await;
    }
    submit(&store, RequestHeader { scheduled_at: Some(soon), ..header("later") }, 1).await;
    world.advance(secs(1)).await;
    submit(&store, RequestHeader { expires_at: Some(soon), ..header("brief") }, 1).await;
    refuse(&store, "bad").await;
    let (claim, after) = claim_and_dial(&store).await;
    assert_eq!(claim.held.request.as_str(), "live");
    let is = async |statuses: &[RequestStatus]| listed(&store, statuses).await;
    assert_eq!(is(&[OnProgress]).await, ["live"]);
    assert_eq!(is(&[Submitted]).await, ["brief", "waits"]);
    assert_eq!(is(&[Scheduled]).await, ["later"]);
    assert_eq!(is(&[Completed]).await, ["done"]);
    assert_eq!(is(&[Failed]).await, ["bad"]);
    assert_eq!(is(&[Submitted, Scheduled, OnProgress]).await, ["brief", "later", "waits", "live"]);
    let submitted = RequestFilter { statuses: Some([Submitted].into()), after: None };
    assert_eq!(page(&store, &submitted, 2).await, (vec!["brief".into(), "waits".into()], None), "nothing follows");
    assert!(is(&[]).await.is_empty() && is(&[Paused, Cancelled, Expired]).await.is_empty());

    store.control(&key("live"), Control::Pause, None).await.unwrap();
    store.control(&key("waits"), Control::Cancel { hang_up: false }, None).await.unwrap();
    assert_eq!((is(&[Paused]).await, is(&[Cancelled]).await), (vec!["live".into()], vec!["waits".into()]));
    assert_eq!(is(&[OnProgress]).await, Vec::<String>::new());
    world.advance(secs(60)).await;
    assert_eq!(
        (is(&[Scheduled]).await.len(), is(&[Submitted]).await),
        (0, vec!["brief".into(), "later".into()]),
        "unswept"
    );
    store.sweep().await.unwrap();
    assert_eq!((is(&[Expired]).await, is(&[Submitted]).await), (vec!["brief".into()], vec!["later".into()]));
    store.control(&key("live"), Control::Resume, None).await.unwrap();
    assert_eq!(is(&[OnProgress]).await, ["live"]);
    finish(&store, &claim.held, after, ends(DispositionResult::Answered)).await;
    store.control(&key("live"), Control::Cancel { hang_up: false }, None).await.unwrap();
    assert_eq!(is(&[Cancelled, Completed]).await, ["done", "waits", "live"]);
}

pub async fn a_request_is_listed_once_it_is_acknowledged_and_while_it_is_kept(world: &dyn StoreWorld) {
    let store = world.store();
    let names = async || page(&store, &RequestFilter::default(), 9).await.0;
    store.open_request(&header("half").into(), totals(1)).await.unwrap();
    assert!(names().await.is_empty(), "to its submitter it does not exist yet");
    submit(&store, part_of(&header("parts"), 1, 2), 1).await;
    assert_eq!(names().await, ["parts"], "a part of it was acknowledged");
    world.advance(secs(1)).await;
    submit(&store, header("r"), 0).await;
    submit(&store, part_of(&header("parts"), 0, 2), 1).await;
    assert_eq!(names().await, ["r", "parts"], "it keeps its place");
    store.control(&key("parts"), Control::Cancel { hang_up: false }, None).await.unwrap();
    outlive_retention(world).await;
    assert!(names().await.is_empty(), "they are kept no more");
    submit(&store, header("r"), 0).await;
    assert_eq!(names().await, ["r"], "the name is another's");
}

pub async fn a_refused_request_that_is_put_right_is_listed_where_it_was_accepted(world: &dyn StoreWorld) {
    let store = world.store();
    refuse(&store, "r").await;
    world.advance(secs(1)).await;
    refuse(&store, "s").await;
    let (names, all) = (["s", "r"], RequestFilter::default());
    assert_eq!(page(&store, &all, 9).await.0, names);
    world.advance(secs(1)).await;
    refuse(&store, "r").await;
    assert_eq!(page(&store, &all, 9).await.0, names, "refused again, it stays where it is");
    store.open_request(&header("r").into(), totals(1)).await.unwrap();
    assert_eq!(page(&store, &all, 9).await.0, ["s"], "it is on its way");
    store.load_chunk(&key("r"), 0, 0, &chunk(0..1)).await.unwrap();
    store.seal(&key("r"), 0).await.unwrap();
    assert_eq!(page(&store, &all, 9).await.0, ["r", "s"]);
    assert_eq!(listed(&store, &[RequestStatus::Failed]).await, ["s"]);
}
