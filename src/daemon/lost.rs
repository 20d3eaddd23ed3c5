//! Requests that the database has lost altogether: the log of events knows of them, and they are written off, so that
//! nobody waits for them in silence and nobody of them is called a second time under their name.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::adapters::amqp::{Client, LoggedEvent, Tail, TailFrom};
use crate::adapters::redis::RedisStore;
use crate::model::{OrganisationId, RequestId, Timestamp};
use crate::ports::store::RequestKey;
use crate::ports::{CampaignStore as _, Clock, StoreError};

/// How long the log says nothing before it counts as read to its end.
const SILENCE: Duration = Duration::from_secs(3);

/// How soon a server that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// What is read of an event.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    time: Option<String>,
}

/// Looks for lost requests whenever the database was found to be new, or to have lost something; for as long as it is held.
pub(super) async fn look_for_ever(store: Arc<RedisStore>, client: Client, clock: Arc<dyn Clock>) {
    let mut losses = store.losses();
    loop {
        losses.rung().await;
        let noticed_at = clock.now();
        let accepted = loop {
            match client.tail(TailFrom::First).await {
                Ok(tail) => break read(tail, noticed_at, &*clock).await,
                Err(error) => {
                    tracing::warn!(%error, "the log of events cannot be read yet, to look for lost requests");
                    clock.sleep_until(clock.now() + AGAIN).await;
                }
            }
        };
        for key in accepted {
            write_off(&store, &key, &*clock).await;
        }
    }
}

/// The requests that were accepted and have not ended, as far as the log goes.
async fn read(mut tail: Tail, until: Timestamp, clock: &dyn Clock) -> BTreeSet<RequestKey> {
    let mut open = BTreeSet::new();
    loop {
        let event = tokio::select! {
            biased;
            event = tail.next() => event,
            () = clock.sleep_until(clock.now() + SILENCE) => return open,
        };
        let Some((key, head)) = head_of(&event) else { continue };
        match head.kind.as_str() {
            "robocall.request.accepted" => {
                open.insert(key);
            }
            "robocall.request.completed"
            | "robocall.request.cancelled"
            | "robocall.request.expired"
            | "robocall.request.lost" => {
                open.remove(&key);
            }
            _ => {}
        }
        // What came later came to the database as it is now.
        let at = head.time.and_then(|time| Timestamp::parse_rfc3339(&time).ok());
        if at.is_some_and(|at| at > until + SILENCE) {
            return open;
        }
    }
}

fn head_of(event: &LoggedEvent) -> Option<(RequestKey, Head)> {
    let (organisation, kind) = event.routing_key.split_once('.')?;
    if !kind.starts_with("request.") {
        return None;
    }
    let head: Head = serde_json::from_slice(&event.body).ok()?;
    let (organisation, request): (OrganisationId, RequestId) = (organisation.parse().ok()?, head.subject.parse().ok()?);
    Some((RequestKey { organisation, request }, head))
}

/// Writes a request off if the database does not know it. What that means is published with whatever is unconfirmed.
async fn write_off(store: &RedisStore, key: &RequestKey, clock: &dyn Clock) {
    loop {
        let gone = match store.request(key).await {
            Err(StoreError::NotFound) => store.write_off(key).await,
            other => other.map(drop),
        };
        match gone {
            Err(StoreError::Unavailable(_)) => clock.sleep_until(clock.now() + AGAIN).await,
            Err(error) => return tracing::error!(?key, %error, "whether a request is lost cannot be learnt"),
            Ok(()) => return,
        }
    }
}
