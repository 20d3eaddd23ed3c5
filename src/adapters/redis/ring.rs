//! What the ready ring is told, and whom it names.
//!
//! Hints wait until somebody asks the ring, or until a moment has passed: thousands of ends a second are told in a few
//! scripts. What may keep somebody waiting - an organisation that becomes ready, a slot that others wait for - is told at
//! once. A hint that is lost with its process is made anew when somebody looks at the organisation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::link::Link;
use super::reply::Reply;
use super::requests::names;
use super::script::{Code, Ops};
use crate::model::{OrganisationId, Timestamp};
use crate::ports::{Bell, Listener, StoreResult};

/// How long hints may wait that keep nobody waiting.
const LINGER: Duration = Duration::from_millis(50);

/// How many organisations one look at the ring takes upon itself.
pub(super) const LOOKS: u32 = 64;

/// What an organisation's script said that the ring should hear.
#[derive(Clone, Debug, Default)]
struct Hint {
    ready: bool,
    version: u64,
    given: u64,
    taken_back: u64,
    weight: u32,
    look: i64,
    wake: bool,
    unheard: i64,
    /// Whether somebody may be waiting for it.
    pressing: bool,
}

/// Whom the ring names.
#[derive(Debug)]
pub(super) struct Pick {
    /// The ring's time.
    pub now: Timestamp,
    /// Organisations to be looked at, by whoever asked.
    pub due: Vec<OrganisationId>,
    /// Whose turn it is.
    pub turn: Vec<OrganisationId>,
    /// When the next is to be looked at.
    pub next: Option<Timestamp>,
    /// Until when nothing is to be claimed: the database lost something, and owners say again what they hold.
    pub closed_until: Option<Timestamp>,
}

/// The ready ring, from afar.
pub(super) struct Ring {
    link: Link,
    key: String,
    hints: Mutex<BTreeMap<OrganisationId, Hint>>,
    told: Notify,
    pressing: Notify,
    bell: Bell,
    /// The life of the database that this process has known; none yet.
    life: Mutex<String>,
    closed: AtomicBool,
    /// Whether this process writes off what was lost: then nothing is claimed until somebody has.
    reads: AtomicBool,
    /// The loss after which that has not been done yet; empty if it has.
    unread: Mutex<String>,
    /// Rings when the database was found to be new, or to have lost something, and that has not been done yet.
    losses: Bell,
    /// Whether the server's life is watched: not where the time is another's, in tests.
    watches: bool,
}

/// How long a database that is new is left alone: whoever has known another life of it finds out sooner.
const FIRST: Duration = Duration::from_secs(4);

/// How soon to ask again while somebody writes off what was lost, should it not be heard that this is done.
const WRITTEN_OFF: Duration = Duration::from_secs(2);

impl Ring {
    pub fn new(link: Link, prefix: &str, bell: Bell, watches: bool) -> Arc<Self> {
        let key = format!("{prefix}:{{ring}}:");
        Arc::new(Self {
            link,
            key,
            hints: Mutex::default(),
            told: Notify::new(),
            pressing: Notify::new(),
            bell,
            life: Mutex::default(),
            closed: AtomicBool::new(false),
            reads: AtomicBool::new(false),
            unread: Mutex::default(),
            losses: Bell::default(),
            watches,
        })
    }

    /// Hears when the database was found to be new, or to have lost something. From now on nothing is claimed then until
    /// somebody has said that what was lost is written off.
    pub fn losses(&self) -> Listener {
        self.reads.store(true, Ordering::Release);
        self.losses.listen()
    }

    /// Where wake-ups are published.
    pub fn channel(&self) -> String {
        format!("{}wake", self.key)
    }

