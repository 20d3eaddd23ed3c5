//! The `robocall` program: read the command line, set up the log, do as told, answer with an exit code.

use std::process::ExitCode;

use robocall::cli::{self, Cli, Surroundings};
use robocall::telemetry::{self, Traces, TracesError};
use robocall::tls;

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
    let (traces, untold) = traces(&cli);
    let logs =
        cli.log_format(&surroundings).map_err(|error| format!("ROBOCALL_LOG_FORMAT: {error}")).and_then(|format| {
            let (filter, colours) = (cli.log_filter(&surroundings), surroundings.colours_on_stderr());
            let logs = telemetry::log_to_stderr(filter, format, colours, &traces);
            logs.map_err(|error| format!("--log or ROBOCALL_LOG: {error}"))
        });
    if let Err(error) = logs {
        return cli::refuse_log(&error, cli.json);
    }
    if let Some(error) = untold {
        tracing::warn!(%error, "no spans are exported");
    }
    let exit = cli::run(cli, &surroundings);
    traces.end();
    exit.into()
}

/// Where spans go, and why nowhere if that is not as it should be: nobody is called less for it.
fn traces(cli: &Cli) -> (Traces, Option<TracesError>) {
    if !cli.serves() {
        return (Traces::default(), None);
    }
    match Traces::from_environment(|name| std::env::var(name).ok()) {
        Ok(traces) => (traces, None),
        Err(error) => (Traces::default(), Some(error)),
    }
}
