//! Whole requests: the reference's own, long ones, interrupted ones.

use std::fmt::Write as _;
use std::io::BufReader;

use super::*;

const REFERENCE: &str = include_str!("../../../tests/data/reference_request.json");

#[test]
fn the_example_of_the_reference_is_accepted_as_it_stands() {
    let judged = accepted(REFERENCE);
    assert_eq!(judged.header.id.as_str(), "request_10");
    assert!(judged.header.recording);
    assert_eq!((judged.total, judged.duplicates, judged.invalid), (2, 0, 0));
    let all = destinations_of(REFERENCE, 100);
    assert_eq!(all[1].number.to_string(), "+84912860330");
    assert_eq!(all[1].caller.unwrap().to_string(), "+6582674904");
    assert_eq!(all[1].property("amount"), Some("200,000$"));
    assert_eq!(all[1].property("dueDate"), Some("August 20th, 2020"));
}

#[test]
fn a_request_that_breaks_off_is_refused_wherever_it_does() {
    // Of nothing at all it is said that it is empty.
    for end in 1..REFERENCE.trim_end().len() {
        let refused = refused(&REFERENCE[..end]);
        let first = &refused.problems.first()[0];
        assert!(first.message.starts_with("is not JSON: expected "), "cut at {end}: {first}");
        assert!(first.message.contains("found the end of the document"), "cut at {end}: {first}");
        assert_eq!(refused.problems.count(), 1, "what was cut off is not called missing: {:?}", refused.problems);
        assert_eq!(refused.request_id.is_some(), end >= "{ 'requestId': 'request_10'".len(), "cut at {end}");
    }
}

#[test]
fn a_request_that_breaks_off_is_still_told_what_else_is_wrong() {
    assert_eq!(
        complaints(r#"{"priority":77,"destinations":[{"phone":"abc"},{"phone""#),
        [
            "is not JSON: expected `}`, found the end of the document at line 1, column 56",
            "priority: must be a whole number from 0 to 9",
            "destinations[0].phone: not an E.164 phone number: it must match ^\\+?[1-9]\\d{1,14}$ \
             (digits only: no spaces, no punctuation)",
        ]
    );
}

fn many(count: u32) -> String {
    let mut elements = String::new();
    for number in 0..count {
        let comma = if number == 0 { "" } else { "," };
        write!(elements, "{comma}{{\"phone\":\"+659{number:07}\",\n\"properties\":{{\"n\":{number}}}}}").unwrap();
    }
    around(&elements, "")
}

#[test]
fn a_check_pauses_where_its_budget_ends_and_judges_the_same() {
    let document = many(1000);
    let whole = accepted(&document);
    for budget in [0, 1, 7, 999, 1000, 5000] {
        let (bank, mut steps) = (bank(), 0);
        let mut checker = Checker::new(document.as_bytes(), &bank, &AnyFlow, Limits::default());
        let judged = loop {
            steps += 1;
            match checker.step(budget) {
                Step::More(rest) => checker = rest,
                Step::Done(checked) => break checked.unwrap(),
            }
        };
        assert_eq!(judged.header, whole.header);
        assert_eq!(judged.total, 1000);
        assert_eq!(steps, 1000 / budget.max(1) + 1, "in steps of {budget}");
    }
}

#[test]
fn chunks_are_full_but_for_the_last_and_numbers_go_on_across_them() {
    let document = many(1000);
    let header = accepted(&document).header;
    for first_index in [0, 500_000] {
        let mut stream = DestinationStream::new(BufReader::with_capacity(7, document.as_bytes()), &header, first_index);
        let mut sizes = Vec::new();
        let mut next = first_index;
        loop {
            let chunk = stream.next_chunk(300).unwrap();
            sizes.push(chunk.len());
            for destination in &chunk {
                assert_eq!(destination.index, next);
                assert_eq!(destination.property("n"), Some((next - first_index).to_string().as_str()));
                next += 1;
            }
            if chunk.is_empty() {
                break;
            }
        }
        assert_eq!(sizes, [300, 300, 300, 100, 0]);
        assert!(stream.next_chunk(300).unwrap().is_empty(), "asking again is harmless");
    }
}
