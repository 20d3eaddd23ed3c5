use std::time::Duration;

use super::*;

const RULES: Rules = Rules {
    in_flight: 4,
    pending: 20,
    pending_bytes: 1_000,
    organisation_bytes: 3_000,
    give_up: Duration::from_secs(3_600),
};

fn start() -> Timestamp {
    Timestamp::VIRTUAL_START
}

fn desk() -> Desk {
    Desk::restored(HookBook { position: Some(0), ..HookBook::default() }, 0, RULES, start())
}

fn event(offset: u64) -> LoggedHookEvent {
    let (id, organisation) = (Some(format!("id{offset}").into()), "bank".parse().unwrap());
    LoggedHookEvent { offset, id, organisation, kind: "call.ended".into(), body: vec![b'x'; 100] }
}

fn wanted(offset: u64, urls: &[&str]) -> Wanted {
    let targets = urls.iter().map(|url| (url.parse().unwrap(), None)).collect();
    Wanted { id: format!("id{offset}").into(), subject: format!("r/{offset}").into(), targets }
}

fn key(url: &str) -> EndpointKey {
    EndpointKey { organisation: "bank".parse().unwrap(), url: url.parse().unwrap() }
}

fn waiting(desk: &Desk, url: &str) -> u64 {
    desk.endpoints.get(&key(url)).map_or(0, |endpoint| endpoint.bytes() / 100)
}

#[test]
fn what_nobody_wants_moves_the_position_on_and_is_no_change_twice() {
    let mut desk = desk();
    desk.take(&event(7), None, start());
    assert_eq!(desk.changes(), [Change::Position(8, Some("id7".into()))]);
    assert_eq!(desk.changes(), []);
    desk.take(&event(3), Some(&wanted(3, &["https://a/"])), start());
    assert_eq!((desk.changes(), desk.position()), (vec![], 8), "it was read before");
}

#[test]
fn an_event_and_the_position_behind_it_are_written_down_together() {
    let mut desk = desk();
    desk.take(&event(0), Some(&wanted(0, &["https://a/"])), start());
    let changes = desk.changes();
    let [Change::Add(_, pending, body), Change::Endpoint(..), Change::Position(1, Some(_))] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!((pending.offset, body.len()), (0, 100));
    let (to, sent) = desk.next(start(), Places::Many).unwrap();
    desk.settle(&to, sent.offset, &Verdict::Delivered, start(), 0.5);
    assert_eq!(desk.changes(), [Change::Remove(key("https://a/"), 0), Change::Forget(key("https://a/"))]);
    assert!(desk.turns.is_empty());
}

#[test]
fn one_without_room_gets_a_place_in_the_log_and_catches_up_from_there() {
    let mut desk = desk();
    for offset in 0..30 {
        desk.take(&event(offset), Some(&wanted(offset, &["https://a/", "https://b/"])), start());
        while let Some((to, sent)) = desk.next(start(), Places::Many).filter(|(to, _)| *to == key("https://b/")) {
            desk.settle(&to, sent.offset, &Verdict::Delivered, start(), 0.5);
        }
    }
    assert_eq!(waiting(&desk, "https://a/"), 10, "a thousand bytes");
    assert_eq!(desk.laggards().count(), 0, "it has no room yet");
    // Some were taken out for it above, and have to come back before others go.
    for offset in 0..10 {
        desk.settle(&key("https://a/"), offset, &Verdict::Delivered, start(), 0.5);
        while let Some((to, sent)) = desk.next(start(), Places::Many) {
            desk.settle(&to, sent.offset, &Verdict::Delivered, start(), 0.5);
        }
    }
    assert_eq!(desk.laggards().collect::<Vec<_>>(), [(&key("https://a/"), 10)]);
    for offset in 10..19 {
        let came = desk.catch_up(&key("https://a/"), &event(offset), Some(&wanted(offset, &["https://a/"])), start());
        assert_eq!(came, CatchUp::GoOn);
    }
    // Events of others move it on, too, up to where everybody is.
    for offset in 19..29 {
        assert_eq!(desk.catch_up(&key("https://a/"), &event(offset), None, start()), CatchUp::GoOn);
    }
    assert_eq!(desk.catch_up(&key("https://a/"), &event(29), None, start()), CatchUp::Joined);
    assert_eq!(desk.laggards().count(), 0);
    desk.take(&event(30), Some(&wanted(30, &["https://a/"])), start());
    assert_eq!(waiting(&desk, "https://a/"), 10);
}

