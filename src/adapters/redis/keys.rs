//! Keys of organisations in Redis: one hash for all of them, in a slot of its own, a field a key, named by its id.
//!
//! A field holds the record and the SHA-256 of the key; it is written once and never changed, so plain commands will do:
//! whatever is read of it holds until it is gone.

use async_trait::async_trait;
use redis::Value;
use serde::{Deserialize, Serialize};

use super::codec::{from_json, unfit, unreadable};
use super::reply::Reply;
use super::store::RedisStore;
use crate::model::{ApiKeyRecord, KeyHash, KeyId, OrganisationId};
use crate::ports::store::StoreResult;
use crate::ports::{ApiKeys, Created};

/// A field.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    hash: KeyHash,
    key: ApiKeyRecord,
}

impl Kept {
    fn read(bytes: &[u8]) -> StoreResult<Self> {
        from_json(bytes, "an API key")
    }

    fn is_of(&self, organisation: Option<&OrganisationId>) -> bool {
        organisation.is_none_or(|organisation| self.key.organisation == *organisation)
    }
}

impl RedisStore {
    /// A command about the keys. No organisation can have a colon in its name, so none has their slot.
    fn about_keys(&self, command: &str) -> redis::Cmd {
        let mut command = redis::cmd(command);
        command.arg(format!("{}:{{api:keys}}", self.prefix));
        command
    }

    async fn kept(&self, id: &KeyId) -> StoreResult<Option<Kept>> {
        let mut command = self.about_keys("HGET");
        match self.command(command.arg(id.as_str())).await? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Kept::read(&bytes).map(Some),
            other => Err(unfit(&other, "where a key should be")),
        }
    }
}

#[async_trait]
impl ApiKeys for RedisStore {
    async fn create(&self, key: &ApiKeyRecord, hash: &KeyHash) -> StoreResult<Created> {
        let kept = Kept { hash: *hash, key: key.clone() };
        let bytes = serde_json::to_vec(&kept).map_err(unreadable)?;
        let mut command = self.about_keys("HSETNX");
        if self.command(command.arg(key.id.as_str()).arg(bytes)).await? == Value::Int(1) {
            return Ok(Created::Done);
        }
        // Gone meanwhile: whether it was ours that was revoked cannot be told, and it is not to come back.
        let there = self.kept(&key.id).await?;
        Ok(if there.is_some_and(|there| there == kept) { Created::Done } else { Created::Taken })
    }

    async fn list(&self, organisation: Option<&OrganisationId>) -> StoreResult<Vec<ApiKeyRecord>> {
        let mut fields = Reply::of(self.command(&self.about_keys("HVALS")).await?)?;
        let mut listed = Vec::with_capacity(fields.len());
        while !fields.is_empty() {
            let kept = Kept::read(&fields.bytes()?)?;
            if kept.is_of(organisation) {
                listed.push(kept.key);
            }
        }
        listed.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(listed)
    }

    async fn revoke(&self, organisation: Option<&OrganisationId>, id: &KeyId) -> StoreResult<Option<ApiKeyRecord>> {
        let Some(kept) = self.kept(id).await?.filter(|kept| kept.is_of(organisation)) else { return Ok(None) };
        let mut command = self.about_keys("HDEL");
        let gone = self.command(command.arg(id.as_str())).await?;
        // Of two who revoke it at once, one did.
        Ok((gone == Value::Int(1)).then_some(kept.key))
    }

    async fn find(&self, id: &KeyId, hash: &KeyHash) -> StoreResult<Option<ApiKeyRecord>> {
        Ok(self.kept(id).await?.filter(|kept| kept.hash == *hash).map(|kept| kept.key))
    }
}
