//! Requests that are handed in, and what becomes of them.

use std::time::Duration;

use robocall::command::{Command, CommandKind, CommandReply};
use robocall::model::CallId;
use robocall::ports::store::RequestKey;
use robocall::ports::{CampaignStore as _, StoreError};

use crate::deployment::{Deployment, organisation};
use crate::evidence::{Call, Kept};

/// A request: people who answer and press 1 or 2, where 2 is a transfer to the public network, and somebody who is busy.
/// `start` keeps numbers of several requests apart.
pub fn request(id: &str, answering: u32, busy: u32, transferred: u32) -> Vec<u8> {
    let numbers = (0..answering).map(|n| format!("+99970{n:05}1"));
    let numbers = numbers.chain((0..busy).map(|n| format!("+99920{n:05}")));
    let numbers = numbers.chain((0..transferred).map(|n| format!("+99970{:05}2", 50_000 + n)));
    let destinations: Vec<_> = numbers.map(|phone| serde_json::json!({"phone": phone})).collect();
    let play = |text: &str| serde_json::json!({"steps": [{"name": "play", "message": {"msg": text}}]});
    let transfer = serde_json::json!({"steps": [
        {"name": "transfer", "destination": "+6580000001", "ringTimeoutSecs": 20, "onFailure": "continue"}]});
    let body = serde_json::json!({
        "requestId": id,
        "destinations": destinations,
        "retry": {"maxAttempts": 2, "delaySecs": [1]},
        "callFlow": {"steps": [
            {"name": "play", "message": {"msg": "Hello."}},
            {"name": "gather", "message": {"msg": "Press 1 or 2."}, "maxRetries": 3, "timeoutSecs": 5, "branches": [
                {"digit": "1", "callFlow": play("Thank you.")},
                {"digit": "2", "default": true, "callFlow": transfer}]},
            {"name": "play", "message": {"msg": "Goodbye."}}]}
    });
    body.to_string().into_bytes()
}

/// The full name of a request.
pub fn key(org: &str, id: &str) -> RequestKey {
    RequestKey { organisation: organisation(org), request: id.parse().unwrap() }
}

impl Deployment {
    /// Hands a request in: the broker has it then.
    pub async fn submit(&self, org: &str, body: &[u8]) {
        let organisation = organisation(org);
        while let Err(error) = self.client.submit(&organisation, body).await {
            eprintln!("{}: a request is handed in again: {error}", self.name);
            self.pause(Duration::from_millis(200)).await;
        }
    }

    /// Gives a command until it is carried out, under the same id; false if there is no such request.
    pub async fn command(&self, org: &str, id: &str, kind: &CommandKind) -> Result<bool, String> {
        let organisation = organisation(org);
        self.until(&format!("{kind:?}"), Duration::from_secs(100), async || {
            let command = Command {
                id: id.into(),
                organisation: organisation.clone(),
                actor: None,
                expect: None,
                trace: None,
                kind: kind.clone(),
            };
            match self.client.command(&command, Duration::from_secs(4)).await {
                Ok(CommandReply::Done | CommandReply::Ended(_)) => Some(true),
                Ok(CommandReply::NotFound) => Some(false),
                _ => None,
            }
        })
        .await
    }

    /// Whether a request is at rest: nothing will happen to it any more.
    pub async fn is_over(&self, key: &RequestKey) -> bool {
        matches!(self.store.request(key).await, Ok(found) if found.summary.status.is_final())
    }

    /// What the store knows of a request.
    pub async fn kept(&self, key: &RequestKey) -> Result<Kept, String> {
        self.until("an answer of the store", Duration::from_secs(20), async || {
            let known = match self.store.request(key).await {
                Ok(found) => found.summary,
                Err(StoreError::NotFound) => return Some(Kept { key: key.clone(), known: None }),
                Err(_) => return None,
            };
            let mut calls = Vec::new();
            while calls.len() < known.total as usize {
                let from = u32::try_from(calls.len()).unwrap();
                let page = self.store.calls(key, from, 1_000).await.ok()?;
                if page.is_empty() {
                    break;
                }
                calls.extend(page.into_iter().map(|call| Call {
                    id: CallId::new(&key.organisation, &key.request, call.destination.index),
                    status: call.status,
                    facts: call.history,
                }));
            }
            Some(Kept { key: key.clone(), known: Some((known, calls)) })
        })
        .await
    }

    /// The database forgets everything.
    pub async fn flush(&self) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.redis_address()).await.unwrap();
        stream.write_all(b"FLUSHALL\r\n").await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }
}
