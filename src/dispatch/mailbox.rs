//! Mail on its way to one call. Tens of thousands of calls are live at a time and mostly hear nothing: an empty mailbox
//! takes no more room than a queue's head, where a channel of the runtime keeps room for dozens of messages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// Whether either side is gone.
    is_closed: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where mail is handed in. Dropped, it tells the reader that nothing more comes.
#[derive(Debug)]
pub struct Slot<T>(Arc<Shared<T>>);

/// Where mail is read, by one reader.
#[derive(Debug)]
pub struct Mailbox<T>(Arc<Shared<T>>);

/// Both sides of a mailbox.
pub fn mailbox<T>() -> (Slot<T>, Mailbox<T>) {
    let state = Mutex::new(State { waiting: VecDeque::new(), is_closed: false });
    let shared = Arc::new(Shared { state, changed: Notify::new() });
    (Slot(Arc::clone(&shared)), Mailbox(shared))
}

impl<T> Slot<T> {
    /// Hands mail in; false if nobody reads it any more.
    pub fn send(&self, mail: T) -> bool {
        let mut state = self.0.lock();
        if state.is_closed {
            return false;
        }
        state.waiting.push_back(mail);
        drop(state);
        self.0.changed.notify_one();
        true
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_one();
    }
}

impl<T> Mailbox<T> {
    /// The next mail; none once there is none and nothing more comes. Nothing is lost if it is not awaited to its end.
    pub async fn next(&mut self) -> Option<T> {
        loop {
            let (mail, is_closed) = self.take();
            if mail.is_some() || is_closed {
                return mail;
            }
            self.0.changed.notified().await;
        }
    }

    /// Mail that is there already.
    pub fn at_hand(&mut self) -> Option<T> {
        self.take().0
    }

    fn take(&mut self) -> (Option<T>, bool) {
        let mut state = self.0.lock();
        let mail = state.waiting.pop_front();
        if state.waiting.is_empty() {
            state.waiting = VecDeque::new();
        }
        (mail, state.is_closed)
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        state.waiting = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn mail_is_read_in_order_and_what_was_sent_before_the_end_is_read() {
        let (slot, mut mailbox) = mailbox();
        assert!(mailbox.next().now_or_never().is_none());
        assert!(slot.send(1) && slot.send(2));
        assert_eq!(mailbox.at_hand(), Some(1));
        drop(slot);
        assert_eq!(mailbox.next().now_or_never(), Some(Some(2)));
        assert_eq!(mailbox.next().now_or_never(), Some(None));
    }

    #[test]
    fn whoever_waits_is_woken_by_mail_and_by_the_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (slot, mut mailbox) = mailbox();
            let reader = tokio::spawn(async move { (mailbox.next().await, mailbox.next().await) });
            tokio::task::yield_now().await;
            assert!(slot.send("mail"));
            tokio::task::yield_now().await;
            drop(slot);
            assert_eq!(reader.await.unwrap(), (Some("mail"), None));
        });
    }

    #[test]
    fn nobody_reads_what_is_sent_after_the_reader_has_gone() {
        let (slot, mailbox) = mailbox::<u8>();
        drop(mailbox);
        assert!(!slot.send(1));
    }
}
