//! A playground, and clients of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use robocall::config;
use robocall::daemon::{NetworkSettings, Playground, PlaygroundSettings};
use robocall::dispatch::FlowCatalogue;
use robocall::model::Scope;
use serde_json::{Value, json};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub playground: Playground,
    http: reqwest::Client,
}

/// Somebody with a key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    pub key: String,
}

pub struct Answered {
    pub code: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answered {
    /// The body, if all was well.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.code.is_success(), "{} {}", self.code, self.body);
        self.body
    }

    /// The status word and the paths of the errors, of something that was refused with this code.
    #[track_caller]
    pub fn refused(&self, code: u16) -> (&str, Vec<&str>) {
        assert_eq!(self.code.as_u16(), code, "{}", self.body);
        let errors = self.body["errors"].as_array().unwrap();
        assert!(!self.body["message"].as_str().unwrap().is_empty());
        let paths = errors.iter().map(|error| error["path"].as_str().unwrap()).collect();
        (self.body["status"].as_str().unwrap(), paths)
    }
}

/// Flows that requests may name.
fn installed() -> FlowCatalogue {
    let says = |text: &str| json!({"steps": [{"name": "play", "message": {"msg": text}}]});
    let flows = [("reminder", says("Good morning.")), ("for a name", says("Good morning, {{name}}."))];
    FlowCatalogue(flows.into_iter().map(|(name, flow)| (name.to_owned(), flow)).collect())
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A world whose interface has other settings.
    pub async fn with(change: impl FnOnce(&mut config::Api)) -> Self {
        // Somebody else of this process may have done it.
        robocall::tls::install_provider();
        let mut api = config::Api { listen: "127.0.0.1:0".to_owned(), ..config::Api::default() };
        change(&mut api);
        let settings = PlaygroundSettings {
            api,
            network: NetworkSettings::default(),
            speed: 20.0,
            flows: installed(),
            sinks: Vec::new(),
        };
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { playground: Playground::start(settings).await.unwrap(), http }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.playground.address())
    }

    /// Somebody of an organisation whose key is good for everything.
    pub async fn client(&self, organisation: &str) -> Client {
        self.client_for(organisation, &Scope::ALL).await
    }

    pub async fn client_for(&self, organisation: &str, scopes: &[Scope]) -> Client {
        let organisation = organisation.parse().unwrap();
        let key = self.playground.new_key(organisation, "a test".parse().unwrap(), scopes).await.unwrap();
        self.client_with(key.expose())
    }

    pub fn client_with(&self, key: &str) -> Client {
        Client { http: self.http.clone(), base: self.url(""), key: key.to_owned() }
    }
}

impl Client {
    /// Somebody with a key, at an address such as `http://127.0.0.1:8080`.
    pub fn at(base: &str, key: &str) -> Self {
        robocall::tls::install_provider();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { http, base: base.to_owned(), key: key.to_owned() }
    }

    pub fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).header("x-credential-api-key", &self.key)
    }

    pub async fn get(&self, path: &str) -> Answered {
        answered(self.ask(Method::GET, path)).await
    }

    /// Commands to a call are given again under the same id while it changes hands, as clients should.
    #[expect(clippy::disallowed_methods, reason = "the interface is asked in real time")]
    pub async fn post(&self, path: &str, body: &Value) -> Answered {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        if !path.starts_with("/v1/calls/") || path.ends_with("/disposition") {
            return answered(self.ask(Method::POST, path).json(body)).await;
        }
        let id = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let asking = async {
            loop {
                let asked = self.ask(Method::POST, path).header("Idempotency-Key", &id).json(body);
                let answered = answered(asked).await;
                if answered.body["status"] != "adopting" {
                    return answered;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap()
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answered {
        answered(self.ask(method, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answered {
        answered(self.ask(Method::DELETE, path)).await
    }

    /// Asks again and again until what is answered is as wanted.
    #[expect(clippy::disallowed_methods, reason = "the interface is asked in real time")]
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let looking = async {
            loop {
                let answered = self.get(path).await;
                if answered.code.is_success() && wanted(&answered.body) {
                    return answered.body;
                }
                last = answered.body;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_| panic!("{path}: {last:#}"))
    }
}

pub async fn answered(asked: reqwest::RequestBuilder) -> Answered {
    let response = asked.send().await.unwrap();
    let (code, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    Answered { code, headers, body }
}

/// A request to some numbers, that says something and ends.
pub fn request(id: &str, phones: &[&str]) -> Value {
    let destinations: Vec<Value> = phones.iter().map(|phone| json!({"phone": phone})).collect();
    json!({
        "requestId": id,
        "destinations": destinations,
        "callFlow": {"steps": [{"name": "play", "message": {"msg": "Good morning.", "lang": "en"}}]},
    })
}

/// A request to one number, which stays on the line until a key that never comes.
pub fn long_request(id: &str, phone: &str) -> Value {
    json!({
        "requestId": id,
        "destinations": [{"phone": phone, "externalId": "invoice-1"}],
        "callFlow": {"steps": [{
            "name": "gather", "message": {"msg": "Press a key."}, "timeoutSecs": 60, "maxRetries": 10,
            "branches": [{"digit": "9", "callFlow": {"steps": [{"name": "hangup"}]}}],
        }]},
    })
}
