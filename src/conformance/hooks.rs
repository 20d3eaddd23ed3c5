//! What every keeper of what webhooks have yet to be sent must do. Each sentence is a function that wants one nobody has
//! used, with a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "these are tests, run from several test files")]

use std::sync::Arc;
use std::time::Duration;

use super::ManualClock;
use crate::model::{HookSecret, OrganisationId, Timestamp};
use crate::ports::Clock as _;
use crate::ports::hooks::*;
use crate::ports::store::ProcessId;

/// Makes a test of every sentence. The argument makes a keeper of its own for each, and its clock.
#[macro_export]
macro_rules! hooks_conformance {
    ($hooks:expr) => {
        $crate::hooks_conformance! { @sentences $hooks,
            one_process_has_the_lead_until_its_time_is_over
            whoever_leaves_the_lead_lets_another_have_it_at_once
            who_has_lost_the_lead_changes_nothing
            the_position_is_kept_with_the_id_of_the_event_before
            what_was_added_is_there_until_it_is_removed
            changes_that_are_made_twice_are_made_once
            what_is_tried_again_keeps_its_body_and_what_is_gone_stays_so
            forgetting_an_endpoint_forgets_what_waits
            a_dead_letter_is_taken_up_again_with_its_body
            the_oldest_dead_letters_make_room
            gaps_are_dead_letters_without_an_event
            answers_are_kept_by_call_and_make_room
            wishes_wait_in_order_until_they_are_granted
            secrets_are_an_organisations_own
        }
    };
    (@sentences $hooks:expr, $($sentence:ident)*) => {
        $(#[tokio::test]
        async fn $sentence() {
            let (hooks, clock) = $hooks;
            $crate::conformance::hooks::$sentence(std::sync::Arc::new(hooks), clock).await;
        })*
    };
}

/// Whoever is under test.
pub type Hooks = Arc<dyn HookStore>;

/// How much whoever is under test keeps.
pub const KEEPING: Keeping =
    Keeping { dead: 3, dead_for: Duration::from_secs(1_000), answers: 2, answers_for: Duration::from_secs(1_000) };

const LIFE: Duration = Duration::from_secs(30);

fn bank() -> OrganisationId {
    "bank".parse().unwrap()
}

fn key(organisation: &str, url: &str) -> EndpointKey {
    EndpointKey { organisation: organisation.parse().unwrap(), url: url.parse().unwrap() }
}

fn crm() -> EndpointKey {
    key("bank", "https://crm.example/hook?a=\"b\"")
}

fn event(offset: u64) -> PendingEvent {
    PendingEvent {
        offset,
        id: format!("c-0.1.{offset}").into(),
        kind: "call.ended".into(),
        subject: "r/c-0".into(),
        template: Some("create_call".parse::<crate::model::hook::TemplateName>().unwrap()),
        since: Timestamp::VIRTUAL_START,
        tries: 0,
        due: Timestamp::VIRTUAL_START,
        bytes: 3,
    }
}

fn body(offset: u64) -> Vec<u8> {
    format!("{{\"n\":{offset},\"é\":\"\\u0000\"}}").into_bytes()
}

fn dead(key: &EndpointKey, offset: u64, at: Timestamp) -> DeadEvent {
    DeadEvent {
        id: format!("d-{offset}").into(),
        endpoint: Some(key.clone()),
        event: Some(event(offset)),
        gap: None,
        at,
        reason: "answered 500".into(),
    }
}

async fn leads(hooks: &Hooks, process: u128) -> Option<Lead> {
    hooks.lead(ProcessId(process), LIFE).await.unwrap()
}

async fn added(hooks: &Hooks, key: &EndpointKey, offsets: &[u64]) -> Lead {
    let lead = leads(hooks, 1).await.unwrap();
    let mut changes = vec![Change::Endpoint(key.clone(), EndpointRecord::default())];
    changes.extend(offsets.iter().map(|offset| Change::Add(key.clone(), event(*offset), body(*offset))));
    hooks.change(lead, &changes).await.unwrap();
    lead
}

