//! Webhooks the whole way: a real broker, a real database, two deliverers of which one is killed, and receivers over HTTP.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
#[path = "../support/redis.rs"]
#[expect(dead_code, reason = "other test binaries use more of it")]
mod redis;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use robocall::adapters::clock::SystemClock;
use robocall::config::Settings;
use robocall::daemon::{Deployment, deliver_hooks};
use robocall::model::event::RequestEvent;
use robocall::model::status::{Counts, RequestSummary};
use robocall::model::{Event, EventType, HookSecret, Organisation, RequestStatus, Timestamp};
use robocall::ports::hooks::Keeping;
use robocall::ports::store::ProcessId;
use robocall::ports::{Clock, EventBus as _};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const BOUND: Duration = Duration::from_secs(180);

/// What receivers have taken: the seqs of each request, by path, in the order of the first time; and what went wrong.
#[derive(Default)]
struct Taken {
    seqs: BTreeMap<(String, String), Vec<u32>>,
    requests: u32,
    wrong: Vec<String>,
}

async fn receivers(secret: &HookSecret) -> (SocketAddr, Arc<Mutex<Taken>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, taken) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Taken::default())));
    let (shared, secret) = (Arc::clone(&taken), secret.expose());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(receive(stream, Arc::clone(&shared), secret.clone()));
        }
    });
    (at, taken)
}

async fn receive(mut stream: TcpStream, taken: Arc<Mutex<Taken>>, secret: String) {
    let mut request = Vec::new();
    let (head, body) = loop {
        let mut bytes = [0; 8192];
        match stream.read(&mut bytes).await {
            Ok(read) if read > 0 => request.extend_from_slice(&bytes[..read]),
            _ => return,
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let status = judge(&head, &body, &taken, &secret);
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.to_owned())
}

fn judge(head: &str, body: &str, taken: &Mutex<Taken>, secret: &str) -> u16 {
    let mut taken = taken.lock().unwrap();
    taken.requests += 1;
    let mut headers = axum::http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, header(head, name).unwrap_or_default().parse().unwrap());
    }
    if let Err(error) = standardwebhooks::Webhook::new(secret).unwrap().verify(body.as_bytes(), &headers) {
        taken.wrong.push(format!("{error:?}"));
        return 401;
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    if path == "/flaky" && taken.requests.is_multiple_of(7) {
        return 500;
    }
    let event: serde_json::Value = serde_json::from_str(body).unwrap();
    let seq = u32::try_from(event["data"]["seq"].as_u64().unwrap()).unwrap();
    let name = (path, event["subject"].as_str().unwrap().to_owned());
    let seqs = taken.seqs.entry(name.clone()).or_default();
    let last = seqs.last().copied().unwrap_or(0);
    if seq == last + 1 {
        seqs.push(seq);
    } else if seq > last {
        taken.wrong.push(format!("{name:?}: {seq} came when {last} was the last"));
    }
    204
}

fn event(request: &str, seq: u32) -> Event {
    let request: robocall::model::RequestId = request.parse().unwrap();
    let summary = RequestSummary {
        request_id: request.clone(),
        status: RequestStatus::OnProgress,
        total: 1,
        duplicates: 0,
        counts: Counts::default(),
        flow_hash: None,
        errors: Vec::new(),
        error_count: 0,
        reason: None,
        trace: None,
    };
    let (organisation, kind, at) = ("bank".parse().unwrap(), EventType::RequestStarted, Timestamp::VIRTUAL_START);
    Event::Request(Arc::new(RequestEvent { organisation, request, seq, kind, at, summary, command: None }))
}

/// A deliverer in a runtime of its own, which can be killed as a process can.
fn deliverer(settings: &Settings, number: u128) -> (tokio::runtime::Runtime, CancellationToken) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (settings, stop) = (settings.clone(), CancellationToken::new());
    let told = stop.clone();
    runtime.spawn(async move {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let deployment = Deployment::new(&settings, Arc::clone(&clock)).unwrap();
        deliver_hooks(&deployment, &settings, &clock, ProcessId(number), told).await.unwrap();
    });
    (runtime, stop)
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let clock = SystemClock::new();
    let end = clock.now() + BOUND;
    while !holds().await {
        assert!(clock.now() < end, "{what}");
        clock.sleep_until(clock.now() + Duration::from_millis(100)).await;
    }
}

#[test]
fn a_deliverer_is_killed_and_every_event_arrives_signed_and_in_order_all_the_same() {
    robocall::tls::install_provider();
    let (broker, database) = (rabbitmq::RabbitMq::start(), redis::Redis::start());
    let mut settings = Settings::default();
    settings.amqp.url = broker.url().into();
    settings.redis.url = database.url().into();
    settings.hooks.allow = vec!["127.0.0.0/8".to_owned()];
    settings.hooks.allow_http = true;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (first, _) = deliverer(&settings, 1);
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let deployment = Deployment::new(&settings, Arc::clone(&clock)).unwrap();
        let (store, hooks) = (deployment.store(), deployment.hooks(Keeping::default()));
        let secret = HookSecret::from_random([5; 32]);
        let (at, taken) = receivers(&secret).await;
        let bank = "bank".parse().unwrap();
        hooks.set_secrets(&bank, &[secret]).await.unwrap();
        let urls = ["good", "flaky"].map(|path| json!({"url": format!("http://{at}/{path}"), "events": ["request"]}));
        let settings_of_bank =
            Organisation { hooks: serde_json::from_value(json!(urls)).unwrap(), ..Organisation::default() };
        store.set_organisation(&bank, settings_of_bank).await.unwrap();
        let bus = deployment.broker().unwrap().events();
        until("nobody has begun", async || hooks.load().await.is_ok_and(|book| book.position.is_some())).await;
        let (second, stop) = deliverer(&settings, 2);

        let publish = async |seqs: std::ops::RangeInclusive<u32>| {
            for seq in seqs {
                for request in 0..5 {
                    bus.publish(event(&format!("r{request}"), seq)).await.unwrap();
                }
            }
        };
        publish(1..=8).await;
        until("nothing has arrived", async || taken.lock().unwrap().requests >= 10).await;
        first.shutdown_background();
        publish(9..=16).await;
        let all: Vec<u32> = (1..=16).collect();
        let is_there = async || {
            let taken = taken.lock().unwrap();
            assert_eq!(taken.wrong, [] as [String; 0]);
            taken.seqs.len() == 10 && taken.seqs.values().all(|seqs| *seqs == all)
        };
        until("events are missing", is_there).await;
        until("something is kept", async || hooks.endpoints(None).await.unwrap().is_empty()).await;
        // Told to stop, it leaves the lead at once.
        stop.cancel();
        until("the lead was not left", async || {
            let lead = hooks.lead(ProcessId(3), Duration::from_secs(1)).await.unwrap();
            lead.is_some()
        })
        .await;
        second.shutdown_background();
    });
}
