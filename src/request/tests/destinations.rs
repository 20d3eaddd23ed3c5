//! Destinations: what one may hold, and what is said of one that holds something else.

use super::*;
use crate::model::Number;

const E164: &str = r"not an E.164 phone number: it must match ^\+?[1-9]\d{1,14}$";

fn complaints_of(element: &str) -> Vec<String> {
    complaints(around(element, ""))
}

#[test]
fn a_destination_keeps_all_it_came_with() {
    let element = r#"{"phone":"84917660247","caller":"6582674904","externalId":"inv\u00fc-1","timeZone":"asia/singapore",
        "properties":{"name":"Al\"ex","due":"August 20th","vip":true,"old":false}}"#;
    let all = destinations_of(around(element, ""), 10);
    let [destination] = &all[..] else { panic!() };
    assert_eq!(destination.index, 0);
    assert_eq!(destination.number.to_string(), "+84917660247");
    assert_eq!(destination.caller.unwrap().to_string(), "+6582674904");
    assert_eq!(destination.external_id.as_deref(), Some("invü-1"));
    assert_eq!(destination.time_zone.as_deref(), Some("Asia/Singapore"), "in the database's spelling");
    assert_eq!(destination.property("name"), Some("Al\"ex"));
    assert_eq!(destination.property("vip"), Some("true"));
    assert_eq!(destination.property("old"), Some("false"));
    let order: Vec<&str> = destination.properties.iter().map(|(name, _)| &**name).collect();
    assert_eq!(order, ["name", "due", "vip", "old"], "in the order given");
}

