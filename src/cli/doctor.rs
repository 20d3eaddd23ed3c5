//! `robocall doctor`: whether a deployment is well, and what to do where it is not.

use std::io::{self, Write as _};

use clap::Args;
use serde_json::json;

use super::configuration::{self, ConfigArgs};
use super::{Exit, Failure, Terminal, values};
use crate::daemon::{Console, Finding, Verdict};
use crate::model::OrganisationId;
use crate::reading::shown;

/// Look whether a deployment is well, and say what to do where it is not.
///
/// Settings, broker, database, phone network, speech engine; what they may forget, how fast they answer, whether clocks
/// agree; whether a worker lives; and the slots and calls of organisations. Nothing is changed but what is missing at the broker, which is declared, and
/// the folder of prompts, which is made.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct DoctorArgs {
    /// Look at the slots and calls of this organisation only; otherwise at those of all.
    #[arg(long, value_parser = values::organisation)]
    org: Option<OrganisationId>,
    /// Exit code 2 for warnings, too.
    #[arg(long)]
    deny_warnings: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

const HELP: &str = "\
Exit codes:
  0    all is well, but for warnings
  2    the settings cannot be used; with --deny-warnings, there are warnings
  4    something fails: a server does not answer, or cannot be used

Examples:
  robocall doctor --config config
  robocall doctor --org bank --json --deny-warnings";

/// Looks.
pub fn run(args: DoctorArgs, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    let settings = args.config.read()?;
    settings.trusted().map_err(|error| configuration::failure(&error))?;
    let console = Console::open(&settings)?;
    let mut findings = vec![];
    let (mut written, mut worst) = (Ok(()), Verdict::Ok);
    let mut tell = |finding: Finding| {
        worst = worst.max(finding.status);
        if !json && written.is_ok() {
            written = io::stdout().lock().write_all(in_words(&finding, terminal).as_bytes());
        }
        findings.push(finding);
    };
    tell(Finding::settings());
    console.check_up(args.org.as_ref(), &mut tell);
    written?;
    if json {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", json!({"status": worst, "checks": findings}))?;
    }
    Ok(match worst {
        Verdict::Fail => Exit::Unreachable,
        Verdict::Warn if args.deny_warnings => Exit::BadInput,
        Verdict::Warn | Verdict::Ok => Exit::Completed,
    })
}

fn in_words(finding: &Finding, terminal: &Terminal) -> String {
    let Finding { check, status, message, advice } = finding;
    let paint = terminal.on_stdout;
    let word = match status {
        Verdict::Ok => paint.green("ok  "),
        Verdict::Warn => paint.bold("warn"),
        Verdict::Fail => paint.red("fail"),
    };
    let mut text = format!("{word}  {check:<14} {}\n", shown(message));
    if let Some(advice) = advice {
        text.push_str(&format!("{:21}→ {}\n", "", shown(advice)));
    }
    text
}
