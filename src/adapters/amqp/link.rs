//! One connection to the broker that comes back by itself.
//!
//! It is rebuilt rather than recovered by the client library, whose recovery (as its source says) lets its input-output
//! thread sleep uninterruptedly for longer and longer, gives up after a number of tries, and brings neither a queue that
//! was deleted nor a broker that came back empty into order again. Here every connection begins with the declaration of
//! everything that must exist, and everything that was open on the old one has visibly ended.
//!
//! **Invariant:** a connection is either handed out as alive or its socket is shut, so no thread is left waiting.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, Event};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::backoff::Backoff;
use super::settings::AmqpSettings;
use super::topology;
use crate::model::Timestamp;
use crate::ports::Clock;
use crate::telemetry::servers;

/// How long a connection may take to come about: name, socket, TLS, handshake.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);

/// How long the declarations on a new connection may take: quorum queues elect a leader first.
const DECLARED_WITHIN: Duration = Duration::from_secs(30);

/// Most numbers of channels of a connection that may be spoilt. RabbitMQ gives it 2047 unless told otherwise; where it gives
/// few, a quarter of them.
const MOST_SPOILT: usize = 500;

/// The address is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address of the broker is not amqp://… or amqps://…: {0}")]
pub struct InvalidUrl(String);

/// A connection that lives.
pub(super) struct Live {
    connection: Connection,
    socket: Socket,
    /// Numbers of channels that cannot be used any more.
    spoilt: AtomicUsize,
    /// Cancelled when the connection is gone.
    pub gone: CancellationToken,
}

impl Live {
    /// A new channel on this connection.
    pub async fn channel(&self) -> lapin::Result<Channel> {
        loop {
            let made = tokio::select! {
                biased;
                made = self.connection.create_channel() => made,
                // The library's answer to what it is asked in the moment in which it loses its connection may never come.
                () = self.gone.cancelled() => return Err(std::io::Error::from(ErrorKind::NotConnected).into()),
            };
            match made {
                Err(error) if error.is_amqp_soft_error() => self.spoilt(error)?,
                made => return made,
            }
        }
    }

    /// Counts a number that no channel can have any more. What ended one channel, and a broker has no such error for an
    /// opening, is kept by the library for its number; the next channel of that number, when all others have had their turn, is
    /// told of it before anything is sent, and the number stays taken.
    fn spoilt(&self, error: lapin::Error) -> lapin::Result<()> {
        let most = MOST_SPOILT.min(usize::from(self.connection.configuration().channel_max()) / 4);
        let before = self.spoilt.fetch_add(1, Ordering::Relaxed);
        if before < most {
            return Ok(());
        }
        if before == most {
            tracing::warn!(%error, "so many channels of a connection were ended by the broker that it is made anew");
            self.cut();
        }
        Err(error)
    }

    /// Whether the broker takes what is written.
    pub fn is_taking(&self) -> bool {
        let status = self.connection.status();
        !self.gone.is_cancelled() && status.connected() && !status.blocked()
    }

    /// Cuts the connection at once; nothing that waited to be sent is sent any more. A new one is made.
    pub fn cut(&self) {
        self.gone.cancel();
        self.socket.shut();
    }
}

#[derive(Clone)]
enum State {
    /// Why not.
    Down(Arc<str>),
    Up(Arc<Live>),
}

/// A connection that comes back by itself, for as long as somebody holds this.
pub(super) struct Link {
    state: watch::Receiver<State>,
    clock: Arc<dyn Clock>,
    _keeper: AbortOnDropHandle<()>,
}

impl Link {
    /// Begins to connect. `purpose` is added to the name that the broker's tools show.
    pub fn open(settings: &AmqpSettings, purpose: &str, clock: &Arc<dyn Clock>) -> Result<Arc<Self>, InvalidUrl> {
        let mut settings = settings.clone();
        settings.connection_name = format!("{} {purpose}", settings.connection_name);
        let uri = address(&settings)?;
        let (told, state) = watch::channel(State::Down("not connected yet".into()));
        let keeper = keep(uri, settings, Arc::clone(clock), told);
        Ok(Arc::new(Self { state, clock: Arc::clone(clock), _keeper: AbortOnDropHandle::new(tokio::spawn(keeper)) }))
    }

