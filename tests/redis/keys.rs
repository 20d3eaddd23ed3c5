//! Keys of organisations in Redis.

use robocall::adapters::redis::{RedisSettings, RedisStore};
use robocall::conformance::keys::{key, record};
use robocall::ports::{ApiKeys, Created, StoreError};

use crate::proxy::{Faults, Proxy};
use crate::server;

fn keys_at(url: String, prefix: &str) -> RedisStore {
    RedisStore::new(&RedisSettings { prefix: prefix.to_owned(), ..RedisSettings::new(url) }).unwrap()
}

fn keys() -> RedisStore {
    keys_at(server::shared().url(), &server::prefix())
}

robocall::keys_conformance!(keys());

#[tokio::test]
async fn a_key_whose_making_was_not_answered_is_asked_for_again_and_made_once() {
    let prefix = server::prefix();
    let port = server::shared().port();
    let proxy = Proxy::before(([127, 0, 0, 1], port).into(), Faults::default()).await;
    let keys = keys_at(format!("redis://127.0.0.1:{}/", proxy.port()), &prefix);
    // The connection stands, so that it is the question itself whose answer is lost.
    assert_eq!(keys.list(None).await.unwrap(), []);
    proxy.set(Faults { swallow_replies: true, ..Faults::default() });
    let (record, hash) = (record(1, "bank", 0), key(1).hash());
    let unanswered = keys.create(&record, &hash).await;
    assert!(matches!(unanswered, Err(StoreError::Unavailable(_))), "{unanswered:?}");
    let direct = keys_at(server::shared().url(), &prefix);
    assert_eq!(direct.list(None).await.unwrap(), std::slice::from_ref(&record), "it was made all the same");
    assert_eq!(direct.create(&record, &hash).await.unwrap(), Created::Done);
    assert_eq!(direct.list(None).await.unwrap(), [record]);
}

#[tokio::test]
async fn the_database_holds_no_key_in_clear_and_holds_it_in_no_organisations_slot() {
    let prefix = server::prefix();
    let keys = keys_at(server::shared().url(), &prefix);
    keys.create(&record(1, "bank", 0), &key(1).hash()).await.unwrap();
    let mut others = redis::Client::open(server::shared().url()).unwrap().get_connection().unwrap();
    let place = format!("{prefix}:{{api:keys}}");
    let all: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}:*")).query(&mut others).unwrap();
    assert_eq!(all, [place.as_str()]);
    assert!("api:keys".parse::<robocall::model::OrganisationId>().is_err());
    let held: Vec<String> = redis::cmd("HGETALL").arg(place).query(&mut others).unwrap();
    let [id, value] = &held[..] else { panic!("{held:?}") };
    assert_eq!(id, key(1).id().as_str());
    let hash = serde_json::to_string(&key(1).hash()).unwrap();
    let key = key(1);
    let (_, secret) = key.expose().rsplit_once('_').unwrap();
    assert!(value.contains(&hash) && !value.contains(&secret[..16]), "{value}");
}

#[tokio::test]
async fn a_key_that_a_later_version_has_bounded_opens_nothing() {
    let prefix = server::prefix();
    let keys = keys_at(server::shared().url(), &prefix);
    let (record, hash) = (record(1, "bank", 0), key(1).hash());
    let mut bounded = serde_json::json!({"hash": hash, "key": record});
    bounded["key"]["expiresAt"] = "2026-01-05T09:00:00.000Z".into();
    let mut others = redis::Client::open(server::shared().url()).unwrap().get_connection().unwrap();
    let mut write = redis::cmd("HSET");
    write.arg(format!("{prefix}:{{api:keys}}")).arg(record.id.as_str()).arg(bounded.to_string());
    let _: () = write.query(&mut others).unwrap();
    for refused in [keys.find(&record.id, &hash).await.map(drop), keys.list(None).await.map(drop)] {
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
}
