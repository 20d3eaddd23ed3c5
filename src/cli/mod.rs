//! The command line, one file a command.
//!
//! It reads arguments, calls the composition root, and writes for people or, with `--json`, for programs. Commands
//! answer with an [`Exit`]; nothing below this room ends the process.

mod amounts;
mod api;
mod asyncapi;
mod call;
mod calls;
mod campaign;
mod command;
mod completions;
mod configuration;
mod dead;
mod demo;
mod doctor;
mod documents;
mod exit;
mod flow;
mod healthy;
mod hook;
mod hook_secret;
mod interface;
mod missing;
mod numbers;
mod org;
mod org_key;
mod org_list;
mod outcome;
mod progress;
mod report;
mod request;
mod requests;
mod run;
mod schema;
mod simulator;
mod spool;
mod standing;
mod status;
mod status_document;
mod submit;
mod tail;
mod terminal;
mod untimely;
mod values;
mod waiting;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::stray_variables;
use crate::telemetry::LogFormat;

pub use exit::{Exit, Failure};
pub use terminal::{Surroundings, Terminal};

/// Campaign worker for automated phone calls: dials, talks, listens, and reports every step.
#[derive(Debug, Parser)]
#[command(name = "robocall", version, about, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Answer as JSON on stdout, errors included.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,

    /// What to log on stderr: a level, or levels by module, such as `warn,robocall::dispatch=debug`. Also in
    /// ROBOCALL_LOG.
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Everywhere")]
    pub log: Option<String>,

    /// What lines of the log look like: `text` for people, `json` (one object a line) for what collects logs. Also in
    /// ROBOCALL_LOG_FORMAT.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_parser = LogFormat::ALL.map(|(name, _)| name),
        help_heading = "Everywhere"
    )]
    pub log_format: Option<String>,

    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done; a request that was run has completed
  1    something broke: an output failed while it was written, a worker failed
  2    what was given cannot be used: a request, an option, a file that cannot be read or opened for
       writing; nothing was dialled
  3    the request ended otherwise: cancelled, expired
  4    a server does not answer, or does not let us in
  5    the servers answer, but no worker has in time
  130  interrupted a second time, or before the request was accepted: ended at once";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Demo(demo::DemoArgs),
    Simulator(simulator::SimulatorArgs),
    Worker(worker::WorkerArgs),
    Api(api::ApiArgs),
    Submit(submit::SubmitArgs),
    Status(status::StatusArgs),
    Tail(tail::TailArgs),
    Calls(calls::CallsArgs),
    /// Do something with a live call.
    #[command(subcommand)]
    Call(call::CallCommand),
    /// Look at what organisations may do, and change it.
    #[command(subcommand)]
    Org(org::OrgCommand),
    /// Look at requests that were rejected; submit them again, or let them go.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Look at webhooks: who lags, what could not be delivered, and what they are signed with.
    #[command(subcommand)]
    Hook(hook::HookCommand),
    Doctor(doctor::DoctorArgs),
    Healthy(healthy::HealthyArgs),
    /// Look at the settings of the daemon.
    #[command(subcommand)]
    Config(configuration::ConfigCommand),
    /// Look at call requests; list, pause, resume and cancel those of a deployment.
    #[command(subcommand)]
    Request(request::RequestCommand),
    /// Look at call flows, and try them.
    #[command(subcommand)]
    Flow(flow::FlowCommand),
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
}

impl Command {
    /// Whether whoever gave it relies on the surroundings from now on.
    const fn begins_work(&self) -> bool {
        matches!(
            self,
            Self::Worker(_) | Self::Api(_) | Self::Demo(_) | Self::Config(configuration::ConfigCommand::Check(_))
        )
    }

    /// Whether it goes on until it is told to end, and nobody sits before it.
    const fn is_daemon(&self) -> bool {
        matches!(self, Self::Worker(_) | Self::Api(_) | Self::Simulator(_))
    }

    /// Whether it is answered by the servers of a deployment.
    const fn asks_a_deployment(&self) -> bool {
        matches!(
            self,
            Self::Submit(_)
                | Self::Status(_)
                | Self::Calls(_)
                | Self::Call(_)
                | Self::Org(_)
                | Self::Dead(_)
                | Self::Hook(_)
                | Self::Doctor(_)
                | Self::Request(_)
        )
    }
}

