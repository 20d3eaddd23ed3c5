//! Webhooks in Redis: what has yet to be sent, who delivers, and what could not be delivered; all of it in one slot, so that
//! one script makes every change under the proof of having the lead.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::codec::{from_json, unfit, unreadable};
use super::reply::{Reply, hexadecimal};
use super::script::{Code, Ops};
use super::store::RedisStore;
use crate::model::{HookSecret, OrganisationId};
use crate::ports::hooks::*;
use crate::ports::store::{ProcessId, StoreError, StoreResult};

/// Most wishes that wait.
const MOST_WISHES: i64 = 1_000;

/// What is kept of an endpoint, under a hash of its name.
#[derive(Serialize, Deserialize)]
struct KeptEndpoint {
    key: EndpointKey,
    record: EndpointRecord,
}

/// What webhooks have yet to be sent, in Redis.
pub struct RedisHooks {
    store: Arc<RedisStore>,
    keeping: Keeping,
}

/// An endpoint as a part of keys.
fn name_of(key: &EndpointKey) -> String {
    let named = format!("{} {}", key.organisation, key.url.as_str());
    hexadecimal(&Sha256::digest(named)[..16])
}

fn json(thing: &impl Serialize) -> StoreResult<Vec<u8>> {
    serde_json::to_vec(thing).map_err(unreadable)
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> StoreResult<T> {
    from_json(bytes, "webhooks")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl RedisHooks {
    /// What is kept on a store's server.
    pub fn new(store: Arc<RedisStore>, keeping: Keeping) -> Self {
        Self { store, keeping }
    }

    /// What all keys begin with. No organisation can have a colon in its name, so none has their slot.
    fn key(&self, name: &str) -> String {
        format!("{}:{{api:hooks}}:{name}", self.store.prefix)
    }

    async fn run(&self, ops: Ops) -> StoreResult<Value> {
        self.store.run(Code::Hooks, &self.key(""), &ops).await
    }

    fn ops(&self, asked: &str, lead: Lead) -> Ops {
        Ops::at(self.store.now()).text(asked).text(&lead.process.to_string()).unsigned(lead.token)
    }

    async fn command(&self, name: &str, key: &str, arguments: &[&[u8]]) -> StoreResult<Value> {
        let mut command = redis::cmd(name);
        command.arg(self.key(key)).arg(arguments);
        self.store.command(&command).await
    }

    async fn bytes(&self, name: &str, key: &str, arguments: &[&[u8]]) -> StoreResult<Option<Vec<u8>>> {
        match self.command(name, key, arguments).await? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes)),
            other => Err(unfit(&other, "where a text should be")),
        }
    }

    async fn list(&self, name: &str, key: &str, arguments: &[&[u8]]) -> StoreResult<Vec<Vec<u8>>> {
        let answer = match self.command(name, key, arguments).await? {
            Value::Set(members) => Value::Array(members),
            answer => answer,
        };
        let mut reply = Reply::of(answer)?;
        let mut list = Vec::with_capacity(reply.len());
        while !reply.is_empty() {
            list.extend(reply.optional_bytes()?);
        }
        Ok(list)
    }

    async fn kept_endpoints(&self) -> StoreResult<Vec<KeptEndpoint>> {
        let values = self.list("HVALS", "endpoints", &[]).await?;
        let mut endpoints = values.iter().map(|bytes| read(bytes)).collect::<StoreResult<Vec<KeptEndpoint>>>()?;
        endpoints.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(endpoints)
    }
}

