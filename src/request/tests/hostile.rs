//! Whatever comes, the reader answers: it never panics, and it takes for JSON what is JSON.

use std::io::BufReader;

use proptest::prelude::*;

use super::*;

/// Pieces of JSON and of what people take for JSON, joined at random.
fn jsonish() -> impl Strategy<Value = String> {
    let tokens = vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"\\\"\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "1",
        "-0",
        "0.5",
        "1e5",
        "01",
        "1.",
        "-",
        "true",
        "null",
        "nul",
        "NaN",
        " ",
        "\n",
        "\t",
        "\"",
        "\\",
        "'",
        "\u{FEFF}",
        "é",
        "/*",
        "\"destinations\":[",
        "\"destinations\"",
        "{\"phone\":\"+6588893322\"}",
        "\"callFlow\":{\"steps\":[1]}",
        "\u{0}",
        "\u{1b}[31m",
        "\"\u{7f}\u{9b}\u{202e}\"",
        "\"\\u0000\\u001b\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "1e999",
        "-1e-999",
        "123456789012345678901234567890",
        "Infinity",
        "[[[[[[[[",
        "{\"a\":{\"a\":",
    ];
    prop::collection::vec(prop::sample::select(tokens), 0..14).prop_map(|tokens| tokens.concat())
}

/// A JSON object with a few characters taken out, put in, or changed.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,5}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    let names = prop_oneof![Just("destinations".to_owned()), "[a-c]"];
    let document = prop::collection::btree_map(names, value, 0..4);
    let edits = prop::collection::vec(
        (any::<prop::sample::Index>(), 0..3u8, prop::sample::select(b"{}[]\",:\\ 0e.-\xFFu".to_vec())),
        0..3,
    );
    (document, edits).prop_map(|(document, edits)| {
        let mut bytes = serde_json::to_vec(&document).unwrap();
        for (at, kind, byte) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 if bytes.len() > 1 => drop(bytes.remove(at)),
                1 => bytes.insert(at, byte),
                _ => bytes[at] = byte,
            }
        }
        bytes
    })
}

/// Whether the scanner and a parser of its pieces take the document; none where a name is there twice.
fn taken(document: &[u8], chunk: usize) -> Option<bool> {
    let mut scanner = Scanner::new(BufReader::with_capacity(chunk, document), None);
    let mut names = Vec::new();
    loop {
        let raw = match scanner.next() {
            Ok(None) => return Some(true),
            Err(_) => return Some(false),
            Ok(Some(Piece::Field { name, raw, .. })) => {
                if names.contains(&name.to_owned()) {
                    return None;
                }
                names.push(name.to_owned());
                raw
            }
            Ok(Some(Piece::Destination { raw, .. })) => raw,
            Ok(Some(Piece::Destinations)) => {
                names.push("destinations".to_owned());
                continue;
            }
            Ok(Some(Piece::Fault { message, .. })) if message == "is there twice" => return None,
            Ok(Some(Piece::Fault { .. })) => return Some(false),
        };
        if serde_json::from_slice::<Value>(raw).is_err() {
            return Some(false);
        }
    }
}

fn agree(document: &[u8], chunk: usize) -> Result<(), TestCaseError> {
    let theirs = serde_json::from_slice::<Value>(document).is_ok_and(|value| value.is_object());
    if let Some(ours) = taken(document, chunk) {
        prop_assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(document));
    }
    Ok(())
}

