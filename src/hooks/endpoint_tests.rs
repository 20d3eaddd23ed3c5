use super::*;
use proptest::prelude::*;

const RULES: Rules = Rules {
    in_flight: 4,
    pending: 50,
    pending_bytes: 1_000_000,
    organisation_bytes: 10_000_000,
    give_up: Duration::from_secs(3 * 24 * 3600),
};

fn start() -> Timestamp {
    Timestamp::VIRTUAL_START
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn event(offset: u64, subject: &str, at: Timestamp) -> PendingEvent {
    PendingEvent {
        offset,
        id: format!("id{offset}").into(),
        kind: "call.ended".into(),
        subject: subject.into(),
        template: None,
        since: at,
        tries: 0,
        due: at,
        bytes: 10,
    }
}

fn endpoint(events: &[(u64, &str)]) -> Endpoint {
    let pending = events.iter().map(|(offset, subject)| event(*offset, subject, start())).collect();
    Endpoint::restored(EndpointRecord::default(), pending, RULES, start())
}

fn failed() -> Verdict {
    Verdict::Failed { why: "answered 500".to_owned(), wait: None }
}

fn offsets(endpoint: &mut Endpoint, now: Timestamp) -> Vec<u64> {
    std::iter::from_fn(|| endpoint.next(now)).map(|event| event.offset).collect()
}

#[test]
fn calls_go_side_by_side_and_the_events_of_each_one_after_the_other() {
    let mut endpoint = endpoint(&[(1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, "c")]);
    assert_eq!(offsets(&mut endpoint, start()), [1, 3, 5]);
    assert_eq!(endpoint.settle(3, &Verdict::Delivered, start(), 0.5), Some(Settled::Done));
    assert_eq!(offsets(&mut endpoint, start()), [] as [u64; 0]);
    endpoint.settle(1, &Verdict::Delivered, start(), 0.5);
    assert_eq!(offsets(&mut endpoint, start()), [2]);
}

#[test]
fn what_follows_a_failed_event_waits_for_it_and_other_calls_do_not() {
    let mut endpoint = endpoint(&[(1, "a"), (2, "a"), (3, "b")]);
    assert_eq!(offsets(&mut endpoint, start()), [1, 3]);
    endpoint.settle(3, &Verdict::Delivered, start(), 0.5);
    assert!(matches!(endpoint.settle(1, &failed(), start(), 1.0), Some(Settled::Again(event)) if event.tries == 1));
    assert_eq!(endpoint.next_at(), Some(start() + seconds(5)));
    assert_eq!(offsets(&mut endpoint, start() + seconds(4)), [] as [u64; 0]);
    endpoint.add(event(4, "b", start()));
    assert_eq!(offsets(&mut endpoint, start() + seconds(4)), [4]);
    endpoint.settle(4, &Verdict::Delivered, start(), 0.5);
    assert_eq!(offsets(&mut endpoint, start() + seconds(5)), [1]);
}

#[test]
fn after_five_failures_it_is_tried_once_at_a_time_with_growing_pauses_and_each_time_another_event() {
    let mut endpoint = endpoint(&[(1, "a"), (2, "b"), (3, "c")]);
    let mut now = start();
    let mut tried = Vec::new();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let next = endpoint.next_at().unwrap();
        pauses.push(next.since(now).as_secs());
        now = next;
        let sent = offsets(&mut endpoint, now);
        for offset in &sent {
            endpoint.settle(*offset, &failed(), now, 1.0);
        }
        tried.push(sent);
    }
    assert_eq!(tried[0], [1, 2, 3], "all at once, while nothing is known of it");
    assert!(tried[1..].iter().all(|sent| sent.len() == 1), "{tried:?}");
    let probed: BTreeSet<u64> = tried[6..9].iter().flatten().copied().collect();
    assert_eq!(probed.len(), 3, "{tried:?}");
    assert_eq!(pauses[4..10], [20, 40, 80, 160, 300, 300], "{pauses:?}");
    // One success, and everything is due.
    let next = endpoint.next_at().unwrap();
    let probe = endpoint.next(next).unwrap().offset;
    endpoint.settle(probe, &Verdict::Delivered, next, 0.5);
    assert_eq!(offsets(&mut endpoint, next).len(), 2);
}

