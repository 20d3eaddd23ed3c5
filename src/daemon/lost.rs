//! Requests that the database has lost altogether: the log of events knows of them, and they are written off, so that
//! nobody waits for them in silence and nobody of them is called a second time under their name.
//!
//! Nothing is claimed until that is done, however long it takes: a log that cannot be read says of no request that nobody
//! of it was called. One worker reads, the others wait for it, or take over when it has died.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::adapters::amqp::{Client, ClientError, LoggedEvent, Tail, TailFrom};
use crate::adapters::redis::{Loss, RedisStore};
use crate::model::{OrganisationId, RequestId, Timestamp};
use crate::ports::store::{Control, ProcessId, RequestKey};
use crate::ports::{CampaignStore as _, Clock, Listener, StoreError};

/// How long the log may say nothing before it counts as read to its end.
const SILENCE: Duration = Duration::from_secs(3);

/// How long a broker that was reached may take to go on with the log.
const STUCK: Duration = Duration::from_secs(60);

/// How soon a server that does not answer is asked again, and whether another worker has done it.
const AGAIN: Duration = Duration::from_secs(2);

/// How often whoever reads says so to the others: well within a time to live.
const RENEWAL: Duration = Duration::from_secs(10);

/// How often it is said why nothing is claimed.
const SAID: Duration = Duration::from_secs(30);

/// What is read of an event.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    time: Option<String>,
}

/// Requests that were accepted and have not ended, and when they were accepted, where that can be read.
type Open = BTreeMap<RequestKey, Option<Timestamp>>;

/// Why what is missing could not be written off.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Log(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it was silent for too long")]
    Stuck,
    #[error("another worker has taken over")]
    TakenOver,
}

/// Looks for lost requests whenever the database was found to be new, or to have lost something; for as long as the
/// future is held. Losses are heard from this call on, whenever the future is first looked at.
pub(super) fn look_for_ever(
    store: Arc<RedisStore>,
    client: Client,
    clock: Arc<dyn Clock>,
    process: ProcessId,
) -> impl Future<Output = ()> + Send {
    let losses = store.losses();
    Seeker { store, client, clock, process }.seek(losses)
}

struct Seeker {
    store: Arc<RedisStore>,
    client: Client,
    clock: Arc<dyn Clock>,
    process: ProcessId,
}

impl Seeker {
    async fn seek(self, mut losses: Listener) {
        loop {
            losses.rung().await;
            let mut said_at = None;
            loop {
                match self.make_good().await {
                    Ok(true) => break,
                    Ok(false) => self.say(&mut said_at, || {
                        tracing::warn!("nothing is claimed after a loss: another worker reads the log of events");
                    }),
                    Err(error) => self.say(&mut said_at, || {
                        tracing::error!(%error, "nothing is claimed after a loss: the log of events could not be read");
                    }),
                }
                self.clock.sleep_until(self.clock.now() + AGAIN).await;
            }
        }
    }

    /// Says something unless it was said a moment ago.
    fn say(&self, said_at: &mut Option<Timestamp>, what: impl FnOnce()) {
        let now = self.clock.now();
        if said_at.is_none_or(|at| now.since(at) >= SAID) {
            *said_at = Some(now);
            what();
        }
    }

    /// Writes off what is missing, unless another worker does; whether nothing is left to be done.
    async fn make_good(&self) -> Result<bool, Failure> {
        let Some(loss) = self.store.loss().await? else { return Ok(true) };
        if !self.store.lock_losses(self.process).await? {
            return Ok(false);
        }
        let done = tokio::select! {
            biased;
            done = self.write_all_off(&loss) => done,
            failure = self.hold_on() => return Err(failure),
        };
        // Another may reach what this one does not. If this is not heard, it has to wait for a time to live.
        let _ = self.store.unlock_losses(self.process).await;
        done?;
        // There may have been another loss meanwhile.
        Ok(self.store.loss().await?.is_none())
    }

    /// Keeps the others from doing the same; ends when one does.
    async fn hold_on(&self) -> Failure {
        let mut held_at = self.clock.now();
        loop {
            self.clock.sleep_until(held_at + RENEWAL).await;
            held_at = self.clock.now();
            // What is not heard now is asked again in time.
            if self.store.lock_losses(self.process).await == Ok(false) {
                return Failure::TakenOver;
            }
        }
    }

