use std::collections::BTreeMap;

use super::super::dice::seed_of;
use super::super::population::Chance;
use super::*;
use crate::model::{AttemptId, CallId, LegId};

fn phone(text: &str) -> Phone {
    text.parse().unwrap()
}

fn callee(text: &str, index: u32) -> Callee {
    let call = CallId::new(&"acme".parse().unwrap(), &"r1".parse().unwrap(), index);
    let target = Target::External(phone(text));
    let seed = seed_of(1, LegId::callee(AttemptId { call, claim: 1 }), &target);
    Callee::behind(&target, seed, &Population::default())
}

#[test]
fn magic_numbers_do_what_their_digits_say() {
    for (number, expected) in [
        ("+99910", Response::Answer),
        ("+999100000001", Response::Answer),
        ("+9991300001", Response::Answer),
        ("+9992000001", Response::Busy),
        ("+9993000001", Response::RingForEver),
        ("+9994000001", Response::UnknownNumber),
        ("+9995000001", Response::Reject),
        ("+9996000001", Response::Answer),
        ("+99970000011", Response::Answer),
        ("+9998000001", Response::Congestion),
        ("+9999000001", Response::Unreachable),
        ("+9995500001", Response::UnknownNumber),
        ("+9991", Response::UnknownNumber),
        ("+999", Response::UnknownNumber),
    ] {
        assert_eq!(callee(number, 0).response, expected, "{number}");
    }
    assert_eq!(magic(phone("+6599910000")), None, "the prefix counts at the beginning only");
    assert_eq!(magic(phone("+99")), None);
}

#[test]
fn a_typist_presses_the_digits_behind_its_serial() {
    let keys =
        |number: &str| (0..).map_while(|turn| key_of(phone(number), turn)).map(Digit::as_char).collect::<String>();
    assert_eq!(keys("+99970000011"), "1");
    assert_eq!(keys("+999700000190210"), "90210");
    assert_eq!(keys("+9997000001"), "");
    assert_eq!(keys("+99970"), "");
    let typist = callee("+999700000142", 0);
    let (population, message) = (Population::default(), Duration::from_secs(4));
    for turn in 0..2 {
        let (_, at) = typist.key(&population, turn, message).unwrap();
        let after = if at < message { at } else { at - message };
        assert!((300..=1_500).contains(&after.as_millis()), "{at:?}");
    }
    assert_eq!(typist.key(&population, 2, message), None);
}

#[test]
fn typists_press_during_the_message_as_often_as_after_it() {
    let (population, message) = (Population::default(), Duration::from_secs(4));
    let during = (0..1_000)
        .filter(|index| callee("+99970000011", *index).key(&population, 0, message).unwrap().1 < message)
        .count();
    assert!((420..580).contains(&during), "{during}");
}

#[test]
fn somebody_behaves_the_same_however_often_one_asks() {
    let population = Population::default();
    let tell = |callee: Callee| {
        let keys: Vec<_> = (0..4).map(|turn| callee.key(&population, turn, Duration::from_secs(3))).collect();
        (
            callee.response,
            callee.persona,
            callee.ring(&population),
            callee.leaves_after(&population),
            keys,
            callee.verdict(),
        )
    };
    for index in 0..200 {
        let forwards = tell(callee("+6512345678", index));
        let somebody = callee("+6512345678", index);
        let last = somebody.key(&population, 3, Duration::from_secs(3));
        assert_eq!(last, forwards.4[3], "asked for the last first");
        assert_eq!(tell(somebody), forwards);
    }
}

#[test]
fn the_shares_of_a_population_are_kept() {
    let mut counts = BTreeMap::new();
    for index in 0..20_000 {
        let somebody = callee("+6512345678", index);
        *counts.entry(format!("{:?} {:?}", somebody.persona, somebody.response)).or_insert(0_u32) += 1;
    }
    for (who, share) in [
        ("Person Answer", 53_u32),
        ("Machine Answer", 8),
        ("Person Busy", 6),
        ("Person RingForEver", 22),
        ("Person Reject", 4),
        ("Person Unreachable", 4),
        ("Person UnknownNumber", 2),
        ("Person Congestion", 1),
    ] {
        let count = counts.remove(who).unwrap_or(0);
        assert!(count.abs_diff(share * 200) < 200, "{who}: {count}");
    }
    assert!(counts.is_empty(), "{counts:?}");
}

#[test]
fn people_press_the_keys_of_their_population() {
    let population = Population { presses: Chance::ALWAYS, keys: "7*".parse().unwrap(), ..Population::default() };
    let mut counts = BTreeMap::new();
    for index in 0..400 {
        if let Some((key, _)) = callee("+6512345678", index).key(&population, 0, Duration::from_secs(2)) {
            *counts.entry(key.as_char()).or_insert(0) += 1;
        }
    }
    assert_eq!(counts.keys().copied().collect::<String>(), "*7");
    assert!(counts.values().all(|count| *count > 80), "{counts:?}");
}

#[test]
fn our_side_mostly_answers_soon() {
    let call = CallId::new(&"acme".parse().unwrap(), &"r1".parse().unwrap(), 0);
    let target = Target::Queue("sales".into());
    let population = Population::default();
    let answers = (1..=1_000)
        .map(|ordinal| LegId::transfer(AttemptId { call, claim: 1 }, ordinal))
        .map(|leg| Callee::behind(&target, seed_of(1, leg, &target), &population))
        .filter(|callee| {
            assert_eq!(callee.persona, Persona::Staff);
            assert!((1_000..=4_000).contains(&callee.ring(&population).as_millis()));
            callee.response == Response::Answer
        })
        .count();
    assert!((860..940).contains(&answers), "{answers}");
}