impl Cli {
    /// Whether this is a process that goes on, for others: what it does is worth a trace.
    pub const fn serves(&self) -> bool {
        matches!(self.command, Command::Worker(_) | Command::Api(_) | Command::Demo(_))
    }

    /// What is to be logged.
    pub fn log_filter<'a>(&'a self, surroundings: &'a Surroundings) -> &'a str {
        // An embedded run tells of a rejection itself, in full.
        const QUIET: &str = "warn,robocall::dispatch::intake=error";
        // A worker tells nobody else, nor does who only waits for events. Whoever asks a deployment something is told what is
        // wrong in the answer.
        let default = match &self.command {
            Command::Worker(_) | Command::Api(_) | Command::Tail(_) => "warn",
            command if command.asks_a_deployment() => "error,lapin=off",
            _ => QUIET,
        };
        self.log.as_deref().or(surroundings.log.as_deref()).unwrap_or(default)
    }

    /// What lines of the log look like.
    ///
    /// # Errors
    /// When the surroundings name what is no format.
    pub fn log_format(&self, surroundings: &Surroundings) -> Result<LogFormat, String> {
        let Some(name) = self.log_format.as_ref().or(surroundings.log_format.as_ref()) else {
            return Ok(LogFormat::default());
        };
        LogFormat::named(name).ok_or_else(|| format!("there is no log format {name:?}: it is text or json"))
    }
}

/// Reads the command line of this process.
///
/// # Errors
/// With the exit code, when it asks only for help, or cannot be read; that has been said.
pub fn read_arguments() -> Result<Cli, ExitCode> {
    use clap::error::ErrorKind;
    Cli::try_parse().map_err(|error| {
        let wants_json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
        let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        if !wants_json || is_answer {
            // Whoever does not read the help has no use for it.
            let _unread = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
        // The first paragraph says what is wrong; the others, how to learn more.
        let text = error.render().to_string();
        let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").trim_end();
        let terminal = Terminal::of(&Surroundings { no_colour: true, ..Surroundings::default() });
        Failure::usage(first).tell(true, &terminal).into()
    })
}

/// Does as told.
pub fn run(cli: Cli, surroundings: &Surroundings) -> Exit {
    let is_log = cli.command.is_daemon() && cli.log_format(surroundings) == Ok(LogFormat::Json);
    let Cli { json, command, .. } = cli;
    if command.begins_work() {
        for stray in stray_variables() {
            tracing::warn!("{stray}");
        }
    }
    let terminal = Terminal::of(surroundings);
    let terminal = if is_log { terminal.of_log() } else { terminal };
    let ended = match command {
        Command::Run(args) => run::run(args, json, &terminal),
        Command::Demo(args) => demo::run(args, json, &terminal, &surroundings.called()),
        Command::Simulator(args) => simulator::run(args, json, &terminal),
        Command::Worker(args) => worker::run(args, json, &terminal),
        Command::Api(args) => api::run(args, json, &terminal),
        Command::Submit(args) => submit::run(args, json, &terminal),
        Command::Status(args) => status::run(args, json, &terminal),
        Command::Tail(args) => tail::run(args, json),
        Command::Calls(args) => calls::run(args, json),
        Command::Call(command) => call::run(command, json),
        Command::Org(command) => org::run(command, json),
        Command::Dead(command) => dead::run(command, json),
        Command::Hook(command) => hook::run(command, json),
        Command::Doctor(args) => doctor::run(args, json, &terminal),
        Command::Healthy(args) => healthy::run(&args, json),
        Command::Config(command) => configuration::run(command, json),
        Command::Request(command) => request::run(command, json),
        Command::Flow(command) => flow::run(command, json, &terminal),
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => completions::run(args),
    };
    ended.unwrap_or_else(|failure| failure.tell(json, &terminal))
}

/// Refuses what was said about the log.
pub fn refuse_log(error: &str, json: bool) -> ExitCode {
    let terminal = Terminal::of(&Surroundings { no_colour: true, ..Surroundings::default() });
    Failure::usage(error).tell(json, &terminal).into()
}
