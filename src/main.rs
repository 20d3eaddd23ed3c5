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
    let logs =
        cli.log_format(&surroundings).map_err(|error| format!("ROBOCALL_LOG_FORMAT: {error}")).and_then(|format| {
            let logs =
                telemetry::log_to_stderr(cli.log_filter(&surroundings), format, surroundings.colours_on_stderr());
            logs.map_err(|error| format!("--log or ROBOCALL_LOG: {error}"))
        });
    if let Err(error) = logs {
        return cli::refuse_log(&error, cli.json);
    }
    cli::run(cli, &surroundings).into()
}
