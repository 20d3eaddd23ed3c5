//! `robocall org key`: keys by which organisations are known over HTTP. A key is written once, where it is made.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write as _};

use clap::{Args, Subcommand};
use serde_json::json;

use super::amounts::counted;
use super::configuration::ConfigArgs;
use super::exit::say;
use super::org::Which;
use super::report::table;
use super::{Exit, Failure, values};
use crate::daemon::{Console, new_api_key};
use crate::model::{ApiKey, ApiKeyRecord, IdError, KeyId, KeyLabel, OrganisationId, Scope};
use crate::reading::shown;

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    Add(AddArgs),
    /// List keys, the oldest first; never the keys themselves, which nobody has but their users.
    List(ListArgs),
    /// Revoke a key: from now on it opens nothing.
    Revoke(RevokeArgs),
}

/// Make a key, and write it to stdout: this once, since only its hash is kept.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct AddArgs {
    /// What to call it: who uses it, say.
    #[arg(long, value_name = "TEXT")]
    label: KeyLabel,
    /// What it is good for: submit, read, supervise, admin.
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',', default_value = "submit,read")]
    scopes: Vec<Scope>,
    #[command(flatten)]
    which: Which,
}

/// Which keys.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ListArgs {
    /// Only those of this organisation.
    #[arg(long, value_parser = values::organisation)]
    org: Option<OrganisationId>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Which key.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct RevokeArgs {
    /// Its id, as `robocall org key list` shows it: the twelve digits behind `rc_`. Or the whole key, if it is all you
    /// found.
    #[arg(value_parser = key_id)]
    id: KeyId,
    /// Only if it is of this organisation.
    #[arg(long, value_parser = values::organisation)]
    org: Option<OrganisationId>,
    #[command(flatten)]
    config: ConfigArgs,
}

const HELP: &str = "\
Exit codes:
  0    done
  2    there is no such key; or a setting or an option cannot be used
  4    the database does not answer: a key that was to be made may be listed all the same

Examples:
  robocall org key add --org bank --label crm > crm.key
  robocall org key add --org bank --label dashboard --scopes read
  robocall org key list --org bank
  robocall org key revoke 1f2e3d4c5b6a";

/// A key's id, by itself or in the key.
fn key_id(text: &str) -> Result<KeyId, String> {
    let of_key = text.parse::<ApiKey>().map(|key| key.id().clone());
    of_key.or_else(|_| text.parse()).map_err(|error: IdError| error.to_string())
}

/// Does it.
pub fn run(command: &KeyCommand, json: bool) -> Result<Exit, Failure> {
    match command {
        KeyCommand::Add(args) => add(args, json)?,
        KeyCommand::List(args) => {
            let console = Console::open(&args.config.read()?)?;
            let keys = console.ask_store(console.keys().list(args.org.as_ref()))?;
            let mut out = BufWriter::new(io::stdout().lock());
            if json {
                writeln!(out, "{}", json!({ "keys": keys }))?;
            } else {
                out.write_all(in_words(&keys).as_bytes())?;
            }
            out.flush()?;
        }
        KeyCommand::Revoke(args) => {
            let console = Console::open(&args.config.read()?)?;
            let revoked = console.ask_store(console.keys().revoke(args.org.as_ref(), &args.id))?;
            let key = revoked.ok_or_else(|| unknown(&args.id, args.org.as_ref()))?;
            let mut out = io::stdout().lock();
            if json {
                writeln!(out, "{}", json!({"status": "revoked", "key": key}))?;
            } else {
                writeln!(out, "key {} of {} ({}): revoked", key.id, key.organisation, shown(key.label.as_str()))?;
            }
        }
    }
    Ok(Exit::Completed)
}

fn add(args: &AddArgs, json: bool) -> Result<(), Failure> {
    let console = Console::open(&args.which.config.read()?)?;
    let key = new_api_key().map_err(|error| Failure::Internal(format!("no randomness: {error}")))?;
    let record = ApiKeyRecord {
        id: key.id().clone(),
        organisation: args.which.org.clone(),
        label: args.label.clone(),
        scopes: args.scopes.iter().copied().collect(),
        created_at: console.now(),
    };
    console.create_key(&key, &record)?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json!({"status": "created", "apiKey": key.expose(), "key": record}))?;
    } else {
        // What is said of it goes elsewhere, so that stdout can be put into a file as it is.
        writeln!(out, "{}", key.expose())?;
        let ApiKeyRecord { id, organisation, label, scopes, .. } = &record;
        let (label, scopes) = (shown(label.as_str()), listed(scopes));
        say(&format!("key {id} of {organisation} ({label}), good for {scopes}: shown this once, kept nowhere\n"));
    }
    Ok(())
}

fn unknown(id: &KeyId, organisation: Option<&OrganisationId>) -> Failure {
    Failure::NotFound(match organisation {
        Some(organisation) => format!("organisation {organisation} has no key {id}"),
        None => format!("there is no key {id}"),
    })
}

fn listed(scopes: &BTreeSet<Scope>) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
}

fn in_words(keys: &[ApiKeyRecord]) -> String {
    if keys.is_empty() {
        return "No keys.\n".to_owned();
    }
    let mut rows = table(&["key", "organisation", "label", "good for", "made"]);
    for ApiKeyRecord { id, organisation, label, scopes, created_at } in keys {
        let label = shown(label.as_str());
        rows.add_row([id.as_str(), organisation.as_str(), &label, &listed(scopes), &created_at.to_string()]);
    }
    format!("{}\n\n{}\n", rows.trim_fmt(), counted(keys.len() as u64, "key"))
}
