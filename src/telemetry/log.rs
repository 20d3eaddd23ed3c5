//! Where the log goes: to stderr, as detailed as was asked, for people or for what collects logs.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, FilterFn, LevelFilter, ParseError};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use super::traces::Traces;

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

/// Why a filter of the log is none.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// A word alone is a level, or everything of a module that there is; otherwise nothing would be written at all.
    #[error("{}", in_words(word, *meant))]
    NoLevel {
        /// The word.
        word: String,
        /// What looks like it.
        meant: Option<&'static str>,
    },
}

fn in_words(word: &str, meant: Option<&str>) -> String {
    let hint = meant.map_or_else(
        || format!("a level is one of {}, a module's is written MODULE=LEVEL", LEVELS.join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    );
    format!("{word:?} is no level: {hint}")
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Whose lines there may be: ours, and of what is below us.
const CRATES: [&str; 18] = [
    "robocall",
    "axum",
    "h2",
    "hyper",
    "hyper_util",
    "lapin",
    "mio",
    "opentelemetry",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "redis",
    "reqwest",
    "rustls",
    "tokio",
    "tokio_tungstenite",
    "tokio_util",
    "tower",
    "tungstenite",
];

/// Words alone that are neither a level nor what lines could be of: taken for a module they silence everything.
fn check_words(filter: &str) -> Result<(), FilterError> {
    let alone = filter.split(',').map(str::trim).filter(|word| !word.is_empty() && !word.contains(['=', '[', ']']));
    for word in alone {
        let module = word.split("::").next().unwrap_or_default();
        if word.parse::<LevelFilter>().is_err() && !CRATES.contains(&module) {
            let far = |known: &&str| strsim::osa_distance(known, &word.to_ascii_lowercase());
            let meant = LEVELS.into_iter().chain(["robocall"]).min_by_key(far).filter(|known| far(known) <= 2);
            return Err(FilterError::NoLevel { word: word.to_owned(), meant });
        }
    }
    Ok(())
}

/// Sends the log of this process to stderr, and its spans to where `traces` says.
///
/// `filter` is a level (`warn`) or a list of them by module (`warn,robocall::dispatch=debug`); colours are for people only.
/// Of libraries below us only errors are written: what they say beyond shows what goes over the wire, and phone numbers,
/// texts and passwords with it. Of a panic it is said where, and why if that was written in the program.
///
/// # Errors
/// When `filter` is neither.
pub fn log_to_stderr(filter: &str, format: LogFormat, colours: bool, traces: &Traces) -> Result<(), FilterError> {
    let filter = readable(filter)?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(colours).boxed(),
        LogFormat::Json => {
            lines.with_ansi(false).json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    };
    std::panic::set_hook(Box::new(|panic| {
        // What was put together while it ran may hold anything.
        let why = panic.payload().downcast_ref::<&'static str>();
        tracing::error!(at = panic.location().map(tracing::field::display), why, "panicked");
    }));
    // Somebody who set up a log of their own before, a test for one, keeps it.
    let _kept = registry().with(traces.layer()).with(lines.with_filter(filter)).try_init();
    Ok(())
}

/// What the filter of the log knows panics as: nothing else is written here.
const PANICS: &str = module_path!();

/// What the filter of the log knows as what is said whatever it asks for.
const SAID: &str = "robocall::said";

/// A line of the log that is written whatever its filter leaves out.
pub fn say(text: &str) {
    tracing::info!(target: SAID, "{text}");
}

/// The same of why a process does not do as it was told.
pub fn complain(text: &str) {
    tracing::error!(target: SAID, "{text}");
}

/// A filter that lets spans, panics and what must be said through whatever lines it asks for.
fn readable<S: Subscriber>(filter: &str) -> Result<impl Filter<S> + use<S>, FilterError> {
    check_words(filter)?;
    let filter = EnvFilter::builder().parse(filter)?;
    let always = [(super::spans::TARGET, "error"), (PANICS, "error"), (SAID, "info")];
    let filter = always.into_iter().try_fold(filter, |filter, (target, level)| {
        Ok::<_, ParseError>(filter.add_directive(format!("{target}={level}").parse()?))
    })?;
    // Without a hint of its own it would have everything looked at that anybody says, for nothing.
    Ok(filter.and(FilterFn::new(is_harmless).with_max_level_hint(LevelFilter::TRACE)))
}

fn is_harmless(metadata: &Metadata<'_>) -> bool {
    let (level, target) = (*metadata.level(), metadata.target());
    // That spans are dropped, or not taken by a collector, is told as a warning.
    let of_export = target.starts_with("opentelemetry") && level == Level::WARN;
    // That the broker ended a channel is told by whoever asked something over it, sometimes only whether a queue is there.
    let is_error = level == Level::ERROR && target != "lapin::channel";
    is_error || of_export || target.split("::").next() == Some("robocall")
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::Registry;

    use super::*;

    /// A log that is kept.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What something has written to the log, every level of it.
    pub fn lines(act: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
        tracing::subscriber::with_default(registry().with(lines), act);
        let text = kept.0.lock().expect("nobody panics").clone();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("a line of JSON")).collect()
    }

    #[test]
    fn a_filter_that_cannot_be_is_refused() {
        assert!(readable::<Registry>("robocall=loud").is_err());
        assert!(readable::<Registry>("warn,robocall::dispatch=debug").is_ok());
    }

    #[test]
    fn what_is_not_asked_for_is_not_even_looked_at() {
        for (filter, most) in [("warn", LevelFilter::INFO), ("debug", LevelFilter::DEBUG), ("off", LevelFilter::INFO)] {
            let filter = readable::<Registry>(filter).expect("a filter");
            assert_eq!(filter.max_level_hint(), Some(most), "what daemons say is let through");
        }
    }

    #[test]
    fn of_libraries_errors_are_told_that_nobody_else_tells() {
        let lines = fmt::layer().with_writer(std::io::sink).with_filter(readable("trace").expect("a filter"));
        tracing::subscriber::with_default(registry().with(lines), || {
            assert!(tracing::enabled!(target: "lapin::channels", Level::ERROR), "a connection's end");
            assert!(!tracing::enabled!(target: "lapin::channels", Level::WARN));
            assert!(!tracing::enabled!(target: "lapin::channel", Level::ERROR));
        });
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_with_the_level_that_was_meant() {
        let told = |filter| check_words(filter).map_err(|error| error.to_string());
        for filter in
            ["", "INFO", "3", "off,", "warn, robocall", "robocall::hooks", "lapin", "x=debug", "[call{x}]=info"]
        {
            assert_eq!(told(filter), Ok(()), "{filter}");
        }
        assert_eq!(told("infos"), Err("\"infos\" is no level: did you mean `info`?".to_owned()));
        assert_eq!(told("warn,inf"), Err("\"inf\" is no level: did you mean `info`?".to_owned()));
        assert_eq!(told("warn,robocal"), Err("\"robocal\" is no level: did you mean `robocall`?".to_owned()));
        assert!(told("everything").is_err_and(|error| error.contains("off, error, warn")));
    }

    #[test]
    fn a_line_says_what_it_is_about_and_a_panic_is_told_whatever_the_filter_leaves_out() {
        let organisation: crate::model::OrganisationId = "bank".parse().expect("a name");
        for filter in ["robocall::dispatch=debug", "off,robocall::hooks=info", "error", "off"] {
            let lines = fmt::layer().with_writer(std::io::sink).with_filter(readable(filter).expect("a filter"));
            tracing::subscriber::with_default(registry().with(lines), || {
                let span = super::super::spans::webhook(&organisation, "https://crm.example", "c-0.1.1");
                assert!(!span.is_disabled(), "{filter}");
                assert!(tracing::enabled!(target: PANICS, Level::ERROR), "{filter}");
                assert!(tracing::enabled!(target: SAID, Level::INFO), "{filter}");
                assert!(!tracing::enabled!(target: "robocall::cli", Level::WARN), "{filter}");
            });
        }
    }
}