fn add_change(ops: Ops, change: &Change) -> StoreResult<Ops> {
    Ok(match change {
        Change::Position(position, last) => {
            let ops = ops.text("position").unsigned(*position);
            match last {
                Some(id) => ops.bytes(&json(&(position, &**id))?),
                None => ops.text(""),
            }
        }
        Change::Anew(base) => ops.text("anew").unsigned(*base),
        Change::Endpoint(key, record) => {
            let kept = KeptEndpoint { key: key.clone(), record: record.clone() };
            ops.text("endpoint").text(&name_of(key)).bytes(&json(&kept)?)
        }
        Change::Forget(key) => ops.text("forget").text(&name_of(key)),
        Change::Add(key, event, body) => {
            ops.text("add").text(&name_of(key)).unsigned(event.offset).bytes(&json(event)?).bytes(body)
        }
        Change::Update(key, event) => {
            ops.text("update").text(&name_of(key)).unsigned(event.offset).bytes(&json(event)?)
        }
        Change::Remove(key, offset) => ops.text("remove").text(&name_of(key)).unsigned(*offset),
        Change::Bury(dead) => {
            let whose = dead.endpoint.as_ref().map_or("", |key| key.organisation.as_str());
            let ops = ops.text("bury").text(whose);
            let ops = match (&dead.endpoint, &dead.event) {
                (Some(key), Some(event)) => ops.text(&name_of(key)).unsigned(event.offset),
                _ => ops.text("").text(""),
            };
            ops.text(&dead.id).int(dead.at.as_millis()).bytes(&json(dead)?)
        }
        Change::Raise(dead, event) => {
            let Some(key) = &dead.endpoint else { return Ok(ops) };
            let ops = ops.text("raise").text(key.organisation.as_str()).text(&name_of(key));
            ops.unsigned(event.offset).text(&dead.id).bytes(&json(event)?)
        }
        Change::Keep { organisation, call, answer, at } => {
            ops.text("keep").text(organisation.as_str()).text(call).int(at.as_millis()).text(answer)
        }
        Change::Granted(wish) => ops.text("granted").text(wish),
    })
}

#[async_trait]
impl HookStore for RedisHooks {
    async fn lead(&self, process: ProcessId, life: Duration) -> StoreResult<Option<Lead>> {
        let ops = Ops::at(self.store.now()).text("lead").text(&process.to_string()).unsigned(millis(life));
        match self.run(ops).await? {
            Value::Nil | Value::Boolean(false) => Ok(None),
            Value::BulkString(token) => {
                let token = std::str::from_utf8(&token).ok().and_then(|token| token.parse().ok());
                let token = token.ok_or_else(|| unreadable("a lead that is no number"))?;
                Ok(Some(Lead { process, token }))
            }
            other => Err(unfit(&other, "for a lead")),
        }
    }

    async fn resign(&self, lead: Lead) -> StoreResult<()> {
        self.run(self.ops("resign", lead)).await.map(drop)
    }

    async fn load(&self) -> StoreResult<HookBook> {
        let position = self.bytes("GET", "position", &[]).await?;
        let position = position.map(|bytes| read(&bytes)).transpose()?;
        // Beside its position: an earlier version moves that on alone.
        let last = self.bytes("GET", "last", &[]).await?;
        let last = last.map(|bytes| read::<(u64, String)>(&bytes)).transpose()?;
        let last = last.filter(|(before, _)| Some(*before) == position).map(|(_, id)| id.into());
        let base = self.bytes("GET", "anew", &[]).await?;
        let base = base.map(|bytes| read(&bytes)).transpose()?.unwrap_or_default();
        let mut endpoints = Vec::new();
        for KeptEndpoint { key, record } in self.kept_endpoints().await? {
            let pending = self.list("HVALS", &format!("pending:{}", name_of(&key)), &[]).await?;
            let mut pending = pending.iter().map(|bytes| read(bytes)).collect::<StoreResult<Vec<PendingEvent>>>()?;
            pending.sort_by_key(|event| event.offset);
            endpoints.push((key, record, pending));
        }
        Ok(HookBook { position, last, base, endpoints })
    }

    async fn change(&self, lead: Lead, changes: &[Change]) -> Result<(), ChangeError> {
        let Keeping { dead, dead_for, answers, answers_for } = self.keeping;
        let ops = self.ops("change", lead).unsigned(dead.into()).unsigned(millis(dead_for));
        let ops = ops.unsigned(answers.into()).unsigned(millis(answers_for));
        let ops = changes.iter().try_fold(ops, add_change)?;
        match self.run(ops).await? {
            Value::Int(1) => Ok(()),
            Value::Int(_) => Err(ChangeError::Fenced),
            other => Err(unfit(&other, "for changes").into()),
        }
    }

    async fn body(&self, endpoint: &EndpointKey, offset: u64) -> StoreResult<Option<Vec<u8>>> {
        let offset = offset.to_string();
        self.bytes("HGET", &format!("bodies:{}", name_of(endpoint)), &[offset.as_bytes()]).await
    }

