//! Finds the text of a value by its path, so that a problem can be shown where it stands.
//!
//! A scanner of its own: the JSON library does not say where things stood. It never recurses.

use std::ops::Range;

/// The bytes of the value at `path` (such as `callFlow.steps[1].branches[0].digit`; empty: the document) in a JSON text.
/// None if the text is not JSON as far as it has to be read, or has no such value.
pub fn locate(text: &str, path: &str) -> Option<Range<usize>> {
    let (range, rest) = walk(text, path)?;
    rest.is_empty().then_some(range)
}

/// Like [`locate`], but of a value that is not there, the bytes of the innermost one around its place: the object from
/// which a field is missing. None only if there is no value in the text at all.
pub fn locate_nearest(text: &str, path: &str) -> Option<Range<usize>> {
    walk(text, path).map(|(range, _)| range)
}

/// Follows the path as far as it leads: the value arrived at, and what of the path is left.
fn walk<'p>(text: &str, path: &'p str) -> Option<(Range<usize>, &'p str)> {
    let scanner = Scanner { text };
    let start = scanner.skip_blanks(0);
    let mut found = start..scanner.value_end(start)?;
    let mut rest = path;
    while !rest.is_empty() {
        let inside = match text.as_bytes().get(found.start) {
            Some(b'{') => scanner.member(found.start, rest),
            Some(b'[') => scanner.element(found.start, rest),
            _ => None,
        };
        let Some((range, remaining)) = inside else { break };
        (found, rest) = (range, remaining);
    }
    Some((found, rest))
}

struct Scanner<'t> {
    text: &'t str,
}

impl Scanner<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn skip_blanks(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        at
    }

    /// Where the string that begins at `at` ends, its closing quote included.
    fn string_end(&self, mut at: usize) -> Option<usize> {
        if self.byte(at) != Some(b'"') {
            return None;
        }
        at += 1;
        loop {
            match self.byte(at)? {
                b'"' => return Some(at + 1),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }

    /// Where the value that begins at `at` ends. Of objects and arrays only the brackets are counted.
    fn value_end(&self, at: usize) -> Option<usize> {
        let mut depth = 0_usize;
        let mut here = at;
        loop {
            match self.byte(here)? {
                b'"' => here = self.string_end(here)?,
                b'{' | b'[' => {
                    depth += 1;
                    here += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    here += 1;
                }
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' if depth > 0 => {
                    here += 1;
                    continue;
                }
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => return None,
                _ => {
                    while self.byte(here).is_some_and(|byte| !b" \t\n\r,:{}[]\"".contains(&byte)) {
                        here += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(here);
            }
        }
    }

    /// In the object at `at`, the member that the path begins with. Of several with one name the last counts, as for
    /// the JSON library.
    fn member<'p>(&self, at: usize, path: &'p str) -> Option<(Range<usize>, &'p str)> {
        let mut found = None;
        let mut here = self.skip_blanks(at + 1);
        while self.byte(here) == Some(b'"') {
            let name_end = self.string_end(here)?;
            let rest = name_at(&self.text[here..name_end], path);
            here = self.skip_blanks(name_end);
            if self.byte(here) != Some(b':') {
                return found;
            }
            let start = self.skip_blanks(here + 1);
            let end = self.value_end(start)?;
            if let Some(rest) = rest {
                found = Some((start..end, rest));
            }
            here = self.skip_blanks(end);
            if self.byte(here) != Some(b',') {
                break;
            }
            here = self.skip_blanks(here + 1);
        }
        found
    }

    /// In the array at `at`, the element that the path begins with.
    fn element<'p>(&self, at: usize, path: &'p str) -> Option<(Range<usize>, &'p str)> {
        let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
        let index: usize = index.parse().ok()?;
        let mut here = self.skip_blanks(at + 1);
        for _ in 0..index {
            here = self.skip_blanks(self.value_end(here)?);
            if self.byte(here) != Some(b',') {
                return None;
            }
            here = self.skip_blanks(here + 1);
        }
        let end = self.value_end(here)?;
        Some((here..end, rest.strip_prefix('.').unwrap_or(rest)))
    }
}

