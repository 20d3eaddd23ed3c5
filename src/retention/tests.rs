use super::*;
use crate::adapters::memory::{MemoryArchive, MemoryStore};
use crate::conformance::ManualClock;
use crate::conformance::store::scene::*;
use crate::model::DispositionResult;
use crate::ports::recordings::{Part, Sound};
use crate::ports::store::{AttemptEnd, Claim};
use async_trait::async_trait;

/// An archive of which one server does not answer.
struct HalfDead(MemoryArchive);

#[async_trait]
impl RecordingArchive for HalfDead {
    async fn open(&self, place: &str, part: Part) -> Result<Sound, ArchiveError> {
        self.0.open(place, part).await
    }

    async fn delete(&self, place: &str) -> Result<(), ArchiveError> {
        match place.starts_with("http://dead/") {
            true => Err(ArchiveError::Unavailable("no answer".to_owned())),
            false => self.0.delete(place).await,
        }
    }
}

struct World {
    store: Arc<MemoryStore>,
    archive: Arc<HalfDead>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
        Self { store, archive: Arc::new(HalfDead(MemoryArchive::default())), clock }
    }

    fn retention(&self, usual: Option<Duration>) -> Retention {
        Retention {
            store: Arc::<MemoryStore>::clone(&self.store),
            recordings: Arc::<MemoryStore>::clone(&self.store),
            archive: Arc::<HalfDead>::clone(&self.archive),
            clock: Arc::<ManualClock>::clone(&self.clock),
            usual,
        }
    }

    /// An organisation's calls that were recorded, at these places.
    async fn record(&self, organisation: &str, places: &[&str]) {
        let store: Store = Arc::<MemoryStore>::clone(&self.store);
        submit(&store, header_of(organisation, "r"), u32::try_from(places.len()).unwrap()).await;
        for place in places {
            self.archive.0.keep(place, b"RIFF");
            let (Claim { held, .. }, after) = claim_and_dial(&store).await;
            let recording = Some((*place).into());
            finish(&store, &held, after, AttemptEnd { recording, ..ends(DispositionResult::Answered) }).await;
        }
    }

    async fn is_kept(&self, place: &str) -> bool {
        self.archive.open(place, Part::Whole).await.is_ok()
    }

    async fn known(&self, organisation_: &str) -> usize {
        let ever = self.clock.now() + Duration::from_secs(1);
        self.store.recordings_before(&organisation(organisation_), ever, None, 999).await.unwrap().len()
    }
}

#[tokio::test]
async fn a_recording_is_kept_as_long_as_its_organisation_wants_and_no_longer() {
    let world = World::new();
    let store: Store = Arc::<MemoryStore>::clone(&world.store);
    world.record("bank", &["http://a/1"]).await;
    world.record("clinic", &["http://a/2"]).await;
    world.record("shop", &["http://a/3"]).await;
    set(&store, "bank", |settings| settings.recording_retention_secs = Some(60)).await;
    set(&store, "clinic", |settings| settings.recording_retention_secs = Some(7200)).await;
    world.clock.advance(secs(60));
    assert_eq!(world.retention(None).sweep().await, Ok(Swept::default()), "not before the time is over");
    world.clock.advance(secs(1));
    assert_eq!(world.retention(None).sweep().await, Ok(Swept { deleted: 1, kept: 0 }));
    assert!(!world.is_kept("http://a/1").await && world.is_kept("http://a/2").await);
    assert_eq!((world.known("bank").await, world.known("clinic").await), (0, 1));
    world.clock.advance(secs(3600));
    let swept = world.retention(Some(Duration::from_secs(3600))).sweep().await;
    assert_eq!(swept, Ok(Swept { deleted: 1, kept: 0 }), "what the operator says is for those who say nothing");
    assert!(world.is_kept("http://a/2").await && !world.is_kept("http://a/3").await);
}

#[tokio::test]
async fn what_cannot_be_deleted_stays_known_and_does_not_stand_in_the_way() {
    let world = World::new();
    world.record("bank", &["http://dead/1", "http://dead/2", "http://a/1", "http://a/2"]).await;
    world.archive.0.delete("http://a/1").await.unwrap();
    world.clock.advance(secs(61));
    let retention = world.retention(Some(Duration::from_secs(60)));
    assert_eq!(retention.sweep().await, Ok(Swept { deleted: 2, kept: 2 }), "one was deleted before, and is forgotten");
    assert_eq!(world.known("bank").await, 2);
    assert_eq!(retention.sweep().await, Ok(Swept { deleted: 0, kept: 2 }));
}

#[tokio::test]
async fn however_many_stay_those_behind_them_are_deleted() {
    let world = World::new();
    let places: Vec<String> = (0..250).map(|number| format!("http://dead/{number}")).collect();
    let mut places: Vec<&str> = places.iter().map(String::as_str).collect();
    places.push("http://a/1");
    world.record("bank", &places).await;
    world.clock.advance(secs(61));
    let retention = world.retention(Some(Duration::from_secs(60)));
    assert_eq!(retention.sweep().await, Ok(Swept { deleted: 1, kept: 250 }));
    assert!(!world.is_kept("http://a/1").await);
}
