//! Requests on their way in.

use std::io::{BufRead, Cursor};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::status::RequestSummary;
use crate::model::{OrganisationId, TraceParent};

/// Why the queue did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No answer came; the delivery will come again.
    #[error("the request queue does not answer: {0}")]
    Unavailable(String),
    /// The delivery is this consumer's no more: it comes again, to whoever is there.
    #[error("the delivery is no longer this consumer's: it comes again")]
    Stale,
    /// The message is larger than the queue takes.
    #[error("a message may have {limit} bytes, this one has {size}")]
    TooLarge {
        /// Most bytes a message may have.
        limit: u64,
        /// Bytes this one has.
        size: u64,
    },
}

/// The text of a request; read twice, so it can be opened again.
#[derive(Clone, Debug)]
pub enum RequestBody {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// On disk; may be larger than memory.
    File(PathBuf),
}

impl RequestBody {
    /// Opens the text from its beginning.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(&self) -> std::io::Result<Box<dyn BufRead + Send>> {
        Ok(match self {
            RequestBody::Bytes(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
            RequestBody::File(path) => Box::new(std::io::BufReader::with_capacity(1 << 16, std::fs::File::open(path)?)),
        })
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Names the delivery towards the queue.
    pub tag: u64,
    /// The tenant: from the routing key, never from the body.
    pub organisation: OrganisationId,
    /// The request itself.
    pub body: RequestBody,
    /// What it is a part of for whoever sent it.
    pub trace: Option<TraceParent>,
    /// Most bytes the body may have; none for local files.
    pub max_bytes: Option<u64>,
}

/// What becomes of a delivery.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Sealed, or known before.
    Accepted(RequestSummary),
    /// Durably rejected: the message goes to the dead letters.
    Rejected(RequestSummary),
}

/// Requests on their way in.
#[async_trait]
pub trait RequestQueue: Send + Sync + 'static {
    /// The next delivery; waits for it. None when the queue is closed for good.
    ///
    /// # Errors
    /// When the queue does not answer; asking again is right.
    async fn next(&self) -> Result<Option<Delivery>, QueueError>;

    /// Acknowledges a delivery that is sealed or durably rejected, tells whoever asked, and files a rejected message
    /// with the dead letters. Before this, nothing of it is lost: it would be delivered again.
    ///
    /// # Errors
    /// [`QueueError::Stale`] if it has been given to another meanwhile; otherwise when the queue does not answer.
    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), QueueError>;
}
