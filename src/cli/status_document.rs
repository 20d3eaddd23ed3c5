//! The whole Status document of a request, written as it is read: however many calls there are, a page at a time is
//! in memory.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::{Error as _, SerializeSeq as _, Serializer};

use super::exit::Failure;
use crate::model::event::{CallContext, CallStatusHint};
use crate::model::status::{CallEntry, RequestSummary, StepLabel};
use crate::model::{CallId, RequestHeader, Timestamp};
use crate::ports::store::{CallSnapshot, StoreError};

/// What all entries of a request share.
pub struct Shared {
    /// Its header.
    pub header: Arc<RequestHeader>,
    /// Names and paths of its flow's steps.
    pub steps: Arc<[StepLabel]>,
    /// When it was sealed.
    pub queued_at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", bound = "P: Iterator<Item = Result<Vec<CallSnapshot>, StoreError>>")]
struct StatusDocument<'a, P> {
    #[serde(flatten)]
    summary: &'a RequestSummary,
    details: Details<'a, P>,
    next_cursor: Option<&'a str>,
}

struct Details<'a, P> {
    shared: &'a Shared,
    /// Serialising takes the document by shared reference; the pages are used up all the same, once.
    pages: RefCell<P>,
}

impl<P> Serialize for Details<'_, P>
where
    P: Iterator<Item = Result<Vec<CallSnapshot>, StoreError>>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_seq(None)?;
        let first = CallId::new(&self.shared.header.organisation, &self.shared.header.id, 0);
        for page in &mut *self.pages.borrow_mut() {
            for CallSnapshot { destination, status, history } in page.map_err(S::Error::custom)? {
                let context = CallContext {
                    header: Arc::clone(&self.shared.header),
                    steps: Arc::clone(&self.shared.steps),
                    call: first.sibling(destination.index),
                    destination,
                    queued_at: self.shared.queued_at,
                };
                entries.serialize_element(&CallEntry::fold(&context, CallStatusHint::Stored(status), &history))?;
            }
        }
        entries.end()
    }
}

/// Writes the document, and a line's end.
///
/// # Errors
/// When it cannot be written, or the store does not answer.
pub fn write<P>(out: &mut impl Write, summary: &RequestSummary, shared: &Shared, pages: P) -> Result<(), Failure>
where
    P: Iterator<Item = Result<Vec<CallSnapshot>, StoreError>>,
{
    let details = Details { shared, pages: RefCell::new(pages) };
    serde_json::to_writer(&mut *out, &StatusDocument { summary, details, next_cursor: None })?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}