    /// The key of something of the ring's.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.key)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<OrganisationId, Hint>> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what an organisation's script said.
    pub fn note(&self, organisation: &OrganisationId, mut said: Reply) -> StoreResult<()> {
        if said.is_empty() {
            return Ok(());
        }
        let (ready, version) = (said.int()? == 1, said.large()?);
        let (given, taken_back, weight) = (said.large()?, said.large()?, said.small()?);
        let (look, wake, freed, unheard) = (said.int()?, said.int()? == 1, said.int()? == 1, said.int()?);
        let mut hints = self.lock();
        let hint = hints.entry(organisation.clone()).or_default();
        hint.given += given;
        hint.taken_back += taken_back;
        hint.wake |= wake;
        let news = version > hint.version;
        if news {
            // It has become ready, or is to be looked at sooner than it was: somebody may wait for that.
            hint.pressing = true;
            (hint.ready, hint.version, hint.weight) = (ready, version, weight);
            (hint.look, hint.unheard) = (look, unheard);
        }
        hint.pressing |= wake;
        let pressing = hint.pressing;
        drop(hints);
        self.told.notify_one();
        if pressing {
            self.pressing.notify_one();
        }
        if wake || (news && (ready || freed)) {
            self.bell.ring();
        }
        Ok(())
    }

