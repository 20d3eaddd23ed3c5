//! Templates of messages: plain text and `{{name}}`, nothing else.
//!
//! The text is read by the parser of handlebars, but only after a scan of our own has made sure that nothing in it can
//! nest: the parser recurses, and its full language can render without bound. Rendering is a plain concatenation:
//! nothing is escaped for HTML, and what a value contains is never expanded again.

use std::sync::Arc;

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, PathSeg};

/// The most characters a message may have, as written and as rendered.
pub const MAX_CHARS: usize = 1000;

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
    Literal(Arc<str>),
    /// A property of the destination.
    Placeholder(Box<str>),
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is longer than [`MAX_CHARS`].
    #[error("has {chars} characters, at most {MAX_CHARS} are allowed")]
    TooLong {
        /// How long it is.
        chars: usize,
    },
    /// A placeholder does not end.
    #[error("`{opening}` is never closed by `}}}}`")]
    Unclosed {
        /// How the placeholder begins.
        opening: String,
    },
    /// Something of handlebars beyond plain placeholders.
    #[error("`{tag}` is {what}: only plain text and placeholders like {{{{name}}}} are allowed")]
    Unsupported {
        /// What stands there, cut to a readable length.
        tag: String,
        /// What handlebars would take it for.
        what: &'static str,
    },
    /// The parser refused what the scan let through.
    #[error("cannot be read as a template: {0}")]
    Syntax(String),
}

/// Why a template cannot be rendered for somebody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// There is no value for a placeholder.
    #[error("no value for {{{{{0}}}}}")]
    Missing(Box<str>),
    /// The result would have more than [`MAX_CHARS`] characters.
    #[error("has more than {MAX_CHARS} characters with its placeholders filled in")]
    TooLong,
}

impl Template {
    /// Reads a message text.
    ///
    /// # Errors
    /// When it is longer than [`MAX_CHARS`] or contains more than plain text and placeholders.
    pub fn compile(source: &str) -> Result<Self, TemplateError> {
        let chars = source.chars().count();
        if chars > MAX_CHARS {
            return Err(TemplateError::TooLong { chars });
        }
        refuse_all_but_placeholders(source)?;
        let parsed =
            handlebars::Template::compile(source).map_err(|error| TemplateError::Syntax(error.reason().to_string()))?;
        let mut template = Self { pieces: Vec::with_capacity(parsed.elements.len()) };
        let mut literal = String::new();
        for element in parsed.elements {
            match element {
                TemplateElement::RawString(text) => literal.push_str(&text),
                TemplateElement::Expression(expression) => {
                    let name = plain_name(&expression).ok_or_else(|| unsupported(source, "more than a name"))?;
                    template.end_literal(&mut literal);
                    template.pieces.push(Piece::Placeholder(name.into()));
                }
                // Blocks, partials, decorators, comments, raw HTML, and whatever a later version adds.
                _ => return Err(unsupported(source, "more than text and placeholders")),
            }
        }
        template.end_literal(&mut literal);
        Ok(template)
    }

    fn end_literal(&mut self, literal: &mut String) {
        if !literal.is_empty() {
            self.pieces.push(Piece::Literal(literal.as_str().into()));
            literal.clear();
        }
    }

    /// The text with every placeholder replaced by its value.
    ///
    /// # Errors
    /// When a placeholder has no value, or the result would be longer than [`MAX_CHARS`].
    pub fn render<'d>(&self, lookup: impl Fn(&str) -> Option<&'d str>) -> Result<String, RenderError> {
        let mut text = String::new();
        self.render_into(&mut text, lookup)?;
        Ok(text)
    }

    /// Like [`Template::render`], onto the end of `text`, which may hold half a message after an error.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_into<'d>(
        &self,
        text: &mut String,
        lookup: impl Fn(&str) -> Option<&'d str>,
    ) -> Result<(), RenderError> {
        let begin = text.len();
        for piece in &self.pieces {
            let part = match piece {
                Piece::Literal(text) => text,
                Piece::Placeholder(name) => lookup(name).ok_or_else(|| RenderError::Missing(name.clone()))?,
            };
            // A character has at most four bytes; what is too long for that is not even written down.
            if text.len() - begin + part.len() > 4 * MAX_CHARS {
                return Err(RenderError::TooLong);
            }
            text.push_str(part);
        }
        // A character has at least one byte: few messages need to be counted.
        let rendered = &text[begin..];
        if rendered.len() > MAX_CHARS && rendered.chars().count() > MAX_CHARS {
            return Err(RenderError::TooLong);
        }
        Ok(())
    }

    /// The whole text, if it has no placeholders.
    pub fn as_plain(&self) -> Option<&Arc<str>> {
        match self.pieces.as_slice() {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The names of the placeholders in order of appearance, repeated ones too.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(name) => Some(&**name),
            Piece::Literal(_) => None,
        })
    }

    /// Characters that are spoken whatever the values.
    pub fn literal_len(&self) -> usize {
        self.literals().map(|text| text.chars().count()).sum()
    }

    /// The text between the placeholders.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(text) => Some(&**text),
            Piece::Placeholder(_) => None,
        })
    }
}

