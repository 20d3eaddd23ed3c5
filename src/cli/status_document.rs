//! The whole Status document of a request, written as it is read: however many calls there are, two pages at a time
//! are in memory.

use std::io::Write;
use std::thread;

use super::exit::Failure;
use crate::api;
use crate::model::status::RequestSummary;
use crate::ports::store::CallSnapshot;

pub use crate::api::Shared;

/// Writes the document of some calls, and a line's end. `next`: where those begin that are not among them.
///
/// # Errors
/// When it cannot be written, or the store does not answer.
pub fn write<P, E>(
    out: &mut impl Write,
    summary: &RequestSummary,
    shared: Option<&Shared>,
    mut pages: P,
    next: Option<u32>,
) -> Result<(), Failure>
where
    P: Iterator<Item = Result<Vec<CallSnapshot>, E>>,
    Failure: From<E>,
{
    // A request that was refused has no calls.
    let mut next_page = || match shared {
        Some(shared) => pages.next().transpose().map(|page| page.map(|page| (shared, page))),
        None => Ok(None),
    };
    // The calls go into the summary's object, behind its last field.
    let object = serde_json::to_vec(summary)?;
    out.write_all(object.strip_suffix(b"}").unwrap_or(&object))?;
    out.write_all(br#","details":["#)?;
    let mut separator: &[u8] = b"";
    while let Some((shared, page)) = next_page()? {
        for entries in in_parallel(shared, page, next_page()?.map(|(_, page)| page))? {
            out.write_all(separator)?;
            out.write_all(&entries)?;
            separator = b",";
        }
    }
    match next {
        Some(next) => writeln!(out, "],\"nextCursor\":\"{next}\"}}")?,
        None => out.write_all(b"],\"nextCursor\":null}\n")?,
    }
    out.flush()?;
    Ok(())
}

/// The entries of a page and, on a second core, of the page after it: rendering is nearly all that the document costs.
fn in_parallel(
    shared: &Shared,
    page: Vec<CallSnapshot>,
    after: Option<Vec<CallSnapshot>>,
) -> Result<Vec<Vec<u8>>, Failure> {
    let Some(after) = after else { return Ok(vec![entries(shared, page)?]) };
    thread::scope(|scope| {
        let after = thread::Builder::new().spawn_scoped(scope, || entries(shared, after))?;
        let page = entries(shared, page)?;
        let after = after.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(vec![page, after])
    })
}

/// The entries of a page, with commas between them.
fn entries(shared: &Shared, page: Vec<CallSnapshot>) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::new();
    api::entries(shared, page, &mut text)?;
    Ok(text)
}
