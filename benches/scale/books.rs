//! What every organisation had and what it could have had, by the phone network's own word: dials and ends of legs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use robocall::model::{CallId, LegId, Timestamp};
use robocall::ports::store::RequestKey;

use super::mix::Client;

/// One organisation's account.
#[derive(Debug)]
pub struct Account {
    /// Slots it has now: none before it is let in.
    slots: u32,
    limit: u32,
    /// Whether its dials a second are bounded: then free slots are no fault.
    is_rated: bool,
    /// Destinations that are due and not dialled.
    waiting: u32,
    live: u32,
    /// When retries come due.
    retries: BinaryHeap<Reverse<Timestamp>>,
    /// Until when the account is drawn up.
    at: Timestamp,
    /// Milliseconds of slots for which there was work, and of those that were used.
    wanted: u64,
    had: u64,
    /// Since when it has had work and a free slot without a dial.
    hungry_since: Option<Timestamp>,
    /// The longest it was so, in milliseconds.
    longest: u64,
    most_live: u32,
}

impl Account {
    /// Draws it up until an instant.
    fn until(&mut self, now: Timestamp) {
        while let Some(Reverse(due)) = self.retries.peek().copied().filter(|Reverse(due)| *due <= now) {
            self.retries.pop();
            self.pass(due);
            self.waiting += 1;
            self.look(due);
        }
        self.pass(now);
    }

    fn pass(&mut self, now: Timestamp) {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        if self.waiting > 0 {
            self.wanted += millis * u64::from(self.slots.min(self.live + self.waiting));
            self.had += millis * u64::from(self.live.min(self.slots));
        }
        self.at = self.at.max(now);
    }

    fn look(&mut self, now: Timestamp) {
        if self.waiting > 0 && self.live < self.slots {
            self.hungry_since.get_or_insert(now);
        } else {
            self.hungry_since = None;
        }
    }
}

/// A request of somebody's, and how often each of its destinations was dialled.
#[derive(Debug)]
struct Sheet {
    account: usize,
    retries: bool,
    dials: Vec<u8>,
}

/// Everybody's accounts.
#[derive(Debug, Default)]
pub struct Books(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    accounts: Vec<Account>,
    sheets: BTreeMap<[u8; 10], Sheet>,
    dials: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// What the books say in the end.
#[derive(Debug, Default)]
pub struct Balance {
    /// Dials.
    pub dials: u64,
    /// From the first dial to the last, in seconds.
    pub seconds: f64,
    /// Each organisation's share of the slots for which it had work, in percent, the lowest first.
    pub shares: Vec<f64>,
    /// The same of all of them together.
    pub share: f64,
    /// The longest that an organisation with work and a free slot waited for its next dial, in milliseconds: each one's,
    /// the shortest first.
    pub waits: Vec<u64>,
    /// Organisations that had more calls than slots at some moment.
    pub over_limit: usize,
    /// Destinations that were never dialled.
    pub never: usize,
    /// Destinations that were dialled more often than they might be.
    pub too_often: usize,
}

impl Books {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an account.
    pub fn open(&self, client: &Client, now: Timestamp) {
        self.lock().accounts.push(Account {
            slots: 0,
            limit: client.limit,
            is_rated: client.a_second.is_some(),
            waiting: 0,
            live: 0,
            retries: BinaryHeap::new(),
            at: now,
            wanted: 0,
            had: 0,
            hungry_since: None,
            longest: 0,
            most_live: 0,
        });
    }

    /// Notes that a request of an organisation is sealed.
    pub fn sealed(&self, account: usize, key: &RequestKey, count: u32, retries: bool, now: Timestamp) {
        let mut inner = self.lock();
        let hash = CallId::new(&key.organisation, &key.request, 0).request_hash();
        let sheet = Sheet { account, retries, dials: vec![0; usize::try_from(count).unwrap_or_default()] };
        if inner.sheets.insert(hash, sheet).is_none() {
            let account = &mut inner.accounts[account];
            account.until(now);
            account.waiting += count;
            account.look(now);
        }
    }

    /// Notes that an organisation may use its slots from now on.
    pub fn let_in(&self, account: usize, now: Timestamp) {
        let account = &mut self.lock().accounts[account];
        account.until(now);
        account.slots = account.limit;
        account.look(now);
    }

    /// Notes a dial.
    pub fn dialled(&self, leg: LegId, now: Timestamp) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.dials += 1;
        inner.first.get_or_insert(now);
        inner.last = Some(now);
        let call = leg.attempt.call;
        let Some(sheet) = inner.sheets.get_mut(&call.request_hash()) else { return };
        if let Some(dials) = sheet.dials.get_mut(call.index() as usize) {
            *dials = dials.saturating_add(1);
        }
        let account = &mut inner.accounts[sheet.account];
        account.until(now);
        account.waiting = account.waiting.saturating_sub(1);
        account.live += 1;
        account.most_live = account.most_live.max(account.live);
        if let Some(since) = account.hungry_since.take() {
            let waited = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
            account.longest = account.longest.max(waited);
        }
        account.look(now);
    }

    /// Notes that a dialled leg has ended.
    pub fn ended(&self, leg: LegId, now: Timestamp) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(sheet) = inner.sheets.get(&leg.attempt.call.request_hash()) else { return };
        let account = &mut inner.accounts[sheet.account];
        account.until(now);
        account.live = account.live.saturating_sub(1);
        account.look(now);
    }

    /// Notes that a call is to be tried again.
    pub fn retries(&self, call: CallId, due: Timestamp, now: Timestamp) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(sheet) = inner.sheets.get(&call.request_hash()) else { return };
        let account = &mut inner.accounts[sheet.account];
        account.until(now);
        account.retries.push(Reverse(due));
    }

    /// What they say.
    pub fn balance(&self) -> Balance {
        let inner = self.lock();
        let mut balance = Balance { dials: inner.dials, ..Balance::default() };
        if let (Some(first), Some(last)) = (inner.first, inner.last) {
            balance.seconds = last.since(first).as_secs_f64();
        }
        let (mut wanted, mut had) = (0, 0);
        for account in &inner.accounts {
            balance.over_limit += usize::from(account.most_live > account.limit);
            if account.is_rated || account.wanted == 0 {
                continue;
            }
            (wanted, had) = (wanted + account.wanted, had + account.had);
            balance.shares.push(percent(account.had, account.wanted));
            balance.waits.push(account.longest);
        }
        balance.share = percent(had, wanted);
        balance.shares.sort_by(f64::total_cmp);
        balance.waits.sort_unstable();
        for sheet in inner.sheets.values() {
            let most = if sheet.retries { 2 } else { 1 };
            balance.never += sheet.dials.iter().filter(|dials| **dials == 0).count();
            balance.too_often += sheet.dials.iter().filter(|dials| **dials > most).count();
        }
        balance
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share to be shown")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}
