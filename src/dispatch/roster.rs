//! The calls this worker holds, how to reach each of them, and until when each may be acted upon.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::asked::Asked;
use super::fence::{AUTHORITY, Fence};
use super::ledger::Ledger;
use super::mailbox::{Mailbox, Slot, mailbox};
use crate::callflow::call::CallInput;
use crate::model::{AttemptId, CallId, OrganisationId, Timestamp, WorkerId};
use crate::ports::Clock;
use crate::ports::store::Held;

/// What reaches a call from outside its own task.
#[derive(Debug)]
pub enum Mail {
    /// Something happened to one of its legs, or somebody wants something of it.
    Input(CallInput),
    /// Somebody asks something of it, and waits for an answer.
    Asked(Box<Asked>),
    /// The store has lost it, and is to be told again.
    SayAgain,
    /// It is to be left to another worker: write down what is not written yet, and touch it no more.
    LetGo,
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
    slot: Slot<Mail>,
    lost: Arc<AtomicBool>,
    /// Whether its dial was committed to: what is asked of it before that may find nobody, for it may be given back.
    dialling: bool,
}

impl Entry {
    /// Makes the call somebody else's, at once and before any other mail is read.
    fn fence(&self) {
        self.lost.store(true, Ordering::Release);
        // The task may have ended meanwhile.
        let _ = self.slot.send(Mail::Fenced);
    }
}