    async fn write_all_off(&self, loss: &Loss) -> Result<(), Failure> {
        tracing::info!("the log of events is read, to look for lost requests");
        let end = tokio::select! {
            biased;
            end = self.client.end_of_log(SILENCE) => end?,
            () = self.clock.sleep_until(self.clock.now() + STUCK) => return Err(Failure::Stuck),
        };
        // What comes behind the end comes to the database as it is now.
        let open = match end {
            Some(end) => self.read(self.client.tail(TailFrom::First).await?, end).await?,
            None => Open::new(),
        };
        for (key, accepted_at) in open {
            self.write_off(&key, accepted_at).await?;
        }
        Ok(self.store.is_over(loss).await?)
    }

    /// The requests that were accepted and have not ended, up to an offset.
    async fn read(&self, mut tail: Tail, end: u64) -> Result<Open, Failure> {
        let (mut open, mut events, mut said_at) = (Open::new(), 0_u64, Some(self.clock.now()));
        loop {
            let event = tokio::select! {
                biased;
                event = tail.next_until_silence(SILENCE) => event,
                () = self.clock.sleep_until(self.clock.now() + STUCK) => return Err(Failure::Stuck),
            };
            // There is more: it was seen.
            let Some(event) = event else { return Err(Failure::Stuck) };
            events += 1;
            self.say(&mut said_at, || {
                tracing::warn!(events, "nothing is claimed after a loss: the log of events is still being read");
            });
            note(&mut open, &event);
            if event.offset >= end {
                return Ok(open);
            }
        }
    }

    /// Writes a request off if the database does not know it. What that means is published with whatever is unconfirmed.
    async fn write_off(&self, key: &RequestKey, accepted_at: Option<Timestamp>) -> Result<(), Failure> {
        let mut known = self.store.request(key).await;
        if matches!(known, Err(StoreError::NotFound)) {
            tracing::error!(organisation = %key.organisation, request = %key.request, "the database has lost a request");
            if let Err(error) = self.store.write_off(key).await {
                return unlearnt(key, error);
            }
            // Somebody may have handed it in anew at that moment.
            known = self.store.request(key).await;
        }
        match known {
            // One that was refused or written off has no header.
            Ok(known) if known.header.is_none() || accepted_at.is_none() || known.queued_at == accepted_at => Ok(()),
            Ok(_) => self.refuse_again(key).await,
            Err(error) => unlearnt(key, error),
        }
    }

    /// Ends a request that was lost and handed in anew before that was known: whom the first one called nobody can tell.
    async fn refuse_again(&self, key: &RequestKey) -> Result<(), Failure> {
        tracing::error!(
            organisation = %key.organisation,
            request = %key.request,
            "a lost request was handed in anew, and is cancelled: some of it may have been called before"
        );
        let cancel = || self.store.control(key, Control::Cancel { hang_up: false }, None);
        // What it means is published with whatever is unconfirmed.
        let Err(error) = cancel().await else { return Ok(()) };
        if error != StoreError::NotFound {
            return unlearnt(key, error);
        }
        // It is still being handed in, and will not be taken; unless it was at that moment.
        if let Err(error) = self.store.write_off(key).await {
            return unlearnt(key, error);
        }
        match cancel().await {
            Ok(_) | Err(StoreError::NotFound) => Ok(()),
            Err(error) => unlearnt(key, error),
        }
    }
}

/// What an event says of whether its request is open.
fn note(open: &mut Open, event: &LoggedEvent) {
    let Some((key, head)) = head_of(event) else { return };
    match head.kind.as_str() {
        "robocall.request.accepted" => {
            let at = head.time.and_then(|time| Timestamp::parse_rfc3339(&time).ok());
            open.entry(key).or_insert(at);
        }
        "robocall.request.completed"
        | "robocall.request.cancelled"
        | "robocall.request.expired"
        | "robocall.request.lost" => {
            open.remove(&key);
        }
        _ => {}
    }
}

/// What the database cannot make sense of keeps nobody else waiting; an answer that did not come is asked for again.
fn unlearnt(key: &RequestKey, error: StoreError) -> Result<(), Failure> {
    if matches!(error, StoreError::Unavailable(_)) {
        return Err(error.into());
    }
    tracing::error!(?key, %error, "whether a request is lost cannot be learnt");
    Ok(())
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
