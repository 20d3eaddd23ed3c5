//! Asking again when no answer came.

use std::future::Future;
use std::time::Duration;

use crate::ports::{Clock, StoreError};

/// Shortest wait between two questions.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Longest wait between two questions.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Asks until an answer comes. Right for whatever must happen in the end and may be repeated; whoever calls it is
/// dropped when the process is to stop.
///
/// # Errors
/// Only those that asking again would not change.
pub async fn insist<T, F>(clock: &dyn Clock, mut ask: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut wait = FIRST_WAIT;
    loop {
        match ask().await {
            Err(StoreError::Unavailable(reason)) => {
                tracing::debug!(%reason, "the store did not answer, asking again");
                clock.sleep_until(clock.now() + wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            answer => return answer,
        }
    }
}
