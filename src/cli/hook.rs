//! `robocall hook`: webhooks that lag or are gone, what could not be delivered to them, and how it is tried again.

use std::io::{self, BufWriter, Write as _};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::amounts::counted;
use super::configuration::ConfigArgs;
use super::hook_secret::{self, SecretCommand};
use super::org::Which;
use super::report::table;
use super::{Exit, Failure, values};
use crate::daemon::{Console, random_number};
use crate::model::{HookUrl, OrganisationId};
use crate::ports::hooks::{DeadEvent, EndpointGlimpse, EndpointKey, Wish, WishKind};
use crate::reading::shown;

/// What can be done with webhooks.
#[derive(Debug, Subcommand)]
pub enum HookCommand {
    /// List those for which events wait, and those that said they are gone. Where nothing waits, nothing is listed.
    List(ListArgs),
    /// List events that could not be delivered, the oldest first, and gaps in what was read.
    Dead(DeadArgs),
    /// Try dead letters again: one, or all of the organisation.
    Retry(RetryArgs),
    /// Send again to one that said it is gone (410); try one that fails at once.
    Enable(EnableArgs),
    /// Make, list and remove the secrets that messages are signed with.
    #[command(subcommand)]
    Secret(SecretCommand),
}

/// Which are listed.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ListArgs {
    /// Only those of this organisation.
    #[arg(long, value_parser = values::organisation)]
    org: Option<OrganisationId>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Which are listed.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct DeadArgs {
    /// Only those of this organisation.
    #[arg(long, value_parser = values::organisation)]
    org: Option<OrganisationId>,
    /// Most that are listed of each organisation.
    #[arg(long, value_name = "LETTERS", default_value_t = 100, value_parser = values::whole(1..=100_000_u32))]
    limit: u32,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Which are tried again.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct RetryArgs {
    /// The dead letter, as `robocall hook dead` shows it.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// All of the organisation, a thousand at most.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    which: Which,
}

/// Which is sent to again.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct EnableArgs {
    /// Its address.
    url: HookUrl,
    #[command(flatten)]
    which: Which,
}

const HELP: &str = "\
What is to be tried or sent again is written down; whoever delivers does it within seconds.

Exit codes:
  0    done, or written down
  2    there is no such thing; or a setting or an option cannot be used
  4    the database does not answer

Examples:
  robocall hook list --org bank
  robocall hook dead --org bank
  robocall hook retry 1f2e3d4c-1200 --org bank
  robocall hook retry --all --org bank
  robocall hook enable https://crm.example.com/robocall --org bank";

/// Does it.
pub fn run(command: HookCommand, json: bool) -> Result<Exit, Failure> {
    match command {
        HookCommand::List(args) => {
            let console = Console::open(&args.config.read()?)?;
            let endpoints = console.ask_store(console.hooks().endpoints(args.org.as_ref()))?;
            write_out(
                json,
                || json!({"hooks": endpoints.iter().map(endpoint).collect::<Vec<_>>()}),
                || in_words(&endpoints),
            )
        }
        HookCommand::Dead(args) => {
            let console = Console::open(&args.config.read()?)?;
            let dead = dead(&console, args.org, args.limit)?;
            write_out(json, || json!({ "deadLetters": dead }), || dead_in_words(&dead))
        }
        HookCommand::Retry(args) => retry(args, json),
        HookCommand::Enable(args) => {
            let key = EndpointKey { organisation: args.which.org, url: args.url };
            let console = Console::open(&args.which.config.read()?)?;
            let known = console.ask_store(console.hooks().endpoints(Some(&key.organisation)))?;
            if known.iter().all(|endpoint| endpoint.key != key) {
                let why = format!(
                    "organisation {} has no webhook {} for which anything waits",
                    key.organisation,
                    key.url.as_str()
                );
                return Err(Failure::NotFound(why));
            }
            let said = format!("{}: is sent to again\n", key.url.as_str());
            wish(&console, WishKind::Enable(key))?;
            write_out(json, || json!({"status": "wished"}), || said)
        }
        HookCommand::Secret(command) => hook_secret::run(&command, json),
    }
}

/// Writes one of the two.
fn write_out(json: bool, value: impl FnOnce() -> Value, words: impl FnOnce() -> String) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    if json {
        writeln!(out, "{}", value())?;
    } else {
        out.write_all(words().as_bytes())?;
    }
    out.flush()?;
    Ok(Exit::Completed)
}

