//! `robocall dead`: requests that were rejected, or that nobody survived.

use std::io::{self, Write as _};

use clap::{Args, Subcommand};

use super::amounts::counted;
use super::configuration::ConfigArgs;
use super::report::table;
use super::{Exit, Failure, values};
use crate::daemon::{Console, ConsoleError, DeadLetter};
use crate::reading::shown;

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List the oldest.
    List(ListArgs),
    /// Show one, as it was submitted.
    Show(OneArgs),
    /// Submit one again, as it is: what was wrong must have been put right elsewhere.
    Retry(OneArgs),
    Drop(DropArgs),
}

/// Let dead letters go, for ever: whoever submitted them was told why.
///
/// Nothing is asked: what is let go is printed. If one of those that are named is not there, none is let go.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct DropArgs {
    /// The dead letters, as `robocall dead list` shows them.
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All there are now.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Which are listed.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ListArgs {
    /// Most that are listed.
    #[arg(long, value_name = "LETTERS", default_value_t = 100, value_parser = values::whole(1..=100_000_usize))]
    limit: usize,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Which one it is about.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct OneArgs {
    /// The dead letter, as `robocall dead list` shows it.
    id: String,
    #[command(flatten)]
    config: ConfigArgs,
}

const HELP: &str = "\
Exit codes:
  0    done
  2    there is no such letter, or it names no organisation; or a setting or option cannot be used
  4    the broker does not answer

Examples:
  robocall dead list
  robocall dead show 1f2e3d4c5b6a7988 > request.json
  robocall dead retry 1f2e3d4c5b6a7988
  robocall dead drop 1f2e3d4c5b6a7988";

/// Does it.
pub fn run(command: DeadCommand, json: bool) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    match command {
        DeadCommand::List(args) => {
            let console = Console::open(&args.config.read()?)?;
            let client = console.client()?;
            let letters = console.ask_broker(client.dead_letters(args.limit))?;
            if json {
                serde_json::to_writer(&mut out, &serde_json::json!({ "deadLetters": letters }))?;
                out.write_all(b"\n")?;
            } else {
                out.write_all(in_words(&letters).as_bytes())?;
            }
        }
        DeadCommand::Show(args) => {
            let console = Console::open(&args.config.read()?)?;
            let client = console.client()?;
            let found = console.ask_broker(client.dead_letter(&args.id));
            let (letter, text) = found.map_err(|error| unknown(&args.id, error))?;
            if json {
                let text = String::from_utf8_lossy(&text);
                serde_json::to_writer(&mut out, &serde_json::json!({ "deadLetter": letter, "text": text }))?;
            } else {
                out.write_all(&text)?;
            }
            out.write_all(b"\n")?;
        }
        DeadCommand::Retry(args) => {
            let console = Console::open(&args.config.read()?)?;
            let client = console.client()?;
            let retried = console.ask_broker(client.retry_dead_letter(&args.id));
            let letter = retried.map_err(|error| unknown(&args.id, error))?;
            if json {
                let answer = serde_json::json!({"status": "submitted", "deadLetter": letter});
                serde_json::to_writer(&mut out, &answer)?;
                out.write_all(b"\n")?;
            } else {
                writeln!(out, "{}: submitted again", letter.id)?;
            }
        }
        DeadCommand::Drop(args) => {
            let console = Console::open(&args.config.read()?)?;
            let client = console.client()?;
            if !args.all {
                let there = console.ask_broker(client.dead_letters(usize::MAX))?;
                let missing = args.ids.iter().find(|id| !there.iter().any(|letter| letter.id == **id));
                if let Some(id) = missing {
                    return Err(unknown(id, ConsoleError::NotFound));
                }
            }
            let wanted = |letter: &DeadLetter| args.all || args.ids.contains(&letter.id);
            let letters = console.ask_broker(client.drop_dead_letters(wanted))?;
            if json {
                serde_json::to_writer(&mut out, &serde_json::json!({"status": "dropped", "deadLetters": letters}))?;
                out.write_all(b"\n")?;
            } else if letters.is_empty() {
                out.write_all(NONE.as_bytes())?;
            } else {
                writeln!(out, "{}: let go", listed(&letters))?;
            }
        }
    }
    Ok(Exit::Completed)
}

fn unknown(id: &str, error: ConsoleError) -> Failure {
    match error {
        ConsoleError::NotFound => Failure::NotFound(format!("no dead letter is called {id}")),
        error => error.into(),
    }
}

const NONE: &str = "No dead letters.\n";

fn in_words(letters: &[DeadLetter]) -> String {
    if letters.is_empty() { NONE.to_owned() } else { format!("{}\n", listed(letters)) }
}

/// A table of them, and how many there are.
fn listed(letters: &[DeadLetter]) -> String {
    let mut listed = table(&["letter", "organisation", "request", "bytes", "reason", "error"]);
    for letter in letters {
        let DeadLetter { id, organisation, request_id, reason, error, bytes, .. } = letter;
        listed.add_row([
            id.clone(),
            organisation.clone().unwrap_or_default(),
            shown(request_id.as_deref().unwrap_or_default()).to_string(),
            bytes.to_string(),
            shown(reason).to_string(),
            shown(error).to_string(),
        ]);
    }
    format!("{}\n\n{}", listed.trim_fmt(), counted(letters.len() as u64, "dead letter"))
}
