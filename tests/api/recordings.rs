//! What was recorded, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use reqwest::header;
use robocall::adapters::memory::{MemoryArchive, MemoryStore};
use robocall::conformance::ManualClock;
use robocall::conformance::store::scene::{Store, claim_and_dial, ends, finish, header_of, submit};
use robocall::model::{AttemptId, DispositionResult};
use robocall::ports::recordings::{Part, Sound};
use robocall::ports::store::AttemptEnd;
use robocall::ports::{ArchiveError, RecordingArchive};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::alone::{Slow, alone_over};
use crate::world::answered;

struct Recorded {
    http: reqwest::Client,
    address: String,
    key: String,
    attempt: AttemptId,
    clock: Arc<ManualClock>,
}

const PLACE: &str = "http://pbx/ari/recordings/stored/x/file";

/// A place where one recording is kept.
fn kept(bytes: &[u8]) -> Arc<MemoryArchive> {
    let archive = MemoryArchive::default();
    archive.keep(PLACE, bytes);
    Arc::new(archive)
}

/// A call of an organisation that was recorded, and the interface; its key is of `bank`.
async fn recorded(organisation: &str, archive: Arc<dyn RecordingArchive>) -> Recorded {
    let clock = Arc::new(ManualClock::default());
    let store = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
    let stored: Store = Arc::<MemoryStore>::clone(&store);
    submit(&stored, header_of(organisation, "r"), 1).await;
    let (claim, after) = claim_and_dial(&stored).await;
    let end = AttemptEnd { recording: Some(PLACE.into()), ..ends(DispositionResult::Answered) };
    finish(&stored, &claim.held, after, end).await;
    let (address, key) = alone_over(store, archive, Arc::<ManualClock>::clone(&clock), Arc::new(Slow::default())).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Recorded { http, address, key, attempt: claim.held.attempt, clock }
}

impl Recorded {
    fn ask(&self, id: impl std::fmt::Display) -> reqwest::RequestBuilder {
        self.http.get(format!("http://{}/v1/recordings/{id}", self.address)).bearer_auth(&self.key)
    }

