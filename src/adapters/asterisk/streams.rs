//! Keeps an app's socket open on every node, and finds out what was missed in between.
//!
//! Whoever opens an app's socket takes it from whoever had it. So before a process opens one again it asks whether the
//! app is still its own, since it may have been cut off for long; and one that stood still for so long that others may
//! have taken its calls over does not even ask: its stream ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::Inner;
use super::ari::event::{AriEvent, Kind};
use super::ari::http::{Answer, Ask};
use super::ari::socket::Socket;
use super::leg::state_of;
use crate::model::{LegId, WorkerId};
use crate::ports::TelephonyError;
use crate::telemetry::servers;

/// How often a stream looks up: whether anybody listens, and whether the process stood still.
const LOOK_UP: Duration = Duration::from_secs(1);

/// After such a standstill the app may be another's.
const STANDSTILL: Duration = Duration::from_secs(20);

/// How long opening a socket may take.
const OPENED_WITHIN: Duration = Duration::from_secs(4);

/// Pauses between two attempts to open a socket: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// How long a leg that a listing lacks is waited for: the event of its end may be under way.
const LATE_EVENTS: Duration = Duration::from_secs(1);

/// Whether a socket could be opened for the first time, and what there was before is known.
pub type First = UnboundedSender<Result<(), TelephonyError>>;

/// Which socket it is.
#[derive(Clone)]
pub struct Line {
    pub number: u64,
    pub app: WorkerId,
    pub node: usize,
}

/// Why a socket is read no more.
enum Gone {
    /// It was closed, or is dead.
    Lost(String),
    /// This process stood still.
    StoodStill,
    /// Another has opened the app.
    Replaced,
    /// Nobody listens, or nobody should.
    Over,
}

