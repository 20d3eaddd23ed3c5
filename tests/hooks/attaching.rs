//! Recordings that are attached where an operator's template asks for them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{MemoryArchive, MemoryStore};
use robocall::config;
use robocall::conformance::store::scene::{Store, claim_and_dial, ends, finish, header_of, submit};
use robocall::model::{AttemptId, DispositionResult, Organisation};
use robocall::ports::recordings::{Part, Sound};
use robocall::ports::store::AttemptEnd;
use robocall::ports::{ArchiveError, CampaignStore as _, Clock as _, RecordingArchive};
use serde_json::json;

use super::world::*;

const DESK: &str = "https://desk.example/telephony/calls/key/";
const PLACE: &str = "http://pbx/ari/recordings/stored/x/file";

/// The shipped template, asked for recordings as its comment says.
fn templates() -> robocall::hooks::Templates {
    let shipped = include_str!("../../config/hooks/create_call.toml");
    let asked = shipped.replace("# recording = ", "recording = ");
    assert_ne!(shipped, asked);
    let folder = std::env::temp_dir().join(format!("robocall-test-{}-attaching", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("create_call.toml"), asked).unwrap();
    config::Hooks { templates: folder, ..config::Hooks::default() }.templates().unwrap()
}

/// A call of `bank` that was recorded, and a deliverer.
async fn world(clock: &VirtualClock, archive: Arc<dyn RecordingArchive>) -> (World, AttemptId) {
    let mut world = World::new(clock, |_, _, _| Does::Answers(Duration::from_millis(50), 200));
    (world.archive, world.templates) = (archive, templates());
    let store: Store = Arc::<MemoryStore>::clone(&world.campaigns);
    submit(&store, header_of("bank", "r"), 1).await;
    let (claim, after) = claim_and_dial(&store).await;
    let end = AttemptEnd { recording: Some(PLACE.into()), ..ends(DispositionResult::Answered) };
    finish(&store, &claim.held, after, end).await;
    let hooks = serde_json::from_value(json!([{"url": DESK, "template": "create_call"}])).unwrap();
    let settings = world.campaigns.organisation(&bank()).await.unwrap();
    world.campaigns.set_organisation(&bank(), Organisation { hooks, ..settings }).await.unwrap();
    world.start();
    world.seconds(1).await;
    (world, claim.held.attempt)
}

impl World {
    fn tell(&self, attempt: AttemptId, seq: u32, kind: &str) -> String {
        let id = format!("{attempt}.{seq}");
        let data = json!({"callId": attempt.call, "destination": "+6588893322", "disposition": {"result": "answered"}});
        let subject = format!("r/{}", attempt.call);
        let event = json!({"id": id, "type": format!("robocall.{kind}"), "subject": subject, "data": data});
        self.log.push(bank(), kind, serde_json::to_vec(&event).unwrap());
        id
    }

    /// What came under an id.
    fn came(&self, id: &str) -> Option<Got> {
        self.receivers.got().into_iter().find(|got| got.id == id)
    }
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    body.windows(wanted.len()).any(|window| window == wanted)
}

fn is_attached(got: &Got) -> bool {
    contains(&got.body, b"name=\"audio_record\"; filename=\"")
}

#[test]
fn the_recording_comes_with_the_end_of_its_call_and_with_nothing_else() {
    play(1, |clock| async move {
        let archive = Arc::new(MemoryArchive::default());
        let sound: Vec<u8> = (0..70_000_u32).map(|at| (at % 251) as u8).chain(*b"\r\n--").collect();
        archive.keep(PLACE, &sound);
        let (world, attempt) = world(&clock, archive).await;
        let answered = world.tell(attempt, 3, "call.answered");
        let ended = world.tell(attempt, 7, "call.ended");
        world.seconds(2).await;
        assert!(!is_attached(&world.came(&answered).unwrap()));
        let got = world.came(&ended).unwrap();
        let head = format!("filename=\"{attempt}.wav\"\r\nContent-Type: audio/wav\r\n\r\n");
        assert!(contains(&got.body, &[head.as_bytes(), &sound, b"\r\n--"].concat()));
        assert!(contains(&got.body, b"name=\"call_status\"\r\n\r\nanswered\r\n"));
        // Another attempt was not recorded.
        let other = world.tell(AttemptId { claim: attempt.claim + 1, ..attempt }, 9, "call.ended");
        world.seconds(2).await;
        assert!(!is_attached(&world.came(&other).unwrap()));
    });
}

#[test]
fn a_recording_that_is_not_there_yet_is_waited_for_and_holds_up_no_other_call() {
    play(1, |clock| async move {
        let archive = Arc::new(MemoryArchive::default());
        let (world, attempt) = world(&clock, Arc::<MemoryArchive>::clone(&archive)).await;
        let ended = world.tell(attempt, 7, "call.ended");
        world.seconds(20).await;
        assert!(world.came(&ended).is_none(), "it waits");
        let other = world.publish(9, 1, "call.ended");
        world.seconds(1).await;
        assert!(world.came(&other).is_some());
        archive.keep(PLACE, b"RIFF");
        world.seconds(3).await;
        assert!(is_attached(&world.came(&ended).unwrap()));
    });
}

#[test]
fn a_recording_that_never_comes_is_too_large_or_is_kept_no_more_does_not_hold_the_event_up() {
    play(1, |clock| async move {
        let archive = Arc::new(MemoryArchive::default());
        let (world, attempt) = world(&clock, Arc::<MemoryArchive>::clone(&archive)).await;
        let ended = world.tell(attempt, 7, "call.ended");
        world.seconds(70).await;
        assert!(!is_attached(&world.came(&ended).unwrap()), "a minute is enough");
        archive.keep(PLACE, &[0; (1 << 20) + 1]);
        let large = world.tell(attempt, 8, "call.ended");
        world.seconds(2).await;
        assert!(!is_attached(&world.came(&large).unwrap()), "at once");
        archive.keep(PLACE, &[0; 1 << 20]);
        let largest = world.tell(attempt, 9, "call.ended");
        world.seconds(2).await;
        assert!(is_attached(&world.came(&largest).unwrap()));
        robocall::ports::RecordingIndex::forget_recording(&*world.campaigns, &bank(), attempt).await.unwrap();
        let forgotten = world.tell(attempt, 10, "call.ended");
        world.seconds(2).await;
        assert!(!is_attached(&world.came(&forgotten).unwrap()));
    });
}

/// Never says anything.
struct Silent;

#[async_trait]
impl RecordingArchive for Silent {
    async fn open(&self, _: &str, _: Part) -> Result<Sound, ArchiveError> {
        std::future::pending().await
    }
    async fn delete(&self, _: &str) -> Result<(), ArchiveError> {
        std::future::pending().await
    }
}

#[test]
fn a_server_that_never_answers_does_not_hold_the_event_up_for_ever() {
    play(1, |clock| async move {
        let (world, attempt) = world(&clock, Arc::new(Silent)).await;
        let told_at = clock.now();
        let ended = world.tell(attempt, 7, "call.ended");
        world.seconds(120).await;
        let got = world.came(&ended).unwrap();
        assert!(!is_attached(&got) && got.at.since(told_at) < Duration::from_secs(100));
    });
}
