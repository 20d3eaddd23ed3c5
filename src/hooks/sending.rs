//! One try of one event: its body is fetched, shaped, signed and sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument as _;

use super::attaching::{Attached, Recordings};
use super::signature::signatures;
use super::template::Rendered;
use super::verdict::{Verdict, judge};
use super::{HookPorts, Templates};
use crate::model::{HookSecret, OrganisationId, Timestamp, TraceParent};
use crate::ports::StoreResult;
use crate::ports::hooks::{EndpointKey, PendingEvent, Post, Sent};
use crate::telemetry::deployment as telemetry;
use crate::telemetry::servers::Stopwatch;
use crate::telemetry::spans;

/// How long an organisation's secrets are believed.
const SECRETS_FRESH: Duration = Duration::from_secs(10);

/// Most organisations whose secrets are at hand.
const AT_HAND: usize = 4_096;

/// What every try needs.
pub struct Office {
    pub ports: Arc<HookPorts>,
    pub templates: Arc<Templates>,
    /// How long a message may take, whatever the sender says.
    pub within: Duration,
    /// Until when this process surely has the lead, in milliseconds.
    pub sure_until: AtomicI64,
    pub secrets: Mutex<BTreeMap<OrganisationId, (Timestamp, Vec<HookSecret>)>>,
    pub recordings: Recordings,
}

/// What came of a try.
pub struct Try {
    pub key: EndpointKey,
    pub event: PendingEvent,
    pub verdict: Verdict,
    /// What is to be kept of the answer.
    pub kept: Option<String>,
}

/// What an event says of the trace that it belongs to.
#[derive(Deserialize)]
struct Traced {
    traceparent: Option<String>,
}

impl Office {
    /// Whether this process surely has the lead.
    pub fn is_sure(&self, now: Timestamp) -> bool {
        now.as_millis() < self.sure_until.load(Ordering::Acquire)
    }

    /// Tries an event.
    pub async fn deliver(self: Arc<Self>, key: EndpointKey, event: PendingEvent) -> Try {
        let span = spans::webhook(&key.organisation, key.url.shown(), &event.id);
        let tried = async {
            match self.prepared(&key, &event).await {
                // The room of a recording is held until it has been sent.
                Ok((post, _held)) => self.sent(&event, post).await,
                Err(verdict) => (verdict, None),
            }
        };
        let (verdict, kept) = tried.instrument(span).await;
        Try { key, event, verdict, kept }
    }

    async fn prepared(
        &self,
        key: &EndpointKey,
        event: &PendingEvent,
    ) -> Result<(Post, Option<OwnedSemaphorePermit>), Verdict> {
        let untried = |error| {
            tracing::debug!(%error, "an event cannot be fetched for a webhook");
            Verdict::NotTried
        };
        let body = self.ports.store.body(key, event.offset).await.map_err(untried)?;
        let body = body.ok_or_else(|| Verdict::Hopeless("the database has lost it".to_owned()))?;
        let failed = |why: String| Verdict::Failed { why, wait: None };
        // What is no event is told as it is, and by nothing else.
        let trace = serde_json::from_slice::<Traced>(&body).ok().and_then(|traced| traced.traceparent);
        let trace = trace.and_then(|trace| trace.parse::<TraceParent>().ok());
        spans::tells_of(trace);
        let mut held = None;
        let Rendered { content_type, body } = match &event.template {
            None => Rendered { content_type: "application/cloudevents+json".to_owned(), body },
            Some(name) => {
                let template = self.templates.get(name);
                let template = template.ok_or_else(|| failed(format!("there is no template {}", name.as_str())))?;
                let event_of = serde_json::from_slice(&body).map_err(|error| Verdict::Hopeless(error.to_string()))?;
                let mut recording = None;
                if template.wants_recording(&event.kind) {
                    match self.recordings.of(&key.organisation, &event_of).await {
                        Attached::Sound(sound, room) => (recording, held) = (Some(sound), Some(room)),
                        Attached::Nothing => {}
                        Attached::NotYet => return Err(Verdict::NotTried),
                    }
                }
                template.render(&event.kind, &event_of, recording).map_err(Verdict::Hopeless)?
            }
        };
        let secrets = self.secrets_of(&key.organisation).await.map_err(untried)?;
        let at = self.ports.clock.now().as_millis().div_euclid(1000);
        let mut headers = vec![
            ("content-type", content_type),
            ("webhook-id", event.id.to_string()),
            ("webhook-timestamp", at.to_string()),
        ];
        if let Some(trace) = trace {
            headers.push(("traceparent", trace.to_string()));
        }
        if !secrets.is_empty() {
            headers.push(("webhook-signature", signatures(&secrets, &event.id, at, &body)));
        }
        Ok((Post { url: key.url.clone(), headers, body }, held))
    }

    async fn sent(&self, event: &PendingEvent, post: Post) -> (Verdict, Option<String>) {
        let clock = &self.ports.clock;
        // The last moment to notice that another may have taken over.
        if !self.is_sure(clock.now()) {
            return (Verdict::NotTried, None);
        }
        let began = Stopwatch::start();
        let sent = tokio::select! {
            biased;
            sent = self.ports.sender.send(post) => sent,
            () = clock.sleep_until(clock.now() + self.within) => Sent::Failed("no answer in time".to_owned()),
        };
        telemetry::hook_answered(began);
        let verdict = judge(&sent, clock.now());
        if let Verdict::Failed { why, .. } = &verdict {
            tracing::info!(tries = event.tries, why, "a webhook failed");
        }
        let template = event.template.as_ref().and_then(|name| self.templates.get(name));
        let kept = match (&verdict, &sent, template) {
            (Verdict::Delivered, Sent::Answered { body, .. }, Some(template)) => template.kept(body),
            _ => None,
        };
        (verdict, kept)
    }

    async fn secrets_of(&self, organisation: &OrganisationId) -> StoreResult<Vec<HookSecret>> {
        let lock = || self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.ports.clock.now();
        if let Some((at, secrets)) = lock().get(organisation)
            && now.since(*at) < SECRETS_FRESH
        {
            return Ok(secrets.clone());
        }
        let secrets = self.ports.store.secrets(organisation).await?;
        let mut at_hand = lock();
        if at_hand.len() >= AT_HAND {
            at_hand.clear();
        }
        at_hand.insert(organisation.clone(), (now, secrets.clone()));
        Ok(secrets)
    }
}