pub async fn one_process_has_the_lead_until_its_time_is_over(hooks: Hooks, clock: Arc<ManualClock>) {
    let first = leads(&hooks, 1).await.unwrap();
    assert_eq!(leads(&hooks, 2).await, None);
    clock.advance(LIFE - Duration::from_secs(1));
    assert_eq!(leads(&hooks, 1).await, Some(first), "it goes on");
    clock.advance(LIFE - Duration::from_secs(1));
    assert_eq!(leads(&hooks, 2).await, None, "counted anew");
    clock.advance(Duration::from_secs(1));
    let second = leads(&hooks, 2).await.unwrap();
    assert!(second.token > first.token);
    assert_eq!(leads(&hooks, 1).await, None);
}

pub async fn whoever_leaves_the_lead_lets_another_have_it_at_once(hooks: Hooks, _: Arc<ManualClock>) {
    let first = leads(&hooks, 1).await.unwrap();
    hooks.resign(first).await.unwrap();
    let second = leads(&hooks, 2).await.unwrap();
    assert!(second.token > first.token);
    hooks.resign(first).await.unwrap();
    assert_eq!(leads(&hooks, 1).await, None, "who has left it once does not take it from another");
}

pub async fn who_has_lost_the_lead_changes_nothing(hooks: Hooks, clock: Arc<ManualClock>) {
    let first = added(&hooks, &crm(), &[1]).await;
    clock.advance(LIFE);
    let second = leads(&hooks, 2).await.unwrap();
    let before = hooks.load().await.unwrap();
    let changes = [Change::Position(7, None), Change::Remove(crm(), 1), Change::Forget(crm())];
    assert_eq!(hooks.change(first, &changes).await, Err(ChangeError::Fenced));
    assert_eq!(hooks.load().await.unwrap(), before);
    // The same process in an earlier life of its lead.
    let stale = Lead { token: first.token, ..second };
    assert_eq!(hooks.change(stale, &changes).await, Err(ChangeError::Fenced));
    hooks.change(second, &changes).await.unwrap();
    assert_eq!(hooks.load().await.unwrap(), HookBook { position: Some(7), ..HookBook::default() });
}

pub async fn the_position_is_kept_with_the_id_of_the_event_before(hooks: Hooks, _: Arc<ManualClock>) {
    let lead = leads(&hooks, 1).await.unwrap();
    // The same position with another id, and one without.
    for (position, id) in [(3, Some("c-0.1.\"é\"")), (3, Some("c-0.1.3")), (4, Some("c-0.1.4")), (5, None), (4, None)]
    {
        hooks.change(lead, &[Change::Position(position, id.map(Arc::from))]).await.unwrap();
        let book = hooks.load().await.unwrap();
        assert_eq!((book.position, book.last.as_deref()), (Some(position), id));
    }
}

pub async fn what_was_added_is_there_until_it_is_removed(hooks: Hooks, _: Arc<ManualClock>) {
    assert_eq!(hooks.load().await.unwrap(), HookBook::default());
    let other = key("shop", "https://crm.example/hook?a=\"b\"");
    let lead = added(&hooks, &other, &[4]).await;
    added(&hooks, &crm(), &[20, 3]).await;
    hooks.change(lead, &[Change::Position(21, None), Change::Anew(20)]).await.unwrap();
    let book = hooks.load().await.unwrap();
    assert_eq!((book.position, book.base), (Some(21), 20));
    let (one, two) = (EndpointRecord::default(), EndpointRecord::default());
    assert_eq!(book.endpoints, [(crm(), one, vec![event(3), event(20)]), (other.clone(), two, vec![event(4)])]);
    assert_eq!(hooks.body(&crm(), 20).await.unwrap(), Some(body(20)));
    assert_eq!(hooks.body(&crm(), 4).await.unwrap(), None, "that is the other's");
    let shown = hooks.endpoints(Some(&bank())).await.unwrap();
    assert_eq!(shown, [EndpointGlimpse { key: crm(), record: EndpointRecord::default(), pending: 2 }]);
    assert_eq!(hooks.endpoints(None).await.unwrap().len(), 2);
    hooks.change(lead, &[Change::Remove(crm(), 3), Change::Remove(crm(), 20)]).await.unwrap();
    assert_eq!(hooks.load().await.unwrap().endpoints[0].2, []);
    assert_eq!(hooks.body(&crm(), 20).await.unwrap(), None);
}

