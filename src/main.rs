//! The `robocall` program: read the command line, set up the log, do as told, answer with an exit code.

use std::process::ExitCode;

use robocall::cli::{self, Surroundings};
use robocall::{telemetry, tls};

/// A call makes some two hundred short-lived allocations.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tls::install_provider();
    let surroundings = Surroundings::from_environment(|name| std::env::var(name).ok());
    let cli = match cli::read_arguments() {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    if let Err(error) = telemetry::log_to_stderr(cli.log_filter(&surroundings), surroundings.colours_on_stderr()) {
        return cli::refuse_log_filter(&error, cli.json);
    }
    cli::run(cli, &surroundings).into()
}
