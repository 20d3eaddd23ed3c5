//! Whoever has the lead: reads, writes down what has to be sent, sends it, and writes down what came of it.
//!
//! **Invariant:** nothing is sent that is not written down, and nothing is remembered that could not be read from the store
//! again: whoever loses the lead drops everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::desk::{CatchUp, Desk, Places, Wanted};
use super::reading::{News, Start, read_on};
use super::sending::{Office, Try};
use super::subscribers::Subscribers;
use super::verdict::Verdict;
use super::{Dice, GRACE, HookSettings, LIFE, SURE};
use crate::model::Timestamp;
use crate::ports::StoreError;
use crate::ports::hooks::{ChangeError, EndpointKey, Lead, LoggedHookEvent, WishKind};
use crate::ports::store::StoreResult;

/// How often the lead is renewed, and wishes are looked for.
const RENEWAL: Duration = Duration::from_secs(5);

/// How soon a store that does not answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Events taken in at a time.
const BATCH: usize = 128;

/// Endpoints that lag for which the log is read at a time, and how many events before another has its turn.
const CATCHING_UP: usize = 4;
const SLICE: u64 = 50_000;

/// Most dead letters taken up again by one wish.
const RAISED: u32 = 1_000;

/// Why the lead ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was to.
    Stopped,
    /// Another has it, or may have.
    Lost,
}

/// Whose reader: one for all who keep up, or that of an endpoint that lags, by number.
type Whose = Option<(EndpointKey, u64)>;

struct Laggard {
    number: u64,
    read: u64,
    reader: AbortHandle,
}

/// Whoever has the lead.
pub struct Leader {
    office: Arc<Office>,
    lead: Lead,
    connections: usize,
    desk: Desk,
    /// Whether the log was found to be the one whose places are kept, or another one: until then nothing is read for those who lag.
    is_log_known: bool,
    subscribers: Subscribers,
    flights: JoinSet<Try>,
    readers: JoinSet<()>,
    laggards: BTreeMap<EndpointKey, Laggard>,
    /// Who had the last turn at reading what it lags behind.
    last_turn: Option<EndpointKey>,
    turns: u64,
    renewed_at: Timestamp,
    dice: Dice,
    stop: CancellationToken,
}

impl Leader {
    /// Takes up what has yet to be delivered. `asked_at`: when the lead was asked for.
    pub async fn begin(
        office: Arc<Office>,
        settings: &HookSettings,
        lead: Lead,
        asked_at: Timestamp,
        stop: CancellationToken,
    ) -> StoreResult<Self> {
        office.sure_until.store((asked_at + SURE).as_millis(), Ordering::Release);
        let ports = Arc::clone(&office.ports);
        let book = ports.store.load().await?;
        let position = match book.position {
            Some(position) => position,
            None => ports.log.end().await?,
        };
        tracing::info!(position, first = book.position.is_none(), "events are delivered to webhooks from here on");
        let desk = Desk::restored(book, position, settings.rules, ports.clock.now());
        let subscribers = Subscribers::new(Arc::clone(&ports.campaigns), Arc::clone(&office.templates));
        Ok(Self {
            lead,
            connections: settings.connections,
            desk,
            is_log_known: false,
            subscribers,
            flights: JoinSet::new(),
            readers: JoinSet::new(),
            laggards: BTreeMap::new(),
            last_turn: None,
            turns: 0,
            renewed_at: asked_at,
            dice: Dice::new(settings.process.0 ^ u128::from(lead.token)),
            office,
            stop,
        })
    }

    fn now(&self) -> Timestamp {
        self.office.ports.clock.now()
    }

    /// Delivers until the lead ends.
    pub async fn run(mut self) -> Ended {
        let (to, mut news) = channel(BATCH);
        let (to_laggards, mut old_news) = channel(BATCH);
        // Where reading begins is written down before anything is read.
        if let Err(ended) = self.write_down().await {
            return ended;
        }
        self.read(self.desk.position(), None, to);
        let ended = loop {
            if let Err(ended) = self.turn(&mut news, &mut old_news, &to_laggards).await {
                break ended;
            }
        };
        self.readers.abort_all();
        if ended == Ended::Stopped {
            self.land().await;
        }
        ended
    }