#[test]
fn many_that_lag_leave_room_for_each_of_their_organisation() {
    let mut desk = desk();
    let urls: Vec<String> = (0..6).map(|n| format!("https://e{n}/")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    for offset in 0..100 {
        desk.take(&event(offset), Some(&wanted(offset, &urls)), start());
    }
    let all: Vec<u64> = urls.iter().map(|url| waiting(&desk, url)).collect();
    // Up to three thousand bytes whoever comes first, then eight events each.
    assert!(all.iter().all(|count| (8..=10).contains(count)), "{all:?}");
    assert!(desk.load(&"bank".parse().unwrap()) < RULES.organisation_bytes + 6 * 8 * 100);
}

#[test]
fn one_with_much_to_be_sent_is_not_always_the_first() {
    let mut desk = desk();
    for offset in 0..8 {
        desk.take(&event(offset), Some(&wanted(offset, &["https://a/"])), start());
    }
    let later = start() + Duration::from_secs(1);
    assert_eq!(desk.next(later, Places::Many).unwrap().0, key("https://a/"));
    desk.take(&event(8), Some(&wanted(8, &["https://b/"])), start() + Duration::from_millis(500));
    assert_eq!(desk.next(later, Places::Many).unwrap().0, key("https://b/"));
    assert_eq!(desk.next(later, Places::Few), None, "nobody has two");
    assert_eq!(desk.next(later, Places::Many).unwrap().0, key("https://a/"));
}

#[test]
fn the_last_places_are_for_those_who_answer_soon() {
    let mut desk = desk();
    let urls = ["https://fails/", "https://slow/", "https://soon/"];
    desk.take(&event(0), Some(&wanted(0, &urls)), start());
    while desk.next(start(), Places::Last).is_some() {}
    let late = start() + Duration::from_secs(2);
    let failed = Verdict::Failed { why: "answered 500".to_owned(), wait: None };
    desk.settle(&key(urls[2]), 0, &Verdict::Delivered, start(), 0.5);
    desk.settle(&key(urls[0]), 0, &failed, start(), 0.5);
    desk.settle(&key(urls[1]), 0, &Verdict::Delivered, late, 0.5);
    desk.changes();
    desk.take(&event(1), Some(&wanted(1, &urls)), late);
    assert_eq!(desk.next(late, Places::Last).unwrap().0, key(urls[2]));
    assert_eq!(desk.next(late, Places::Last), None);
    assert_eq!(desk.next(late, Places::Few).unwrap().0, key(urls[0]));
}

#[test]
fn an_organisation_with_too_many_addresses_that_do_not_answer_is_told_so() {
    let mut desk = desk();
    for offset in 0..=MOST_ENDPOINTS as u64 + 1 {
        let url = format!("https://e{offset}/");
        desk.take(&event(offset), Some(&wanted(offset, &[&url])), start());
    }
    let buried = desk.changes().into_iter().filter(|change| matches!(change, Change::Bury(_))).count();
    assert_eq!((buried, desk.endpoints.len()), (2, MOST_ENDPOINTS));
    // Another organisation is not concerned.
    let other = LoggedHookEvent { organisation: "shop".parse().unwrap(), ..event(5_000) };
    desk.take(&other, Some(&wanted(5_000, &["https://shop/"])), start());
    assert!(desk.changes().iter().any(|change| matches!(change, Change::Add(..))));
}
