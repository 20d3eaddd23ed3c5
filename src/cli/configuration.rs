//! `robocall config`, and the option that says where settings are.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::say;
use super::flow::FlowLibrary;
use super::{Exit, Failure};
use crate::config::{self, ConfigError, Settings};
use crate::daemon::{check_api, check_settings};

/// Where settings are read from.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Settings: a TOML file, or a folder of them. ROBOCALL__SECTION__KEY variables come after, options last.
    #[arg(long = "config", value_name = "PATH", help_heading = "Settings")]
    place: Option<PathBuf>,
}

impl ConfigArgs {
    /// Reads them.
    pub fn read(&self) -> Result<Settings, Failure> {
        config::read(self.place.as_deref()).map_err(|error| failure(&error))
    }
}

/// Settings that cannot be used are the caller's to mend.
pub fn failure(error: &ConfigError) -> Failure {
    Failure::usage(error.to_string())
}

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the settings as a worker would take them, secrets hidden.
    Show(ConfigArgs),
    /// Say whether workers and the interface can use the settings; no server is asked.
    Check(ConfigArgs),
}

/// Does it.
pub fn run(command: ConfigCommand, json: bool) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Show(args) => {
            let settings = args.read()?;
            let text = serde_json::to_string_pretty(&settings).map_err(|error| Failure::Internal(error.to_string()))?;
            writeln!(io::stdout().lock(), "{text}")?;
        }
        ConfigCommand::Check(args) => {
            let settings = args.read()?;
            check_settings(&settings)?;
            // As `robocall api` finds them.
            let flows = FlowLibrary::default().or(settings.worker.flows.clone()).catalogue()?;
            check_api(&settings, &flows)?;
            if json {
                writeln!(io::stdout().lock(), "{}", serde_json::json!({"status": "valid"}))?;
            } else {
                say("The settings can be used.\n");
            }
        }
    }
    Ok(Exit::Completed)
}