#[test]
fn millions_of_unknown_names_are_counted_without_being_pondered() {
    let strange = r#""a":1,"#.repeat(1_000_000);
    let document = format!(r#"{{{strange}"destinations":[{{{}"phone":"x"}}]}}"#, r#""b":1,"#.repeat(9_000));
    let problems = refused(document).problems;
    // Two more fields are missing, and the phone is bad.
    assert_eq!((problems.first().len(), problems.count()), (100, 1_009_003));
}

#[test]
fn what_is_no_json_is_refused_wherever_it_stands() {
    let deep = "[".repeat(100_000);
    for broken in
        ["NaN", "Infinity", "-Infinity", "\"\\ud800\"", "\"\\udc00 \\ud800\"", "\"\u{1}\"", "0x1F", "01", "1.", &deep]
    {
        let documents = [
            around(broken, ""),
            around(&format!(r#"{{"phone":{broken}}}"#), ""),
            around(&format!(r#"{{"phone":"+6588893322","properties":{{"a":{broken}}}}}"#), ""),
            around(r#"{"phone":"+6588893322"}"#, &format!(r#","priority":{broken}"#)),
            around(r#"{"phone":"+6588893322"}"#, &format!(r#","retry":{{"on":[{broken}]}}"#)),
        ];
        for document in documents {
            // A string in the place of a destination is wrong as such; what is in it is not looked at.
            let first = &complaints(&document)[0];
            assert!(first.contains("is not JSON") || first.contains("must be an object, not a string"), "{first}");
        }
    }
    let document = around(r#"{"phone":"+6588893322"}"#, "");
    assert!(complaints(format!("\u{feff}{document}"))[0].contains("byte order mark"));
    for bytes in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80"] {
        let raw = [br#"{"phone":"+6588893322","externalId":""#, bytes, br#""}"#].concat();
        let document = [br#"{"requestId":"r1","callFlow":{"steps":[1]},"destinations":["#, &raw[..], b"]}"].concat();
        assert!(complaints(&document)[0].contains("invalid UTF-8"), "{bytes:?}: {:?}", complaints(&document));
    }
}

#[test]
fn numbers_of_any_size_are_spoken_as_written_and_bounded_elsewhere() {
    let huge = "9".repeat(999);
    for number in ["1e999", "-1e-999", "123456789012345678901234567890", &huge] {
        let element = format!(r#"{{"phone":"+6588893322","properties":{{"n":{number}}}}}"#);
        assert_eq!(destinations_of(around(&element, ""), 1)[0].property("n"), Some(number));
    }
    for number in ["1e999", "18446744073709551616", "-1", "4.5"] {
        let found = complaints(around(r#"{"phone":"+6588893322"}"#, &format!(r#","priority":{number}"#)));
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_scanner_takes_for_json_what_is_json(text in jsonish(), wrap in any::<bool>(), chunk in 1..40usize) {
        let document = if wrap { format!("{{{text}}}") } else { text };
        agree(document.as_bytes(), chunk)?;
    }

    #[test]
    fn the_scanner_takes_for_json_what_nearly_is_only_if_it_is(document in nearly_json(), chunk in 1..40usize) {
        agree(&document, chunk)?;
    }

    #[test]
    fn no_text_of_a_request_acts_on_a_terminal(text in any::<String>(), place in 0..5usize) {
        let text = Value::from(format!("\u{1b}{text}"));
        let document = match place {
            0 => request_with(json!({"requestId": text})),
            1 => request_with(json!({text.as_str().unwrap(): 1})),
            2 => request_with(json!({"destinations": [{"phone": text, "timeZone": text}]})),
            3 => request_with(json!({"destinations": [{"phone": "+6588893322", "properties": {"a": text}}]})),
            _ => request_with(json!({"callingWindow": {"timeZone": text, "from": text, "to": text, "days": [text]}})),
        };
        for complaint in complaints(document.to_string()) {
            prop_assert!(!complaint.contains(crate::reading::is_hidden), "{:?}", complaint);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_with_reasons(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(refused(&bytes).problems.count() > 0);
    }

    #[test]
    fn something_like_json_is_answered(text in jsonish(), element in jsonish(), chunk in 1..40usize) {
        for document in [around(&element, ""), around("", &text), around(&element, &format!(",{text}"))] {
            let source = BufReader::with_capacity(chunk, document.as_bytes());
            let bank = bank();
            let judged = check(source, &bank, &AnyFlow, Limits::default());
            let again = checked(&document);
            prop_assert_eq!(format!("{judged:?}"), format!("{again:?}"), "the same whatever the chunks");
            if let Ok(judged) = judged {
                prop_assert_eq!(destinations_of(&document, 3).len(), judged.total as usize);
            }
        }
    }

    #[test]
    fn a_damaged_request_is_answered(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut document = include_bytes!("../../../tests/data/reference_request.json").to_vec();
        let at = at.index(document.len());
        document[at] = byte;
        if let Err(CheckError::Refused(refused)) = checked(&document) {
            prop_assert!(refused.problems.count() > 0);
        }
    }
}