/// If the path begins with a member's name (given as JSON), what follows it. Names may contain dots and brackets, and
/// are cut in paths when they are very long.
fn name_at<'p>(quoted: &str, path: &'p str) -> Option<&'p str> {
    let name: String = serde_json::from_str(quoted).ok()?;
    let rest = path.strip_prefix(&super::shown_name(&name))?;
    match rest.as_bytes().first() {
        None | Some(b'[') => Some(rest),
        Some(b'.') => Some(&rest[1..]),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{element, member};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const TEXT: &str = r#"
{ "requestId" : "r\"}1",
  "callFlow": {"steps": [ {"name":"play", "message":{"msg":"a ] b"}},
    {"name":"gather","branches":[{"digit":"1"},{"digit" : "2", "n": -1.5e3 }]} ]},
  "x.y": [true,null], "dup": 1, "dup": 2 }"#;

    fn at(path: &str) -> Option<&'static str> {
        locate(TEXT, path).map(|range| &TEXT[range])
    }

    #[test]
    fn values_are_found_where_they_stand() {
        assert_eq!(at("requestId"), Some(r#""r\"}1""#));
        assert_eq!(at("callFlow.steps[1].branches[1].digit"), Some("\"2\""));
        assert_eq!(at("callFlow.steps[1].branches[1].n"), Some("-1.5e3"));
        assert_eq!(at("callFlow.steps[1].branches[0]"), Some(r#"{"digit":"1"}"#));
        assert_eq!(at("callFlow.steps[0].message.msg"), Some("\"a ] b\""));
        assert_eq!(at("x.y[1]"), Some("null"), "a name may contain a dot");
        assert_eq!(at("dup"), Some("2"), "the last of a name counts");
        assert_eq!(at("").map(str::len), Some(TEXT.len() - 1));
    }

    #[test]
    fn what_is_not_there_is_looked_for_as_far_as_possible() {
        for path in [
            "nothing",
            "callFlow.steps[2]",
            "callFlow.steps[x]",
            "callFlow.steps[1].branches[0].callFlow",
            "request",
            "requestId[0]",
        ] {
            assert_eq!(at(path), None, "{path}");
        }
        let near = locate_nearest(TEXT, "callFlow.steps[1].branches[0].callFlow.steps").unwrap();
        assert_eq!(&TEXT[near], r#"{"digit":"1"}"#);
    }

    #[test]
    fn a_very_long_name_is_found_by_what_is_shown_of_it() {
        let name = "x".repeat(500);
        let text = format!("{{\"{name}\": 7}}");
        let path = member("", crate::reading::shown_name(&name));
        assert_eq!(locate(&text, &path).map(|range| &text[range]), Some("7"));
    }

    #[test]
    fn broken_texts_are_no_trouble() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "\"",
            "\"\\",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":}",
            "]",
            "[1,",
            ",",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
        ] {
            assert_eq!(locate(text, "b[0]"), None, "{text}");
            let _ = (locate(text, "a"), locate(text, "[1]"), locate_nearest(text, "a.b"));
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(locate(&deep, "[0]"), None);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\]{1,4}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    fn visit(value: &Value, path: &str, seen: &mut dyn FnMut(&str, &Value)) {
        seen(path, value);
        match value {
            Value::Array(all) => {
                all.iter().enumerate().for_each(|(index, value)| visit(value, &element(path, index), seen))
            }
            Value::Object(map) => map.iter().for_each(|(name, value)| visit(value, &member(path, name), seen)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn every_value_of_a_document_is_found(document in json(), pretty in any::<bool>()) {
            let text = if pretty { format!("{document:#}") } else { document.to_string() };
            visit(&document, "", &mut |path, value| {
                let range = locate(&text, path).unwrap_or_else(|| panic!("{path} in {text}"));
                assert_eq!(&serde_json::from_str::<Value>(&text[range]).unwrap(), value);
            });
        }

        #[test]
        fn no_text_makes_it_fail(text in r#"([{}\[\],:" \\]|a|1|é){0,30}"#, path in r"([a\.\[\]01])*") {
            if let Some(range) = locate_nearest(&text, &path) {
                prop_assert!(text.get(range).is_some());
            }
        }
    }
}