    /// Status, what a head says of ranges, and the bytes.
    async fn part(&self, range: &str, if_range: Option<&str>) -> (u16, Option<String>, Vec<u8>) {
        let mut asked = self.ask(self.attempt).header(header::RANGE, range);
        if let Some(tag) = if_range {
            asked = asked.header(header::IF_RANGE, tag);
        }
        let answer = asked.send().await.unwrap();
        let said = answer.headers().get(header::CONTENT_RANGE).map(|said| said.to_str().unwrap().to_owned());
        (answer.status().as_u16(), said, answer.bytes().await.unwrap().to_vec())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_handed_out_whole_and_in_parts() {
    let sound: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    let recorded = recorded("bank", kept(&sound)).await;
    let whole = recorded.ask(recorded.attempt).send().await.unwrap();
    let head = |name: header::HeaderName| whole.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((whole.status().as_u16(), head(header::CONTENT_TYPE)), (200, "audio/wav".to_owned()));
    assert_eq!((head(header::CONTENT_LENGTH), head(header::ACCEPT_RANGES)), ("100000".to_owned(), "bytes".to_owned()));
    assert!(head(header::CONTENT_DISPOSITION).contains(&format!("{}.wav", recorded.attempt)));
    let tag = head(header::ETAG);
    assert_eq!(whole.bytes().await.unwrap(), sound);

    let part =
        |from: usize, to: usize| (206, Some(format!("bytes {from}-{}/100000", to - 1)), sound[from..to].to_vec());
    assert_eq!(recorded.part("bytes=0-0", None).await, part(0, 1));
    assert_eq!(recorded.part("bytes=20000-69999", None).await, part(20_000, 70_000));
    assert_eq!(recorded.part("bytes=99990-", None).await, part(99_990, 100_000));
    assert_eq!(recorded.part("bytes=-10", None).await, part(99_990, 100_000));
    assert_eq!(recorded.part("bytes=99990-999999", Some(&tag)).await, part(99_990, 100_000));
    let all = (200, None, sound.clone());
    assert_eq!(recorded.part("bytes=0-1", Some("\"another\"")).await, all, "of another recording");
    assert_eq!(recorded.part("bytes=0-1,5-6", None).await, all, "several are not understood");
    let (code, said, body) = recorded.part("bytes=100000-", None).await;
    assert_eq!((code, said.as_deref()), (416, Some("bytes */100000")));
    assert!(String::from_utf8(body).unwrap().contains("outOfRange"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_another_organisation_or_of_nobody_is_not_there() {
    let recorded = recorded("clinic", kept(b"RIFF")).await;
    let unknown = AttemptId { claim: 99, ..recorded.attempt };
    for attempt in [recorded.attempt, unknown] {
        assert_eq!(answered(recorded.ask(attempt)).await.refused(404).0, "notFound");
    }
    for id in
        ["x", "..%2F..%2Fetc", "0123456789abcdef0123-0", "0123456789abcdef0123-0.1.2", "0123456789abcdef0123-0.01"]
    {
        assert_eq!(answered(recorded.ask(id)).await.refused(400).1, ["recordingId"], "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_gone_is_not_found_and_no_empty_file() {
    let archive = kept(b"");
    let recorded = recorded("bank", Arc::<MemoryArchive>::clone(&archive)).await;
    assert_eq!(recorded.part("bytes=0-", None).await.0, 416, "it has no bytes");
    assert_eq!(recorded.ask(recorded.attempt).send().await.unwrap().bytes().await.unwrap().len(), 0);
    archive.delete(PLACE).await.unwrap();
    assert_eq!(answered(recorded.ask(recorded.attempt)).await.refused(404).0, "notFound");
}

/// Keeps a recording of which nothing comes.
struct Slowest;

#[async_trait]
impl RecordingArchive for Slowest {
    async fn open(&self, _: &str, part: Part) -> Result<Sound, ArchiveError> {
        Ok(Sound { size: 10, range: part.of(10), bytes: stream::pending().boxed() })
    }

    async fn delete(&self, _: &str) -> Result<(), ArchiveError> {
        Err(ArchiveError::Missing)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the interface is asked in real time")]
async fn whoever_takes_nothing_of_many_recordings_leaves_half_of_the_places_to_others() {
    let recorded = recorded("bank", Arc::new(Slowest)).await;
    let mut held = Vec::new();
    let refused = loop {
        let answer = recorded.ask(recorded.attempt).send().await.unwrap();
        match answer.status().as_u16() {
            200 => held.push(answer),
            _ => break answer,
        }
    };
    assert_eq!((refused.status().as_u16(), held.len()), (503, 16));
    held.clear();
    // Whoever has gone has no place any more.
    let freed = async { while recorded.ask(recorded.attempt).send().await.unwrap().status().as_u16() != 200 {} };
    tokio::time::timeout(Duration::from_secs(60), freed).await.unwrap();
}

/// Keeps a recording that is larger than all that lies between a server and a client.
struct Long;

/// How many bytes it has.
const LENGTH: usize = 64 << 20;

#[async_trait]
impl RecordingArchive for Long {
    async fn open(&self, _: &str, part: Part) -> Result<Sound, ArchiveError> {
        let pieces = stream::iter((0..LENGTH >> 16).map(|_| Ok(vec![7; 1 << 16])));
        Ok(Sound { size: LENGTH as u64, range: part.of(LENGTH as u64), bytes: pieces.boxed() })
    }

    async fn delete(&self, _: &str) -> Result<(), ArchiveError> {
        Err(ArchiveError::Missing)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_a_recording_a_little_at_a_time_is_cut_off() {
    let recorded = recorded("bank", Arc::new(Long)).await;
    let mut slow = TcpStream::connect(&recorded.address).await.unwrap();
    let (attempt, key) = (recorded.attempt, &recorded.key);
    let asked = format!("GET /v1/recordings/{attempt} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
    slow.write_all(asked.as_bytes()).await.unwrap();
    let (mut bytes, mut some) = (0, [0; 1 << 10]);
    // A KiB a second, on the server's clock.
    while let Ok(taken @ 1..) = slow.read(&mut some).await {
        bytes += taken;
        assert!(bytes < LENGTH, "they had all of it");
        recorded.clock.advance(Duration::from_secs(1));
    }
}
