//! I8 and I9: what was published, and what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use robocall::model::status::RejectReason;
use robocall::model::{CallId, Event, EventType, Happening, OrganisationId};
use robocall::ports::queue::Verdict;
use robocall::ports::store::{CampaignStore, RequestKey};
use robocall::ports::{Delivery, RequestBody};
use serde_json::Value;

use super::Checker;

/// An event as it was first published.
#[derive(Clone)]
pub(super) struct Published {
    pub kind: EventType,
    pub text: String,
}

#[derive(Default)]
pub(super) struct Events {
    /// Events of calls: by call, by seq.
    pub calls: BTreeMap<CallId, BTreeMap<u32, Published>>,
    /// Requests' own.
    pub requests: BTreeMap<RequestKey, BTreeMap<u32, Published>>,
    /// Organisations' own.
    pub changes: BTreeMap<OrganisationId, BTreeMap<u32, Published>>,
    /// Requests of which a delivery was acknowledged as accepted, and as rejected.
    pub accepted: BTreeSet<RequestKey>,
    pub rejected: BTreeSet<RequestKey>,
    /// Requests whose gathers ask for secrets.
    pub secretive: BTreeSet<RequestKey>,
}

impl Checker {
    /// Gathers of this request ask for secrets.
    pub fn keeps_secrets(&self, key: &RequestKey) {
        self.seen.lock().unwrap().events.secretive.insert(key.clone());
    }

    /// The bus took an event.
    pub fn published(&self, event: &Event) {
        let organisation = event.organisation().clone();
        let key =
            event.request().map(|request| RequestKey { organisation: organisation.clone(), request: request.clone() });
        let Ok(text) = serde_json::to_string(event) else {
            return self.broken(format!("an event cannot be rendered: {}", event.id()));
        };
        if let Some(key) = &key {
            self.check_secrets(key, event, &text);
        }
        let this = Published { kind: event.kind(), text };
        let mut seen = self.seen.lock().unwrap();
        seen.trace(&format!("{} {}", event.at(), event.id()));
        let seq = event.seq();
        let known = match (event.call(), key) {
            (Some(call), _) => seen.events.calls.entry(call).or_default(),
            (None, Some(key)) => seen.events.requests.entry(key).or_default(),
            (None, None) => seen.events.changes.entry(organisation).or_default(),
        };
        let next = known.last_key_value().map_or(1, |(seq, _)| seq + 1);
        let violation = match known.get(&seq) {
            Some(before) if before.text == this.text => None,
            Some(before) => {
                Some(format!("I8: {} came again with other content\n  {}\n  {}", event.id(), before.text, this.text))
            }
            None if event.call().is_some() && seq != next => {
                Some(format!("I8: {} was published before event {next} of its call", event.id()))
            }
            None => {
                known.insert(seq, this);
                None
            }
        };
        drop(seen);
        if event.request().is_none() {
            self.count("changes of organisations told");
        }
        if let Some(violation) = violation {
            self.broken(violation);
        }
        self.check_hang_up(event);
        self.check_cut(event);
    }

    /// No key of a gather that asks for a secret is in any field anywhere.
    fn check_secrets(&self, key: &RequestKey, event: &Event, text: &str) {
        let Event::Call { facts, .. } = event else { return };
        if !self.seen.lock().unwrap().events.secretive.contains(key) {
            return;
        }
        let rendered: Value = serde_json::from_str(text).unwrap();
        let steps = rendered["data"]["callFlowSteps"].as_array().cloned().unwrap_or_default();
        let gathers = steps.iter().filter(|step| step["stepName"] == "gather");
        for gather in gathers {
            let info = &gather["info"];
            let kept = info["keys"].is_null() && info["userPressedDigits"].is_null();
            self.expect(kept, || format!("{} tells a secret: {gather}", event.id()));
        }
        if let Some(Happening::StepFinished { keys, .. }) = facts.last().map(|fact| &fact.what) {
            self.expect(keys.is_none(), || format!("{} keeps a secret", event.id()));
            self.count("steps of calls with secrets");
        }
    }

    /// A delivery was acknowledged.
    pub fn acknowledged(&self, delivery: &Delivery, verdict: &Verdict) {
        let (Verdict::Accepted(summary) | Verdict::Rejected(summary)) = verdict;
        let key = RequestKey { organisation: delivery.organisation.clone(), request: summary.request_id.clone() };
        let known = self.store.request(&key).now_or_never().and_then(Result::ok);
        match verdict {
            Verdict::Accepted(summary) => {
                let part = part_of(&delivery.body);
                let books = self.books(&key);
                let sealed = books.is_some_and(|books| books.sealed_parts.contains(&part.unwrap_or(0)));
                let over = known.as_ref().is_some_and(|known| known.summary.status.is_final());
                self.expect(sealed || over, || {
                    format!("I9: {key:?} was acknowledged (part {part:?}) but is not sealed")
                });
                if part.is_some() {
                    self.count("parts accepted");
                }
                if summary.duplicates > 0 {
                    self.count("requests with duplicates");
                }
                self.seen.lock().unwrap().events.accepted.insert(key);
            }
            Verdict::Rejected(summary) => {
                self.expect(known.is_some(), || format!("I9: {key:?} was rejected, and nobody knows of it"));
                self.count(match summary.reason {
                    Some(RejectReason::Conflict) => "requests rejected as conflicts",
                    _ => "requests rejected as invalid",
                });
                self.seen.lock().unwrap().events.rejected.insert(key);
            }
        }
    }
}

/// Which part of a request a body is.
fn part_of(body: &RequestBody) -> Option<u32> {
    let RequestBody::Bytes(bytes) = body else { return None };
    let document: Value = serde_json::from_slice(bytes).ok()?;
    u32::try_from(document["part"]["index"].as_u64()?).ok()
}