    /// The connection, as soon as there is one.
    pub async fn up(&self) -> Arc<Live> {
        let mut state = self.state.clone();
        loop {
            if let State::Up(live) = &*state.borrow_and_update()
                && !live.gone.is_cancelled()
            {
                return Arc::clone(live);
            }
            if state.changed().await.is_err() {
                // Only at the end of the runtime, when nobody waits any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The connection, if there is one in time; else why there is none.
    pub async fn up_within(&self, bound: Duration) -> Result<Arc<Live>, Arc<str>> {
        within(&*self.clock, bound, self.up()).await.ok_or_else(|| match &*self.state.borrow() {
            State::Down(why) => Arc::clone(why),
            State::Up(_) => "the connection was lost".into(),
        })
    }

    /// Whether there is a connection now.
    pub fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(live) if !live.gone.is_cancelled())
    }

    /// The time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

/// What `future` gives, unless `bound` is over before.
pub(super) async fn within<T>(clock: &dyn Clock, bound: Duration, future: impl Future<Output = T>) -> Option<T> {
    until(clock, clock.now() + bound, future).await
}

/// What `future` gives, unless it is later than `end` before.
pub(super) async fn until<T>(clock: &dyn Clock, end: Timestamp, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = future => Some(done),
        () = clock.sleep_until(end) => None,
    }
}

/// The address, with our heartbeat.
pub(super) fn address(settings: &AmqpSettings) -> Result<AMQPUri, InvalidUrl> {
    // The error does not repeat the address, which has a password in it.
    let mut uri: AMQPUri = settings.url.expose_secret().parse().map_err(InvalidUrl)?;
    uri.query.heartbeat = Some(u16::try_from(settings.heartbeat.as_secs()).unwrap_or(u16::MAX).max(1));
    Ok(uri)
}

/// Certificates to trust besides the system's.
pub(super) fn trust(settings: &AmqpSettings) -> OwnedTLSConfig {
    OwnedTLSConfig { identity: None, cert_chain: settings.trusted.clone() }
}

/// Connects, waits until the connection is lost, and begins again.
async fn keep(uri: AMQPUri, settings: AmqpSettings, clock: Arc<dyn Clock>, told: watch::Sender<State>) {
    let name = &settings.connection_name;
    let mut backoff = Backoff::default();
    loop {
        let why: Arc<str> = match connect(&uri, &settings, &*clock).await {
            Ok(live) => {
                tracing::info!(connection = name, "connected to the broker");
                let open = servers::BrokerConnection::made();
                backoff.reset();
                told.send_replace(State::Up(Arc::clone(&live)));
                let why = watch_over(name, &live).await;
                live.cut();
                drop(open);
                servers::broker_lost();
                why.into()
            }
            Err(why) => {
                servers::broker_lost();
                why.into()
            }
        };
        told.send_replace(State::Down(Arc::clone(&why)));
        let wait = backoff.next(name, clock.now());
        tracing::warn!(connection = name, why = &*why, again_in = ?wait, "no connection to the broker");
        clock.sleep_until(clock.now() + wait).await;
    }
}

/// Connects and declares what must exist.
async fn connect(uri: &AMQPUri, settings: &AmqpSettings, clock: &dyn Clock) -> Result<Arc<Live>, String> {
    let socket = Socket::default();
    let connected = within(clock, CONNECTED_WITHIN, dial(uri, settings, socket.clone())).await;
    let connection = match connected {
        Some(Ok(connection)) => connection,
        Some(Err(error)) => return Err(error.to_string()),
        None => {
            socket.shut();
            return Err(format!("no answer within {CONNECTED_WITHIN:?}"));
        }
    };
    let live = Live { connection, socket, spoilt: AtomicUsize::new(0), gone: CancellationToken::new() };
    let live = Arc::new(live);
    let declared = tokio::select! {
        biased;
        declared = within(clock, DECLARED_WITHIN, topology::declare(&live, settings)) => match declared {
            Some(declared) => declared.map_err(|error| error.to_string()),
            None => Err(format!("nothing was declared within {DECLARED_WITHIN:?}")),
        },
        // The library's answers to what was asked over it may never come.
        why = watch_over(&settings.connection_name, &live) => Err(why),
    };
    declared.inspect_err(|_| live.cut())?;
    Ok(live)
}

async fn dial(uri: &AMQPUri, settings: &AmqpSettings, socket: Socket) -> lapin::Result<Connection> {
    let runtime = lapin::runtime::default_runtime()?;
    let properties = ConnectionProperties::default().with_connection_name(settings.connection_name.as_str().into());
    let tls = trust(settings);
    // The library's own connector, taken apart so that the socket can be shut from here whatever state it is in.
    let reactor = runtime.clone();
    let connector = async move |uri: AMQPUri, _| {
        let (host, port) = (uri.authority.host.as_str(), uri.authority.port);
        // The library's own way to look up names panics if the runtime ends meanwhile.
        let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
        let stream = AsyncTcpStream::connect(&reactor, addresses).await?;
        if let AsyncTcpStream::Plain(stream) = &stream {
            socket.hold(stream.get_ref().as_fd().try_clone_to_owned()?.into());
        }
        Ok(match uri.scheme {
            AMQPScheme::AMQP => stream,
            AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, tls.as_ref()).await?,
        })
    };
    Connection::connector(uri.clone(), runtime, connector, properties).await
}

/// Waits until the connection is lost; answers why.
async fn watch_over(name: &str, live: &Live) -> String {
    let mut events = std::pin::pin!(live.connection.events_listener());
    loop {
        // What happened before the first look was told to nobody.
        if !live.connection.status().connected() {
            return "the connection was lost".to_owned();
        }
        let event = tokio::select! {
            biased;
            () = live.gone.cancelled() => return "given up by this side".to_owned(),
            event = events.next() => event,
        };
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(connection = name, reason, "the broker takes nothing for now");
            }
            Some(Event::ConnectionUnblocked) => tracing::info!(connection = name, "the broker takes messages again"),
            // A channel's error is told here, too; whoever uses the channel sees it.
            Some(Event::Error(error)) if !live.connection.status().connected() => return error.to_string(),
            Some(_) => {}
            None => return "the connection was lost".to_owned(),
        }
    }
}

/// A second handle on a connection's socket, to shut it.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    stream: Option<std::net::TcpStream>,
    shut: bool,
}

impl Socket {
    fn hold(&self, stream: std::net::TcpStream) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.stream = Some(stream);
        if held.shut {
            shut(&held);
        }
    }

    fn shut(&self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.shut = true;
        shut(&held);
    }
}

fn shut(held: &Held) {
    if let Some(stream) = &held.stream {
        // One that is shut already is as shut as can be.
        let _ = stream.shutdown(Shutdown::Both);
    }
}
