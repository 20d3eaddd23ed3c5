//! The interface between parts that do not answer.

#![expect(clippy::disallowed_methods, reason = "the interface is asked in real time")]

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use robocall::adapters::clock::SystemClock;
use robocall::adapters::memory::{MemoryArchive, MemoryEventLog, MemoryKeys, MemoryStore};
use robocall::api::{Api, ApiPorts, ApiSettings, Server};
use robocall::command::{Command, CommandReply};
use robocall::model::{ApiKey, ApiKeyRecord, OrganisationId, Scope, TraceParent};
use robocall::ports::{ApiKeys as _, Clock, Gate, GateError, RecordingArchive};
use robocall::reading::Problems;
use robocall::request::{CompiledFlow, FlowCompiler};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::world::{answered, request};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gate behind which nobody is.
struct Silent;

#[async_trait]
impl Gate for Silent {
    async fn submit(&self, _: &OrganisationId, _: &[u8], _: Option<TraceParent>) -> Result<(), GateError> {
        std::future::pending().await
    }

    async fn command(&self, _: &Command, _: Duration) -> Result<CommandReply, GateError> {
        std::future::pending().await
    }
}

/// Takes as long as it is let for a flow, and likes none.
#[derive(Default)]
pub struct Slow {
    begun: Mutex<usize>,
    more: Notify,
    let_go: (Mutex<bool>, Condvar),
}

impl FlowCompiler for Slow {
    fn compile(&self, _: &Value, path: &str, problems: &mut Problems) -> Option<CompiledFlow> {
        *self.begun.lock().unwrap() += 1;
        self.more.notify_one();
        let is_held = self.let_go.0.lock().unwrap();
        drop(self.let_go.1.wait_while(is_held, |let_go| !*let_go).unwrap());
        problems.add(path, "is not liked");
        None
    }
}

impl Slow {
    async fn begun(&self, wanted: usize) {
        while *self.begun.lock().unwrap() < wanted {
            self.more.notified().await;
        }
    }

    fn let_go(&self) {
        *self.let_go.0.lock().unwrap() = true;
        self.let_go.1.notify_all();
    }
}

/// The interface, its address without a scheme, and a key.
async fn alone(flows: Arc<dyn FlowCompiler>) -> (String, String) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::at_speed(20.0).unwrap());
    let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
    alone_over(store, Arc::new(MemoryArchive::default()), clock, flows).await
}

/// The same over a store and an archive.
pub async fn alone_over(
    store: Arc<MemoryStore>,
    archive: Arc<dyn RecordingArchive>,
    clock: Arc<dyn Clock>,
    flows: Arc<dyn FlowCompiler>,
) -> (String, String) {
    robocall::tls::install_provider();
    let (keys, key) = (Arc::new(MemoryKeys::default()), ApiKey::from_random([5; 32]));
    let record = ApiKeyRecord {
        id: key.id().clone(),
        organisation: "bank".parse().unwrap(),
        label: "a test".parse().unwrap(),
        scopes: Scope::ALL.into_iter().collect(),
        created_at: clock.now(),
    };
    keys.create(&record, &key.hash()).await.unwrap();
    let ports = ApiPorts {
        store: Arc::<MemoryStore>::clone(&store),
        recordings: store,
        archive,
        keys,
        gate: Arc::new(Silent),
        events: Arc::new(MemoryEventLog::default()),
        flows,
        clock,
        random: Arc::new(|| 7),
    };
    let server = Server::listen("127.0.0.1:0", Api::new(ports, ApiSettings::default())).await.unwrap();
    let address = server.address().unwrap().to_string();
    tokio::spawn(server.serve(CancellationToken::new()));
    (address, key.expose().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_get_in_is_answered_all_the_same() {
    let (address, key) = alone(Arc::new(Slow::default())).await;
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let asked = http.request(Method::POST, format!("http://{address}/v1/requests/r/pause")).bearer_auth(&key);
    assert_eq!(answered(asked).await.refused(504).0, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_while_a_request_is_checked_makes_no_room_for_more_of_them() {
    let slow = Arc::new(Slow::default());
    let (address, key) = alone(Arc::clone(&slow) as _).await;
    let body = request("r", &["+9991000001"]).to_string();
    let head = format!(
        "POST /v1/call HTTP/1.1\r\nhost: x\r\nx-credential-api-key: {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    for number in 1..=2 {
        let mut asking = TcpStream::connect(&address).await.unwrap();
        asking.write_all(head.as_bytes()).await.unwrap();
        tokio::time::timeout(PATIENCE, slow.begun(number)).await.unwrap();
    }
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let asked = http.post(format!("http://{address}/v1/call")).bearer_auth(&key).json(&request("r", &["+9991000001"]));
    let asking = tokio::spawn(answered(asked));
    // It never is in time: both who were there first are still looked after.
    let third = tokio::time::timeout(Duration::from_secs(2), slow.begun(3)).await;
    slow.let_go();
    assert!(third.is_err(), "three are checked at once");
    assert_eq!(tokio::time::timeout(PATIENCE, asking).await.unwrap().unwrap().refused(400).0, "invalid");
}
