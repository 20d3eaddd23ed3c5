//! Listens, and serves connections: bounded in number, in the time a head may take and in that for which an answer is not
//! taken, and told to end.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{Api, router};

/// How long a client may take to say what it asks for, and how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// How long a client may take none of an answer that waits for it.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// How long answers that are under way may take after the end was asked for.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// How long is waited after the system has refused a connection: it has run out of something.
const REFUSED: Duration = Duration::from_millis(100);

/// Why nobody is served.
#[derive(Debug, thiserror::Error)]
#[error("nobody can listen at {at}: {error}")]
pub struct ServerError {
    at: String,
    error: io::Error,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The address it comes from.
    pub address: IpAddr,
    /// Cuts it.
    pub connection: CancellationToken,
}

impl Default for Peer {
    fn default() -> Self {
        Self { address: Ipv4Addr::UNSPECIFIED.into(), connection: CancellationToken::new() }
    }
}

/// A server of the interface.
pub struct Server {
    listener: TcpListener,
    places: Arc<Semaphore>,
    router: Router,
    api: Arc<Api>,
}

impl Server {
    /// Listens at `host:port`.
    ///
    /// # Errors
    /// When nobody can listen there.
    pub async fn listen(at: &str, api: Arc<Api>) -> Result<Self, ServerError> {
        let listener = TcpListener::bind(at).await.map_err(|error| ServerError { at: at.to_owned(), error })?;
        let places = Arc::new(Semaphore::new(api.settings.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self { listener, places, router: router::router(&api), api })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop; answers that are under way then are still given, within a bound.
    pub async fn serve(self, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        let clock = Arc::clone(&self.api.ports.clock);
        loop {
            let accepting = async {
                let place = Arc::clone(&self.places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accepting => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let peer = Peer { address: peer.ip(), connection: CancellationToken::new() };
                    let cut = peer.connection.clone();
                    let connection = graceful.watch(connection(stream, peer, self.router.clone()));
                    tokio::spawn(async move {
                        tokio::select! {
                            biased;
                            () = cut.cancelled() => tracing::debug!("a connection is cut"),
                            ended = connection => if let Err(error) = ended {
                                tracing::debug!(%error, "a connection has ended");
                            },
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    clock.sleep_until(clock.now() + REFUSED).await;
                }
            }
        }
        drop(self.listener);
        self.api.ending.cancel();
        tokio::select! {
            biased;
            () = graceful.shutdown() => {}
            () = clock.sleep_until(clock.now() + ENDED_WITHIN) => tracing::warn!("connections are cut off"),
        }
    }
}

fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request.map(Body::new))
    });
    // A small answer is not to wait for the next.
    let _unset = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKEN_WITHIN));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}