fn retry(args: RetryArgs, json: bool) -> Result<Exit, Failure> {
    let (org, console) = (args.which.org, Console::open(&args.which.config.read()?)?);
    let dead = console.ask_store(console.hooks().dead(Some(&org), u32::MAX))?;
    let meant = dead.iter().filter(|dead| dead.event.is_some() && args.id.as_ref().is_none_or(|id| **id == *dead.id));
    let count = meant.count();
    if let (0, Some(id)) = (count, &args.id) {
        return Err(Failure::NotFound(format!("organisation {org} has no dead letter {id} that could be tried")));
    }
    wish(&console, WishKind::Retry(org, args.id.map(Into::into)))?;
    let said = format!("{}: tried again\n", counted(count as u64, "dead letter"));
    write_out(json, || json!({"status": "wished", "deadLetters": count}), || said)
}

fn wish(console: &Console, kind: WishKind) -> Result<(), Failure> {
    let wish = Wish { id: format!("{:032x}", random_number()).into(), kind };
    if console.ask_store(console.hooks().wish(&wish))? {
        return Ok(());
    }
    Err(Failure::conflict("too much has been asked for already, and nobody delivers: is there a robocall that does?"))
}

/// Dead letters of one organisation, or of all, and gaps that concern everybody.
fn dead(console: &Console, org: Option<OrganisationId>, limit: u32) -> Result<Vec<DeadEvent>, Failure> {
    let hooks = console.hooks();
    let (mut dead, organisations) = match org {
        Some(org) => (Vec::new(), vec![org]),
        None => (console.ask_store(hooks.dead(None, limit))?, console.ask_store(hooks.with_dead())?),
    };
    for organisation in &organisations {
        dead.extend(console.ask_store(hooks.dead(Some(organisation), limit))?);
    }
    Ok(dead)
}

fn state(endpoint: &EndpointGlimpse) -> &'static str {
    match &endpoint.record {
        record if record.disabled_at.is_some() => "gone",
        record if record.failures > 0 => "failing",
        record if record.cursor.is_some() => "behind",
        _ => "well",
    }
}

fn endpoint(endpoint: &EndpointGlimpse) -> Value {
    let record = &endpoint.record;
    json!({
        "organisation": endpoint.key.organisation,
        "url": endpoint.key.url,
        "state": state(endpoint),
        "pending": endpoint.pending,
        "behindFrom": record.cursor,
        "failures": record.failures,
        "notBefore": record.not_before,
        "goneAt": record.disabled_at,
        "lastError": record.last_error,
    })
}

fn in_words(endpoints: &[EndpointGlimpse]) -> String {
    if endpoints.is_empty() {
        return "No webhook lags.\n".to_owned();
    }
    let mut rows = table(&["organisation", "webhook", "state", "waiting", "failures", "last error"]);
    for endpoint in endpoints {
        let EndpointGlimpse { key, record, pending } = endpoint;
        let more = if record.cursor.is_some() { format!("{pending} and more") } else { pending.to_string() };
        rows.add_row([
            key.organisation.as_str(),
            key.url.as_str(),
            state(endpoint),
            &more,
            &record.failures.to_string(),
            &shown(record.last_error.as_deref().unwrap_or_default()),
        ]);
    }
    format!("{}\n\n{}\n", rows.trim_fmt(), counted(endpoints.len() as u64, "webhook"))
}

fn dead_in_words(dead: &[DeadEvent]) -> String {
    if dead.is_empty() {
        return "No dead letters.\n".to_owned();
    }
    let mut rows = table(&["letter", "organisation", "webhook", "event", "about", "given up", "reason"]);
    for DeadEvent { id, endpoint, event, gap, at, reason } in dead {
        let (kind, about) = match (event, gap) {
            (Some(event), _) => (event.kind.to_string(), event.subject.to_string()),
            (None, Some((from, to))) => ("a gap".to_owned(), format!("events {from} to {to} of the log")),
            (None, None) => Default::default(),
        };
        rows.add_row([
            id.as_ref(),
            endpoint.as_ref().map_or("all", |key| key.organisation.as_str()),
            endpoint.as_ref().map_or("all", |key| key.url.as_str()),
            &kind,
            &about,
            &at.to_string(),
            &shown(reason),
        ]);
    }
    format!("{}\n\n{}\n", rows.trim_fmt(), counted(dead.len() as u64, "dead letter"))
}
