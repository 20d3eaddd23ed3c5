//! The calls this worker holds, and how to reach each of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::callflow::call::CallInput;
use crate::model::{AttemptId, CallId};
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
    entries: Mutex<BTreeMap<AttemptId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    held: Held,
    mailbox: UnboundedSender<Mail>,
    lost: Arc<AtomicBool>,
}

/// A call's place on the roster, left when dropped.
pub struct Seat {
    roster: Arc<Roster>,
    held: Held,
    mail: UnboundedReceiver<Mail>,
    lost: Arc<AtomicBool>,
}

impl Seat {
    /// The next mail.
    pub async fn mail(&mut self) -> Mail {
        // The sender stays on the roster as long as the seat is taken, unless another takes it: then the call is theirs.
        self.mail.recv().await.unwrap_or(Mail::Fenced)
    }

    /// Whether a renewal has found the call to be somebody else's.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut entries = self.roster.lock();
        if entries.get(&self.held.attempt).is_some_and(|entry| entry.held.token == self.held.token) {
            entries.remove(&self.held.attempt);
        }
    }
}

impl Roster {
    /// Enters a call.
    pub fn enter(self: &Arc<Self>, held: &Held) -> Seat {
        let (mailbox, mail) = unbounded_channel();
        let lost = Arc::new(AtomicBool::new(false));
        self.lock().insert(held.attempt, Entry { held: held.clone(), mailbox, lost: Arc::clone(&lost) });
        Seat { roster: Arc::clone(self), held: held.clone(), mail, lost }
    }

    /// Marks a call as somebody else's, at once and before any other mail is read.
    pub fn fence(&self, held: &Held) {
        if let Some(entry) = self.lock().get(&held.attempt).filter(|entry| entry.held.token == held.token) {
            entry.lost.store(true, Ordering::Release);
            // The task may have ended meanwhile.
            let _ = entry.mailbox.send(Mail::Fenced);
        }
    }

    /// Sends mail to an attempt; false if this worker does not hold it.
    pub fn send(&self, attempt: AttemptId, mail: Mail) -> bool {
        self.lock().get(&attempt).is_some_and(|entry| entry.mailbox.send(mail).is_ok())
    }

    /// Sends mail to whatever attempt of a call this worker holds; false if it holds none.
    pub fn send_to_call(&self, call: CallId, mail: Mail) -> bool {
        let entries = self.lock();
        let from = AttemptId { call, claim: 0 };
        let to = AttemptId { call, claim: u32::MAX };
        entries.range(from..=to).next_back().is_some_and(|(_, entry)| entry.mailbox.send(mail).is_ok())
    }

    /// Whether this worker holds an attempt.
    pub fn holds(&self, attempt: AttemptId) -> bool {
        self.lock().contains_key(&attempt)
    }

    /// Everything this worker holds, in order.
    pub fn held(&self) -> Vec<Held> {
        self.lock().values().map(|entry| entry.held.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<AttemptId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