    async fn turn(
        &mut self,
        news: &mut Receiver<(Whose, News)>,
        old_news: &mut Receiver<(Whose, News)>,
        to_laggards: &Sender<(Whose, News)>,
    ) -> Result<(), Ended> {
        self.renew().await?;
        let now = self.now();
        self.send_what_is_due(now);
        self.read_for_laggards(to_laggards);
        // Who waits for a place hears of it when somebody has landed.
        let wake = self.desk.next_after(now).into_iter().chain([self.renewed_at + RENEWAL]).min().unwrap_or_default();
        let (clock, stop) = (Arc::clone(&self.office.ports.clock), self.stop.clone());
        let (mut some, mut more) = (Vec::new(), Vec::new());
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Ended::Stopped),
            Some(landed) = self.flights.join_next() => self.settle(landed),
            read = news.recv_many(&mut some, BATCH) => {
                if read == 0 {
                    return Err(Ended::Lost);
                }
            }
            _ = old_news.recv_many(&mut more, BATCH) => {}
            () = clock.sleep_until(wake) => {}
        }
        // One write for whatever has landed meanwhile.
        while let Some(landed) = self.flights.try_join_next() {
            self.settle(landed);
        }
        for (_, news) in some {
            self.take(news).await?;
        }
        for (whose, news) in more {
            if let Some((key, number)) = whose {
                self.take_old(key, number, news).await?;
            }
        }
        self.write_down().await
    }

    /// Keeps the lead, and looks for wishes.
    async fn renew(&mut self) -> Result<(), Ended> {
        while self.now() >= self.renewed_at + RENEWAL {
            let asked_at = self.now();
            match self.office.ports.store.lead(self.lead.process, LIFE).await {
                Ok(Some(lead)) if lead == self.lead => {
                    self.renewed_at = asked_at;
                    self.office.sure_until.store((asked_at + SURE).as_millis(), Ordering::Release);
                    self.grant_wishes().await;
                    return self.write_down().await;
                }
                Ok(_) => return Err(Ended::Lost),
                Err(error) => self.wait_for_store(&error).await?,
            }
        }
        Ok(())
    }

    /// Waits for a moment, unless the lead may be another's by now.
    async fn wait_for_store(&mut self, error: &StoreError) -> Result<(), Ended> {
        let now = self.now();
        if !self.office.is_sure(now) || !matches!(error, StoreError::Unavailable(_)) {
            tracing::warn!(%error, "delivering to webhooks pauses: the database does not answer");
            return Err(Ended::Lost);
        }
        let clock = Arc::clone(&self.office.ports.clock);
        clock.sleep_until(now + AGAIN).await;
        Ok(())
    }

    /// Writes down what has changed.
    async fn write_down(&mut self) -> Result<(), Ended> {
        let changes = self.desk.changes();
        if changes.is_empty() {
            return Ok(());
        }
        loop {
            match self.office.ports.store.change(self.lead, &changes).await {
                Ok(()) => return Ok(()),
                Err(ChangeError::Fenced) => return Err(Ended::Lost),
                Err(ChangeError::Store(error)) => self.wait_for_store(&error).await?,
            }
        }
    }

    fn send_what_is_due(&mut self, now: Timestamp) {
        while self.flights.len() < self.connections
            && self.office.is_sure(now)
            && let Some((key, event)) = self.desk.next(now, self.places())
        {
            self.flights.spawn(Arc::clone(&self.office).deliver(key, event));
        }
    }

    fn places(&self) -> Places {
        match (self.flights.len(), self.connections) {
            (taken, all) if taken < all / 2 => Places::Many,
            (taken, all) if taken < all - all / 4 => Places::Few,
            _ => Places::Last,
        }
    }

    fn settle(&mut self, landed: Result<Try, tokio::task::JoinError>) {
        // A try is neither aborted nor does it panic; if it did, the event would wait for the next lead.
        let Ok(Try { key, event, verdict, kept }) = landed else { return };
        let (now, chance) = (self.now(), self.dice.chance());
        if let (Some(answer), Some((_, call))) = (kept, event.subject.split_once('/')) {
            self.desk.keep(&key, call, answer, now);
        }
        if verdict == Verdict::Gone {
            let (organisation, receiver) = (&key.organisation, key.url.shown());
            tracing::warn!(%organisation, receiver, "a webhook says it is gone: nothing is sent there until it is enabled");
        }
        self.desk.settle(&key, event.offset, &verdict, now, chance);
    }

    async fn take(&mut self, news: News) -> Result<(), Ended> {
        match news {
            News::Gap(from, to) => {
                tracing::error!(from, to, "webhooks miss events: the log does not go back so far any more");
                self.desk.note_gap(None, from, to, self.now());
            }
            News::Known(last) => {
                self.is_log_known = true;
                self.desk.know_last(last);
            }
            News::Anew => {
                self.is_log_known = true;
                self.desk.begin_anew();
                let position = self.desk.position();
                // How much of the one before was not read nobody knows.
                tracing::error!(
                    position,
                    "the log of events was begun anew: webhooks miss what was not read of the one before"
                );
                // They are read for again, and told what they miss of the log before.
                std::mem::take(&mut self.laggards).into_values().for_each(|laggard| laggard.reader.abort());
            }
            News::Event(event) => {
                let wanted = self.wanted(&event).await?;
                self.desk.take(&event, wanted.as_ref(), self.now());
            }
        }
        Ok(())
    }

    async fn wanted(&mut self, event: &LoggedHookEvent) -> Result<Option<Wanted>, Ended> {
        loop {
            let now = self.now();
            match self.subscribers.of(event, now).await {
                Ok(wanted) => return Ok(wanted),
                Err(error) => self.wait_for_store(&error).await?,
            }
        }
    }

    fn read(&mut self, from: u64, whose: Whose, to: Sender<(Whose, News)>) -> AbortHandle {
        let (log, clock) = (Arc::clone(&self.office.ports.log), Arc::clone(&self.office.ports.clock));
        // Whoever reads for all finds out for all.
        let is_doubtful = whose.is_none();
        let start = Start { base: self.desk.base(), from, last: self.desk.last(), is_doubtful };
        self.readers.spawn(read_on(log, clock, start, whose, to))
    }

    /// Has the log be read for endpoints that lag and can take something on, some at a time, in turns.
    fn read_for_laggards(&mut self, to: &Sender<(Whose, News)>) {
        while self.readers.try_join_next().is_some() {}
        while self.is_log_known && self.laggards.len() < CATCHING_UP {
            let able = || self.desk.laggards().filter(|(key, _)| !self.laggards.contains_key(key));
            let after = self.last_turn.as_ref();
            let next = able().find(|(key, _)| after.is_none_or(|after| *key > after)).or_else(|| able().next());
            let Some((key, cursor)) = next.map(|(key, cursor)| (key.clone(), cursor)) else { return };
            self.turns += 1;
            let reader = self.read(cursor, Some((key.clone(), self.turns)), to.clone());
            self.last_turn = Some(key.clone());
            self.laggards.insert(key, Laggard { number: self.turns, read: 0, reader });
        }
    }

    async fn take_old(&mut self, key: EndpointKey, number: u64, news: News) -> Result<(), Ended> {
        let Some(laggard) = self.laggards.get_mut(&key).filter(|laggard| laggard.number == number) else {
            return Ok(());
        };
        laggard.read += 1;
        let is_over = laggard.read >= SLICE;
        let now = self.now();
        let came = match news {
            News::Gap(from, to) => {
                let (organisation, receiver) = (&key.organisation, key.url.shown());
                tracing::error!(%organisation, receiver, from, to, "a webhook misses events: it was behind for too long");
                self.desk.note_gap(Some(&key), from, to, now);
                CatchUp::GoOn
            }
            // Whoever reads for all notices too.
            News::Known(_) | News::Anew => CatchUp::Later,
            News::Event(event) => match self.desk.judge_catch_up(&key, &event) {
                CatchUp::GoOn => {
                    let wanted = if event.organisation == key.organisation { self.wanted(&event).await? } else { None };
                    self.desk.catch_up(&key, &event, wanted.as_ref(), now)
                }
                judged => judged,
            },
        };
        if (came != CatchUp::GoOn || is_over)
            && let Some(laggard) = self.laggards.remove(&key)
        {
            laggard.reader.abort();
        }
        Ok(())
    }

    /// Does what somebody at a terminal has asked for. What cannot be read now is looked at again.
    async fn grant_wishes(&mut self) {
        let store = Arc::clone(&self.office.ports.store);
        let Ok(wishes) = store.wishes().await else { return };
        for wish in wishes {
            let now = self.now();
            match &wish.kind {
                WishKind::Enable(key) => self.desk.enable(key, now),
                WishKind::Retry(organisation, named) => {
                    let Ok(dead) = store.dead(Some(organisation), RAISED).await else { return };
                    let meant = dead.iter().filter(|dead| named.as_ref().is_none_or(|named| *named == dead.id));
                    meant.for_each(|dead| self.desk.raise(dead, now));
                }
            }
            self.desk.granted(wish.id);
        }
    }

    /// Sends nothing more, waits a little for what is on its way, and leaves the lead. What has not landed by then is let go
    /// of: it waits in the store still, and whoever has the lead next sends it again.
    async fn land(&mut self) {
        let clock = Arc::clone(&self.office.ports.clock);
        let until = self.now() + GRACE;
        loop {
            tokio::select! {
                biased;
                landed = self.flights.join_next() => match landed {
                    Some(landed) => self.settle(landed),
                    None => break,
                },
                () = clock.sleep_until(until) => break,
            }
        }
        if !self.flights.is_empty() {
            tracing::warn!(left = self.flights.len(), "messages to webhooks are let go of: they will be sent again");
        }
        // Before the lead is left: its successor must find nothing of ours on its way.
        self.flights.abort_all();
        while let Some(landed) = self.flights.join_next().await {
            self.settle(landed);
        }
        if self.write_down().await.is_ok() {
            let _ = self.office.ports.store.resign(self.lead).await;
        }
    }
}
