//! Where the log goes: to stderr, for people, as detailed as was asked.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Sends the log of this process to stderr.
///
/// `filter` is a level (`warn`) or a list of them by module (`warn,robocall::dispatch=debug`).
///
/// # Errors
/// When `filter` is neither.
pub fn log_to_stderr(filter: &str, colours: bool) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // Somebody who set up a log of their own before, a test for one, keeps it.
    let _kept = log.try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_is_refused() {
        assert!(log_to_stderr("robocall=loud", false).is_err());
        assert!(log_to_stderr("warn,robocall::dispatch=debug", false).is_ok());
    }
}
