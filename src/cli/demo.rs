//! `robocall demo`: a payment reminder for a hundred people who do not exist.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::campaign::{Campaign, CampaignArgs};
use super::exit::{say, write_file};
use super::flow::PAYMENT_REMINDER;
use super::interface::{Interface, InterfaceArgs};
use super::spool::Spool;
use super::{Exit, Failure, Terminal, values};
use crate::daemon::Pace;
use crate::reading::shown;

/// Watch a campaign: a payment reminder for 100 people on a simulated phone network, thirty times as fast as the clock.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many people.
    #[arg(long, allow_negative_numbers = true, default_value_t = 100, value_parser = values::whole(1..=1_000_000_u32))]
    people: u32,
    /// Write the request to a file instead of running it.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    #[command(flatten)]
    interface: InterfaceArgs,
    #[command(flatten)]
    how: CampaignArgs,
}

/// The request's id.
const REQUEST: &str = "demo";

/// Fast enough not to bore, slow enough to watch: a hundred calls take about half a minute.
const SPEED: f64 = 30.0;

const NAMES: [&str; 24] = [
    "Alex", "Aisha", "Ben", "Chloe", "Daniel", "Elena", "Farid", "Grace", "Hassan", "Ingrid", "Jun", "Kavya", "Liam",
    "Mei", "Noah", "Olga", "Priya", "Quentin", "Rosa", "Samuel", "Thi", "Uma", "Victor", "Wei",
];

/// Plays it.
pub fn run(args: DemoArgs, json: bool, terminal: &Terminal, called: &str) -> Result<Exit, Failure> {
    let request = request(args.people)?;
    if let Some(path) = &args.write {
        write_file(path, format!("{request:#}\n").as_bytes())?;
        return Ok(Exit::Completed);
    }
    let request = request.to_string();
    let file = Spool::of(request.as_bytes()).map_err(|error| Failure::Internal(format!("the request {error}")))?;
    if !json {
        say(&format!(
            "A payment reminder for {} people who do not exist, with {} slots. Ctrl-C cancels it.\n",
            args.people, args.how.limit
        ));
    }
    let interface = args.interface.wished()?;
    let (pace, settings) = (args.how.pace(Pace::Times(SPEED)), interface.as_ref().map(Interface::settings));
    let mut campaign = Campaign::new(&args.how, pace, json, settings)?;
    if let (Some(interface), Some(at)) = (&interface, campaign.address()) {
        interface.announce(at, REQUEST, json);
    }
    let exit = campaign.run(file.path(), "the demo's request", terminal)?;
    if !json && exit == Exit::Completed {
        say(&next(&shown(called)));
    }
    campaign.stay()?;
    Ok(exit)
}

/// What to try next, as it can be typed.
fn next(robocall: &str) -> String {
    let commands = [
        ("demo --write reminder.json", "the request you have just seen"),
        ("run reminder.json --instant --json", "the same at once, as its status document"),
        ("run reminder.json --speed 60 --limit 20", "with more slots"),
        ("flow render reminder.json", "its call flow as a tree"),
        ("flow play reminder.json", "be the one who is called"),
        ("run --help", "magic numbers, and all there is to set"),
    ];
    let lines = commands.map(|(command, what)| format!("  {robocall} {command:<40} {what}\n"));
    format!("\nWhat to try next:\n{}", lines.concat())
}

/// The request: the same people every time.
fn request(people: u32) -> Result<Value, Failure> {
    let flow: Value = serde_json::from_str(PAYMENT_REMINDER).map_err(|error| Failure::Internal(error.to_string()))?;
    let destinations: Vec<Value> = (0..people).map(destination).collect();
    Ok(json!({
        "requestId": REQUEST,
        "caller": "+6531580000",
        "callFlow": flow,
        "destinations": destinations,
    }))
}

fn destination(index: u32) -> Value {
    // Strides without a common divisor with what they walk over: neighbours differ, and nobody is there twice.
    let place = u64::from(index);
    let name = NAMES[(index as usize * 7) % NAMES.len()];
    let cents = 2_500 + place * 7_919 % 90_000;
    let day = 1 + place * 5 % 28;
    json!({
        "phone": format!("+65{}", 81_000_000 + place * 104_729 % 8_999_989),
        "externalId": format!("invoice-{:04}", 1_000 + index),
        "properties": {
            "name": name,
            "amount": format!("{}.{:02} dollars", cents / 100, cents % 100),
            "dueDate": format!("February {day}"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn nobody_is_called_twice() {
        let phones: BTreeSet<String> = (0..10_000).map(|index| destination(index)["phone"].to_string()).collect();
        assert_eq!(phones.len(), 10_000);
    }
}