#[test]
fn a_receiver_that_asks_for_time_is_given_it_for_all_its_events() {
    let mut endpoint = endpoint(&[(1, "a"), (2, "b")]);
    assert_eq!(offsets(&mut endpoint, start()), [1, 2]);
    let wait = Verdict::Failed { why: "answered 429".to_owned(), wait: Some(seconds(600)) };
    endpoint.settle(1, &wait, start(), 0.5);
    endpoint.settle(2, &failed(), start(), 0.5);
    endpoint.add(event(3, "c", start()));
    assert_eq!(endpoint.next_at(), Some(start() + seconds(600)));
    assert_eq!(offsets(&mut endpoint, start() + seconds(599)), [] as [u64; 0]);
    assert_eq!(offsets(&mut endpoint, start() + seconds(600)), [3], "one at a time, until one was delivered");
}

#[test]
fn what_a_receiver_takes_after_it_has_asked_for_time_does_not_shorten_it() {
    let mut endpoint = endpoint(&[(1, "a"), (2, "b"), (3, "b"), (4, "c"), (5, "d"), (6, "e")]);
    assert_eq!(offsets(&mut endpoint, start()), [1, 2, 4, 5]);
    let wait = |secs| Verdict::Failed { why: "answered 429".to_owned(), wait: Some(seconds(secs)) };
    endpoint.settle(1, &wait(600), start(), 0.5);
    endpoint.settle(4, &wait(60), start(), 0.5);
    endpoint.settle(2, &Verdict::Delivered, start() + seconds(1), 0.5);
    assert_eq!(endpoint.next_at(), Some(start() + seconds(600)), "the second was on its way before");
    assert_eq!(endpoint.record.failures, 0);
    endpoint.settle(5, &Verdict::Delivered, start() + seconds(601), 0.5);
    assert_eq!(offsets(&mut endpoint, start() + seconds(601)), [3, 6, 1, 4], "it is over");

    let mut enabled = self::endpoint(&[(1, "a"), (2, "b")]);
    enabled.next(start()).unwrap();
    enabled.settle(1, &wait(600), start(), 0.5);
    enabled.enable(start());
    assert_eq!(offsets(&mut enabled, start()), [1, 2], "whoever enables it knows better");
}

#[test]
fn one_that_is_gone_is_sent_nothing_until_it_is_enabled() {
    let mut endpoint = endpoint(&[(1, "a"), (2, "b")]);
    endpoint.next(start()).unwrap();
    assert!(matches!(endpoint.settle(1, &Verdict::Gone, start(), 0.5), Some(Settled::Again(_))));
    assert!(!endpoint.is_well() && !endpoint.is_idle());
    assert_eq!(offsets(&mut endpoint, start() + seconds(3600)), [] as [u64; 0]);
    endpoint.enable(start() + seconds(3600));
    assert_eq!(offsets(&mut endpoint, start() + seconds(3600)), [1, 2]);
}

#[test]
fn what_was_tried_for_long_enough_is_given_up_and_the_next_of_its_call_follows() {
    let mut endpoint = endpoint(&[(1, "a")]);
    let late = start() + RULES.give_up;
    endpoint.add(event(2, "a", late));
    endpoint.next(late).unwrap();
    let settled = endpoint.settle(1, &failed(), late, 0.5);
    assert!(matches!(settled, Some(Settled::Dead(event, why)) if event.offset == 1 && why == "answered 500"));
    assert_eq!(endpoint.next(late + seconds(60)).unwrap().offset, 2);

    let mut untried = self::endpoint(&[(1, "a"), (2, "a")]);
    untried.record.disabled_at = Some(start());
    assert_eq!(untried.next_at(), Some(late));
    assert!(untried.expired(late - seconds(1)).is_empty());
    assert_eq!(untried.expired(late).len(), 2);
    assert_eq!(untried.next_at(), None);
}

#[test]
fn an_event_that_was_published_twice_waits_once() {
    let mut endpoint = endpoint(&[(1, "a")]);
    let again = PendingEvent { id: "id1".into(), ..event(7, "a", start()) };
    assert!(!endpoint.add(again));
    assert!(!endpoint.add(event(1, "a", start())));
    assert_eq!(offsets(&mut endpoint, start()), [1]);
}