    async fn endpoints(&self, organisation: Option<&OrganisationId>) -> StoreResult<Vec<EndpointGlimpse>> {
        let mut shown = Vec::new();
        for KeptEndpoint { key, record } in self.kept_endpoints().await? {
            if organisation.is_some_and(|named| key.organisation != *named) {
                continue;
            }
            let pending = match self.command("HLEN", &format!("pending:{}", name_of(&key)), &[]).await? {
                Value::Int(pending) => u64::try_from(pending).unwrap_or(0),
                other => return Err(unfit(&other, "for a number")),
            };
            shown.push(EndpointGlimpse { key, record, pending });
        }
        Ok(shown)
    }

    async fn dead(&self, organisation: Option<&OrganisationId>, limit: u32) -> StoreResult<Vec<DeadEvent>> {
        let whose = organisation.map_or("", OrganisationId::as_str);
        let last = (i64::from(limit) - 1).to_string();
        if limit == 0 {
            return Ok(Vec::new());
        }
        let names = self.list("ZRANGE", &format!("dead_at:{whose}"), &[b"0", last.as_bytes()]).await?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let dead = self.list("HMGET", &format!("dead:{whose}"), &names).await?;
        dead.iter().map(|bytes| read(bytes)).collect()
    }

    async fn with_dead(&self) -> StoreResult<Vec<OrganisationId>> {
        let mut named = Vec::new();
        for name in self.list("SMEMBERS", "with_dead", &[]).await? {
            let name = String::from_utf8(name).map_err(unreadable)?;
            if self.command("ZCARD", &format!("dead_at:{name}"), &[]).await? != Value::Int(0) {
                named.push(name.parse().map_err(unreadable)?);
            }
        }
        named.sort();
        Ok(named)
    }

    async fn wish(&self, wish: &Wish) -> StoreResult<bool> {
        let text = json(wish)?;
        // One too many, told at the same moment by several, does no harm.
        let is_full = matches!(self.command("HLEN", "wishes", &[]).await?, Value::Int(count) if count >= MOST_WISHES);
        if is_full && self.bytes("HGET", "wishes", &[wish.id.as_bytes()]).await?.is_none() {
            return Ok(false);
        }
        let order = match self.command("INCR", "wishes_count", &[]).await? {
            Value::Int(order) => order.to_string(),
            other => return Err(unfit(&other, "for a number")),
        };
        self.command("ZADD", "wishes_at", &[b"NX", order.as_bytes(), wish.id.as_bytes()]).await?;
        self.command("HSET", "wishes", &[wish.id.as_bytes(), &text]).await?;
        Ok(true)
    }

    async fn wishes(&self) -> StoreResult<Vec<Wish>> {
        let names = self.list("ZRANGE", "wishes_at", &[b"0", b"-1"]).await?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let wishes = self.list("HMGET", "wishes", &names).await?;
        wishes.iter().map(|bytes| read(bytes)).collect()
    }

    async fn answer(&self, organisation: &OrganisationId, call: &str) -> StoreResult<Option<String>> {
        let answer = self.bytes("HGET", &format!("answers:{organisation}"), &[call.as_bytes()]).await?;
        answer.map(|bytes| String::from_utf8(bytes).map_err(unreadable)).transpose()
    }

    async fn secrets(&self, organisation: &OrganisationId) -> StoreResult<Vec<HookSecret>> {
        let kept = self.bytes("HGET", "secrets", &[organisation.as_str().as_bytes()]).await?;
        // What cannot be read is not repeated: the error goes to logs.
        let illegible = || StoreError::Refused("the store holds a signing secret that is none".to_owned());
        let kept = String::from_utf8(kept.unwrap_or_default()).map_err(|_| illegible())?;
        kept.split_whitespace().map(|secret| secret.parse().map_err(|_| illegible())).collect()
    }

    async fn set_secrets(&self, organisation: &OrganisationId, secrets: &[HookSecret]) -> StoreResult<()> {
        let text = secrets.iter().map(HookSecret::expose).collect::<Vec<_>>().join(" ");
        let field = organisation.as_str().as_bytes();
        self.command("HSET", "secrets", &[field, text.as_bytes()]).await.map(drop)
    }
}
