//! What a cluster asks a process: whether it lives, whether it is ready, and its metrics. On a port of its own, for those who
//! run it: nothing here is for clients.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::{BoxFuture, join_all};
use tokio::net::TcpListener;

use crate::ports::Clock;
use crate::telemetry::Exposition;

/// How long a neighbour may take to show that it is there.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// How often what is measured is put in order when nobody reads it.
const TIDIED_EVERY: Duration = Duration::from_secs(5);

/// The format of metrics.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[error("nobody can listen at {at}: {error}")]
pub struct VitalsError {
    at: String,
    error: io::Error,
}

/// Something without which a process is of no use, and how to find out why it is not there.
pub struct Vital {
    /// What answers call it.
    pub name: &'static str,
    /// Finds out.
    pub check: Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

/// A server of vitals.
pub struct Vitals {
    listener: TcpListener,
    seen: Arc<Seen>,
}

struct Seen {
    exposition: Exposition,
    vitals: Vec<Vital>,
    clock: Arc<dyn Clock>,
}

impl Vitals {
    /// Listens at `host:port`.
    ///
    /// # Errors
    /// When nobody can listen there.
    pub async fn listen(
        at: &str,
        exposition: Exposition,
        vitals: Vec<Vital>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, VitalsError> {
        let listener = TcpListener::bind(at).await.map_err(|error| VitalsError { at: at.to_owned(), error })?;
        Ok(Self { listener, seen: Arc::new(Seen { exposition, vitals, clock }) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for as long as the future is held.
    pub async fn serve(self) {
        let Self { listener, seen } = self;
        let tidying = async {
            loop {
                seen.clock.sleep_until(seen.clock.now() + TIDIED_EVERY).await;
                seen.exposition.tidy();
            }
        };
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(Arc::clone(&seen));
        tokio::select! {
            biased;
            ended = async { axum::serve(listener, router).await } => {
                tracing::error!(?ended, "metrics are not served any more");
            }
            () = tidying => {}
        }
    }
}

/// Whether the process lives that serves its vitals at `host:port`.
///
/// # Errors
/// Why it does not, or does not answer in time.
pub async fn lives(at: SocketAddr) -> Result<(), String> {
    // Whoever listens everywhere is found here, too.
    let host = if at.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { at.ip() };
    let client =
        reqwest::Client::builder().timeout(SHOWN_WITHIN).no_proxy().build().map_err(|error| error.to_string())?;
    let answer = client.get(format!("http://{}/livez", SocketAddr::new(host, at.port()))).send().await;
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answers {}", answer.status())),
        Err(error) => Err(error.to_string()),
    }
}

async fn metrics(State(seen): State<Arc<Seen>>) -> Response {
    ([(header::CONTENT_TYPE, TEXT)], seen.exposition.render()).into_response()
}

/// A line for each vital. Whoever asks learns them all: the first that fails is seldom the reason.
async fn ready(State(seen): State<Arc<Seen>>) -> Response {
    let clock = &seen.clock;
    let looks = seen.vitals.iter().map(|vital| async move {
        let found = tokio::select! {
            biased;
            found = (vital.check)() => found,
            () = clock.sleep_until(clock.now() + SHOWN_WITHIN) => Err(format!("no answer within {SHOWN_WITHIN:?}")),
        };
        (vital.name, found)
    });
    let found = join_all(looks).await;
    let code =
        if found.iter().all(|(_, found)| found.is_ok()) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let lines = found.into_iter().map(|(name, found)| match found {
        Ok(()) => format!("{name}: ok\n"),
        Err(why) => format!("{name}: {why}\n"),
    });
    (code, lines.collect::<String>()).into_response()
}