pub async fn changes_that_are_made_twice_are_made_once(hooks: Hooks, clock: Arc<ManualClock>) {
    let lead = added(&hooks, &crm(), &[1, 2, 3]).await;
    let buried = dead(&crm(), 2, clock.now());
    let again = [
        Change::Add(crm(), event(4), body(4)),
        Change::Remove(crm(), 1),
        Change::Bury(buried.clone()),
        Change::Position(5, Some("c-0.1.4".into())),
    ];
    for _ in 0..2 {
        hooks.change(lead, &again).await.unwrap();
    }
    assert_eq!(hooks.load().await.unwrap().endpoints[0].2, [event(3), event(4)]);
    assert_eq!(hooks.dead(Some(&bank()), 10).await.unwrap(), std::slice::from_ref(&buried));
    let raise = [Change::Raise(buried.clone(), event(2))];
    for _ in 0..2 {
        hooks.change(lead, &raise).await.unwrap();
    }
    assert_eq!(hooks.load().await.unwrap().endpoints[0].2, [event(2), event(3), event(4)]);
    hooks.change(lead, &[Change::Remove(crm(), 2)]).await.unwrap();
    hooks.change(lead, &raise).await.unwrap();
    assert_eq!(hooks.load().await.unwrap().endpoints[0].2, [event(3), event(4)], "it was delivered, and stays so");
}

pub async fn what_is_tried_again_keeps_its_body_and_what_is_gone_stays_so(hooks: Hooks, clock: Arc<ManualClock>) {
    let lead = added(&hooks, &crm(), &[1, 2]).await;
    let tried = PendingEvent { tries: 3, due: clock.now() + LIFE, ..event(1) };
    let record = EndpointRecord {
        cursor: Some(9),
        disabled_at: Some(clock.now()),
        failures: 4,
        not_before: Some(clock.now() + LIFE),
        last_error: Some("answered 500: \"é\"".into()),
    };
    let changes = [
        Change::Update(crm(), tried.clone()),
        Change::Remove(crm(), 2),
        Change::Update(crm(), PendingEvent { tries: 1, ..event(2) }),
        Change::Endpoint(crm(), record.clone()),
    ];
    hooks.change(lead, &changes).await.unwrap();
    assert_eq!(hooks.load().await.unwrap().endpoints, [(crm(), record, vec![tried])]);
    assert_eq!(hooks.body(&crm(), 1).await.unwrap(), Some(body(1)));
}

pub async fn forgetting_an_endpoint_forgets_what_waits(hooks: Hooks, _: Arc<ManualClock>) {
    let lead = added(&hooks, &crm(), &[1, 2]).await;
    hooks.change(lead, &[Change::Forget(crm())]).await.unwrap();
    assert_eq!(hooks.load().await.unwrap().endpoints, []);
    assert_eq!(hooks.body(&crm(), 1).await.unwrap(), None);
    added(&hooks, &crm(), &[3]).await;
    assert_eq!(hooks.load().await.unwrap().endpoints[0].2, [event(3)]);
}

pub async fn a_dead_letter_is_taken_up_again_with_its_body(hooks: Hooks, clock: Arc<ManualClock>) {
    let lead = added(&hooks, &crm(), &[1]).await;
    let buried = dead(&crm(), 1, clock.now());
    hooks.change(lead, &[Change::Bury(buried.clone()), Change::Forget(crm())]).await.unwrap();
    assert_eq!(hooks.body(&crm(), 1).await.unwrap(), None);
    assert_eq!(hooks.with_dead().await.unwrap(), [bank()]);
    assert_eq!(hooks.dead(Some(&"shop".parse().unwrap()), 10).await.unwrap(), []);
    let changes = [Change::Raise(buried, event(1)), Change::Endpoint(crm(), EndpointRecord::default())];
    hooks.change(lead, &changes).await.unwrap();
    assert_eq!(hooks.dead(Some(&bank()), 10).await.unwrap(), []);
    assert_eq!(hooks.with_dead().await.unwrap(), []);
    assert_eq!(hooks.load().await.unwrap().endpoints[0].2, [event(1)]);
    assert_eq!(hooks.body(&crm(), 1).await.unwrap(), Some(body(1)));
}

