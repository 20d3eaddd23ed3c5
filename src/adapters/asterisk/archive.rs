//! Recordings that Asterisk keeps: each node its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::ari::http::{Answer, Ask, Http, InvalidAddress};
use super::settings::NodeSettings;
use crate::ports::recordings::{Part, Sound};
use crate::ports::{ArchiveError, Clock, RecordingArchive, TelephonyError};

/// How long each piece of a recording is waited for.
const PIECE_WITHIN: Duration = Duration::from_secs(10);

/// The recordings of some nodes.
pub struct AsteriskArchive {
    nodes: Vec<Http>,
    clock: Arc<dyn Clock>,
}

impl AsteriskArchive {
    /// The recordings of these nodes; nothing is asked yet.
    ///
    /// # Errors
    /// When an address is none.
    pub fn new(nodes: &[NodeSettings], clock: Arc<dyn Clock>) -> Result<Self, InvalidAddress> {
        let http =
            |node: &NodeSettings| Http::new(&node.url, &node.user, &node.password, Arc::clone(&clock), PIECE_WITHIN);
        Ok(Self { nodes: nodes.iter().map(http).collect::<Result<_, _>>()?, clock })
    }

    /// The node that keeps it, and what it calls it there: a place that was written down is not followed anywhere else.
    fn find<'a>(&self, place: &'a str) -> Result<(&Http, &'a str), ArchiveError> {
        let found = self.nodes.iter().find_map(|node| Some((node, place.strip_prefix(&*node.address_of(""))?)));
        let (node, path) = found.ok_or(ArchiveError::Elsewhere)?;
        let name = path.strip_prefix("recordings/stored/").and_then(|rest| rest.strip_suffix("/file"));
        let is_name = |name: &&str| !name.is_empty() && !name.contains(['/', '?', '#', '\\']) && !name.starts_with('.');
        Ok((node, name.filter(is_name).ok_or(ArchiveError::Elsewhere)?))
    }
}

fn unavailable(error: TelephonyError) -> ArchiveError {
    ArchiveError::Unavailable(error.to_string())
}

#[async_trait]
impl RecordingArchive for AsteriskArchive {
    /// Asterisk knows no ranges: what comes before the wanted part is read and let go of.
    async fn open(&self, place: &str, part: Part) -> Result<Sound, ArchiveError> {
        let (node, name) = self.find(place)?;
        let file = node.open(&format!("recordings/stored/{name}/file")).await.map_err(unavailable)?;
        let file = file.ok_or(ArchiveError::Missing)?;
        let size = file.content_length().ok_or_else(|| ArchiveError::Unavailable("it does not say its size".into()))?;
        let range = part.of(size);
        let (skip, left) = range.as_ref().map_or((0, 0), |range| (range.start, range.end - range.start));
        let clock = Arc::clone(&self.clock);
        let pieces = stream::try_unfold((file, skip, left), move |(mut file, mut skip, left)| {
            let clock = Arc::clone(&clock);
            async move {
                if left == 0 {
                    return Ok(None);
                }
                loop {
                    let late = clock.sleep_until(clock.now() + PIECE_WITHIN);
                    let piece = tokio::select! {
                        biased;
                        piece = file.chunk() => piece.map_err(|error| ArchiveError::Unavailable(error.to_string()))?,
                        () = late => return Err(ArchiveError::Unavailable("no answer in time".to_owned())),
                    };
                    let Some(piece) = piece else {
                        return Err(ArchiveError::Unavailable("it has ended early".to_owned()));
                    };
                    let length = piece.len() as u64;
                    let (from, to) = (skip.min(length), (skip.saturating_add(left)).min(length));
                    skip -= from;
                    if from < to {
                        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                        let wanted = piece[place(from)..place(to)].to_vec();
                        return Ok(Some((wanted, (file, skip, left - (to - from)))));
                    }
                }
            }
        });
        Ok(Sound { size, range, bytes: pieces.boxed() })
    }

    async fn delete(&self, place: &str) -> Result<(), ArchiveError> {
        let (node, name) = self.find(place)?;
        let not_after = self.clock.now() + PIECE_WITHIN;
        match node.ask(Ask::delete(format!("recordings/stored/{name}"), not_after)).await.map_err(unavailable)? {
            Answer::Done(_) => Ok(()),
            Answer::Missing => Err(ArchiveError::Missing),
            Answer::Refused(status, reason) => Err(ArchiveError::Unavailable(format!("{status}: {reason}"))),
        }
    }
}
