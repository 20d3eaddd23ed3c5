//! `robocall healthy`: whether the worker or interface of this container lives, for those who start it again if not.

use std::io::{self, Write as _};

use clap::Args;
use serde_json::json;

use super::configuration::ConfigArgs;
use super::exit::say;
use super::{Exit, Failure};
use crate::daemon::is_alive;

/// Say whether the process lives that was started here with the same settings.
///
/// Asks /livez where `metrics.listen` says. Where that is empty there is nothing to ask, and all is taken to be well: a container
/// without it, the demo for one, is as alive as its process.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct HealthyArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

const HELP: &str = "\
Exit codes:
  0    it lives, or there is nothing to ask
  2    the settings cannot be used
  4    it does not answer

Examples:
  robocall healthy";

/// Asks.
pub fn run(args: &HealthyArgs, json: bool) -> Result<Exit, Failure> {
    let asked = is_alive(&args.config.read()?)?.is_some();
    if json {
        writeln!(io::stdout().lock(), "{}", json!({"status": "alive", "asked": asked}))?;
    } else if asked {
        say("It lives.\n");
    } else {
        say("metrics.listen is empty: there is nothing to ask.\n");
    }
    Ok(Exit::Completed)
}
