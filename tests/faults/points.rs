//! Points in the life of a destination at which something is broken, each recognised by what can be seen from outside.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;

use crate::deployment::Deployment;
use crate::evidence;
use crate::stream::Stream;
use crate::trouble::Line;

/// A point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A request is opened for loading.
    Intake,
    /// It is sealed, and not yet acknowledged.
    Seal,
    /// Destinations are claimed.
    Claim,
    /// A dial is committed to, and not yet sent.
    Commit,
    /// An INVITE has left.
    Dial,
    /// A callee has answered.
    Answer,
    /// A step has ended.
    Step,
    /// A leg has ended, and its attempt not yet.
    End,
    /// The end of a call is told, and the store not yet that it was.
    Publish,
}

pub const POINTS: [Point; 9] = [
    Point::Intake,
    Point::Seal,
    Point::Claim,
    Point::Commit,
    Point::Dial,
    Point::Answer,
    Point::Step,
    Point::End,
    Point::Publish,
];

impl Point {
    /// The connection over which the next thing goes out: it is held up, so that a worker that dies at the point dies
    /// before it.
    pub const fn held_up(self) -> Option<Line> {
        match self {
            Point::Seal => Some(Line::Broker),
            Point::Commit => Some(Line::Phones),
            _ => None,
        }
    }

    /// The database's operation that it is recognised by.
    const fn operation(self) -> Option<&'static str> {
        Some(match self {
            Point::Intake => "open",
            Point::Seal => "seal",
            Point::Claim => "claim",
            Point::Commit => "begin",
            Point::Dial | Point::Answer | Point::Step | Point::End | Point::Publish => return None,
        })
    }
}

/// Somebody who looks out for a point.
pub enum Lookout {
    /// Hears every operation of the database.
    Operations(&'static str, Lines<BufReader<TcpStream>>),
    /// Reads the log of dials.
    Dials(&'static str),
    /// Reads the stream of events.
    Events(&'static str),
}

impl Lookout {
    /// Begins to look out: a point that is reached from now on is seen.
    pub async fn begin(point: Point, deployment: &Deployment) -> Self {
        if let Some(operation) = point.operation() {
            let mut stream = TcpStream::connect(deployment.redis_address()).await.unwrap();
            stream.write_all(b"MONITOR\r\n").await.unwrap();
            let mut lines = BufReader::new(stream).lines();
            assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("+OK"));
            return Self::Operations(operation, lines);
        }
        match point {
            Point::Dial => Self::Dials("invite"),
            Point::Answer => Self::Dials("answered"),
            Point::End => Self::Dials("ended"),
            Point::Step => Self::Events("step.finished"),
            _ => Self::Events("call.ended"),
        }
    }

    /// Waits until it is reached.
    pub async fn sees(self, deployment: &Deployment, stream: &Arc<Stream>) -> Result<(), String> {
        match self {
            Self::Operations(operation, mut lines) => {
                let word = format!(" \"{operation}\" ");
                while let Some(line) = lines.next_line().await.map_err(|error| error.to_string())? {
                    if line.contains("\"FCALL\"") && line.contains(&word) {
                        return Ok(());
                    }
                }
                Err("the database has gone before the point was reached".to_owned())
            }
            Self::Dials(event) => {
                let log = deployment.dial_log();
                while !evidence::dials(&log).iter().any(|line| line.event == event) {
                    deployment.pause(std::time::Duration::from_millis(3)).await;
                }
                Ok(())
            }
            Self::Events(kind) => {
                stream.shows(|events| events.iter().any(|event| event.kind == kind)).await;
                Ok(())
            }
        }
    }
}
