//! The outer grammar: braces, commas, names, sizes, depths.

use std::io::{self, BufReader, Read};

use super::*;
use crate::model::status::RejectReason;

/// The pieces of a document in words, read `chunk` bytes at a time.
fn pieces(document: &[u8], chunk: usize) -> Vec<String> {
    let mut scanner = Scanner::new(BufReader::with_capacity(chunk, document), None);
    let mut told = Vec::new();
    loop {
        match scanner.next() {
            Ok(None) => return told,
            Ok(Some(Piece::Field { name, raw, at })) => {
                told.push(format!("{name} = {} at {at}", String::from_utf8_lossy(raw)));
            }
            Ok(Some(Piece::Destinations)) => told.push("destinations".to_owned()),
            Ok(Some(Piece::Destination { index, raw, at })) => {
                told.push(format!("{index} = {} at {at}", String::from_utf8_lossy(raw)));
            }
            Ok(Some(Piece::Fault { path, message, .. })) => told.push(format!("{path}: {message}")),
            Err(stop) => {
                told.push(stop.to_string());
                return told;
            }
        }
    }
}

#[test]
fn a_document_is_cut_the_same_whatever_the_chunks() {
    let document =
        "{ \"requestId\" : \"r\\\"]1\" ,\n\"destinations\":[ {\"a\":[1,{}]} , \"ü\" , 7e2,null ] \n , \"é\": true }\n";
    let expected = [
        "requestId = \"r\\\"]1\" at line 1, column 17",
        "destinations",
        "0 = {\"a\":[1,{}]} at line 2, column 18",
        "1 = \"ü\" at line 2, column 33",
        "2 = 7e2 at line 2, column 39",
        "3 = null at line 2, column 43",
        "é = true at line 3, column 9",
    ];
    for chunk in 1..=document.len() {
        assert_eq!(pieces(document.as_bytes(), chunk), expected, "read {chunk} bytes at a time");
    }
}

