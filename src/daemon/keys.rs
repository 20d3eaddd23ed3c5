//! Keys of organisations: where their randomness comes from, and how one is made so that a lost answer does no harm.

use std::io;

use super::console::{Console, ConsoleError};
use crate::model::api_key::{ApiKey, ApiKeyRecord, RANDOM_BYTES};
use crate::ports::{Created, StoreError};

/// A key that nobody has: of the system's randomness.
///
/// # Errors
/// When the system gives none.
pub fn new_api_key() -> io::Result<ApiKey> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(ApiKey::from_random(bytes))
}

impl Console {
    /// Has a key count from now on. Without an answer it is asked for once more: that is the same key.
    ///
    /// # Errors
    /// When the database does not answer, or another key has its id.
    pub fn create_key(&self, key: &ApiKey, record: &ApiKeyRecord) -> Result<(), ConsoleError> {
        let (keys, hash) = (self.keys(), key.hash());
        let created = self.ask_store(async {
            match keys.create(record, &hash).await {
                Err(StoreError::Unavailable(_)) => keys.create(record, &hash).await,
                answer => answer,
            }
        })?;
        match created {
            Created::Done => Ok(()),
            Created::Taken => Err(ConsoleError::Refused("another key has its id: try again".to_owned())),
        }
    }
}
