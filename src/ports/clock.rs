//! Time, so that it can be virtual.

use futures_util::future::BoxFuture;

use crate::model::Timestamp;

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Completes at `at`, or at once if that is past.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;
}
