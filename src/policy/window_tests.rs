//! Windows against the calendar, and against a definition that looks at every single minute.

use std::time::Duration;

use jiff::civil::Weekday;
use proptest::prelude::*;

use super::*;

const ALL_DAYS: u8 = 0b111_1111;
const WEEKDAYS: u8 = 0b001_1111;

fn window(days: u8, from: u16, to: u16) -> CallingWindow {
    CallingWindow { time_zone: WindowZone::Recipient, days, from_minute: from, to_minute: to }
}

fn hm(hour: u16, minute: u16) -> u16 {
    hour * 60 + minute
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn zones(names: &[&str]) -> Vec<TimeZone> {
    names.iter().map(|name| zone(name).unwrap()).collect()
}

/// Reads as `open until …` on the first zone's clock.
fn told(window: &CallingWindow, names: &[&str], when: &str) -> String {
    let zones = zones(names);
    let (what, until) = match state(window, &zones, at(when)) {
        WindowState::Open { until } => ("open", until),
        WindowState::Closed { until } => ("closed", until),
    };
    format!("{what} until {}", until.to_jiff().to_zoned(zones[0].clone()).strftime("%a %Y-%m-%d %H:%M %Z"))
}

#[test]
fn office_hours_open_in_the_morning_and_close_in_the_evening() {
    let office = window(WEEKDAYS, hm(9, 0), hm(21, 0));
    let there = ["Asia/Singapore"];
    assert_eq!(told(&office, &there, "2026-01-05T12:00:00+08:00"), "open until Mon 2026-01-05 21:00 +08");
    assert_eq!(told(&office, &there, "2026-01-05T09:00:00+08:00"), "open until Mon 2026-01-05 21:00 +08");
    assert_eq!(told(&office, &there, "2026-01-05T08:59:59.999+08:00"), "closed until Mon 2026-01-05 09:00 +08");
    assert_eq!(told(&office, &there, "2026-01-05T21:00:00+08:00"), "closed until Tue 2026-01-06 09:00 +08");
    assert_eq!(told(&office, &there, "2026-01-09T21:00:00+08:00"), "closed until Mon 2026-01-12 09:00 +08");
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_it_opened_on() {
    let friday_night = window(1 << 4, hm(22, 0), hm(2, 0));
    let there = ["Europe/Berlin"];
    assert_eq!(told(&friday_night, &there, "2026-01-10T01:00:00+01:00"), "open until Sat 2026-01-10 02:00 CET");
    assert_eq!(told(&friday_night, &there, "2026-01-09T01:00:00+01:00"), "closed until Fri 2026-01-09 22:00 CET");
    assert_eq!(told(&friday_night, &there, "2026-01-10T22:30:00+01:00"), "closed until Fri 2026-01-16 22:00 CET");
}

#[test]
fn equal_ends_mean_the_whole_day() {
    let monday = window(1, 0, 0);
    assert_eq!(told(&monday, &["UTC"], "2026-01-05T00:00:00Z"), "open until Tue 2026-01-06 00:00 UTC");
    let from_nine = window(1, hm(9, 0), hm(9, 0));
    assert_eq!(told(&from_nine, &["UTC"], "2026-01-06T08:00:00Z"), "open until Tue 2026-01-06 09:00 UTC");
    assert_eq!(told(&from_nine, &["UTC"], "2026-01-05T08:00:00Z"), "closed until Mon 2026-01-05 09:00 UTC");
    let until_midnight = window(1, 0, hm(24, 0));
    assert_eq!(told(&until_midnight, &["UTC"], "2026-01-05T23:59:00Z"), "open until Tue 2026-01-06 00:00 UTC");
}

#[test]
fn windows_that_never_change_are_asked_again_at_the_horizon() {
    assert_eq!(told(&window(ALL_DAYS, 0, 0), &["UTC"], "2026-01-05T00:00:00Z"), "open until Tue 2026-01-20 00:00 UTC");
    assert_eq!(told(&window(0, 0, 0), &["UTC"], "2026-01-05T00:00:00Z"), "closed until Tue 2026-01-20 00:00 UTC");
    // One hour in Honolulu, one in Kiritimati: never the same hour of the same day.
    let brief = window(ALL_DAYS, hm(9, 0), hm(10, 0));
    let apart = ["Pacific/Honolulu", "Europe/Berlin"];
    assert_eq!(told(&brief, &apart, "2026-01-05T00:00:00-10:00"), "closed until Tue 2026-01-20 00:00 HST");
    assert_eq!(
        state(&window(ALL_DAYS, 0, 0), &[], Timestamp::VIRTUAL_START),
        WindowState::Closed { until: Timestamp::VIRTUAL_START + Duration::from_secs(15 * 86_400) },
        "no zone, no permission"
    );
}

#[test]
fn every_zone_of_a_prefix_must_be_open() {
    let day = window(ALL_DAYS, hm(9, 0), hm(21, 0));
    let coasts = ["America/New_York", "America/Los_Angeles"];
    assert_eq!(told(&day, &coasts, "2026-01-05T10:00:00-05:00"), "closed until Mon 2026-01-05 12:00 EST");
    assert_eq!(told(&day, &coasts, "2026-01-05T13:00:00-05:00"), "open until Mon 2026-01-05 21:00 EST");
    assert_eq!(told(&day, &coasts, "2026-01-05T21:00:00-05:00"), "closed until Tue 2026-01-06 12:00 EST");
}

#[test]
fn a_clock_put_forward_skips_an_opening_it_never_shows() {
    // Berlin, 29 March 2026: 02:00 becomes 03:00.
    let early = window(ALL_DAYS, hm(2, 30), hm(4, 0));
    let there = ["Europe/Berlin"];
    assert_eq!(told(&early, &there, "2026-03-29T01:00:00+01:00"), "closed until Sun 2026-03-29 03:00 CEST");
    let gone = window(1 << 6, hm(2, 0), hm(3, 0));
    assert_eq!(told(&gone, &there, "2026-03-28T12:00:00+01:00"), "closed until Sun 2026-04-05 02:00 CEST");
}

#[test]
fn a_clock_put_back_shows_the_window_twice() {
    // Berlin, 25 October 2026: 03:00 becomes 02:00.
    let night = window(ALL_DAYS, hm(2, 15), hm(2, 45));
    let there = ["Europe/Berlin"];
    assert_eq!(told(&night, &there, "2026-10-25T02:20:00+02:00"), "open until Sun 2026-10-25 02:45 CEST");
    assert_eq!(told(&night, &there, "2026-10-25T02:50:00+02:00"), "closed until Sun 2026-10-25 02:15 CET");
    assert_eq!(told(&night, &there, "2026-10-25T02:15:00+01:00"), "open until Sun 2026-10-25 02:45 CET");
}

#[test]
fn a_recipient_without_a_zone_has_those_of_the_number() {
    let day = window(ALL_DAYS, hm(9, 0), hm(21, 0));
    let phone = |text: &str| text.parse::<Phone>().unwrap();
    let names = |found: Result<Vec<TimeZone>, UnknownZone>| {
        found.map(|zones| zones.iter().map(|zone| zone.iana_name().unwrap_or_default().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(names(zones_for(&day, None, phone("+6591234567"))), Ok(vec!["Asia/Singapore".to_owned()]));
    assert_eq!(
        names(zones_for(&day, Some("Asia/Tokyo"), phone("+6591234567"))),
        Ok(vec!["Asia/Tokyo".to_owned()]),
        "the destination's own zone comes first"
    );
    let named = CallingWindow { time_zone: WindowZone::Named("Europe/Paris".into()), ..day };
    assert_eq!(names(zones_for(&named, Some("Asia/Tokyo"), phone("+65912345"))), Ok(vec!["Europe/Paris".to_owned()]));
    let unknown = CallingWindow { time_zone: WindowZone::Named("Mars/Base".into()), ..named };
    assert_eq!(zones_for(&unknown, None, phone("+65912345")), Err(UnknownZone("Mars/Base".into())));
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    let day = window(WEEKDAYS, hm(9, 0), hm(21, 0));
    for millis in [i64::MIN, i64::MAX, 0] {
        let _ = state(&day, &zones(&["America/New_York", "Asia/Tokyo"]), Timestamp::from_millis(millis));
    }
    let _ = state(&window(255, u16::MAX, u16::MAX), &zones(&["UTC"]), Timestamp::VIRTUAL_START);
}

/// The definition: what the clock on the wall shows at one instant.
fn is_open(window: &CallingWindow, zones: &[TimeZone], when: Timestamp) -> bool {
    zones.iter().all(|zone| {
        let wall = when.to_jiff().to_zoned(zone.clone()).datetime();
        let opens_on = |weekday: Weekday| window.days & (1 << weekday.to_monday_zero_offset()) != 0;
        let minute = u16::try_from(wall.hour()).unwrap() * 60 + u16::try_from(wall.minute()).unwrap();
        let (today, yesterday) = (wall.weekday(), wall.weekday().previous());
        if window.from_minute < window.to_minute {
            opens_on(today) && window.from_minute <= minute && minute < window.to_minute
        } else {
            (opens_on(today) && window.from_minute <= minute) || (opens_on(yesterday) && minute < window.to_minute)
        }
    })
}

const INTERESTING: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Pacific/Apia",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_answer_agrees_with_looking_at_every_minute(
        days in 0..=ALL_DAYS,
        from in prop_oneof![0..1440_u16, (0..24_u16).prop_map(|hour| hour * 60)],
        to in prop_oneof![0..=1440_u16, (0..=24_u16).prop_map(|hour| hour * 60)],
        names in proptest::sample::subsequence(&INTERESTING[..], 1..=2),
        // Minutes since 2026-01-01T00:00Z, close to changes of the clocks as often as not.
        minute in prop_oneof![
            0..525_600_i64, (0..4_000_i64).prop_map(|m| 124_000 + m), (0..4_000_i64).prop_map(|m| 426_000 + m)
        ],
    ) {
        let window = window(days, from, to);
        let zones = zones(&names);
        let start = at("2026-01-01T00:00:00Z") + Duration::from_secs(u64::try_from(minute).unwrap() * 60);
        let open = is_open(&window, &zones, start);
        let horizon = start + Duration::from_secs(15 * 86_400);
        let mut expected = start;
        while expected < horizon && is_open(&window, &zones, expected) == open {
            expected = expected + Duration::from_secs(60);
        }
        let expected = if open { WindowState::Open { until: expected } } else { WindowState::Closed { until: expected } };
        prop_assert_eq!(state(&window, &zones, start), expected);
    }
}