#[test]
fn broken_structure_says_what_was_expected_and_where() {
    for (document, complaint) in [
        ("", "is empty: a JSON object was expected"),
        ("  \n ", "is empty: a JSON object was expected"),
        ("[]", "must be an object, `{…}`, not an array"),
        ("\"{}\"", "must be an object, `{…}`, not a string"),
        ("null", "is not JSON: expected `{`, found `n` at line 1, column 1"),
        ("{\"a\":1,\n}", "is not JSON: expected another field after the comma, found `}` at line 2, column 1"),
        ("\u{0}", "is not JSON: expected `{`, found byte 0x00 at line 1, column 1"),
        (
            "{",
            "is not JSON: expected a field's name in quotes or `}`, found the end of the document at line 1, column 2",
        ),
        ("{,", "is not JSON: expected a field's name in quotes or `}`, found `,` at line 1, column 2"),
        ("{a:1}", "is not JSON: expected a field's name in quotes or `}`, found `a` at line 1, column 2"),
        (r#"{"a" 1}"#, "is not JSON: expected `:`, found `1` at line 1, column 6"),
        (r#"{"a":}"#, "is not JSON: expected a value, found `}` at line 1, column 6"),
        (
            r#"{"a":"b"#,
            "is not JSON: expected `\"` at the end of a string, found the end of the document at line 1, column 8",
        ),
        (r#"{"a":[1"#, "is not JSON: expected `]`, found the end of the document at line 1, column 8"),
        (r#"{"a":[1}"#, "is not JSON: expected `]`, found `}` at line 1, column 8"),
        (r#"{"a":{"b":[]]"#, "is not JSON: expected `}`, found `]` at line 1, column 13"),
        ("{\"a\":1\n\"b\":2}", "is not JSON: expected `,` or `}`, found `\"` at line 2, column 1"),
        (r#"{"destinations":[{} {}]}"#, "is not JSON: expected `,` or `]`, found `{` at line 1, column 21"),
        (
            r#"{"destinations":[{},]}"#,
            "is not JSON: expected another destination after the comma, found `]` at line 1, column 21",
        ),
        (r#"{"destinations":[,]}"#, "is not JSON: expected a value, found `,` at line 1, column 18"),
        (r#"{"destinations":[{}}"#, "is not JSON: expected `,` or `]`, found `}` at line 1, column 20"),
    ] {
        assert_eq!(complaints(document).first().map(String::as_str), Some(complaint), "{document}");
    }
}

#[test]
fn a_comma_too_many_and_words_behind_the_end_are_refused() {
    let (trailing, place) = marked(&request_with(json!({})).to_string().replace("\"r1\"}", "\"r1\",¦}"));
    assert_eq!(
        complaints(&trailing),
        [format!("is not JSON: expected another field after the comma, found `}}` at {place}")]
    );
    let (twice, place) = marked(&(request_with(json!({})).to_string() + " ¦{}"));
    assert_eq!(
        complaints(&twice),
        [format!("is not JSON: expected nothing after the last `}}`, found `{{` at {place}")]
    );
}

#[test]
fn a_byte_order_mark_is_named_and_does_not_hide_the_rest() {
    let document = "\u{FEFF}".to_owned() + &request_with(json!({"priority": 10})).to_string();
    assert_eq!(
        complaints(document),
        [
            "begins with a byte order mark, which JSON does not allow: save it as UTF-8 without one",
            "priority: must be a whole number from 0 to 9",
        ]
    );
    for utf16 in [b"\xFF\xFE{\0", b"\xFE\xFF\0{"] {
        assert!(complaints(utf16)[0].starts_with("is UTF-16, or no text at all: save it as UTF-8"));
    }
    assert_eq!(complaints(b"\xEF\xBB{}")[0], "is not JSON: expected `{`, found `{` at line 1, column 2");
}

/// A document without its mark `¦`, and the place of the mark.
fn marked(document: &str) -> (String, String) {
    let (before, after) = document.split_once('¦').unwrap();
    (format!("{before}{after}"), Position::START.after(before.as_bytes()).to_string())
}

#[test]
fn what_is_no_json_inside_a_piece_is_named_with_its_place() {
    for (element, rest, complaint) in [
        ("{\"phone\":\n \"é\" ¦1}", "", "destinations[0]: is not JSON: expected `,` or `}` at"),
        ("¦NaN", "", "destinations[0]: is not JSON: `NaN` is no value, at"),
        ("¦tru", "", "destinations[0]: is not JSON: `tru` is no value, at"),
        (r#"{"phone":¦NaN}"#, "", "destinations[0]: is not JSON: expected value at"),
        (r#"{"phone":¦+65}"#, "", "destinations[0]: is not JSON: expected value at"),
        (r#"{"phone":"\¦x"}"#, "", "destinations[0]: is not JSON: invalid escape at"),
        (r#"{"phone" ¦"1"}"#, "", "destinations[0]: is not JSON: expected `:` at"),
        (r#"{"phone":"+6588893322"}"#, r#","priority":¦05"#, "priority: is not JSON: `05` is no value, at"),
        (
            r#"{"phone":"+6588893322"}"#,
            r#","priority":¦1e999"#,
            "priority: is not JSON: `1e999` is a number out of range, at",
        ),
        (r#"{"phone":"+6588893322"}"#, r#","part":{"index":¦Infinity}"#, "part: is not JSON: expected value at"),
        (r#"{"phone":"+6588893322"}"#, r#","retry":{"on":["busy",¦]}"#, "retry: is not JSON: trailing comma at"),
    ] {
        let (document, place) = marked(&around(element, rest));
        assert_eq!(complaints(&document)[0], format!("{complaint} {place}"), "{document}");
    }
    // Here the parser's own place may be off by a character.
    for (element, complaint) in [
        (r#"{"phone":"\ud800"}"#, "unexpected end of hex escape"),
        ("{\"phone\":\"+65\t88\"}", "control character (\\u0000-\\u001F) found while parsing a string"),
    ] {
        let told = complaints(around(element, ""));
        assert!(
            told[0].starts_with(&format!("destinations[0]: is not JSON: {complaint} at line 1, column 7")),
            "{told:?}"
        );
    }
}

#[test]
fn bytes_that_are_not_utf8_are_found_wherever_they_are() {
    for (document, complaint) in [
        (
            b"{\"destinations\":[{\"phone\":\"\xFF\"}]}".as_slice(),
            "destinations[0]: is not JSON: invalid UTF-8 at line 1, column 28",
        ),
        (b"{\"caller\":\"\xC3\"}", "caller: is not JSON: invalid UTF-8 at line 1, column 12"),
        (b"{\"a\xFF\":1}", "is not JSON: invalid unicode code point at line 1, column 4"),
    ] {
        assert_eq!(complaints(document)[0], complaint);
    }
}

#[test]
fn a_broken_destination_does_not_hide_the_next_and_is_never_skipped() {
    let elements = r#"{"phone":},{"phone":"0"},{"phone":"+6588893322"},¦x"#;
    let (document, place) = marked(&around(elements, r#","skipInvalid":true"#));
    let told = complaints(document);
    assert!(told[0].starts_with("destinations[0]: is not JSON: expected value at line 1"), "{told:?}");
    assert_eq!(told[1..], [format!("destinations[3]: is not JSON: `x` is no value, at {place}")]);
}

#[test]
fn a_name_may_be_there_once() {
    let document = around(
        r#"{"phone":"+6588893322","phone":"+6588893323","properties":{"a":1,"a":2}}"#,
        r#","requestId":"r2","retry":{"on":["busy"],"on":[]},"destinations":[],"destinations":5,"hooks":[{"x":{"y":1,"y":2}}]"#,
    );
    assert_eq!(
        complaints(document),
        [
            "requestId: is there twice",
            "retry.on: is there twice",
            "destinations: is there twice",
            "destinations: is there twice",
            "hooks[0].x.y: is there twice",
            "hooks[0].url: is missing",
            "hooks[0].x: unknown field",
            "destinations[0].properties.a: is there twice",
            "destinations[0].phone: is there twice",
        ]
    );
}

#[test]
fn pieces_have_a_size_and_the_next_one_is_read_all_the_same() {
    let long = |size| "x".repeat(size);
    let document = around(
        &format!(r#"{{"phone":"{}"}},{{"phone":"0"}}"#, long(64 << 10)),
        &format!(r#","caller":"{}","{}":1,"priority":12"#, long(256 << 10), long(5 << 10)),
    );
    assert_eq!(
        complaints(document),
        [
            "destinations[0]: is larger than 64 KiB".to_owned(),
            "caller: is larger than 256 KiB".to_owned(),
            "a field's name is longer than 4 KiB, at line 1, column 327780".to_owned(),
            "priority: must be a whole number from 0 to 9".to_owned(),
            "destinations[1].phone: not an E.164 phone number: it must match ^\\+?[1-9]\\d{1,14}$ \
             (it begins with the country code, not with 0)"
                .to_owned(),
        ]
    );
    let flow = format!(r#"{{"steps":["{}"]}}"#, long(1 << 20));
    let changed = around(r#"{"phone":"+6588893322"}"#, "").replace(r#"{"steps":[1]}"#, &flow);
    assert_eq!(accepted(changed).total, 1, "a flow may be larger than other fields");
    let flow = format!(r#"{{"steps":["{}"]}}"#, long(4 << 20));
    let changed = around(r#"{"phone":"+6588893322"}"#, "").replace(r#"{"steps":[1]}"#, &flow);
    assert_eq!(complaints(changed), ["callFlow: is larger than 4096 KiB"]);
}

#[test]
fn a_field_of_very_many_values_is_refused_before_it_fills_memory() {
    let document = around(r#"{"phone":"+6588893322"}"#, &format!(r#","hooks":[{}0]"#, "0,".repeat(100_000)));
    assert_eq!(complaints(document), ["hooks: holds more than 65536 values"]);
}

#[test]
fn a_depth_bomb_is_refused_and_the_rest_is_read() {
    let bomb = |open: &str, close: &str, depth| open.repeat(depth) + "1" + &close.repeat(depth);
    for depth in [127, 128, 10_000] {
        let rest = format!(r#","hooks":{},"priority":12"#, bomb("[", "]", depth + 1));
        assert_eq!(
            complaints(around(&bomb(r#"{"phone":"#, "}", depth), &rest)),
            [
                "destinations[0]: is nested deeper than 128 levels",
                "hooks: is nested deeper than 128 levels",
                "priority: must be a whole number from 0 to 9",
            ]
        );
    }
    let document = around(&format!(r#"{{"phone":"+6588893322","properties":{{"a":{}}}}}"#, bomb("[", "]", 124)), "");
    assert_eq!(
        complaints(document),
        ["destinations[0].properties.a: must be a string, a number or a boolean, not an array"]
    );
    let document = around(r#"{"phone":"+6588893322"}"#, &format!(r#","hooks":{}"#, bomb("[", "]", 127)));
    assert_eq!(complaints(document), ["hooks[0]: must be an object, not an array"]);
}

#[test]
fn a_document_larger_than_allowed_is_too_large_and_nothing_else() {
    let document = request_with(json!({"priority": 12})).to_string();
    let limit = |max_bytes| Limits { max_bytes: Some(max_bytes), ..Limits::default() };
    let size = document.len() as u64;
    let Err(CheckError::Refused(exact)) = check(document.as_bytes(), &bank(), &AnyFlow, limit(size)) else { panic!() };
    assert_eq!(exact.reason, RejectReason::Invalid);
    let Err(CheckError::Refused(over)) = check(document.as_bytes(), &bank(), &AnyFlow, limit(size - 1)) else {
        panic!()
    };
    assert_eq!(over.reason, RejectReason::TooLarge);
    assert_eq!(over.problems.first()[0].message, format!("is larger than {} bytes", size - 1));
    assert_eq!(over.problems.count(), 1);
}

/// Gives some bytes, then fails.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::other("the disk is gone")),
            some => Ok(some),
        }
    }
}

#[test]
fn a_source_that_fails_is_not_the_submitters_fault() {
    let document = request_with(json!({})).to_string();
    let source = BufReader::new(Failing(&document.as_bytes()[..50]));
    let Err(CheckError::Unreadable(error)) = check(source, &bank(), &AnyFlow, Limits::default()) else { panic!() };
    assert_eq!(error.to_string(), "the disk is gone");
    let header = accepted(&document).header;
    let mut stream = DestinationStream::new(BufReader::new(Failing(&document.as_bytes()[..50])), &header, 0);
    assert!(matches!(stream.next_chunk(10), Err(StreamError::Unreadable(_))));
}