#[derive(Clone, Debug)]
enum Op {
    Add { subject: u8 },
    AddBefore { subject: u8 },
    Send,
    Settle { which: prop::sample::Index, verdict: u8, chance: f64 },
    Wait { seconds: u32 },
    Expire,
    Enable,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..3_u8).prop_map(|subject| Op::Add { subject }),
        1 => (0..3_u8).prop_map(|subject| Op::AddBefore { subject }),
        6 => Just(Op::Send),
        6 => (any::<prop::sample::Index>(), 0..8_u8, 0.0..1.0_f64)
            .prop_map(|(which, verdict, chance)| Op::Settle { which, verdict, chance }),
        3 => (0..200_000_u32).prop_map(|seconds| Op::Wait { seconds }),
        1 => Just(Op::Expire),
        1 => Just(Op::Enable),
        1 => Just(Op::Restart),
    ]
}

proptest! {
    /// Whatever happens, a subject's events go one at a time and in order, none is lost, and what waits is due some time.
    #[test]
    fn nothing_is_lost_and_order_is_kept(ops in prop::collection::vec(op(), 1..200)) {
        let mut endpoint = endpoint(&[]);
        // As a store would keep it.
        let mut kept: BTreeMap<u64, PendingEvent> = BTreeMap::new();
        let (mut over, mut flying) = (BTreeSet::new(), Vec::<PendingEvent>::new());
        let (mut now, mut next, mut before) = (start(), 1_000_u64, 999_u64);
        for op in ops {
            match op {
                Op::Add { subject } | Op::AddBefore { subject } => {
                    let offset = if matches!(op, Op::Add { .. }) { next += 1; next } else { before -= 1; before };
                    let event = event(offset, &subject.to_string(), now);
                    prop_assert!(endpoint.add(event.clone()));
                    kept.insert(offset, event);
                }
                Op::Send => {
                    if let Some(event) = endpoint.next(now) {
                        prop_assert!(flying.iter().all(|other| other.subject != event.subject), "one at a time");
                        let older = kept.range(..event.offset).any(|(_, other)| other.subject == event.subject);
                        prop_assert!(!older, "in order");
                        flying.push(event);
                        prop_assert!(flying.len() <= RULES.in_flight);
                    }
                }
                Op::Settle { which, verdict, chance } => {
                    if flying.is_empty() { continue; }
                    let event = flying.remove(which.index(flying.len()));
                    let verdict = match verdict { 0..=3 => Verdict::Delivered, 4 => Verdict::Gone, _ => failed() };
                    match endpoint.settle(event.offset, &verdict, now, chance) {
                        Some(Settled::Again(event)) => { kept.insert(event.offset, event); }
                        Some(Settled::Done | Settled::Dead(..)) => {
                            kept.remove(&event.offset);
                            over.insert(event.offset);
                        }
                        None => prop_assert!(false, "it was on its way"),
                    }
                }
                Op::Wait { seconds } => now = now + Duration::from_secs(seconds.into()),
                Op::Expire => for (event, _) in endpoint.expired(now) {
                    kept.remove(&event.offset);
                    over.insert(event.offset);
                },
                Op::Enable => endpoint.enable(now),
                Op::Restart => {
                    flying.clear();
                    let pending = kept.values().cloned().collect();
                    endpoint = Endpoint::restored(endpoint.record.clone(), pending, RULES, now);
                }
            }
            if !kept.is_empty() && flying.is_empty() {
                prop_assert!(endpoint.next_at().is_some(), "something is to be done with it, some time");
            }
        }
        // Left in peace by a receiver that is well, it delivers all.
        for event in flying { endpoint.settle(event.offset, &Verdict::Delivered, now, 0.5); kept.remove(&event.offset); over.insert(event.offset); }
        endpoint.enable(now);
        let mut last: BTreeMap<Box<str>, u64> = BTreeMap::new();
        while let Some(event) = endpoint.next(now) {
            if let Some(before) = last.insert(event.subject.clone(), event.offset) { prop_assert!(before < event.offset); }
            endpoint.settle(event.offset, &Verdict::Delivered, now, 0.5);
            kept.remove(&event.offset);
            over.insert(event.offset);
        }
        prop_assert!(kept.is_empty() && endpoint.is_idle());
        prop_assert_eq!(over.len() as u64, (next - 1_000) + (999 - before));
    }
}
