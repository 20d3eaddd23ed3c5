//! Virtual time: it stands still while anything can run, then jumps to the next timer.
//!
//! The jump is made in tokio's hook on parking, which a current-thread runtime calls when none of its tasks is
//! runnable, none has yielded, and the future in `block_on` has not been woken. The hook runs inside the runtime, so
//! that what it wakes goes straight to the end of the local queue, in the order of the wakes; tokio looks at the queue
//! again after the hook and parks only if it is still empty (`Context::park` of the current-thread scheduler, tokio
//! 1.54). No thread sleeps, no system clock is read, and a wake costs no more than that of a channel.
//!
//! **Invariants**
//! - Time moves only in the hook, only to the instant of the earliest timer that is alive, and all timers of that
//!   instant fire together, in the order in which they were first polled.
//! - Time goes on even if a timer woke nobody: a sleep within a future that its task does not poll just now, such as one of
//!   several that are waited for side by side. A task of the clock's own is woken with every step, so that the runtime does not
//!   park before the hook has been asked again.
//! - A sleep that is dropped takes its timer along: nothing is left that could move time.
//! - Work on other threads does not hold time still: whoever wants determinism does without other threads.
//! - One clock drives one runtime at a time.
//!
//! The future given to `block_on` is woken by the hook like any task, but tokio polls it before the tasks of its
//! instant whatever their order was; [`VirtualClock::run`] spawns it as a task, so that the order is kept.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Runtime};

use crate::model::Timestamp;
use crate::ports::Clock;

/// A clock whose time is a number; clones show the same time.
#[derive(Clone)]
pub struct VirtualClock {
    shared: Arc<Shared>,
}

/// Why time cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// Nothing can run and nobody waits for a time: unless another thread wakes something, nothing ever will.
    #[error("nothing can run and nobody waits for a time; it is {now}")]
    NothingToWaitFor {
        /// The time.
        now: Timestamp,
    },
    /// The next thing to happen is later than anything should.
    #[error("the next timer is due at {next}, later than anything should happen; it is {now}")]
    BeyondHorizon {
        /// The time.
        now: Timestamp,
        /// The next timer's.
        next: Timestamp,
    },
}

type WhenStuck = Box<dyn Fn(Stuck) + Send + Sync>;

struct Shared {
    /// Milliseconds; written only while `timers` is locked.
    now: AtomicI64,
    timers: Mutex<Timers>,
    horizon: Option<Timestamp>,
    when_stuck: Option<WhenStuck>,
    /// Has the runtime look for work once more before it parks.
    again: Mutex<Option<Waker>>,
}

type TimerKey = (Timestamp, u64);

#[derive(Default)]
struct Timers {
    /// By instant, then in the order of registration.
    queue: BTreeMap<TimerKey, Waker>,
    registered: u64,
    /// Kept for its allocation.
    due: Vec<Waker>,
}

impl VirtualClock {
    /// A clock that stands at [`Timestamp::VIRTUAL_START`]. With nothing to wait for, its runtime parks like any other,
    /// until another thread wakes it.
    pub fn new() -> Self {
        Self::build(None, None)
    }

    /// The same, telling `when_stuck` when time cannot go on: nothing can run and nobody waits for a time, or the
    /// next timer lies beyond `horizon`. If it returns, the runtime parks.
    pub fn watched(horizon: Option<Timestamp>, when_stuck: impl Fn(Stuck) + Send + Sync + 'static) -> Self {
        Self::build(horizon, Some(Box::new(when_stuck)))
    }

    /// A clock for tests: panics out of `block_on` when time cannot go on, or runs for longer than `at_most`.
    pub fn for_tests(at_most: Duration) -> Self {
        Self::watched(Some(Timestamp::VIRTUAL_START + at_most), |stuck| panic!("{stuck}"))
    }

    fn build(horizon: Option<Timestamp>, when_stuck: Option<WhenStuck>) -> Self {
        let now = AtomicI64::new(Timestamp::VIRTUAL_START.as_millis());
        Self {
            shared: Arc::new(Shared { now, timers: Mutex::default(), horizon, when_stuck, again: Mutex::default() }),
        }
    }

