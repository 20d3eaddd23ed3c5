//! Events as they are written.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::{CallStatusHint, Event, OF_ORGANISATION, RequestCommand};
use crate::model::happening::carried_by;
use crate::model::status::{self, CallEntry, RequestSummary};
use crate::model::{Disposition, Fact, Happening, KeyLabel, LegId, LegRole, WorkerId};

/// Data of a call's event.
#[derive(Serialize)]
struct CallData<'a> {
    seq: u32,
    worker: Option<&'a WorkerId>,
    #[serde(flatten)]
    entry: &'a CallEntry<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leg: Option<LegNote<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandNote<'a>>,
}

/// The leg that an event is about.
#[derive(Serialize, schemars::JsonSchema)]
pub struct LegNote<'a> {
    /// Its id.
    #[serde(serialize_with = "status::display")]
    #[schemars(with = "String")]
    uuid: LegId,
    /// What it is.
    #[serde(rename = "type")]
    role: LegRole,
    /// As dialled; null if it never was.
    dest: Option<&'a str>,
    /// Why it did not come about; null otherwise.
    disposition: Option<Disposition>,
}

/// The command that an event is about.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandNote<'a> {
    /// Its name, as in its routing key.
    name: &'a str,
    /// Its id.
    id: &'a str,
    /// Who gave it: an API key's label, `amqp`, `command line`; null if that is not known.
    actor: Option<&'a KeyLabel>,
    /// The call that it is about, in an event of its request.
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<String>,
}

impl<'a> LegNote<'a> {
    fn of(facts: &'a [Fact]) -> Option<Self> {
        let (uuid, disposition) = match facts.last()?.what {
            Happening::LegAdded { leg, .. } | Happening::LegRemoved { leg } => (leg, None),
            Happening::LegFailed { leg, disposition } => (leg, Some(disposition)),
            _ => return None,
        };
        let dest = facts.iter().rev().find_map(|fact| match &fact.what {
            Happening::LegAdded { leg, dest } if *leg == uuid => Some(&**dest),
            _ => None,
        });
        Some(Self { uuid, role: uuid.role, dest, disposition })
    }
}

impl<'a> CommandNote<'a> {
    fn of(facts: &'a [Fact]) -> Option<Self> {
        match &facts.last()?.what {
            Happening::CommandExecuted { command, id, actor, .. } => {
                Some(Self { name: command, id, actor: actor.as_ref(), call_id: None })
            }
            _ => None,
        }
    }

    fn given(command: &'a RequestCommand) -> Self {
        let RequestCommand { name, id, actor, call } = command;
        Self { name, id, actor: actor.as_ref(), call_id: call.map(|call| call.to_string()) }
    }
}

/// Data of a request's event.
#[derive(Serialize)]
struct RequestData<'a> {
    seq: u32,
    #[serde(flatten)]
    summary: &'a RequestSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandNote<'a>>,
}

/// Data of an organisation's event.
#[derive(Serialize, schemars::JsonSchema)]
pub struct OrganisationData<'a> {
    /// Place among the organisation's own events, from 1, without gaps.
    seq: u32,
    /// The command: `organisation` changed settings, `doNotCall` the do-not-call list.
    command: CommandNote<'a>,
    /// What was changed: names of settings, or `numberAdded`, `numberRemoved`; never what it was or is.
    changed: &'a [Box<str>],
}

impl Serialize for Event {
    /// Writes the CloudEvent.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("id", &self.id())?;
        map.serialize_entry("source", &format_args!("/robocall/{}", self.organisation()))?;
        map.serialize_entry("type", &format_args!("robocall.{}", self.kind().as_str()))?;
        match (self.request(), self.call()) {
            (Some(request), Some(call)) => map.serialize_entry("subject", &format_args!("{request}/{call}"))?,
            (Some(request), None) => map.serialize_entry("subject", request)?,
            (None, _) => map.serialize_entry("subject", OF_ORGANISATION)?,
        }
        map.serialize_entry("time", &self.at())?;
        map.serialize_entry("datacontenttype", "application/json")?;
        // CloudEvents' extension for distributed tracing.
        if let Some(trace) = self.trace() {
            map.serialize_entry("traceparent", &trace)?;
        }
        match self {
            Event::Call { context, facts, seq } => {
                let entry = status::CallEntry::fold(context, CallStatusHint::FromFacts, facts);
                let worker = carried_by(facts);
                let (leg, command) = (LegNote::of(facts), CommandNote::of(facts));
                map.serialize_entry("data", &CallData { seq: *seq, worker, entry: &entry, leg, command })?;
            }
            Event::Request(event) => {
                let (summary, command) = (&event.summary, event.command.as_ref().map(CommandNote::given));
                map.serialize_entry("data", &RequestData { seq: event.seq, summary, command })?;
            }
            Event::Organisation(event) => {
                let (command, changed) = (CommandNote::given(&event.command), &event.changed);
                map.serialize_entry("data", &OrganisationData { seq: event.seq, command, changed })?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::model::Timestamp;
    use crate::model::event::{OrganisationEvent, is_of_organisation};

    #[test]
    fn what_changed_an_organisation_is_told_with_who_did_it_and_of_no_request() {
        let command = RequestCommand {
            name: "organisation".into(),
            id: "c-1".into(),
            actor: Some("Team München".parse().unwrap()),
            call: None,
        };
        let event = Event::Organisation(Arc::new(OrganisationEvent {
            organisation: "bank".parse().unwrap(),
            seq: 3,
            at: Timestamp::VIRTUAL_START,
            command,
            changed: vec!["hooks".into(), "limit".into()],
        }));
        let expected = json!({
            "specversion": "1.0",
            "id": "bank.1767603600000.o.3",
            "source": "/robocall/bank",
            "type": "robocall.command.executed",
            "subject": "organisation",
            "time": "2026-01-05T09:00:00.000Z",
            "datacontenttype": "application/json",
            "data": {
                "seq": 3,
                "command": {"name": "organisation", "id": "c-1", "actor": "Team München"},
                "changed": ["hooks", "limit"],
            },
        });
        assert_eq!(serde_json::to_value(&event).unwrap(), expected);
        assert_eq!((event.request(), event.call(), event.seq()), (None, None, 3));
    }

    #[test]
    fn whose_an_event_is_follows_from_its_id_whatever_its_request_is_called() {
        assert!(is_of_organisation("bank.1767603600000.o.1") && is_of_organisation("o.1.o.12"));
        for other in ["organisation.r.1", "bank.o.r.1", "x.o.1.r.7", "bac87550c48009a9f152-0.1.3", ""] {
            assert!(!is_of_organisation(other), "{other}");
        }
    }
}
