//! Templates of messages: plain text and `{{name}}`, nothing else.

/// A compiled message text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Literal and placeholder pieces in order.
    pub(crate) pieces: Vec<Piece>,
}

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text spoken as it is.
    Literal(Box<str>),
    /// A property of the destination.
    Placeholder(Box<str>),
}
