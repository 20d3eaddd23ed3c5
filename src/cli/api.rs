//! `robocall api`: the interface over HTTP.

use std::io::{self, Write as _};

use clap::Args;
use serde_json::json;

use super::configuration::ConfigArgs;
use super::flow::FlowLibrary;
use super::{Exit, Failure, Terminal};
use crate::daemon::{ApiStage, run_api};
use crate::shutdown::Interrupts;

/// Serve the interface over HTTP: requests, their status, live calls, organisations.
///
/// Any number can run, behind a load balancer that ends TLS. Clients show a key, see `robocall org key add`. What can be
/// asked is served at /v1/openapi.json. SIGTERM or Ctrl-C ends it when what is under way is answered; the second one at
/// once.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ApiArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where to listen, HOST:PORT; port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(flatten)]
    flows: FlowLibrary,
}

const HELP: &str = "\
Exit codes:
  0    told to end
  2    a setting or an option cannot be used, or nobody can listen there

Examples:
  robocall api --config config
  robocall api --listen 127.0.0.1:8080";

/// Serves.
pub fn run(args: ApiArgs, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    let ApiArgs { config, listen, flows } = args;
    let mut settings = config.read()?;
    settings.api.listen = listen.unwrap_or(settings.api.listen);
    let flows = flows.or(settings.worker.flows.clone()).catalogue()?;
    let interrupts = Interrupts::listen();
    let interrupts = interrupts.map_err(|error| Failure::Internal(format!("signals cannot be heard: {error}")))?;
    let terminal = *terminal;
    let tell = move |stage: ApiStage| match (stage, json) {
        (ApiStage::Listening(at), true) => {
            let mut out = io::stdout().lock();
            // Whoever started it may not care to read.
            let _unread = writeln!(out, "{}", json!({"status": "listening", "address": at})).and_then(|()| out.flush());
        }
        (ApiStage::Listening(at), false) => {
            terminal.say(&format!("Serving at http://{at}/v1, described at /v1/openapi.html.\n"))
        }
        (ApiStage::Ending, true) => {}
        (ApiStage::Ending, false) => terminal.say("Ending: what is under way is still answered.\n"),
    };
    run_api(&settings, flows, &interrupts, tell)?;
    Ok(Exit::Completed)
}
