//! Where the log goes: to stderr, as detailed as was asked, for people or for what collects logs.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterFn, ParseError};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line: `timestamp` (UTC), `level`, `target`, `message` and what else is said; `span` says what it
    /// is about.
    Json,
}

impl LogFormat {
    /// All there are, by name.
    pub const ALL: [(&str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}

/// Sends the log of this process to stderr.
///
/// `filter` is a level (`warn`) or a list of them by module (`warn,robocall::dispatch=debug`); colours are for people only.
/// Libraries below us are heard from `info` on at most: what they say beyond is what goes over the wire, and phone numbers,
/// texts and passwords with it.
///
/// # Errors
/// When `filter` is neither.
pub fn log_to_stderr(filter: &str, format: LogFormat, colours: bool) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(colours).boxed(),
        LogFormat::Json => {
            lines.with_ansi(false).json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    };
    // Somebody who set up a log of their own before, a test for one, keeps it.
    let _kept = registry().with(filter).with(FilterFn::new(is_harmless)).with(lines).try_init();
    Ok(())
}

fn is_harmless(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().split("::").next() == Some("robocall")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_is_refused() {
        assert!(log_to_stderr("robocall=loud", LogFormat::Json, false).is_err());
        assert!(log_to_stderr("warn,robocall::dispatch=debug", LogFormat::Text, false).is_ok());
    }
}
