//! `robocall worker`: the daemon.

use std::io::{self, Write as _};

use clap::Args;
use serde_json::json;

use super::configuration::ConfigArgs;
use super::flow::FlowLibrary;
use super::{Exit, Failure, Terminal};
use crate::daemon::{WorkerStage, run_worker};
use crate::model::WorkerId;
use crate::shutdown::Interrupts;

/// Work: take requests from the broker, call, and tell of every step.
///
/// Any number of workers share the organisations' slots. SIGTERM or Ctrl-C drains: nothing new is dialled, live calls go
/// on for the time of grace and are then handed over to other workers; the second one stops at once, and other workers
/// take over what was live.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct WorkerArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// This worker's name, unique among all that run [default: the host's name and a number].
    #[arg(long, value_name = "NAME")]
    id: Option<WorkerId>,
    /// Most live calls at a time.
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..))]
    capacity: Option<u32>,
    /// Seconds that live calls may go on after SIGTERM.
    #[arg(long, value_name = "SECONDS")]
    grace: Option<u64>,
    #[command(flatten)]
    flows: FlowLibrary,
}

const HELP: &str = "\
Exit codes:
  0    drained, or stopped
  1    it ended by itself: another process took its name while it stood still, a part of it broke
  2    a setting or an option cannot be used

Examples:
  robocall worker --config config
  ROBOCALL__REDIS__URL=redis://db/ robocall worker --id worker-1 --capacity 500";

/// Works.
pub fn run(args: WorkerArgs, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    let WorkerArgs { config, id, capacity, grace, flows } = args;
    let mut settings = config.read()?;
    settings.worker.id = id.or(settings.worker.id);
    settings.worker.capacity = capacity.unwrap_or(settings.worker.capacity);
    settings.worker.grace_secs = grace.unwrap_or(settings.worker.grace_secs);
    let flows = flows.or(settings.worker.flows.clone()).catalogue()?;
    let interrupts = Interrupts::listen();
    let interrupts = interrupts.map_err(|error| Failure::Internal(format!("signals cannot be heard: {error}")))?;
    let grace = settings.worker.grace_secs;
    let terminal = *terminal;
    let tell = move |stage: WorkerStage, id: &WorkerId| {
        if json {
            let status = match stage {
                WorkerStage::Starting => "started",
                WorkerStage::Working => "working",
                WorkerStage::Draining => "draining",
                WorkerStage::Stopping => "stopping",
            };
            let mut out = io::stdout().lock();
            // Whoever started it may not care to read.
            let _unread = writeln!(out, "{}", json!({"status": status, "worker": id})).and_then(|()| out.flush());
            return;
        }
        terminal.say(&match stage {
            WorkerStage::Starting => format!("Worker {id} is starting: it waits for its servers, and for its name.\n"),
            WorkerStage::Working => format!("Worker {id} has started.\n"),
            WorkerStage::Draining => format!(
                "Worker {id} drains: it begins no more calls. Live ones go on for {grace} s at most, then other workers take \
                 them over. A second signal ends it at once.\n"
            ),
            WorkerStage::Stopping => format!(
                "Worker {id} ends at once: other workers take its live calls over in half a minute, and callees hear \
                 nothing until then.\n"
            ),
        });
    };
    run_worker(&settings, flows, &interrupts, tell)?;
    Ok(Exit::Completed)
}