    /// A single-threaded runtime that this clock drives: without tokio's own timers and without I/O.
    ///
    /// # Errors
    /// When the system refuses to make one.
    pub fn runtime(&self) -> std::io::Result<Runtime> {
        let shared = Arc::clone(&self.shared);
        let runtime = Builder::new_current_thread().on_thread_park(move || shared.advance()).build()?;
        let shared = Arc::clone(&self.shared);
        // It ends with the runtime.
        runtime.spawn(std::future::poll_fn(move |context| {
            let before = shared.again().replace(context.waker().clone());
            drop(before);
            Poll::<()>::Pending
        }));
        Ok(runtime)
    }

    /// Runs a future as a task of a runtime of its own; whatever else it has spawned is dropped when it ends.
    ///
    /// # Errors
    /// When the runtime cannot be made.
    ///
    /// # Panics
    /// If the future does.
    pub fn run<F>(&self, future: F) -> std::io::Result<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let runtime = self.runtime()?;
        match runtime.block_on(runtime.spawn(future)) {
            Ok(output) => Ok(output),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => Err(std::io::Error::other(cancelled)),
            },
        }
    }

    /// How many sleeps are waiting.
    pub fn timers(&self) -> usize {
        self.shared.timers().queue.len()
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VirtualClock").field("now", &self.now().to_string()).finish_non_exhaustive()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.shared.now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(Sleep { shared: Arc::clone(&self.shared), at, timer: None })
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Acquire))
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        // Nothing in here panics half-way; a waker that did would have left the queue whole.
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn again(&self) -> MutexGuard<'_, Option<Waker>> {
        self.again.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves time to the earliest timer and wakes everybody who waits for that instant.
    fn advance(&self) {
        let mut timers = self.timers();
        let next = match timers.queue.first_key_value() {
            Some((&(next, _), _)) if self.horizon.is_none_or(|horizon| next <= horizon) => next,
            beyond => {
                let (now, next) = (self.now(), beyond.map(|(&(next, _), _)| next));
                drop(timers);
                if let Some(tell) = &self.when_stuck {
                    tell(match next {
                        Some(next) => Stuck::BeyondHorizon { now, next },
                        None => Stuck::NothingToWaitFor { now },
                    });
                }
                return;
            }
        };
        // A timer is registered only for a time to come, so this never goes back.
        self.now.store(next.as_millis(), Ordering::Release);
        let mut due = std::mem::take(&mut timers.due);
        while let Some(first) = timers.queue.first_entry()
            && first.key().0 == next
        {
            due.push(first.remove());
        }
        drop(timers);
        // Unlocked, for the same reason as in `Sleep::poll`.
        due.drain(..).for_each(Waker::wake);
        self.timers().due = due;
        let again = self.again().clone();
        if let Some(again) = again {
            again.wake();
        }
    }
}

impl Timers {
    fn next_key(&mut self, at: Timestamp) -> TimerKey {
        self.registered += 1;
        (at, self.registered)
    }
}

struct Sleep {
    shared: Arc<Shared>,
    at: Timestamp,
    /// The registered timer and whom it wakes: most polls of a waiting task find that nothing has changed.
    timer: Option<(TimerKey, Waker)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let sleep = &mut *self;
        if let Some((_, waker)) = &sleep.timer
            && sleep.at > sleep.shared.now()
            && waker.will_wake(context.waker())
        {
            return Poll::Pending;
        }
        // Wakers are dropped unlocked: one may be the last handle of a task, and hold another sleep.
        let before = sleep.timer.take();
        let mut timers = sleep.shared.timers();
        if sleep.at <= sleep.shared.now() {
            // Whatever moved time past this instant has removed the timer.
            drop(timers);
            return Poll::Ready(());
        }
        let key = before.as_ref().map_or_else(|| timers.next_key(sleep.at), |(key, _)| *key);
        let replaced = timers.queue.insert(key, context.waker().clone());
        drop(timers);
        drop(replaced);
        sleep.timer = Some((key, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((key, _)) = self.timer {
            let removed = self.shared.timers().queue.remove(&key);
            drop(removed);
        }
    }
}

#[cfg(test)]
#[path = "virtual_time_tests.rs"]
mod tests;