/// The text as it would be written: `Dear {{name}}`.
impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Literal(text) => f.write_str(text),
            Piece::Placeholder(name) => write!(f, "{{{{{name}}}}}"),
        })
    }
}

/// What the parser skips inside a tag.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Lets only text and single names in braces through, so that the parser behind meets nothing that nests.
fn refuse_all_but_placeholders(source: &str) -> Result<(), TemplateError> {
    let mut rest = source;
    while let Some(start) = rest.find("{{") {
        let (before, tag) = rest.split_at(start);
        if before.ends_with('\\') {
            return Err(unsupported(tag, "behind a backslash, which handlebars takes for an escape"));
        }
        let Some(end) = tag.find("}}") else {
            return Err(TemplateError::Unclosed { opening: shown(tag) });
        };
        if let Some(what) = beyond_a_name(&tag[2..end]) {
            return Err(unsupported(&tag[..end + 2], what));
        }
        rest = &tag[end + 2..];
    }
    Ok(())
}

/// What the inside of a tag is, if it is not a single name.
fn beyond_a_name(inside: &str) -> Option<&'static str> {
    let inside = inside.trim_matches(BLANKS);
    let what = match inside.chars().next() {
        None => "an empty placeholder",
        Some('{') if inside.starts_with("{{") => "a raw block",
        Some('{' | '&') => "an HTML expression",
        Some('#') if inside[1..].trim_start_matches(BLANKS).starts_with(['>', '*']) => "an inline or block partial",
        Some('#' | '^' | '/') => "a block",
        Some('>') => "a partial",
        Some('*') => "a decorator",
        Some('!') => "a comment",
        Some('~') => "whitespace control",
        Some('@') => "a variable of handlebars",
        Some('(') => "a subexpression",
        Some('[' | '"' | '\'') => "a quoted name",
        Some('.') => "a path",
        Some(_) if inside.contains("{{") => "a placeholder within a placeholder, or one that is not closed",
        Some(_) if inside.ends_with('~') => "whitespace control",
        Some(_) if inside.contains('(') => "a subexpression",
        Some(_) if inside.contains(BLANKS) => "a helper with parameters, or a name with blanks",
        Some(_) if inside.contains(['.', '/']) => "a path",
        Some(_) if inside == "this" => "a reference to everything",
        // The parser takes every name that begins so for the middle of a block.
        Some(_) if inside.starts_with("else") => "taken for an `else`, as is every name that begins so",
        Some(_) if !inside.chars().all(is_name_char) => "not a name of letters, digits and - _ $ :",
        Some(_) => return None,
    };
    Some(what)
}

/// The characters of the parser's identifiers, without blanks and control characters of other scripts.
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_$:".contains(c) || (!c.is_ascii() && !c.is_whitespace() && !c.is_control())
}

/// The name an expression consists of, if it consists of nothing else.
fn plain_name(expression: &HelperTemplate) -> Option<&str> {
    let bare = expression.params.is_empty()
        && expression.hash.is_empty()
        && expression.block_param.is_none()
        && expression.template.is_none()
        && expression.inverse.is_none()
        && !expression.block;
    match &expression.name {
        Parameter::Path(Path::Relative((segments, raw))) if bare => match segments.as_slice() {
            [PathSeg::Named(name)] if name == raw => Some(name),
            _ => None,
        },
        _ => None,
    }
}

fn unsupported(tag: &str, what: &'static str) -> TemplateError {
    TemplateError::Unsupported { tag: shown(tag), what }
}

fn shown(tag: &str) -> String {
    match tag.char_indices().nth(32) {
        Some((end, _)) => format!("{}…", &tag[..end]),
        None => tag.to_owned(),
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
