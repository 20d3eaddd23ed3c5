//! Text about a person: written in full on the wire, hidden in logs.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Text about a person. `Display` writes it in full; `Debug`, which logs and panics use, tells its length only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private(Box<str>);

impl Deref for Private {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Box<str>>> From<T> for Private {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} characters)", self.0.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_shows_nothing_of_it() {
        let private = Private::from("sip:alex@example.org");
        assert_eq!(
            (format!("{private:?}"), private.to_string()),
            ("(20 characters)".into(), "sip:alex@example.org".into())
        );
        assert_eq!(serde_json::to_string(&private).unwrap(), r#""sip:alex@example.org""#);
    }
}
