//! `/v1/recordings`: what was recorded of a call, whole or in part.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::Api;
use super::answer::{Refusal, plain};
use super::asked::Asked;
use super::pace::paced;
use crate::model::AttemptId;
use crate::ports::ArchiveError;
use crate::ports::recordings::{Part, Sound};

impl From<ArchiveError> for Refusal {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Missing => Self::not_found("the recording is kept no more"),
            ArchiveError::Elsewhere => {
                tracing::error!("a recording is kept by a server that is not configured");
                Self::not_found("the recording is kept where nothing is configured")
            }
            ArchiveError::Unavailable(why) => {
                tracing::warn!(why, "a recording cannot be read");
                Self::unavailable("the server that keeps the recording does not answer")
            }
        }
    }
}

/// Hands a recording out.
pub(super) async fn download(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    let attempt: AttemptId = asked.path("recordingId")?;
    let found = api.ask(api.ports.recordings.recording(asked.organisation(), attempt)).await?;
    let found =
        found.ok_or_else(|| Refusal::not_found(format!("there is no recording {attempt} of a call that is over")))?;
    let place = api.readers.try_one(asked.organisation());
    let place = place.ok_or_else(|| Refusal::unavailable("too many recordings are read at this moment"))?;
    let tag = format!("\"{attempt}\"");
    let part = wanted(&asked.headers, &tag);
    let Sound { size, range, bytes } = api.ports.archive.open(&found.place, part).await?;
    let Some(range) = range else {
        let mut response = Refusal::out_of_range(format!("the recording has {size} bytes")).respond();
        set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
        return Ok(response);
    };
    let is_part = part != Part::Whole;
    let mut response = plain(if is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK });
    let length = range.end - range.start;
    let taken = paced(bytes, Arc::clone(&api.ports.clock), asked.connection, place);
    *response.body_mut() = Body::from_stream(taken);
    set(&mut response, header::CONTENT_TYPE, "audio/wav");
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    set(&mut response, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{attempt}.wav\""));
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::ETAG, &tag);
    if is_part {
        let last = range.end.saturating_sub(1);
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {}-{last}/{size}", range.start));
    }
    Ok(response)
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// What a head asks for. Whatever is not one range of bytes is no range at all, as the standard has it (RFC 9110, 14.2),
/// and so is one of another recording.
fn wanted(headers: &HeaderMap, tag: &str) -> Part {
    let is_of_it = headers.get(header::IF_RANGE).is_none_or(|known| known.as_bytes() == tag.as_bytes());
    let range = headers.get(header::RANGE).filter(|_| is_of_it).and_then(|range| range.to_str().ok());
    range.and_then(read_range).unwrap_or(Part::Whole)
}

fn read_range(text: &str) -> Option<Part> {
    let (unit, range) = text.split_once('=')?;
    let (from, to) = range.trim().split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes"))?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        // What is too large to be counted lies behind every end.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (from, to) {
        ("", last) => number(last).map(Part::Last),
        (from, "") => number(from).map(Part::From),
        (from, to) => {
            let (from, to) = (number(from)?, number(to)?);
            (from <= to).then_some(Part::Between(from, to))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_understood_and_nothing_else() {
        for (text, part) in [
            ("bytes=0-0", Part::Between(0, 0)),
            ("Bytes = 5-9", Part::Between(5, 9)),
            ("bytes=5-", Part::From(5)),
            ("bytes=-5", Part::Last(5)),
            ("bytes=0-99999999999999999999", Part::Between(0, u64::MAX)),
        ] {
            assert_eq!(read_range(text), Some(part), "{text}");
        }
        for text in ["bytes", "bytes=", "bytes=-", "bytes=9-5", "bytes=1-2,4-5", "lines=1-2", "bytes=a-b", "bytes=+1-2"]
        {
            assert_eq!(read_range(text), None, "{text}");
        }
    }

    #[test]
    fn what_lies_behind_the_end_is_nothing() {
        assert_eq!(Part::Whole.of(10), Some(0..10));
        assert_eq!(Part::Whole.of(0), Some(0..0));
        assert_eq!(Part::From(9).of(10), Some(9..10));
        assert_eq!(Part::From(10).of(10), None);
        assert_eq!(Part::Between(3, u64::MAX).of(10), Some(3..10));
        assert_eq!(Part::Between(10, 11).of(10), None);
        assert_eq!((Part::Last(3).of(10), Part::Last(30).of(10)), (Some(7..10), Some(0..10)));
        assert_eq!((Part::Last(0).of(10), Part::Last(3).of(0)), (None, None));
    }
}
