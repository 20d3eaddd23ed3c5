//! `robocall org`: what an organisation may do, and its slots.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::amounts::{counted, lasting};
use super::command::signed;
use super::configuration::ConfigArgs;
use super::documents::read_small;
use super::flow::word;
use super::org_key::{self, KeyCommand};
use super::org_list::{self, ListArgs};
use super::{Exit, Failure, values};
use crate::daemon::Console;
use crate::model::organisation::RequestOrder;
use crate::model::{Organisation, OrganisationId, Phone};
use crate::ports::store::{Given, LimitChange, SlotUse};

/// Most slots, calls a second, and weight.
const MOST: u32 = Organisation::MOST;

/// What can be done with an organisation.
#[derive(Debug, Subcommand)]
pub enum OrgCommand {
    List(ListArgs),
    /// Show its settings and its slots.
    Show(ShowArgs),
    Set(SetArgs),
    /// Put numbers on its do-not-call list: they are never dialled again.
    Block(BlockArgs),
    /// Take numbers off its do-not-call list.
    Unblock(BlockArgs),
    /// Show its do-not-call list.
    Blocked(ShowArgs),
    /// Make, list and revoke keys, by which organisations are known over HTTP.
    #[command(subcommand)]
    Key(KeyCommand),
}

/// Which organisation.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The organisation.
    #[arg(long, default_value = "default", value_parser = values::organisation)]
    pub org: OrganisationId,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Which is shown.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ShowArgs {
    #[command(flatten)]
    which: Which,
}

/// Which numbers.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct BlockArgs {
    /// Numbers, with their country code: 81234567 is understood as +81234567, and printed so.
    #[arg(required = true, value_name = "PHONE")]
    phones: Vec<Phone>,
    #[command(flatten)]
    which: Which,
}

/// Change its settings; what is not named stays as it is.
///
/// Changes take effect at once, for calls that are not dialled yet. A limit below what is in use cuts nobody off.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct SetArgs {
    /// Concurrent calls, those of other applications included; 0 dials nobody.
    #[arg(long, value_name = "SLOTS", value_parser = values::whole(0..=MOST))]
    limit: Option<u32>,
    /// Share of the workers among organisations that all have work.
    #[arg(long, value_name = "WEIGHT", value_parser = values::whole(1..=MOST))]
    weight: Option<u32>,
    /// How requests of equal priority share the slots.
    #[arg(long, value_name = "ORDER", value_enum)]
    order: Option<Order>,
    /// New calls a second over all workers; `none`: no bound.
    #[arg(long, value_name = "CALLS", value_parser = rate)]
    rate: Option<Rate>,
    /// Numbers it may show to callees, the first is the default; `any`: whichever the request names.
    #[arg(long, value_name = "PHONE,…", value_parser = caller_ids)]
    caller_ids: Option<List<Phone>>,
    /// Numbers that begin so, `+` left out, are never dialled; `none`: any may be.
    #[arg(long, value_name = "DIGITS,…", value_parser = prefixes)]
    denied_prefixes: Option<List<String>>,
    /// How long an ended request is kept, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = values::whole(Organisation::RETENTION))]
    retention: Option<u64>,
    /// Settings in JSON, named as `org show --json` names them; options come after.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

const HELP: &str = "\
Exit codes:
  0    done
  2    a setting or an option cannot be used
  4    the database does not answer

Examples:
  robocall org show --org bank
  robocall org set --org bank --limit 20 --rate 2 --caller-ids +6531580000
  robocall org block --org bank +6581234567";

/// How requests of equal priority share the slots.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Order {
    /// In equal turns.
    Turns,
    /// Strictly first come, first served.
    FirstCome,
}

/// Calls a second; none: no bound.
#[derive(Clone, Copy, Debug)]
struct Rate(Option<u32>);

fn rate(text: &str) -> Result<Rate, String> {
    match text {
        "none" => Ok(Rate(None)),
        text => values::whole(1..=MOST)(text).map(|rate| Rate(Some(rate))).map_err(|error| format!("{error}, or none")),
    }
}

