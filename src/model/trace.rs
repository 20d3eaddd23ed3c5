//! Which trace of its submitter's a request belongs to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A `traceparent` of W3C's Trace Context: what a request or a command is a part of, in whatever its sender watches.
///
/// That of a request is handed on as it came. A command goes on as a part of the span of whoever hands it on, if that has one
/// that is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent {
    trace: u128,
    parent: u64,
    flags: u8,
}

/// A text that is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is 00-<32 hexadecimal digits>-<16>-<2>, in lower case, neither id all zero")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// From the ids of a trace and of a parent in it; none if either is zero.
    pub fn new(trace: u128, parent: u64, flags: u8) -> Option<Self> {
        (trace != 0 && parent != 0).then_some(Self { trace, parent, flags })
    }

    /// The trace's id, as it is written: 32 hexadecimal digits.
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        let trace = self.trace;
        fmt::from_fn(move |f| write!(f, "{trace:032x}"))
    }

    /// The ids of the trace and of the parent in it, and the flags.
    pub fn ids(&self) -> (u128, u64, u8) {
        (self.trace, self.parent, self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Reads what any version writes that keeps to the first one's beginning, as all later ones must.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (head, rest) = text.split_at_checked(55).ok_or(InvalidTraceParent)?;
        let fields: Vec<&str> = head.split('-').collect();
        let [version, trace, parent, flags] = fields[..] else { return Err(InvalidTraceParent) };
        let lengths = [version, trace, parent, flags].map(str::len);
        let digits = |field: &str| field.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let known = version == "00" && rest.is_empty();
        let later = version != "00" && version != "ff" && (rest.is_empty() || rest.starts_with('-'));
        if lengths != [2, 32, 16, 2] || !fields.iter().all(|field| digits(field)) || !(known || later) {
            return Err(InvalidTraceParent);
        }
        let invalid = |_| InvalidTraceParent;
        let (trace, parent) = (u128::from_str_radix(trace, 16), u64::from_str_radix(parent, 16));
        let flags = u8::from_str_radix(flags, 16).map_err(invalid)?;
        Self::new(trace.map_err(invalid)?, parent.map_err(invalid)?, flags).ok_or(InvalidTraceParent)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

impl TryFrom<String> for TraceParent {
    type Error = InvalidTraceParent;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TraceParent> for String {
    fn from(trace: TraceParent) -> Self {
        trace.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_written_as_it_was() {
        let read: TraceParent = TEXT.parse().expect("a traceparent");
        assert_eq!((read.to_string(), read.trace_id().to_string()), (TEXT.to_owned(), TEXT[3..35].to_owned()));
        let small = "00-000000000000000000000000000000ff-00000000000000a1-00";
        assert_eq!(small.parse::<TraceParent>().expect("one, too").to_string(), small);
        let later = TEXT.replacen("00", "cc", 1) + "-and-more";
        assert_eq!(later.parse::<TraceParent>(), Ok(read), "of a later version, handed on as ours");
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            &TEXT[..54],
            &format!("{TEXT}-00"),
            &format!("cc{}x", &TEXT[2..]),
            &TEXT.to_uppercase(),
            &TEXT.replace('-', "_"),
            &TEXT.replacen("00", "ff", 1),
            &TEXT.replacen("00", "0g", 1),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c1-b7ad6b716920333-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é1",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(InvalidTraceParent), "{text}");
        }
    }
}
