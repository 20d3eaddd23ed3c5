//! The connection's task: connects, again and again, writes, reads, and notices when nobody is there any more.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;

use super::line::Batch;
use super::{RemoteSettings, Shared};
use crate::adapters::simulator::wire::{GREETING, Garbled, Inbox, Pace, read, set_up, write_all};
use crate::model::Timestamp;
use crate::ports::TelephonyError;
use crate::telemetry::servers;

/// Shortest pause between two attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Bytes handed to the system at a time.
const BYTES_AT_ONCE: usize = 256 * 1024;

/// Why a connection is none.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it was closed")]
    Closed,
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("it sent {0}")]
    Garbled(#[from] Garbled),
    #[error("no simulated network is there, or one of another version")]
    Stranger,
}

/// Keeps a connection for as long as the task is let live.
pub(super) async fn keep(shared: Arc<Shared>) {
    tokio::select! {
        biased;
        never = connect_for_ever(&shared) => match never {},
        never = give_up_what_waits(&shared) => match never {},
    }
}

async fn connect_for_ever(shared: &Shared) -> Infallible {
    let settings = &shared.settings;
    let mut pause = FIRST_PAUSE;
    loop {
        let mut inbox = Inbox::new();
        let over = match reach(shared, &mut inbox).await {
            Ok(stream) => {
                pause = FIRST_PAUSE;
                tracing::info!(address = settings.address, "connected to the simulated network");
                shared.connected.store(true, Ordering::Relaxed);
                servers::node_is_up(&settings.address, true);
                let Err(over) = talk(shared, &stream, &mut inbox).await;
                tracing::warn!(address = settings.address, reason = %over, "the simulated network was lost");
                over
            }
            Err(over) => {
                tracing::debug!(address = settings.address, reason = %over, "the simulated network is not reached");
                over
            }
        };
        shared.connected.store(false, Ordering::Relaxed);
        servers::node_is_up(&settings.address, false);
        shared.line().lost(format!("{}: {over}", settings.address));
        settings.wall.sleep_until(settings.wall.now() + pause).await;
        pause = (pause * 2).min(settings.longest_pause);
    }
}

/// Answers what has waited for a connection, or for room on it, for too long.
async fn give_up_what_waits(shared: &Shared) -> Infallible {
    let settings = &shared.settings;
    loop {
        settings.wall.sleep_until(settings.wall.now() + settings.answer_within / 4).await;
        shared.line().give_up(settings.wall.now(), settings.answer_within);
    }
}

async fn reach(shared: &Shared, inbox: &mut Inbox) -> Result<TcpStream, Over> {
    let settings = &shared.settings;
    let greeted = async {
        let stream = TcpStream::connect(&settings.address).await?;
        set_up(&stream)?;
        write_all(&stream, &GREETING).await?;
        loop {
            if inbox.fill(&stream).await? == 0 {
                return Err(Over::Closed);
            }
            if let Some(greeting) = inbox.take(GREETING.len()) {
                return if *greeting == GREETING { Ok(stream) } else { Err(Over::Stranger) };
            }
        }
    };
    tokio::select! {
        biased;
        greeted = greeted => greeted,
        () = settings.wall.sleep_until(settings.wall.now() + settings.answer_within) => {
            Err(Over::Silent(settings.answer_within))
        }
    }
}

/// Both directions in one task: while one is at work the other is not, so that what was sent is noted before its answer
/// can be read.
async fn talk(shared: &Shared, stream: &TcpStream, inbox: &mut Inbox) -> Result<Infallible, Over> {
    tokio::select! {
        biased;
        over = hear(shared, stream, inbox) => over,
        over = say(shared, stream) => over,
        over = notice_silence(shared) => over,
    }
}

async fn hear(shared: &Shared, stream: &TcpStream, inbox: &mut Inbox) -> Result<Infallible, Over> {
    loop {
        {
            let now = shared.settings.clock.now();
            let mut line = shared.line();
            while let Some(frame) = inbox.frame()? {
                line.told(read(frame)?, now)?;
            }
        }
        if inbox.fill(stream).await? == 0 {
            return Err(Over::Closed);
        }
    }
}

async fn say(shared: &Shared, stream: &TcpStream) -> Result<Infallible, Over> {
    let RemoteSettings { wall, between_writes, .. } = &shared.settings;
    let (mut batch, mut pace) = (shared.line().go_on(wall.now())?, Pace::new(*between_writes));
    loop {
        write(shared, stream, &mut batch).await?;
        batch.clear();
        if shared.line().has_nothing_to_send() {
            shared.wake.notified().await;
        }
        pace.gather(&**wall).await;
        shared.line().take(&mut batch);
    }
}

/// Writes requests, those excepted whose time has passed when there is room for them.
async fn write(shared: &Shared, stream: &TcpStream, batch: &mut Batch) -> Result<(), Over> {
    let Batch { bytes, requests } = batch;
    // Bytes up to `written` are with the system; the frame that has begun, if any, ends at `begun`.
    let (mut written, mut begun) = (0, 0);
    loop {
        if written >= begun {
            while let Some(mut first) =
                requests.pop_front_if(|first| shared.is_late(first.not_after) || !first.is_wanted())
            {
                first.refuse(TelephonyError::TooLate);
                written = first.end;
            }
        }
        let sendable = requests.iter().take_while(|request| {
            request.end <= written + BYTES_AT_ONCE && !shared.is_late(request.not_after) && request.is_wanted()
        });
        let end = sendable.last().map_or(begun, |last| last.end).max(begun);
        if end <= written {
            if requests.is_empty() {
                return Ok(());
            }
            // The first became late between two looks at the time.
            continue;
        }
        match stream.try_write(&bytes[written..end]) {
            Ok(0) => return Err(Over::Closed),
            Ok(count) => {
                written += count;
                let now = shared.settings.wall.now();
                let mut line = shared.line();
                while begun < written
                    && let Some(request) = requests.pop_front()
                {
                    begun = request.end;
                    line.sent(request, now);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn notice_silence(shared: &Shared) -> Result<Infallible, Over> {
    let settings = &shared.settings;
    let look_every = (settings.answer_within / 4).min(settings.ping_every);
    let mut last_ping = Timestamp::default();
    loop {
        settings.wall.sleep_until(settings.wall.now() + look_every).await;
        let now = settings.wall.now();
        let mut line = shared.line();
        if line.waits_since().is_some_and(|since| now.since(since) > settings.answer_within) {
            return Err(Over::Silent(settings.answer_within));
        }
        let ping = now.since(last_ping) >= settings.ping_every;
        if ping {
            last_ping = now;
        }
        if line.look_after(now, ping) {
            shared.wake.notify_one();
        }
    }
}
