//! `robocall hook secret`: what an organisation's webhooks are signed with. A secret is written once, where it is made.

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::say;
use super::org::Which;
use super::{Exit, Failure};
use crate::daemon::{Console, new_hook_secret};
use crate::model::HookSecret;

/// Most secrets at a time: an old one and a new one.
const MOST_SECRETS: usize = 2;

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Make a secret, and write it to stdout: this once. Messages are signed with it besides the one there is, so that
    /// receivers can change over; then remove the old one.
    Add(WhoseArgs),
    /// List the names of secrets, the newest first; never the secrets themselves.
    List(WhoseArgs),
    /// Remove a secret: messages are not signed with it any more.
    Remove(RemoveArgs),
}

/// Whose.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct WhoseArgs {
    #[command(flatten)]
    which: Which,
}

/// Which secret.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct RemoveArgs {
    /// Its name, as `robocall hook secret list` shows it. Or the whole secret, if it is all you found.
    #[arg(value_parser = name)]
    name: String,
    #[command(flatten)]
    which: Which,
}

const HELP: &str = "\
Exit codes:
  0    done
  2    there is no such secret, or there are two already; or an option or a setting cannot be used
  4    the database does not answer

Examples:
  robocall hook secret add --org bank > hooks.secret
  robocall hook secret list --org bank
  robocall hook secret remove 1f2e3d4c --org bank";

fn name(text: &str) -> Result<String, String> {
    let is_name = text.len() == 8 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    if is_name {
        return Ok(text.to_owned());
    }
    let secret = text.parse::<HookSecret>().map_err(|_| "must be 8 of 0-9 and a-f, or a secret".to_owned());
    secret.map(|secret| secret.id())
}

/// Does it.
pub fn run(command: &SecretCommand, json: bool) -> Result<Exit, Failure> {
    let (SecretCommand::Add(WhoseArgs { which })
    | SecretCommand::List(WhoseArgs { which })
    | SecretCommand::Remove(RemoveArgs { which, .. })) = command;
    let (console, org) = (Console::open(&which.config.read()?)?, &which.org);
    let hooks = console.hooks();
    let mut secrets = console.ask_store(hooks.secrets(org))?;
    let mut out = io::stdout().lock();
    match command {
        SecretCommand::Add(_) => {
            if secrets.len() >= MOST_SECRETS {
                let why = format!("organisation {org} has {MOST_SECRETS} secrets already: remove the older one first");
                return Err(Failure::conflict(why));
            }
            let secret = new_hook_secret().map_err(|error| Failure::Internal(format!("no randomness: {error}")))?;
            secrets.insert(0, secret.clone());
            console.ask_store(hooks.set_secrets(org, &secrets))?;
            if json {
                writeln!(out, "{}", json!({"status": "created", "secret": secret.expose(), "name": secret.id()}))?;
            } else {
                writeln!(out, "{}", secret.expose())?;
                say(&format!("secret {} of {org}: shown this once\n", secret.id()));
            }
        }
        SecretCommand::List(_) => {
            let names: Vec<String> = secrets.iter().map(HookSecret::id).collect();
            if json {
                writeln!(out, "{}", json!({ "secrets": names }))?;
            } else {
                names.iter().try_for_each(|name| writeln!(out, "{name}"))?;
            }
        }
        SecretCommand::Remove(RemoveArgs { name, .. }) => {
            let before = secrets.len();
            secrets.retain(|secret| secret.id() != *name);
            if secrets.len() == before {
                return Err(Failure::NotFound(format!("organisation {org} has no secret {name}")));
            }
            console.ask_store(hooks.set_secrets(org, &secrets))?;
            if json {
                writeln!(out, "{}", json!({"status": "removed", "name": name}))?;
            } else {
                writeln!(out, "secret {name} of {org}: removed")?;
            }
        }
    }
    Ok(Exit::Completed)
}