    /// Tells the ring whatever is noted, for as long as somebody holds it.
    #[expect(
        clippy::disallowed_methods,
        reason = "hints linger in real time: with a time of its own they are told at once"
    )]
    pub async fn tell_for_ever(self: Arc<Self>) {
        loop {
            self.told.notified().await;
            tokio::select! {
                biased;
                () = self.pressing.notified() => {}
                () = tokio::time::sleep(LINGER) => {}
            }
            if let Err(error) = self.tell().await {
                tracing::debug!(%error, "the ready ring was not told: it is found out by looking");
            }
        }
    }

    /// Tells the ring what is noted.
    pub async fn tell(&self) -> StoreResult<()> {
        if !self.lock().is_empty() {
            self.ask(None, 0, "", 0).await?;
        }
        Ok(())
    }

    /// Tells the ring what is noted, and asks whose turn it is, `most` at most, and who is to be looked at.
    pub async fn pick(&self, now: Option<Timestamp>, looks: u32, most: u32) -> StoreResult<Pick> {
        let changes = self.link.changes();
        let server = if self.watches && self.link.is_unknown() { self.server().await? } else { String::new() };
        let was_asked = !server.is_empty();
        let mut answer = match self.ask(now, looks.max(1), &server, most).await {
            Ok(answer) => Reply::of(answer)?,
            Err(error) => {
                self.link.doubt();
                return Err(error);
            }
        };
        let now = answer.time()?;
        let mut list = answer.list()?;
        let mut due = Vec::with_capacity(list.len());
        while !list.is_empty() {
            due.push(list.parse()?);
        }
        let (mut list, mut turn) = (answer.list()?, Vec::new());
        while !list.is_empty() {
            turn.push(list.parse()?);
        }
        let next = answer.text()?;
        #[expect(clippy::cast_possible_truncation, reason = "scores are whole numbers below 2^53")]
        let next = next.parse::<f64>().ok().map(|at| Timestamp::from_millis(at as i64));
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = answer.text()?;
        let closed_until = answer.time().map(|until| (until > now).then_some(until))?;
        let closed_until = self.note_losses(now, closed_until, answer.text()?);
        if was_asked {
            self.link.is_known_after(changes);
        }
        Ok(Pick { now, due, turn, next, closed_until })
    }

    /// Notes whether the database is left alone, and whether something that it lost is still to be written off. Until when
    /// nothing is to be claimed.
    fn note_losses(&self, now: Timestamp, closed_until: Option<Timestamp>, unread: String) -> Option<Timestamp> {
        let again_at = (!unread.is_empty()).then(|| now + WRITTEN_OFF);
        let mut before = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if !unread.is_empty() && *before != unread {
            tracing::warn!(
                "the database is new or has lost something: nothing is claimed until the log of events is read"
            );
            self.losses.ring();
        }
        *before = unread;
        drop(before);
        let closed_until = closed_until.max(again_at);
        if closed_until.is_some() != self.closed.swap(closed_until.is_some(), Ordering::AcqRel) {
            match closed_until {
                Some(until) => {
                    tracing::warn!(%until, "the database is new or has lost something: nothing is claimed for a while");
                }
                None => tracing::info!("calls are claimed again"),
            }
        }
        closed_until
    }

    /// Says that what a loss took is written off. If there was another meanwhile, that is still to be.
    pub async fn is_read(&self, loss: &str, now: Option<Timestamp>) -> StoreResult<()> {
        let ops = Ops::at(now).count(0).text("read").text(loss);
        self.link.run(Code::Ring, &self.key, &ops).await.map(drop)
    }

    /// Whether nothing may be claimed now: the server may be another than before, or has lost something.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) || (self.watches && self.link.is_unknown())
    }

    /// What the server calls itself in this life.
    async fn server(&self) -> StoreResult<String> {
        let told = self.link.command(redis::cmd("INFO").arg("server")).await;
        let text = told.and_then(super::health::text).inspect_err(|_| self.link.doubt())?;
        Ok(super::health::field(&text, "run_id").unwrap_or_default().to_owned())
    }

    /// Has an organisation looked at in a while, whatever becomes of what its script says.
    pub async fn expect(&self, organisation: &OrganisationId, now: Option<Timestamp>) -> StoreResult<()> {
        let ops = Ops::at(now).count(0).text("expect").text(organisation.as_str());
        self.link.run(Code::Ring, &self.key, &ops).await.map(drop)
    }

    /// Notes that calls of an organisation are suspect, or none any more.
    pub async fn suspect(&self, organisation: &OrganisationId, is: bool) -> StoreResult<()> {
        let mut command = redis::cmd(if is { "SADD" } else { "SREM" });
        command.arg(self.key("suspect")).arg(organisation.as_str());
        self.link.command(&command).await.map(drop)
    }

    /// Organisations with suspect calls.
    pub async fn suspects(&self) -> StoreResult<Vec<OrganisationId>> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.key("suspect"));
        names(self.link.command(&command).await?)
    }

    /// Organisations that may have events which were stored before an instant and are not confirmed: those with suspect
    /// calls may, too.
    pub async fn unheard(&self, before: Timestamp) -> StoreResult<Vec<OrganisationId>> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(self.key("unheard")).arg("-inf").arg(format!("({}", before.as_millis()));
        self.tell().await?;
        let mut found = names(self.link.command(&command).await?)?;
        for organisation in self.suspects().await? {
            if !found.contains(&organisation) {
                found.push(organisation);
            }
        }
        Ok(found)
    }

    /// Has whoever cannot be claimed from stand aside until the organisation is looked at again.
    pub async fn pass_over(&self, organisation: &OrganisationId) -> StoreResult<()> {
        let mut command = redis::cmd("ZREM");
        command.arg(self.key("ready")).arg(organisation.as_str());
        self.link.command(&command).await.map(drop)
    }

    async fn ask(&self, now: Option<Timestamp>, looks: u32, server: &str, most: u32) -> StoreResult<redis::Value> {
        let hints = std::mem::take(&mut *self.lock());
        let mut ops = Ops::at(now).count(hints.len());
        for (organisation, hint) in &hints {
            ops = ops.text(organisation.as_str()).int(u8::from(hint.ready));
            ops = ops
                .unsigned(hint.version)
                .unsigned(hint.given)
                .unsigned(hint.taken_back)
                .int(hint.weight)
                .int(hint.look)
                .int(u8::from(hint.wake))
                .int(hint.unheard);
        }
        let life = self.life.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // With a time of its own nothing is lost, and nobody waits.
        let first = if now.is_some() { 0 } else { i64::try_from(FIRST.as_millis()).unwrap_or_default() };
        let ops = ops.int(looks).text(&life).text(server).text(&new_life()).int(first);
        let ops = ops.int(u8::from(self.reads.load(Ordering::Acquire))).int(most);
        let answer = self.link.run(Code::Ring, &self.key, &ops).await;
        if answer.is_err() {
            // Told again later: readiness is by version, and what was given twice in a rare failure is a turn.
            let mut waiting = self.lock();
            for (organisation, hint) in hints {
                waiting.entry(organisation).or_insert(hint);
            }
        }
        answer
    }
}

/// A name for a life, should whoever asks be the first to see it: no other process gives it, nor this one again, which
/// could not tell a life that it had named from the next.
fn new_life() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}