/// A list, which takes one option's place instead of several.
#[derive(Clone, Debug)]
struct List<T>(Vec<T>);

fn caller_ids(text: &str) -> Result<List<Phone>, String> {
    if text == "any" {
        return Ok(List(Vec::new()));
    }
    let phones = text.split(',').map(|phone| phone.trim().parse::<Phone>().map_err(|error| error.to_string()));
    phones.collect::<Result<_, _>>().map(List)
}

fn prefixes(text: &str) -> Result<List<String>, String> {
    if text == "none" {
        return Ok(List(Vec::new()));
    }
    text.split(',').map(|prefix| prefix_of(prefix.trim())).collect::<Result<_, _>>().map(List)
}

fn prefix_of(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let sound = (1..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if sound { Ok(digits.to_owned()) } else { Err(format!("`{text}` must be 1 to 15 digits")) }
}

/// A command of its own for each change: under one name two would look like one that was told twice.
fn given() -> Given {
    let (id, actor) = signed();
    Given { id, actor, expect: None }
}

/// How often a change is tried again that others are in the way of.
const TRIES: u8 = 10;

/// Does it.
pub fn run(command: OrgCommand, json: bool) -> Result<Exit, Failure> {
    let which = match &command {
        OrgCommand::List(args) => return org_list::list(args, json),
        OrgCommand::Show(args) | OrgCommand::Blocked(args) => &args.which,
        OrgCommand::Set(args) => &args.which,
        OrgCommand::Block(args) | OrgCommand::Unblock(args) => &args.which,
        OrgCommand::Key(command) => return org_key::run(command, json),
    };
    let console = Console::open(&which.config.read()?)?;
    let (store, org) = (console.store(), &which.org);
    match &command {
        OrgCommand::List(_) | OrgCommand::Show(_) | OrgCommand::Key(_) => {}
        OrgCommand::Set(args) => {
            let mut tries = 0..TRIES;
            loop {
                let before = console.ask_store(store.organisation(org))?;
                let (after, limit) = args.changed(before.clone())?;
                if console.ask_store(store.change_organisation(org, &before, after, limit, Some(&given())))? {
                    break;
                }
                if tries.next().is_none() {
                    return Err(Failure::Internal("others change the settings at this moment".to_owned()));
                }
            }
        }
        OrgCommand::Block(args) => {
            for phone in &args.phones {
                console.ask_store(store.block_number(org, *phone, Some(&given())))?;
            }
            return say_done("blocked", &args.phones, org, json);
        }
        OrgCommand::Unblock(args) => {
            let mut unblocked = Vec::new();
            for phone in &args.phones {
                if console.ask_store(store.unblock_number(org, *phone, Some(&given())))? {
                    unblocked.push(*phone);
                }
            }
            return say_done("unblocked", &unblocked, org, json);
        }
        OrgCommand::Blocked(_) => return list(&console.ask_store(store.blocked_numbers(org))?, json),
    }
    show(org, &console.ask_store(store.organisation(org))?, console.slots(org)?, json)?;
    Ok(Exit::Completed)
}

/// With which numbers of those given it was done, as they were understood: one without `+` begins with a country code all
/// the same, whatever its writer meant.
fn say_done(done: &str, phones: &[Phone], org: &OrganisationId, json: bool) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    if json {
        writeln!(out, "{}", json!({"status": "done", done: phones.len(), "numbers": phones}))?;
    } else {
        writeln!(out, "{} {done} for {org}", counted(phones.len() as u64, "number"))?;
        for phone in phones {
            writeln!(out, "  {phone}")?;
        }
    }
    out.flush()?;
    Ok(Exit::Completed)
}

/// Numbers, a line each.
fn list(phones: &[Phone], json: bool) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    if json {
        writeln!(out, "{}", json!({ "blocked": phones }))?;
    } else {
        for phone in phones {
            writeln!(out, "{phone}")?;
        }
    }
    out.flush()?;
    Ok(Exit::Completed)
}

