//! Parses one header field: duplicate names are problems, and its memory is bounded.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::input::Position;
use super::scanner::not_json;
use crate::reading::{Problems, element, member, shown_name};

/// How many values one field may hold, nested ones included. A byte of JSON can cost forty of memory.
const MAX_VALUES: usize = 1 << 16;

/// Whole numbers below are told apart by a floating-point number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The value of the field `path`, or none and at least one problem.
pub(super) fn parse(raw: &[u8], path: &str, at: Position, problems: &mut Problems) -> Option<Value> {
    if let Err(error) = std::str::from_utf8(raw) {
        let at = at.after(&raw[..error.valid_up_to()]);
        problems.add(path, format!("is not JSON: invalid UTF-8 at {at}"));
        return None;
    }
    let tally = RefCell::new(Tally { problems, left: MAX_VALUES });
    let mut json = serde_json::Deserializer::from_slice(raw);
    let place = Place::Field(path);
    let parsed = Strict { place: &place, tally: &tally }.deserialize(&mut json).and_then(|value| {
        json.end()?;
        Ok(value)
    });
    let tally = tally.into_inner();
    match parsed {
        Ok(value) => Some(value),
        Err(_) if tally.left == 0 => {
            tally.problems.add(path, format!("holds more than {MAX_VALUES} values"));
            None
        }
        Err(error) => {
            tally.problems.add(path, not_json(&error, raw, at));
            None
        }
    }
}

struct Tally<'p> {
    problems: &'p mut Problems,
    left: usize,
}

/// Where a value stands, kept on the stack so that a sound document costs no paths.
enum Place<'a> {
    Field(&'a str),
    Member(&'a Place<'a>, &'a str),
    Element(&'a Place<'a>, usize),
}

impl Place<'_> {
    fn path(&self) -> String {
        match self {
            Place::Field(name) => (*name).to_owned(),
            Place::Member(parent, name) => member(&parent.path(), shown_name(name)),
            Place::Element(parent, index) => element(&parent.path(), *index),
        }
    }
}

#[derive(Clone, Copy)]
struct Strict<'a, 'p> {
    place: &'a Place<'a>,
    tally: &'a RefCell<Tally<'p>>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let mut tally = self.tally.borrow_mut();
        tally.left = tally.left.saturating_sub(1);
        if tally.left == 0 {
            return Err(D::Error::custom("too many values"));
        }
        drop(tally);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Value, E> {
        Ok(Value::Bool(boolean))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        // To JSON Schema 5.0 is a whole number like 5.
        if number.fract() == 0.0 && number.abs() < EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole, and far from the end of the range")]
            return Ok((number as i64).into());
        }
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let place = Place::Element(self.place, list.len());
            match access.next_element_seed(Strict { place: &place, tally: self.tally })? {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let place = Place::Member(self.place, &name);
            let value = access.next_value_seed(Strict { place: &place, tally: self.tally })?;
            if map.contains_key(&name) {
                let problems = &mut self.tally.borrow_mut().problems;
                let path = if problems.is_full() { String::new() } else { place.path() };
                problems.add(path, "is there twice");
            } else {
                map.insert(name, value);
            }
        }
        Ok(Value::Object(map))
    }
}