/// Keeps one app's socket on one node open for as long as somebody listens.
pub async fn keep(inner: Arc<Inner>, line: Line, first: First) {
    let clock = Arc::clone(&inner.settings.clock);
    let (mut pause, mut seen_at) = (PAUSES.0, clock.now());
    // Only the first answer counts, or a node that refuses at once would answer for one that takes its time.
    let mut first = Some(first);
    loop {
        if clock.now().since(seen_at) > STANDSTILL {
            tracing::warn!(app = %line.app, "stood still for so long that others may have the app: not listening again");
            inner.table().close(line.number);
        }
        if !inner.table().is_heard(line.number) {
            inner.table().close(line.number);
            return;
        }
        seen_at = clock.now();
        // Whoever listens has just made sure of it.
        let ours = if first.is_some() { Some(true) } else { is_ours(&inner, &line.app).await };
        let opened = match ours {
            Some(true) => open(&inner, &line).await,
            Some(false) => {
                tracing::warn!(app = %line.app, "another has the app by now: not listening again");
                inner.table().close(line.number);
                return;
            }
            None => Err(TelephonyError::Unavailable("whose the app is cannot be learnt".to_owned())),
        };
        if let Err(error) = &opened
            && let Some(first) = first.take()
        {
            // Whoever asked may have given up waiting.
            let _ = first.send(Err(error.clone()));
        }
        match opened {
            Ok(socket) => {
                pause = PAUSES.0;
                inner.table().set_open(line.number, line.node, true);
                tell(&inner, line.node);
                let gone = read(&inner, &line, socket, &mut first).await;
                inner.table().set_open(line.number, line.node, false);
                tell(&inner, line.node);
                match gone {
                    Gone::Lost(reason) => {
                        tracing::warn!(app = %line.app, node = inner.nodes[line.node].name, reason, "events are lost");
                        seen_at = clock.now();
                    }
                    // Told at the next turn.
                    Gone::StoodStill => continue,
                    Gone::Replaced => {
                        tracing::warn!(app = %line.app, node = inner.nodes[line.node].name, "another listens in its name");
                        inner.table().close(line.number);
                        return;
                    }
                    Gone::Over => {
                        inner.table().close(line.number);
                        return;
                    }
                }
            }
            Err(error) => {
                tracing::debug!(app = %line.app, node = inner.nodes[line.node].name, %error, "no events yet");
                tell(&inner, line.node);
            }
        }
        clock.sleep_until(clock.now() + pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Tells whether a node is heard, in whichever name: a process listens in several.
fn tell(inner: &Inner, node: usize) {
    let heard = inner.table().heard_on().contains(&node);
    servers::node_is_up(&inner.nodes[node].name, heard);
}

/// Whether an app is this process's own still; none if nobody says so in time.
async fn is_ours(inner: &Inner, app: &WorkerId) -> Option<bool> {
    let clock = &inner.settings.clock;
    tokio::select! {
        biased;
        () = clock.sleep_until(clock.now() + OPENED_WITHIN) => None,
        answer = (inner.settings.is_ours)(app.clone()) => answer.ok(),
    }
}

/// Opens a socket and says what is to come over it.
async fn open(inner: &Inner, line: &Line) -> Result<Socket, TelephonyError> {
    let (clock, node) = (&inner.settings.clock, &inner.nodes[line.node]);
    let (now, app) = (clock.now(), app_name(&line.app));
    let url = node.http.events_url(&app);
    let socket = tokio::select! {
        biased;
        opened = Socket::open(&url, now) => opened.map_err(TelephonyError::Unavailable)?,
        () = clock.sleep_until(now + OPENED_WITHIN) => {
            return Err(TelephonyError::Unavailable("no socket in time".to_owned()));
        }
    };
    let allowed: Vec<_> = super::ari::event::ASKED_FOR.map(|kind| serde_json::json!({"type": kind})).into();
    let path = format!("applications/{app}/eventFilter");
    let filter = Ask {
        method: reqwest::Method::PUT,
        ..Ask::post(path, serde_json::json!({"allowed": allowed}), now + OPENED_WITHIN)
    };
    match node.http.ask(filter).await? {
        Answer::Done(_) => Ok(socket),
        other => Err(TelephonyError::Unavailable(format!("no filter of events: {other:?}"))),
    }
}

async fn read(inner: &Arc<Inner>, line: &Line, mut socket: Socket, first: &mut Option<First>) -> Gone {
    let clock = Arc::clone(&inner.settings.clock);
    let mut catching_up = JoinSet::new();
    catching_up.spawn(catch_up(Arc::clone(inner), line.clone()));
    let mut seen_at = clock.now();
    loop {
        let look_up = clock.sleep_until(seen_at + LOOK_UP);
        tokio::select! {
            biased;
            text = socket.next(&*clock) => {
                let text = match text {
                    Ok(text) => text,
                    Err(reason) => return Gone::Lost(reason),
                };
                match AriEvent::read(&text) {
                    Ok(event) if event.kind == Kind::ApplicationReplaced => return Gone::Replaced,
                    Ok(event) => {
                        let todo = inner.table().hear(line.number, line.node, &event, clock.now());
                        inner.run(todo);
                    }
                    // What serde finds wrong it quotes.
                    Err(error) => {
                        let (node, wrong_at) = (&inner.nodes[line.node].name, error.column());
                        tracing::warn!(node, wrong_at, "an event cannot be read");
                    }
                }
            }
            Some(_) = catching_up.join_next(), if !catching_up.is_empty() => {
                // Whoever goes on with a former owner's calls asks for things at once.
                let _ = first.take().map(|first| first.send(Ok(())));
            }
            () = look_up => {}
        }
        if clock.now().since(seen_at) > STANDSTILL {
            return Gone::StoodStill;
        }
        if clock.now().since(seen_at) >= LOOK_UP {
            seen_at = clock.now();
            if !inner.table().is_heard(line.number) {
                return Gone::Over;
            }
        }
    }
}

/// Compares what is known of an app's legs with what a node has: what was missed is made up for, as far as it can be.
async fn catch_up(inner: Arc<Inner>, line: Line) {
    let clock = Arc::clone(&inner.settings.clock);
    let before = inner.table().there(&line.app, line.node);
    let mut legs = loop {
        match inner.channels(line.node).await {
            Ok(channels) => break channels,
            Err(error) => {
                tracing::warn!(node = inner.nodes[line.node].name, %error, "its legs cannot be listed");
                clock.sleep_until(clock.now() + LOOK_UP).await;
            }
        }
    };
    // An attempt's callee comes before its other legs.
    legs.sort_unstable_by_key(|(leg, ..)| *leg);
    let app = app_name(&line.app);
    let mut errands = Vec::new();
    let mut found = std::collections::BTreeSet::new();
    for (leg, state, owner) in legs {
        if owner == app {
            found.insert(leg);
            let mut table = inner.table();
            let dialled = table.get(leg).is_some_and(|known| known.was_dialled());
            errands.extend(table.find(line.number, leg, line.node, state_of(&state, dialled), clock.now()));
            if state == "Ringing" {
                table.rings(line.number, leg, clock.now());
            }
        }
    }
    let missing: Vec<LegId> = before.difference(&found).copied().collect();
    if !missing.is_empty() {
        clock.sleep_until(clock.now() + LATE_EVENTS).await;
    }
    for leg in missing {
        errands.extend(inner.table().lose(leg, clock.now()));
    }
    inner.run(errands);
}

/// What an app is called on Asterisk, which may have others' apps, too.
pub fn app_name(app: &WorkerId) -> String {
    format!("robocall-{app}")
}