#[test]
fn numbers_are_spoken_as_they_were_written() {
    for written in ["200.00", "1e999", "-0", "1E+5", "123456789012345678901234567890", "0.10000000000000000001"] {
        let element = format!(r#"{{"phone":"+6588893322","properties":{{"amount": {written} }}}}"#);
        assert_eq!(destinations_of(around(&element, ""), 1)[0].property("amount"), Some(written));
    }
}

#[test]
fn null_is_as_good_as_nothing_except_as_a_value_to_speak() {
    let element = r#"{"phone":"+6588893322","caller":null,"externalId":null,"timeZone":null,"properties":null}"#;
    let all = destinations_of(around(element, ""), 1);
    assert_eq!((all[0].caller, &all[0].external_id, &all[0].time_zone), (None, &None, &None));
    assert!(all[0].properties.is_empty());
    assert_eq!(complaints_of(r#"{"phone":null}"#), ["destinations[0].phone: is missing"]);
    assert_eq!(
        complaints_of(r#"{"phone":"+6588893322","properties":{"name":null}}"#),
        ["destinations[0].properties.name: must be a string, a number or a boolean, not null"]
    );
}

#[test]
fn a_bad_number_is_told_what_is_bad_about_it_in_few_words() {
    let long = "9".repeat(10_000);
    for (phone, hint) in [
        ("", " (it is empty)"),
        ("+65 8889 3322", " (digits only: no spaces, no punctuation)"),
        ("+65-88893322", " (digits only: no spaces, no punctuation)"),
        ("１２３４", " (digits only: no spaces, no punctuation)"),
        ("0917660247", " (it begins with the country code, not with 0)"),
        ("+0084917660247", " (it begins with the country code, not with 0)"),
        ("1234567890123456", " (it has more than 15 digits)"),
        (long.as_str(), " (it has more than 15 digits)"),
        ("+", ""),
        ("7", ""),
    ] {
        for field in ["phone", "caller"] {
            let element = format!(r#"{{"phone":"+6588893322","{field}":"{phone}"}}"#);
            let element = if field == "phone" { format!(r#"{{"phone":"{phone}"}}"#) } else { element };
            assert_eq!(complaints_of(&element), [format!("destinations[0].{field}: {E164}{hint}")]);
        }
    }
}

#[test]
fn everything_that_is_wrong_with_a_destination_is_said_at_once() {
    let element = r#"{"phon":"+65","caller":6582674904,"externalId":7,"timeZone":"Asia/Singapur","properties":{"":1,"a":[],"b":{}}}"#;
    assert_eq!(
        complaints_of(element),
        [
            "destinations[0].phone: is missing",
            "destinations[0].caller: must be a string, not a number: put it in quotes",
            "destinations[0].properties.: has an empty name",
            "destinations[0].properties.a: must be a string, a number or a boolean, not an array",
            "destinations[0].properties.b: must be a string, a number or a boolean, not an object",
            "destinations[0].externalId: must be a string, not a number",
            "destinations[0].timeZone: is not a known IANA time zone; did you mean `Asia/Singapore`?",
            "destinations[0].phon: unknown field, did you mean `phone`?",
        ]
    );
}

#[test]
fn a_destination_is_an_object_and_its_phone_is_in_quotes() {
    for (element, kind) in [
        ("7", "a number"),
        ("\"+65\"", "a string: write {\"phone\": \"+65\"}"),
        ("[]", "an array"),
        ("null", "null"),
        ("true", "a boolean"),
    ] {
        assert_eq!(complaints_of(element), [format!("destinations[0]: must be an object, not {kind}")]);
    }
    for (value, complaint) in [
        ("6588893322", "must be a string, not a number: put it in quotes"),
        ("1e999", "must be a string, not a number: put it in quotes"),
        ("[]", "must be a string, not an array"),
        ("true", "must be a string, not a boolean"),
    ] {
        let element = format!(r#"{{"phone":{value}}}"#);
        assert_eq!(complaints_of(&element), [format!("destinations[0].phone: {complaint}")]);
    }
    assert_eq!(
        complaints_of(r#"{"phone":"+6588893322","properties":["a"]}"#),
        ["destinations[0].properties: must be an object, not an array"]
    );
}

#[test]
fn offsets_and_abbreviations_are_no_time_zones() {
    for (zone, complaint) in [
        ("+08:00", "must be an IANA time zone such as Asia/Singapore, not an offset"),
        ("UTC+8", "must be an IANA time zone such as Asia/Singapore, not an offset"),
        ("SGT", "is not a known IANA time zone: write it like Asia/Singapore"),
        ("Etc/Unknown", "is not a known IANA time zone: write it like Asia/Singapore"),
        ("", "is not a known IANA time zone: write it like Asia/Singapore"),
        ("../../etc/passwd", "is not a known IANA time zone: write it like Asia/Singapore"),
    ] {
        let element = format!(r#"{{"phone":"+6588893322","timeZone":"{zone}"}}"#);
        assert_eq!(complaints_of(&element), [format!("destinations[0].timeZone: {complaint}")], "{zone}");
    }
    assert_eq!(
        destinations_of(around(r#"{"phone":"+6588893322","timeZone":"UTC"}"#, ""), 1)[0].time_zone.as_deref(),
        Some("UTC")
    );
}

#[test]
fn lengths_are_counted_in_characters() {
    let element = |id: usize, name: usize, value: usize| {
        let text = |length| "ü".repeat(length);
        format!(
            r#"{{"phone":"+6588893322","externalId":"{}","properties":{{"{}":"{}"}}}}"#,
            text(id),
            text(name),
            text(value)
        )
    };
    assert_eq!(accepted(around(&element(256, 64, 1000), "")).total, 1);
    let name = "ü".repeat(64);
    assert_eq!(
        complaints_of(&element(257, 64, 1001)),
        [
            format!("destinations[0].properties.{name}: is longer than 1000 characters"),
            "destinations[0].externalId: is longer than 256 characters".to_owned(),
        ]
    );
    assert_eq!(
        complaints_of(&element(1, 65, 1)),
        [format!("destinations[0].properties.{name}…: has a name longer than 64 characters")]
    );
    let many = |count| {
        let list: Vec<String> = (0..count).map(|at| format!(r#""p{at}":{at}"#)).collect();
        format!(r#"{{"phone":"+6588893322","properties":{{{}}}}}"#, list.join(","))
    };
    assert_eq!(accepted(around(&many(64), "")).total, 1);
    assert_eq!(complaints_of(&many(65)), ["destinations[0].properties: has more than 64 entries"]);
}

#[test]
fn a_number_is_dialled_once_however_it_is_written() {
    let elements = r#"{"phone":"+6588893322","externalId":"first"},{"phone":"6588893322"},{"phone":"+6588893323"},{"phone":"+6588893322"}"#;
    let judged = accepted(around(elements, ""));
    assert_eq!((judged.total, judged.duplicates, judged.invalid), (2, 2, 0));
    let all = destinations_of(around(elements, ""), 1);
    let told: Vec<_> = all.iter().map(|one| (one.index, one.number.to_string())).collect();
    assert_eq!(told, [(0, "+6588893322".to_owned()), (1, "+6588893323".to_owned())]);
    assert_eq!(all[0].external_id.as_deref(), Some("first"), "the first wins");

    let allowed = around(elements, r#","allowDuplicates":"true""#);
    let judged = accepted(&allowed);
    assert_eq!((judged.total, judged.duplicates), (4, 0));
    assert_eq!(destinations_of(&allowed, 3).len(), 4);
}

#[test]
fn bad_destinations_fail_alone_if_the_request_says_so_before_or_after() {
    let elements = r#"{"phone":"call me","externalId":"a"},{"phone":"+6588893322","caller":"0","properties":{"n":"x"}},
        {"phone":"+6588893322"},7,{"phone":"+6588893322"},{"phone":911}"#;
    let after = around(elements, r#","skipInvalid":true"#);
    let before = format!(r#"{{"skipInvalid":true,{}"#, &around(elements, "")[1..]);
    for document in [&after, &before] {
        let judged = accepted(document);
        assert_eq!((judged.total, judged.duplicates, judged.invalid), (5, 1, 4));
        let all = destinations_of(document, 2);
        let told: Vec<_> = all.iter().map(|one| (one.index, one.number.clone())).collect();
        let invalid = |text: &str| Number::Invalid(text.into());
        assert_eq!(
            told,
            [
                (0, invalid("call me")),
                (1, invalid("+6588893322")),
                (2, Number::Valid("+6588893322".parse().unwrap())),
                (3, invalid("7")),
                (4, invalid("911")),
            ]
        );
        assert_eq!(all[0].external_id.as_deref(), Some("a"), "what can be kept is kept");
    }
    assert_eq!(accepted(&after).header.content_hash, accepted(&before).header.content_hash);
    assert_eq!(complaints(around(elements, "")).len(), 4);
    let long = around(&format!(r#"{{"phone":"{}"}}"#, "é".repeat(1000)), r#","skipInvalid":true"#);
    assert_eq!(destinations_of(long, 1)[0].number, Number::Invalid("é".repeat(64).into()));
}

#[test]
fn the_first_hundred_problems_are_told_and_all_are_counted_the_headers_first() {
    let elements = vec![r#"{"phone":"0"}"#; 5000].join(",");
    let problems = refused(around(&elements, r#","priority":-1"#)).problems;
    assert_eq!((problems.first().len(), problems.count()), (100, 5001));
    assert_eq!(problems.first()[0].path, "priority");
    assert_eq!(problems.first()[99].path, "destinations[98].phone");
}

#[test]
fn there_is_a_most_number_of_destinations_duplicates_not_counted() {
    let few = Limits { max_destinations: 2, ..Limits::default() };
    let element = |number: u32| format!(r#"{{"phone":"+65888933{number}"}}"#);
    let judge = |numbers: &[u32], rest: &str| {
        let elements: Vec<String> = numbers.iter().map(|number| element(*number)).collect();
        check(around(&elements.join(","), rest).as_bytes(), &bank(), &AnyFlow, few)
    };
    assert_eq!(judge(&[10, 11, 10, 11, 11], "").unwrap().total, 2);
    for refused in
        [judge(&[10, 11, 12], ""), judge(&[10, 11, 12, 13, 14], ""), judge(&[10, 10, 10], r#","allowDuplicates":true"#)]
    {
        let Err(CheckError::Refused(refused)) = refused else { panic!() };
        assert_eq!(refused.problems.first()[0].to_string(), "destinations: must hold at most 2 destinations");
        assert_eq!(refused.request_id.unwrap().as_str(), "r1");
    }
}

#[test]
fn a_source_that_changed_after_its_check_is_noticed() {
    let header = accepted(around(r#"{"phone":"+6588893322"}"#, "")).header;
    for (elements, complaint) in [
        (r#"{"phone":"x"}"#, "is not the request that was checked: destinations[0].phone: not an E.164"),
        ("{", "is not the request that was checked: is not JSON: expected `}`"),
        ("{\"a\" 1}", "is not the request that was checked: is not JSON: expected `:`"),
    ] {
        let changed = around(elements, "");
        let mut stream = DestinationStream::new(changed.as_bytes(), &header, 0);
        let error = stream.next_chunk(10).unwrap_err().to_string();
        assert!(error.starts_with(complaint), "{error}");
    }
}
