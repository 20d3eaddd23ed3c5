//! `robocall simulator`: the simulated phone network as a process of its own.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::Args;
use serde_json::json;

use super::documents::not_over;
use super::exit::plain;
use super::numbers::{MAGIC_NUMBERS, NetworkArgs};
use super::{Exit, Failure, Terminal, values};
use crate::daemon::{Counters, ServerError, Simulator, SimulatorError, SimulatorSettings};
use crate::shutdown::Interrupts;

/// Serve a simulated phone network to workers.
///
/// Several workers may share it, and it outlives them, as a telephone exchange does. Nobody is really called. Says where
/// it listens; with --json, as {"address": …, "status": "listening"}. Ends when interrupted, and with it all calls.
#[derive(Debug, Args)]
#[command(after_long_help = HELP.as_str(), after_help = "More with --help: magic numbers, exit codes, examples.")]
pub struct SimulatorArgs {
    /// Where workers come to; port 0 is one that is free.
    #[arg(long, default_value = "127.0.0.1:7460", value_name = "HOST:PORT")]
    listen: String,
    /// Write every dial, ring, answer, bridge and end to the end of a file, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    dial_log: Option<PathBuf>,
    /// Let the phones live so many times as fast, 0.001 to 100000.
    #[arg(long, allow_negative_numbers = true, default_value_t = 1.0, value_name = "TIMES", value_parser = values::number(0.001..=100_000.0))]
    speed: f64,
    #[command(flatten)]
    network: NetworkArgs,
}

static HELP: LazyLock<String> = LazyLock::new(|| format!("{MAGIC_NUMBERS}\n\n{EXITS}\n\n{EXAMPLES}"));

const EXITS: &str = "\
Exit codes:
  0    interrupted (Ctrl-C, SIGTERM)
  1    something broke: the log of dials could not be written
  2    an option, a file or the address cannot be used";

const EXAMPLES: &str = "\
Examples:
  robocall simulator
  robocall simulator --listen 127.0.0.1:0 --json           prints the port it found
  robocall simulator --dial-log dials.jsonl --answer 1 --seed 7";

/// Serves it.
pub fn run(args: SimulatorArgs, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    if let (Some(log), Some(network)) = (args.dial_log.as_deref(), args.network.file_read()) {
        not_over(log, network, "the network's settings")?;
    }
    let settings = SimulatorSettings {
        listen: args.listen,
        network: args.network.settings()?,
        speed: args.speed,
        dial_log: args.dial_log,
    };
    let simulator = Simulator::new(settings).map_err(failure)?;
    let interrupts = Interrupts::listen();
    let interrupts = interrupts.map_err(|error| Failure::Internal(format!("signals cannot be heard: {error}")))?;
    let address = simulator.address();
    if json {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", json!({"status": "listening", "address": address.to_string()}))?;
        out.flush()?;
    } else {
        terminal.say(&format!("The simulated phone network listens on {address}. Ctrl-C ends it, and all calls.\n"));
    }
    let counters = simulator.run(&interrupts).map_err(failure)?;
    if !json {
        let Counters { dialled, answered, .. } = counters;
        terminal.say(&format!("{dialled} dials, {answered} answered, {} calls cut short.\n", counters.live()));
    }
    Ok(Exit::Completed)
}

fn failure(error: SimulatorError) -> Failure {
    match error {
        SimulatorError::Server(ServerError::Listen(address, error)) => {
            Failure::usage(format!("cannot listen on {address}: {}", plain(&error)))
        }
        SimulatorError::Server(ServerError::OpenLog { path, error }) => {
            Failure::unwritable(&path.display().to_string(), &error)
        }
        SimulatorError::Speed(_) => Failure::usage(error.to_string()),
        SimulatorError::Runtime(_) | SimulatorError::Server(ServerError::Log(_)) => {
            Failure::Internal(error.to_string())
        }
    }
}
