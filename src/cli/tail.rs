//! `robocall tail`: events as they are published, or from the log.

use std::io::{self, Write as _};

use clap::Args;
use serde_json::Value;

use super::configuration::ConfigArgs;
use super::{Exit, Failure, values};
use crate::daemon::{Console, TailFrom};
use crate::model::{CallId, EventType, OrganisationId, RequestId, Timestamp};
use crate::reading::{did_you_mean, nearest, shown};

/// Show events as they are published.
///
/// A line an event; with --json, the CloudEvents as they were published. Ctrl-C ends it.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct TailArgs {
    /// The organisation whose events are shown.
    #[arg(long, default_value = "default", value_parser = values::organisation)]
    org: OrganisationId,
    /// Of this request only.
    #[arg(long, value_name = "REQUESTID")]
    request: Option<RequestId>,
    /// Of this call only.
    #[arg(long, value_name = "CALLID")]
    call: Option<CallId>,
    /// Of these types only, such as `call.ended,request`: a first word stands for all types that begin with it.
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',', value_parser = event_type)]
    types: Vec<String>,
    /// Where to begin: `first` (the oldest that is kept), `last` (the last few), `now`, or a time such as
    /// `2026-01-05T09:00:00Z`.
    #[arg(long, value_name = "PLACE", default_value = "now", value_parser = place)]
    from: Place,
    /// End after so many events.
    #[arg(long, value_name = "EVENTS", value_parser = values::whole(1..=u64::MAX))]
    count: Option<u64>,
    #[command(flatten)]
    config: ConfigArgs,
}

const HELP: &str = "\
Exit codes:
  0    as many were shown as asked for, or nobody reads any more
  2    a setting or an option cannot be used
  4    the broker does not answer

Examples:
  robocall tail --org bank
  robocall tail --request reminder-1 --from first --json
  robocall tail --types call.ended,request --from 2026-01-05T09:00:00Z";

/// Where to begin.
#[derive(Clone, Copy, Debug)]
struct Place {
    from: TailFrom,
    /// Events before are left out: the log begins with a whole piece.
    not_before: Option<Timestamp>,
}

fn place(text: &str) -> Result<Place, String> {
    let (from, not_before) = match text {
        "first" => (TailFrom::First, None),
        "last" => (TailFrom::Last, None),
        "now" => (TailFrom::Next, None),
        time => {
            let at = Timestamp::parse_rfc3339(time)
                .map_err(|_| "must be first, last, now, or a time such as 2026-01-05T09:00:00Z".to_owned())?;
            (TailFrom::Since(at), Some(at))
        }
    };
    Ok(Place { from, not_before })
}

fn event_type(text: &str) -> Result<String, String> {
    let known = |kind: &&EventType| is_of(kind.as_str(), text);
    if EventType::ALL.iter().any(|kind| known(&kind)) {
        return Ok(text.to_owned());
    }
    let near = nearest(text, EventType::ALL.iter().map(|kind| kind.as_str()));
    Err(format!("no event is of that type{}", did_you_mean(near)))
}

fn is_of(kind: &str, wanted: &str) -> bool {
    kind.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Shows them.
pub fn run(args: TailArgs, json: bool) -> Result<Exit, Failure> {
    let console = Console::open(&args.config.read()?)?;
    let client = console.client()?;
    let mut tail = console.ask_broker(client.tail(args.from.from))?;
    let own = format!("{}.", args.org);
    let mut left = args.count;
    while left != Some(0) {
        let event = console.wait(tail.next());
        let Some(kind) = event.routing_key.strip_prefix(&own) else { continue };
        if !args.types.is_empty() && !args.types.iter().any(|wanted| is_of(kind, wanted)) {
            continue;
        }
        let Ok(document) = serde_json::from_slice::<Value>(&event.body) else { continue };
        if !args.wants(&document) {
            continue;
        }
        let mut out = io::stdout().lock();
        if json {
            out.write_all(&event.body)?;
            out.write_all(b"\n")?;
        } else {
            writeln!(out, "{}", line(kind, &document))?;
        }
        out.flush()?;
        left = left.map(|left| left - 1);
    }
    Ok(Exit::Completed)
}

impl TailArgs {
    fn wants(&self, event: &Value) -> bool {
        let data = &event["data"];
        let request = self.request.as_ref().is_none_or(|wanted| data["requestId"] == wanted.as_str());
        let call = self.call.is_none_or(|wanted| data["callId"].as_str() == Some(&wanted.to_string()));
        let time = || Timestamp::parse_rfc3339(event["time"].as_str()?).ok();
        let late = self.from.not_before.is_none_or(|at| time().is_none_or(|time| time >= at));
        request && call && late
    }
}

/// An event in a line: when, what, of which request and call, and what matters most about it.
fn line(kind: &str, event: &Value) -> String {
    let data = &event["data"];
    let text = |value: &Value| value.as_str().map(shown).unwrap_or_default().to_string();
    // What is about no request is about the organisation itself.
    let of = if data["requestId"].is_null() { &event["subject"] } else { &data["requestId"] };
    let mut line = format!("{}  {kind:<19}  {}", text(&event["time"]), text(of));
    if let Some(index) = data["index"].as_u64() {
        line.push_str(&format!("  {}  #{index} {}", text(&data["callId"]), text(&data["destination"])));
    }
    let mut say = |words: String| {
        if !words.is_empty() {
            line.push_str("  ");
            line.push_str(&words);
        }
    };
    match kind.split('.').next().unwrap_or_default() {
        "request" => say(format!("{}, {} calls", text(&data["status"]), data["total"])),
        "step" => {
            let step = data["callFlowSteps"].as_array().and_then(|steps| steps.last()).unwrap_or(&Value::Null);
            say(format!("{} {}", text(&step["path"]), text(&step["stepName"])));
            say(text(&step["info"]["status"]));
            let keys = text(&step["info"]["keys"]);
            say(if keys.is_empty() { keys } else { format!("keys {keys}") });
        }
        "leg" => {
            let leg = &data["leg"];
            say(format!("{} {}", text(&leg["type"]), text(&leg["dest"])).trim_end().to_owned());
            say(text(&leg["disposition"]["result"]));
        }
        "command" => {
            say(text(&data["command"]["name"]));
            let changed: Vec<String> = data["changed"].as_array().into_iter().flatten().map(text).collect();
            say(changed.join(", "));
        }
        _ => {
            say(format!("attempt {}", data["attempt"]));
            say(text(&data["disposition"]["result"]));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_word_stands_for_all_types_that_begin_with_it() {
        assert!(is_of("call.ended", "call") && is_of("call.ended", "call.ended"));
        assert!(!is_of("call.ended", "cal") && !is_of("call.ended", "call.end"));
        assert!(event_type("call.endet").unwrap_err().ends_with("did you mean `call.ended`?"));
    }

    #[test]
    fn an_event_is_a_line() {
        let event = json!({"time": "2026-01-05T09:00:00.000Z", "data": {"requestId": "r", "callId": "c-0", "index": 0,
            "destination": "+6581234567", "attempt": 1, "disposition": {"result": "busy"}}});
        assert_eq!(
            line("call.ended", &event),
            "2026-01-05T09:00:00.000Z  call.ended           r  c-0  #0 +6581234567  attempt 1  busy"
        );
        let event = json!({"time": "2026-01-05T09:00:00.000Z", "subject": "organisation",
            "data": {"command": {"name": "organisation"}, "changed": ["hooks", "limit"]}});
        assert_eq!(
            line("command.executed", &event),
            "2026-01-05T09:00:00.000Z  command.executed     organisation  organisation  hooks, limit"
        );
    }
}
