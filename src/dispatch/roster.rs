//! The calls this worker holds, how to reach each of them, and until when each may be acted upon.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::fence::{AUTHORITY, Fence};
use crate::callflow::call::CallInput;
use crate::model::{AttemptId, CallId, OrganisationId, Timestamp, WorkerId};
use crate::ports::Clock;
use crate::ports::store::Held;

/// What reaches a call from outside its own task.
#[derive(Debug)]
pub enum Mail {
    /// Something happened to one of its legs, or somebody wants something of it.
    Input(CallInput),
    /// It is somebody else's now: touch it no more.
    Fenced,
}

/// The calls this worker holds.
#[derive(Debug, Default)]
pub struct Roster {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<AttemptId, Entry>,
    /// How many times everything was listed for renewal.
    listings: u64,
}

#[derive(Debug)]
struct Entry {
    held: Held,
    /// Under whose name the backend reports on the call.
    app: WorkerId,
    mailbox: UnboundedSender<Mail>,
    lost: Arc<AtomicBool>,
}

impl Entry {
    /// Makes the call somebody else's, at once and before any other mail is read.
    fn fence(&self) {
        self.lost.store(true, Ordering::Release);
        // The task may have ended meanwhile.
        let _ = self.mailbox.send(Mail::Fenced);
    }
}

/// A call's place on the roster, left when dropped.
#[derive(Debug)]
pub struct Seat {
    roster: Arc<Roster>,
    held: Held,
    mail: UnboundedReceiver<Mail>,
    lost: Arc<AtomicBool>,
    /// Listings before it was taken: none of them renews it.
    entered: u64,
    /// Until when it may be acted upon if it is not renewed.
    until: Timestamp,
}

impl Seat {
    /// The next mail.
    pub async fn mail(&mut self) -> Mail {
        // The sender stays on the roster as long as the seat is taken, unless another takes it: then the call is theirs.
        self.mail.recv().await.unwrap_or(Mail::Fenced)
    }

    /// Mail that is there already.
    pub fn mail_at_hand(&mut self) -> Option<Mail> {
        self.mail.try_recv().ok()
    }

    /// Whether the call was found to be somebody else's.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Completes when the backend may be given commands for this call, and answers until when: at once as a rule, after a
    /// renewal if the last one is too long ago. Look at [`Seat::is_lost`] afterwards.
    pub async fn authority(&self, fence: &Fence, clock: &dyn Clock) -> Timestamp {
        let open = || Some(self.valid_until(fence)).filter(|until| clock.now() < *until);
        if let Some(until) = open() {
            return until;
        }
        let mut renewals = fence.renewals();
        loop {
            renewals.forget();
            if let Some(until) = open() {
                return until;
            }
            fence.next_renewal(&mut renewals).await;
        }
    }

    /// Until when the backend may be given commands for this call.
    pub fn valid_until(&self, fence: &Fence) -> Timestamp {
        if fence.has_answered_after(self.entered) { fence.valid_until() } else { self.until }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.roster.lock();
        if inner.entries.get(&self.held.attempt).is_some_and(|entry| entry.held.token == self.held.token) {
            inner.entries.remove(&self.held.attempt);
        }
    }
}

impl Roster {
    /// Enters a call on which the backend reports to `app`. What made it ours was asked for at `asked_at`: its lease
    /// may count from then.
    pub fn enter(self: &Arc<Self>, held: &Held, app: WorkerId, asked_at: Timestamp) -> Seat {
        let (mailbox, mail) = unbounded_channel();
        let lost = Arc::new(AtomicBool::new(false));
        let entry = Entry { held: held.clone(), app, mailbox, lost: Arc::clone(&lost) };
        let mut inner = self.lock();
        let entered = inner.listings;
        if let Some(earlier) = inner.entries.insert(held.attempt, entry) {
            earlier.fence();
        }
        drop(inner);
        Seat { roster: Arc::clone(self), held: held.clone(), mail, lost, entered, until: asked_at + AUTHORITY }
    }

    /// Fences a call that is somebody else's.
    pub fn fence(&self, held: &Held) {
        if let Some(entry) = self.lock().entries.get(&held.attempt).filter(|entry| entry.held.token == held.token) {
            entry.fence();
        }
    }

    /// Fences every call on which the backend reports to `app`: its reports go elsewhere now, and so will the calls.
    pub fn fence_app(&self, app: &WorkerId) {
        self.lock().entries.values().filter(|entry| entry.app == *app).for_each(Entry::fence);
    }

    /// Whether the backend reports on any call held here to `app`.
    pub fn hears(&self, app: &WorkerId) -> bool {
        self.lock().entries.values().any(|entry| entry.app == *app)
    }

    /// Sends mail to an attempt; false if this worker does not hold it.
    pub fn send(&self, attempt: AttemptId, mail: Mail) -> bool {
        self.lock().entries.get(&attempt).is_some_and(|entry| entry.mailbox.send(mail).is_ok())
    }

    /// Sends mail to an attempt held under this very proof; false if this worker does not.
    pub fn send_to_holder(&self, held: &Held, mail: Mail) -> bool {
        let inner = self.lock();
        let entry = inner.entries.get(&held.attempt).filter(|entry| entry.held.token == held.token);
        entry.is_some_and(|entry| entry.mailbox.send(mail).is_ok())
    }

    /// Sends mail to whatever attempt of an organisation's call this worker holds; false if it holds none.
    pub fn send_to_call(&self, organisation: &OrganisationId, call: CallId, mail: Mail) -> bool {
        let inner = self.lock();
        let from = AttemptId { call, claim: 0 };
        let to = AttemptId { call, claim: u32::MAX };
        let entry = inner.entries.range(from..=to).next_back().map(|(_, entry)| entry);
        let theirs = entry.filter(|entry| entry.held.organisation == *organisation);
        theirs.is_some_and(|entry| entry.mailbox.send(mail).is_ok())
    }

    /// Whether this worker holds an attempt.
    pub fn holds(&self, attempt: AttemptId) -> bool {
        self.lock().entries.contains_key(&attempt)
    }

    /// Everything this worker holds, in order, and the listing's number, from 1.
    pub fn list(&self) -> (u64, Vec<Held>) {
        let mut inner = self.lock();
        inner.listings += 1;
        (inner.listings, inner.entries.values().map(|entry| entry.held.clone()).collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
