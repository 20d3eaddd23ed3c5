//! One making at a time of each thing, shared by all who wait for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};

type Making<V> = Shared<BoxFuture<'static, V>>;

/// What is being made, by what it is.
pub struct Flights<K, V: Clone>(Arc<Mutex<Waiting<K, V>>>);

struct Waiting<K, V: Clone> {
    /// Whoever waits holds it; nobody: it is dropped, and what it has begun with it.
    making: HashMap<K, (u64, WeakShared<BoxFuture<'static, V>>)>,
    last: u64,
}

impl<K, V: Clone> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Waiting { making: HashMap::new(), last: 0 })))
    }
}

impl<K, V> Flights<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// What is being made under this name, or else what `make` begins. It goes on for as long as anybody waits.
    pub fn join(&self, key: K, make: impl FnOnce() -> BoxFuture<'static, V>) -> Making<V> {
        let mut waiting = lock(&self.0);
        if let Some(making) = waiting.making.get(&key).and_then(|(_, making)| making.upgrade()) {
            return making;
        }
        waiting.last += 1;
        let number = waiting.last;
        let entry = Entry { waiting: Arc::clone(&self.0), key: key.clone(), number };
        let making = make();
        let making = async move {
            let _entry = entry;
            making.await
        };
        let making = making.boxed().shared();
        if let Some(weak) = making.downgrade() {
            waiting.making.insert(key, (number, weak));
        }
        making
    }

    /// How many things are being made.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        lock(&self.0).making.len()
    }
}

fn lock<K, V: Clone>(waiting: &Mutex<Waiting<K, V>>) -> MutexGuard<'_, Waiting<K, V>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of one making while it goes on.
struct Entry<K: Eq + Hash, V: Clone> {
    waiting: Arc<Mutex<Waiting<K, V>>>,
    key: K,
    number: u64,
}

impl<K: Eq + Hash, V: Clone> Drop for Entry<K, V> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.waiting);
        // Another may have begun since nobody waited for this one.
        if waiting.making.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            waiting.making.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[test]
    fn all_who_ask_for_one_thing_get_the_same_making() {
        let flights = Flights::<u8, u32>::default();
        let (made, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let make = || {
            let (made, go) = (Arc::clone(&made), Arc::clone(&go));
            async move {
                go.notified().await;
                made.fetch_add(1, Ordering::Relaxed)
            }
            .boxed()
        };
        let (first, second, other) = (flights.join(1, make), flights.join(1, make), flights.join(2, make));
        assert_eq!(flights.count(), 2);
        assert_eq!(first.clone().now_or_never(), None);
        go.notify_one();
        // Whoever asked first may go: the others see it through.
        drop(first);
        assert_eq!(second.now_or_never(), Some(0));
        assert_eq!(flights.count(), 1, "what is made is forgotten here");
        drop(other);
        assert_eq!(flights.count(), 0, "and so is what nobody waits for");
        let again = flights.join(1, make);
        go.notify_one();
        assert_eq!(again.now_or_never(), Some(1));
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_begun_anew() {
        let flights = Flights::<u8, u32>::default();
        drop(flights.join(1, || std::future::pending().boxed()));
        assert_eq!(flights.join(1, || std::future::ready(7).boxed()).now_or_never(), Some(7));
    }
}