impl SetArgs {
    /// The settings with what was asked for.
    fn changed(&self, before: Organisation) -> Result<(Organisation, LimitChange), Failure> {
        let (mut settings, limit) = match &self.file {
            Some(file) => merged(before, file)?,
            None => (before, LimitChange::Kept),
        };
        let limit = if self.limit.is_some() { LimitChange::Set } else { limit };
        settings.limit = self.limit.unwrap_or(settings.limit);
        settings.weight = self.weight.unwrap_or(settings.weight);
        match self.order {
            Some(Order::Turns) => settings.request_order = RequestOrder::Turns,
            Some(Order::FirstCome) => settings.request_order = RequestOrder::FirstCome,
            None => {}
        }
        if let Some(Rate(rate)) = self.rate {
            settings.calls_per_second = rate;
        }
        if let Some(List(phones)) = &self.caller_ids {
            settings.caller_ids.clone_from(phones);
        }
        if let Some(List(prefixes)) = &self.denied_prefixes {
            settings.denied_prefixes.clone_from(prefixes);
        }
        settings.retention_secs = self.retention.unwrap_or(settings.retention_secs);
        Ok((settings, limit))
    }
}

/// Settings with those of a file in their place.
fn merged(before: Organisation, file: &Path) -> Result<(Organisation, LimitChange), Failure> {
    let name = file.display();
    let wrong = |what: String| Failure::usage(format!("{name}: {what}"));
    let given: Value =
        serde_json::from_str(&read_small(file)?).map_err(|error| wrong(format!("is not JSON: {error}")))?;
    let Value::Object(given) = given else { return Err(wrong("is no object".to_owned())) };
    let limit = if given.contains_key("limit") { LimitChange::Set } else { LimitChange::Kept };
    let mut settings = serde_json::to_value(before)?;
    if let Value::Object(fields) = &mut settings {
        fields.extend(given);
    }
    let settings: Organisation =
        serde_path_to_error::deserialize(settings).map_err(|error| wrong(error.to_string()))?;
    let is_ours = |path: &str| path != "limit" || limit == LimitChange::Set;
    if let Some(problem) = settings.problems().iter().find(|problem| is_ours(&problem.path)) {
        return Err(wrong(problem.to_string()));
    }
    Ok((settings, limit))
}

fn show(org: &OrganisationId, settings: &Organisation, slots: SlotUse, json: bool) -> Result<(), Failure> {
    let SlotUse { limit, external, leased, suspect } = slots;
    let mut out = io::stdout().lock();
    if json {
        let slots = json!({"limit": limit, "external": external, "leased": leased, "suspect": suspect});
        writeln!(out, "{}", json!({"organisation": org, "settings": settings, "slots": slots}))?;
        return Ok(());
    }
    let listed = |words: Vec<String>, none: &str| if words.is_empty() { none.to_owned() } else { words.join(", ") };
    let Organisation {
        weight,
        request_order,
        calls_per_second,
        caller_ids,
        denied_prefixes,
        retention_secs,
        hooks,
        ..
    } = settings;
    let rate = calls_per_second.map_or("no bound".to_owned(), |rate| rate.to_string());
    let retention = lasting(std::time::Duration::from_secs(*retention_secs));
    let external = if external == u32::MAX { "an unreadable number".to_owned() } else { external.to_string() };
    write!(
        out,
        "{org}\n  limit            {limit}\n  weight           {weight}\n  order            {}\n  calls a second   {rate}\n  \
         caller ids       {}\n  denied prefixes  {}\n  retention        {retention}\n  hooks            {}\n  slots in use     {leased} by us, \
         {suspect} of them suspect; {external} by others\n",
        word(request_order),
        listed(caller_ids.iter().map(ToString::to_string).collect(), "any"),
        listed(denied_prefixes.clone(), "none"),
        listed(hooks.iter().map(|hook| hook.url.as_str().to_owned()).collect(), "none"),
    )?;
    Ok(())
}
