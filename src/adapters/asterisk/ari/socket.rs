//! One WebSocket of events: opened, kept alive, read.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::model::Timestamp;
use crate::ports::Clock;

/// After so long a silence the other side is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(5);

/// After so long a silence it is not.
const DEAD: Duration = Duration::from_secs(15);

/// An open socket.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    heard_at: Timestamp,
    asked_at: Timestamp,
}

impl Socket {
    /// Opens one.
    ///
    /// # Errors
    /// When it cannot be opened; without the address, which holds a password.
    pub async fn open(url: &str, now: Timestamp) -> Result<Self, String> {
        let (stream, _) =
            connect_async_with_config(url, None, true).await.map_err(|error| error.to_string().replace(url, "…"))?;
        Ok(Self { stream, heard_at: now, asked_at: now })
    }

    /// The next event. May be dropped and called again.
    ///
    /// # Errors
    /// When the socket is closed, or silent for too long.
    pub async fn next(&mut self, clock: &dyn Clock) -> Result<Utf8Bytes, String> {
        loop {
            let look_at = (self.heard_at.max(self.asked_at) + SILENCE).min(self.heard_at + DEAD);
            tokio::select! {
                biased;
                frame = self.stream.next() => {
                    self.heard_at = clock.now();
                    match frame {
                        Some(Ok(Message::Text(text))) => return Ok(text),
                        Some(Ok(Message::Close(_))) | None => return Err("closed by the other side".to_owned()),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Err(error.to_string()),
                    }
                }
                () = clock.sleep_until(look_at) => {
                    let now = clock.now();
                    if now >= self.heard_at + DEAD {
                        return Err(format!("silent for {DEAD:?}"));
                    }
                    self.asked_at = now;
                    // A full buffer says as much as a missing answer; neither is waited for here.
                    let ping = self.stream.send(Message::Ping(Bytes::new()));
                    tokio::select! {
                        biased;
                        sent = ping => sent.map_err(|error| error.to_string())?,
                        () = clock.sleep_until(now + SILENCE) => {}
                    }
                }
            }
        }
    }
}
