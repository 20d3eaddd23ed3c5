//! A bell: rung when something may have changed, heard by everybody who listens, in the order in which they listened.
//!
//! The runtime's own watch channel wakes its receivers in random order, which would let one seed tell two stories.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// A bell.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rung: AtomicU64,
    listeners: Notify,
}

/// Somebody who listens to a bell, and remembers when it last did.
#[derive(Clone, Debug)]
pub struct Listener {
    bell: Bell,
    heard: u64,
}

impl Bell {
    /// Rings: whoever listens, or has not listened since, hears it.
    pub fn ring(&self) {
        self.0.rung.fetch_add(1, Ordering::AcqRel);
        self.0.listeners.notify_waiters();
    }

    /// A listener who has heard everything up to now.
    pub fn listen(&self) -> Listener {
        Listener { bell: self.clone(), heard: self.0.rung.load(Ordering::Acquire) }
    }
}

impl Listener {
    /// Counts everything up to now as heard.
    pub fn forget(&mut self) {
        self.heard = self.bell.0.rung.load(Ordering::Acquire);
    }

    /// Completes when the bell has rung since it was last heard; at once if it has already.
    pub async fn rung(&mut self) {
        let mut next = std::pin::pin!(self.bell.0.listeners.notified());
        // In line before looking, so that no ring falls between the two.
        next.as_mut().enable();
        let rung = self.bell.0.rung.load(Ordering::Acquire);
        if rung == self.heard {
            next.await;
        }
        self.heard = self.bell.0.rung.load(Ordering::Acquire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn what_rang_before_listening_is_not_heard_and_what_rang_since_is() {
        let bell = Bell::default();
        bell.ring();
        let mut listener = bell.listen();
        assert!(listener.rung().now_or_never().is_none());
        bell.ring();
        bell.ring();
        assert!(listener.rung().now_or_never().is_some());
        assert!(listener.rung().now_or_never().is_none(), "two rings that were missed are one");
        bell.ring();
        listener.forget();
        assert!(listener.rung().now_or_never().is_none());
    }
}