/// A call's place on the roster, left when dropped.
#[derive(Debug)]
pub struct Seat {
    roster: Arc<Roster>,
    held: Held,
    mail: Mailbox<Mail>,
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
        self.mail.next().await.unwrap_or(Mail::Fenced)
    }

    /// Mail that is there already.
    pub fn mail_at_hand(&mut self) -> Option<Mail> {
        self.mail.at_hand()
    }

    /// Whether somebody wanted the call to end, going by the mail that is there; it is read, and who asked for it written
    /// down.
    pub fn is_to_end(&mut self, now: Timestamp, ledger: &mut Ledger<'_>) -> bool {
        let mut wanted = false;
        while let Some(mail) = self.mail_at_hand() {
            match mail {
                Mail::Input(CallInput::HangUpRequested) => wanted = true,
                Mail::Asked(asked) if asked.is_hang_up() => wanted |= asked.done_by_the_end(now, ledger),
                _ => {}
            }
        }
        wanted
    }

    /// Whether the call was found to be somebody else's.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Notes that the call's dial was committed to: from now on it hears what is asked of it.
    pub fn is_dialling(&self) {
        let mut inner = self.roster.lock();
        let entry = inner.entries.get_mut(&self.held.attempt).filter(|entry| entry.held.token == self.held.token);
        if let Some(entry) = entry {
            entry.dialling = true;
        }
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
        let (slot, mail) = mailbox();
        let lost = Arc::new(AtomicBool::new(false));
        let entry = Entry { held: held.clone(), app, slot, lost: Arc::clone(&lost), dialling: false };
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

    /// Tells every call that it will be another worker's, and answers which those are.
    pub fn let_go(&self) -> Vec<Held> {
        let inner = self.lock();
        let told = inner.entries.values().map(|entry| {
            // The task may have ended meanwhile.
            let _ = entry.slot.send(Mail::LetGo);
            entry.held.clone()
        });
        told.collect()
    }

    /// Fences every call: whatever still runs does nothing more.
    pub fn fence_all(&self) {
        self.lock().entries.values().for_each(Entry::fence);
    }

    /// Whether the backend reports on any call held here to `app`.
    pub fn hears(&self, app: &WorkerId) -> bool {
        self.lock().entries.values().any(|entry| entry.app == *app)
    }

    /// Sends mail to an attempt; false if this worker does not hold it.
    pub fn send(&self, attempt: AttemptId, mail: Mail) -> bool {
        self.lock().entries.get(&attempt).is_some_and(|entry| entry.slot.send(mail))
    }

    /// Sends mail to an attempt held under this very proof, and dialled; false if this worker holds none such.
    pub fn send_to_holder(&self, held: &Held, mail: Mail) -> bool {
        let inner = self.lock();
        let entry = inner.entries.get(&held.attempt).filter(|entry| entry.held.token == held.token);
        entry.is_some_and(|entry| entry.dialling && entry.slot.send(mail))
    }

    /// Sends mail to whatever attempt of an organisation's call this worker holds: none if it holds none, false if that
    /// is not dialled yet.
    pub fn send_to_call(&self, organisation: &OrganisationId, call: CallId, mail: Mail) -> Option<bool> {
        let inner = self.lock();
        let from = AttemptId { call, claim: 0 };
        let to = AttemptId { call, claim: u32::MAX };
        let entry = inner.entries.range(from..=to).next_back().map(|(_, entry)| entry);
        let theirs = entry.filter(|entry| entry.held.organisation == *organisation)?;
        Some(theirs.dialling && theirs.slot.send(mail))
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::ports::store::Token;

    const NOW: Timestamp = Timestamp::VIRTUAL_START;

    /// A clock that stands still.
    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
            std::future::pending().boxed()
        }
    }

    fn held(token: u64) -> Held {
        let (organisation, request): (OrganisationId, _) = ("bank".parse().unwrap(), "r".parse().unwrap());
        let attempt = AttemptId { call: CallId::new(&organisation, &request, 0), claim: 1 };
        Held { organisation, request, attempt, token: Token(token) }
    }

    fn worker() -> WorkerId {
        "w".parse().unwrap()
    }

    fn later(millis: u64) -> Timestamp {
        NOW + std::time::Duration::from_millis(millis)
    }

    #[test]
    fn a_call_may_be_acted_upon_from_when_it_was_asked_for_until_a_renewal_names_it() {
        let (roster, fence) = (Arc::new(Roster::default()), Fence::new(NOW));
        let (early, _) = roster.list();
        let seat = roster.enter(&held(1), worker(), NOW);
        assert_eq!(seat.valid_until(&fence), NOW + AUTHORITY);
        fence.renewed(early, later(9_000));
        assert_eq!(seat.valid_until(&fence), NOW + AUTHORITY, "that renewal did not name it");
        assert_eq!(fence.valid_until(), later(9_000) + AUTHORITY, "others it did");
        let (listing, named) = roster.list();
        assert_eq!(named, [held(1)]);
        fence.renewed(listing, later(10_000));
        assert_eq!(seat.valid_until(&fence), later(10_000) + AUTHORITY, "from the sending on");
    }

    #[test]
    fn without_authority_nothing_is_done_until_a_renewal_is_answered() {
        let (roster, fence) = (Arc::new(Roster::default()), Fence::new(NOW));
        let seat = roster.enter(&held(1), worker(), NOW);
        assert_eq!(seat.authority(&fence, &At(later(19_999))).now_or_never(), Some(NOW + AUTHORITY));
        let clock = At(later(20_000));
        let mut waits = std::pin::pin!(seat.authority(&fence, &clock));
        assert_eq!((&mut waits).now_or_never(), None);
        assert!(fence.is_asked().now_or_never().is_some(), "a renewal is asked for at once");
        let (listing, _) = roster.list();
        fence.renewed(listing, later(20_000));
        assert_eq!(waits.now_or_never(), Some(later(20_000) + AUTHORITY));
    }

    #[test]
    fn a_call_that_is_anothers_is_lost_before_any_other_mail_is_read() {
        let roster = Arc::new(Roster::default());
        let mut seat = roster.enter(&held(1), worker(), NOW);
        seat.is_dialling();
        assert!(roster.send_to_holder(&held(1), Mail::Input(CallInput::Ringing)));
        roster.fence(&held(2));
        assert!(!seat.is_lost(), "another proof is another's");
        roster.fence(&held(1));
        assert!(seat.is_lost());
        assert!(matches!(seat.mail_at_hand(), Some(Mail::Input(CallInput::Ringing))));
        assert!(matches!(seat.mail_at_hand(), Some(Mail::Fenced)));
    }

    #[test]
    fn whoever_takes_a_seat_again_has_it_alone() {
        let roster = Arc::new(Roster::default());
        let before = roster.enter(&held(1), worker(), NOW);
        let mut after = roster.enter(&held(2), worker(), NOW);
        assert!(before.is_lost() && !after.is_lost());
        after.is_dialling();
        before.is_dialling();
        assert!(!roster.send_to_holder(&held(1), Mail::Input(CallInput::Ringing)), "the earlier proof reaches nobody");
        drop(before);
        assert!(roster.send_to_holder(&held(2), Mail::Input(CallInput::Answered)));
        assert!(matches!(after.mail().now_or_never(), Some(Mail::Input(CallInput::Answered))));
        drop(after);
        assert!(!roster.holds(held(2).attempt) && !roster.hears(&worker()));
    }

    #[test]
    fn a_call_of_another_organisation_hears_nothing() {
        let roster = Arc::new(Roster::default());
        let mut seat = roster.enter(&held(1), worker(), NOW);
        seat.is_dialling();
        let (call, other) = (held(1).attempt.call, "shop".parse().unwrap());
        assert_eq!(roster.send_to_call(&other, call, Mail::Input(CallInput::HangUpRequested)), None);
        assert!(seat.mail_at_hand().is_none());
        assert_eq!(roster.send_to_call(&held(1).organisation, call, hang_up()), Some(true));
    }

    fn hang_up() -> Mail {
        Mail::Input(CallInput::HangUpRequested)
    }

    #[test]
    fn a_call_that_is_not_dialled_takes_no_wishes() {
        let roster = Arc::new(Roster::default());
        let mut seat = roster.enter(&held(1), worker(), NOW);
        let (bank, call) = (held(1).organisation, held(1).attempt.call);
        assert_eq!(roster.send_to_call(&bank, call, hang_up()), Some(false), "it may be given back instead");
        assert!(!roster.send_to_holder(&held(1), hang_up()));
        assert!(roster.send(held(1).attempt, Mail::Input(CallInput::Ringing)), "what happens to it, it hears");
        assert!(matches!(seat.mail_at_hand(), Some(Mail::Input(CallInput::Ringing))) && seat.mail_at_hand().is_none());
        seat.is_dialling();
        assert_eq!(roster.send_to_call(&bank, call, hang_up()), Some(true));
        assert!(roster.send_to_holder(&held(1), hang_up()));
        for _ in 0..2 {
            assert!(matches!(seat.mail_at_hand(), Some(Mail::Input(CallInput::HangUpRequested))));
        }
        assert!(seat.mail_at_hand().is_none());
    }
}
