//! Whether the broker can be reached at all and what it says it is: a handshake as far as its first word, which needs no
//! password. The client library keeps that word to itself.

use std::io::{Read, Write};
use std::time::Duration;

use lapin::tcp::TcpStream;
use lapin::types::parsing::parse_field_table;
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::{AMQPScheme, AMQPUri};
use serde::Serialize;

use super::client::ClientError;
use super::link::{address, trust, until, within};
use super::settings::AmqpSettings;
use crate::ports::Clock;

/// How long the name, the socket and TLS may take, and how long each word of the broker.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Most bytes of the broker's first word.
const MOST_BYTES: usize = 64 << 10;

/// Size of a frame's header: type, channel, size.
const HEADER: usize = 7;

/// Size of what precedes the properties: class, method, version.
const PREAMBLE: usize = 6;

/// A broker that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reachability {
    /// What it is, such as `RabbitMQ`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// What it runs on.
    pub platform: String,
    /// The name of its cluster.
    pub cluster: String,
    /// From the first packet to its first word, in milliseconds: three ways there and back or more.
    pub answered_in_millis: u64,
}

/// Asks the broker what it is. Says nothing about whether it will let us in: connecting does.
///
/// # Errors
/// When the address is none, nobody answers, or whoever answers is no broker.
pub async fn reachability(settings: &AmqpSettings, clock: &dyn Clock) -> Result<Reachability, ClientError> {
    let uri = address(settings).map_err(|error| ClientError::Refused(error.to_string()))?;
    let tls = trust(settings);
    let begun = clock.now();
    let asking = tokio::task::spawn_blocking(move || first_word(&uri, &tls));
    let told = until(clock, begun + ANSWERED_WITHIN * 3, asking).await;
    let properties = match told {
        Some(Ok(Ok(properties))) => properties,
        Some(Ok(Err(error))) => return Err(ClientError::Unavailable(error.to_string())),
        Some(Err(error)) => return Err(ClientError::Unavailable(error.to_string())),
        None => return Err(ClientError::Unavailable("no answer".to_owned())),
    };
    let say = |name: &str| match properties.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        _ => String::new(),
    };
    let answered_in_millis = u64::try_from(clock.now().since(begun).as_millis()).unwrap_or(u64::MAX);
    Ok(Reachability {
        product: say("product"),
        version: say("version"),
        platform: say("platform"),
        cluster: say("cluster_name"),
        answered_in_millis,
    })
}

impl super::client::Client {
    /// How long the broker takes for a question and its answer: the mean of `questions` in a row.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn round_trip(&self, questions: u32) -> Result<Duration, ClientError> {
        let live = self.live().await?;
        let clock = self.link().clock();
        let begun = clock.now();
        let asking = async {
            let channel = live.channel().await?;
            for _ in 0..questions.max(1) {
                channel.basic_qos(1, lapin::options::BasicQosOptions::default()).await?;
            }
            super::topology::close(&channel).await
        };
        match within(&**clock, ANSWERED_WITHIN, asking).await {
            // Opening and closing are questions, too.
            Some(answered) => answered.map(|()| clock.now().since(begun) / (questions.max(1) + 2)).map_err(Into::into),
            None => Err(ClientError::Unanswered(ANSWERED_WITHIN)),
        }
    }
}

fn first_word(uri: &AMQPUri, tls: &lapin::tcp::OwnedTLSConfig) -> std::io::Result<FieldTable> {
    let host = uri.authority.host.as_str();
    let stream = TcpStream::connect_timeout((host, uri.authority.port), ANSWERED_WITHIN)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
    stream.set_write_timeout(Some(ANSWERED_WITHIN))?;
    let mut stream = match uri.scheme {
        AMQPScheme::AMQP => stream,
        AMQPScheme::AMQPS => {
            stream.into_tls(host, tls.as_ref()).map_err(|error| std::io::Error::other(error.to_string()))?
        }
    };
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    stream.flush()?;
    read_start(&mut stream)
}

/// Reads the properties from the frame with which a broker begins.
fn read_start(stream: &mut impl Read) -> std::io::Result<FieldTable> {
    let stranger = || std::io::Error::new(std::io::ErrorKind::InvalidData, "whoever answers there is no AMQP broker");
    let mut header = [0; HEADER];
    stream.read_exact(&mut header)?;
    let [kind, channel @ .., s1, s2, s3, s4] = header;
    let size = usize::try_from(u32::from_be_bytes([s1, s2, s3, s4])).map_err(|_| stranger())?;
    if kind != 1 || channel != [0, 0] || size > MOST_BYTES {
        return Err(stranger());
    }
    let mut frame = vec![0; size];
    stream.read_exact(&mut frame)?;
    // Connection.Start is method 10 of class 10.
    let properties = frame.strip_prefix(&[0, 10, 0, 10]).and_then(|_| frame.get(PREAMBLE..)).ok_or_else(stranger)?;
    parse_field_table(properties).map(|(_, properties)| properties).map_err(|_| stranger())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_no_broker_is_told_from_one() {
        let read = |bytes: &[u8]| read_start(&mut &*bytes);
        assert!(read(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err());
        assert!(read(b"AMQP\x00\x00\x09\x01").is_err());
        assert!(read(b"").is_err());
        assert!(read(&[1, 0, 0, 0, 0, 0, 2, 0, 10]).is_err());
        let start = [1, 0, 0, 0, 0, 0, 10, 0, 10, 0, 10, 0, 9, 0, 0, 0, 0];
        assert_eq!(read(&start).unwrap(), FieldTable::default());
    }
}