pub async fn the_oldest_dead_letters_make_room(hooks: Hooks, clock: Arc<ManualClock>) {
    let lead = added(&hooks, &crm(), &[1, 2, 3, 4, 5]).await;
    let other = key("shop", "https://shop.example/");
    added(&hooks, &other, &[1]).await;
    let start = clock.now();
    hooks.change(lead, &[Change::Bury(dead(&other, 1, start))]).await.unwrap();
    for offset in 1..=4 {
        let at = start + Duration::from_secs(offset * 100);
        hooks.change(lead, &[Change::Bury(dead(&crm(), offset, at))]).await.unwrap();
    }
    let names = |dead: Vec<DeadEvent>| dead.iter().map(|dead| dead.id.to_string()).collect::<Vec<_>>();
    assert_eq!(names(hooks.dead(Some(&bank()), 10).await.unwrap()), ["d-2", "d-3", "d-4"]);
    assert_eq!(names(hooks.dead(Some(&bank()), 2).await.unwrap()), ["d-2", "d-3"], "the oldest first");
    assert_eq!(hooks.dead(Some(&"shop".parse().unwrap()), 10).await.unwrap().len(), 1, "nobody else's make room");
    let late = start + Duration::from_secs(300) + KEEPING.dead_for;
    hooks.change(lead, &[Change::Bury(dead(&crm(), 5, late))]).await.unwrap();
    assert_eq!(names(hooks.dead(Some(&bank()), 10).await.unwrap()), ["d-4", "d-5"]);
}

pub async fn gaps_are_dead_letters_without_an_event(hooks: Hooks, clock: Arc<ManualClock>) {
    let lead = leads(&hooks, 1).await.unwrap();
    let gap = |endpoint: Option<EndpointKey>| DeadEvent {
        id: "gap-1".into(),
        endpoint,
        event: None,
        gap: Some((1, 9)),
        at: clock.now(),
        reason: "gone".into(),
    };
    hooks.change(lead, &[Change::Bury(gap(None)), Change::Bury(gap(Some(crm())))]).await.unwrap();
    assert_eq!(hooks.dead(None, 10).await.unwrap(), [gap(None)]);
    assert_eq!(hooks.dead(Some(&bank()), 10).await.unwrap(), [gap(Some(crm()))]);
    assert_eq!(hooks.with_dead().await.unwrap(), [bank()]);
}

pub async fn answers_are_kept_by_call_and_make_room(hooks: Hooks, clock: Arc<ManualClock>) {
    let lead = leads(&hooks, 1).await.unwrap();
    for n in 1..=3_u64 {
        let (at, call) = (clock.now() + Duration::from_secs(n), format!("c-{n}").into());
        let keep = Change::Keep { organisation: bank(), call, answer: format!("{{\"n\":{n}}}"), at };
        hooks.change(lead, &[keep]).await.unwrap();
    }
    assert_eq!(hooks.answer(&bank(), "c-1").await.unwrap(), None);
    assert_eq!(hooks.answer(&bank(), "c-3").await.unwrap(), Some("{\"n\":3}".to_owned()));
    assert_eq!(hooks.answer(&"shop".parse().unwrap(), "c-3").await.unwrap(), None);
}

pub async fn wishes_wait_in_order_until_they_are_granted(hooks: Hooks, _: Arc<ManualClock>) {
    let lead = leads(&hooks, 1).await.unwrap();
    let wishes = [
        Wish { id: "b".into(), kind: WishKind::Enable(crm()) },
        Wish { id: "a".into(), kind: WishKind::Retry(bank(), None) },
        Wish { id: "c".into(), kind: WishKind::Retry(bank(), Some("d-1".into())) },
    ];
    for wish in wishes.iter().chain(&wishes) {
        assert!(hooks.wish(wish).await.unwrap());
    }
    assert_eq!(hooks.wishes().await.unwrap(), wishes);
    for _ in 0..2 {
        hooks.change(lead, &[Change::Granted("a".into())]).await.unwrap();
    }
    assert_eq!(hooks.wishes().await.unwrap(), [wishes[0].clone(), wishes[2].clone()]);
}

pub async fn secrets_are_an_organisations_own(hooks: Hooks, _: Arc<ManualClock>) {
    assert_eq!(hooks.secrets(&bank()).await.unwrap(), []);
    let secrets = [HookSecret::from_random([2; 32]), HookSecret::from_random([1; 32])];
    hooks.set_secrets(&bank(), &secrets).await.unwrap();
    assert_eq!(hooks.secrets(&bank()).await.unwrap(), secrets);
    assert_eq!(hooks.secrets(&"shop".parse().unwrap()).await.unwrap(), []);
    hooks.set_secrets(&bank(), &[]).await.unwrap();
    assert_eq!(hooks.secrets(&bank()).await.unwrap(), []);
}
