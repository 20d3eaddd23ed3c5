//! One entry of a request's destinations.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Phone, Private};

/// A destination as accepted at intake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// Its place in the request, from 0, duplicates not counted.
    pub index: u32,
    /// The number to dial.
    pub number: Number,
    /// The number to show, if not the request's.
    pub caller: Option<Phone>,
    /// The submitter's own name for it.
    pub external_id: Option<Box<str>>,
    /// IANA time zone of the person, for calling windows.
    pub time_zone: Option<Box<str>>,
    /// Values for placeholders, as they are spoken, in the order given.
    pub properties: Vec<(Box<str>, Private)>,
}

impl Destination {
    /// The value for the placeholder `name`.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(key, _)| **key == *name).map(|(_, value)| &**value)
    }
}

/// The number of a destination. Only a request with `skipInvalid` carries one that cannot be dialled.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Number {
    /// A number that matches E.164.
    Valid(Phone),
    /// What stood there instead, cut to 64 characters; the destination fails undialled.
    Invalid(Box<str>),
}

impl Number {
    /// The number, if it can be dialled.
    pub fn phone(&self) -> Option<Phone> {
        match self {
            Number::Valid(phone) => Some(*phone),
            Number::Invalid(_) => None,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Valid(phone) => phone.fmt(f),
            Number::Invalid(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Valid(phone) => fmt::Debug::fmt(phone, f),
            Number::Invalid(_) => f.write_str("(invalid number)"),
        }
    }
}
