//! How the server is: which, how fast, and whether it may forget.

use std::time::Duration;

use redis::Value;

use super::codec::{unfit, unreadable};
use super::store::RedisStore;
use crate::model::Timestamp;
use crate::ports::{Clock, StoreResult};

/// How the server is.
#[derive(Clone, Debug)]
pub struct Health {
    /// `redis` or `valkey`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// Why it may forget what it has acknowledged, in words; empty if it should not.
    pub weaknesses: Vec<String>,
    /// Replicas that are connected.
    pub replicas: u32,
    /// How long a question and its answer take.
    pub round_trip: Duration,
    /// How far its clock is ahead of this process's, in milliseconds, to half the round trip.
    pub clock_ahead_ms: i64,
}

impl RedisStore {
    /// Why the server may forget what it has acknowledged, in words; empty if it should not.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn durability(&self) -> StoreResult<Vec<String>> {
        let info = self.info().await?;
        let mut weaknesses = Vec::new();
        let policy = field(&info, "maxmemory_policy").unwrap_or("noeviction");
        if field(&info, "maxmemory").is_some_and(|bytes| bytes != "0") && policy != "noeviction" {
            weaknesses
                .push(format!("it evicts keys when memory is short: set maxmemory-policy noeviction, not {policy}"));
        }
        if field(&info, "aof_enabled") == Some("0") {
            weaknesses.push("it keeps no log of what it writes: set appendonly yes".to_owned());
        }
        if field(&info, "role") == Some("slave") {
            weaknesses.push("it is a replica: connect to its primary".to_owned());
        }
        Ok(weaknesses)
    }

    /// How the server is.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn health(&self, clock: &dyn Clock) -> StoreResult<Health> {
        let weaknesses = self.durability().await?;
        let info = self.info().await?;
        let asked_at = clock.now();
        let there = self.time().await?;
        let answered_at = clock.now();
        let round_trip = answered_at.since(asked_at);
        let middle = (asked_at.as_millis() + answered_at.as_millis()) / 2;
        let valkey = field(&info, "valkey_version");
        let version = valkey.or_else(|| field(&info, "redis_version")).unwrap_or("unknown").to_owned();
        Ok(Health {
            product: if valkey.is_some() { "valkey" } else { "redis" }.to_owned(),
            version,
            weaknesses,
            replicas: field(&info, "connected_slaves").and_then(|count| count.parse().ok()).unwrap_or(0),
            round_trip,
            clock_ahead_ms: there.as_millis() - middle,
        })
    }

    async fn info(&self) -> StoreResult<String> {
        text(self.command(&redis::cmd("INFO")).await?)
    }

    /// What time it is there.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn time(&self) -> StoreResult<Timestamp> {
        let mut time = super::reply::Reply::of(self.command(&redis::cmd("TIME")).await?)?;
        Ok(Timestamp::from_millis(time.int()? * 1000 + time.int()? / 1000))
    }
}

/// What the server says of itself.
pub(super) fn text(info: Value) -> StoreResult<String> {
    match info {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(unreadable),
        Value::VerbatimString { text, .. } => Ok(text),
        other => Err(unfit(&other, "to INFO")),
    }
}

/// One thing that the server says of itself.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}
