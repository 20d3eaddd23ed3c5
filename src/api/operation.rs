//! What an operation is: how it is asked for, what a key must be good for, what it answers. Routes and the document are
//! made from nothing else.

use std::sync::Arc;

use axum::http::Method;
use axum::response::Response;
use futures_util::future::BoxFuture;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::Api;
use super::answer::Refusal;
use super::asked::{Asked, SMALL};
use crate::model::Scope;

/// What answers a question.
pub(super) type Handler = fn(Arc<Api>, Asked) -> BoxFuture<'static, Result<Response, Refusal>>;

/// The schema of a document.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Something that can be asked.
pub(super) struct Operation {
    /// Its name in the document, unique.
    pub id: &'static str,
    pub method: Method,
    pub path: &'static str,
    /// What a key must be good for.
    pub scope: Scope,
    pub summary: &'static str,
    pub description: &'static str,
    pub parameters: &'static [Parameter],
    pub body: Option<Body>,
    /// What is answered when all is well.
    pub answers: &'static [Answer],
    /// What else is answered besides 400, 401, 403, 429 and 503.
    pub refusals: &'static [u16],
    pub handler: Handler,
}

/// What a question carries.
pub(super) struct Body {
    pub schema: SchemaOf,
    pub required: bool,
    /// Most bytes.
    pub most: usize,
}

/// A parameter of a path, a query or a head.
pub(super) struct Parameter {
    pub name: &'static str,
    pub place: Place,
    pub about: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// What a parameter may be.
pub(super) enum Kind {
    /// Text that matches a regular expression.
    Text(&'static str),
    /// Any text, since what means nothing is passed over; what means something looks like this.
    Like(&'static str),
    /// A whole number within bounds.
    Whole(u32, u32),
    /// One of some words.
    Words(&'static [&'static str]),
}

/// What is answered when all is well.
pub(super) struct Answer {
    pub code: u16,
    pub about: &'static str,
    pub schema: SchemaOf,
    pub media: &'static str,
    /// What can be asked about it next.
    pub links: &'static [Link],
}

/// What can be asked next: an operation, its parameter, and where in the answer that stands.
pub(super) struct Link(pub &'static str, pub &'static str, pub &'static str);

pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

pub(super) const fn answer<T: JsonSchema>(code: u16, about: &'static str) -> Answer {
    linked::<T>(code, about, &[])
}

pub(super) const fn linked<T: JsonSchema>(code: u16, about: &'static str, links: &'static [Link]) -> Answer {
    Answer { code, about, schema: schema::<T>, media: "application/json", links }
}

pub(super) const fn small<T: JsonSchema>(required: bool) -> Option<Body> {
    Some(Body { schema: schema::<T>, required, most: SMALL })
}

pub(super) const fn text(name: &'static str, place: Place, pattern: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place, about, kind: Kind::Text(pattern) }
}
