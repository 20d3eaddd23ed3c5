//! What every keeper of keys must do. Each sentence is a function that wants one nobody has used.

#![expect(clippy::unwrap_used, reason = "these are tests, run from several test files")]

use std::sync::Arc;
use std::time::Duration;

use crate::model::{ApiKey, ApiKeyRecord, OrganisationId, Scope, Timestamp};
use crate::ports::{ApiKeys, Created};

/// Makes a test of every sentence. The argument makes a keeper of its own for each.
#[macro_export]
macro_rules! keys_conformance {
    ($keys:expr) => {
        $crate::keys_conformance! { @sentences $keys,
            a_key_is_found_by_whoever_has_it
            asking_twice_makes_one_key
            a_key_whose_id_is_taken_is_not_made_and_the_other_stays
            an_id_alone_or_with_another_hash_opens_nothing
            keys_are_listed_by_age_and_then_by_id
            an_organisation_sees_its_own_keys
            a_revoked_key_is_found_and_listed_no_more
            revoking_twice_is_revoking_once
            nobody_revokes_the_key_of_another_organisation
            a_key_that_is_asked_for_after_it_was_revoked_is_made
        }
    };
    (@sentences $keys:expr, $($sentence:ident)*) => {
        $(#[tokio::test]
        async fn $sentence() {
            let keys: std::sync::Arc<dyn $crate::ports::ApiKeys> = std::sync::Arc::new($keys);
            $crate::conformance::keys::$sentence(keys).await;
        })*
    };
}

/// Whoever is under test.
pub type Keys = Arc<dyn ApiKeys>;

/// The key whose bytes are all the same.
pub fn key(byte: u8) -> ApiKey {
    ApiKey::from_random([byte; 32])
}

/// What is kept of such a key, which was made so many seconds after the beginning.
pub fn record(byte: u8, organisation: &str, second: u64) -> ApiKeyRecord {
    ApiKeyRecord {
        id: key(byte).id().clone(),
        organisation: organisation.parse().unwrap(),
        label: "Vertrieb \"München\"".parse().unwrap(),
        scopes: [Scope::Submit, Scope::Read].into(),
        created_at: Timestamp::VIRTUAL_START + Duration::from_secs(second),
    }
}

fn bank() -> OrganisationId {
    "bank".parse().unwrap()
}

async fn made(keys: &Keys, record: &ApiKeyRecord, byte: u8) {
    assert_eq!(keys.create(record, &key(byte).hash()).await.unwrap(), Created::Done);
}

async fn found(keys: &Keys, byte: u8) -> Option<ApiKeyRecord> {
    keys.find(key(byte).id(), &key(byte).hash()).await.unwrap()
}

pub async fn a_key_is_found_by_whoever_has_it(keys: Keys) {
    assert_eq!(found(&keys, 1).await, None);
    let record = record(1, "bank", 0);
    made(&keys, &record, 1).await;
    assert_eq!(found(&keys, 1).await, Some(record));
    assert_eq!(found(&keys, 2).await, None);
}

pub async fn asking_twice_makes_one_key(keys: Keys) {
    let record = record(1, "bank", 0);
    made(&keys, &record, 1).await;
    made(&keys, &record, 1).await;
    assert_eq!(keys.list(None).await.unwrap(), [record]);
}

pub async fn a_key_whose_id_is_taken_is_not_made_and_the_other_stays(keys: Keys) {
    let mine = record(1, "bank", 0);
    made(&keys, &mine, 1).await;
    // The same id with another secret, and the same secret for another organisation.
    assert_eq!(keys.create(&mine, &key(2).hash()).await.unwrap(), Created::Taken);
    assert_eq!(keys.create(&record(1, "shop", 0), &key(1).hash()).await.unwrap(), Created::Taken);
    assert_eq!(keys.find(&mine.id, &key(2).hash()).await.unwrap(), None);
    assert_eq!(found(&keys, 1).await, Some(mine));
}

pub async fn an_id_alone_or_with_another_hash_opens_nothing(keys: Keys) {
    made(&keys, &record(1, "bank", 0), 1).await;
    made(&keys, &record(2, "bank", 0), 2).await;
    assert_eq!(keys.find(key(1).id(), &key(2).hash()).await.unwrap(), None);
    assert_eq!(keys.find(key(3).id(), &key(1).hash()).await.unwrap(), None);
}

pub async fn keys_are_listed_by_age_and_then_by_id(keys: Keys) {
    assert_eq!(keys.list(None).await.unwrap(), []);
    let [old, late, early, young] = [(9, 0), (8, 1), (3, 1), (1, 2)].map(|(byte, at)| (byte, record(byte, "bank", at)));
    for (byte, record) in [&late, &young, &early, &old] {
        made(&keys, record, *byte).await;
    }
    assert_eq!(keys.list(None).await.unwrap(), [old.1, early.1, late.1, young.1]);
}

pub async fn an_organisation_sees_its_own_keys(keys: Keys) {
    let (mine, other) = (record(1, "bank", 0), record(2, "shop", 1));
    made(&keys, &mine, 1).await;
    made(&keys, &other, 2).await;
    assert_eq!(keys.list(Some(&bank())).await.unwrap(), std::slice::from_ref(&mine));
    assert_eq!(keys.list(Some(&"banks".parse().unwrap())).await.unwrap(), []);
    assert_eq!(keys.list(None).await.unwrap(), [mine, other]);
}

pub async fn a_revoked_key_is_found_and_listed_no_more(keys: Keys) {
    let (gone, kept) = (record(1, "bank", 0), record(2, "bank", 0));
    made(&keys, &gone, 1).await;
    made(&keys, &kept, 2).await;
    assert_eq!(keys.revoke(Some(&bank()), &gone.id).await.unwrap(), Some(gone));
    assert_eq!(found(&keys, 1).await, None);
    assert_eq!(found(&keys, 2).await, Some(kept.clone()));
    assert_eq!(keys.list(None).await.unwrap(), [kept]);
}

pub async fn revoking_twice_is_revoking_once(keys: Keys) {
    let record = record(1, "bank", 0);
    made(&keys, &record, 1).await;
    assert_eq!(keys.revoke(None, &record.id).await.unwrap(), Some(record.clone()));
    assert_eq!(keys.revoke(None, &record.id).await.unwrap(), None);
    assert_eq!(found(&keys, 1).await, None);
}

pub async fn nobody_revokes_the_key_of_another_organisation(keys: Keys) {
    let record = record(1, "shop", 0);
    made(&keys, &record, 1).await;
    assert_eq!(keys.revoke(Some(&bank()), &record.id).await.unwrap(), None);
    assert_eq!(found(&keys, 1).await, Some(record));
}

pub async fn a_key_that_is_asked_for_after_it_was_revoked_is_made(keys: Keys) {
    let record = record(1, "bank", 0);
    made(&keys, &record, 1).await;
    keys.revoke(None, &record.id).await.unwrap();
    made(&keys, &record, 1).await;
    assert_eq!(found(&keys, 1).await, Some(record));
}
