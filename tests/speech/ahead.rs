//! Prompts made while earlier ones play: a worker on the simulated network, in virtual time, with a slow engine.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{MemoryCommandBus, MemoryEventBus, MemoryQueue, MemoryStore};
use robocall::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use robocall::adapters::speech::SilentSpeech;
use robocall::callflow::program::Utterance;
use robocall::dispatch::{FlowCatalogue, Ports, Programs, Shutdown, Worker, WorkerSettings};
use robocall::model::{OrganisationId, Timestamp};
use robocall::ports::store::{ProcessId, RequestKey};
use robocall::ports::{Audio, CampaignStore, Clock, Speech, SpeechError};
use serde_json::{Value, json};

/// How long the engine takes.
const SLOW: Duration = Duration::from_millis(700);

/// What is said that the engine never comes to the end of.
const ENDLESS: &str = "endless";

/// An answer that takes longer to say than the engine takes for what follows.
const YES: &str = "yes, that is the right key";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    Begun,
    Done,
    GivenUp,
}

type Log = Arc<Mutex<Vec<(String, Made, Timestamp)>>>;

/// An engine that takes its time, and remembers.
struct SlowSpeech {
    clock: Arc<dyn Clock>,
    silent: SilentSpeech,
    ready: Mutex<BTreeSet<String>>,
    log: Log,
}

/// Notes that a making was dropped before its end.
struct Attempt {
    text: String,
    clock: Arc<dyn Clock>,
    log: Log,
    is_done: bool,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let end = if self.is_done { Made::Done } else { Made::GivenUp };
        self.log.lock().unwrap().push((self.text.clone(), end, self.clock.now()));
    }
}

fn text(utterance: &Utterance) -> String {
    match utterance {
        Utterance::Text { text, .. } => text.to_string(),
        Utterance::Media(name) => name.to_string(),
    }
}

#[async_trait]
impl Speech for SlowSpeech {
    fn speaks(&self, language: &str) -> bool {
        self.silent.speaks(language)
    }
    fn is_ready(&self, utterance: &Utterance) -> bool {
        self.ready.lock().unwrap().contains(&text(utterance))
    }
    async fn prepare(&self, utterance: &Utterance) -> Result<Audio, SpeechError> {
        if !self.is_ready(utterance) {
            let text = text(utterance);
            self.log.lock().unwrap().push((text.clone(), Made::Begun, self.clock.now()));
            let is_endless = text == ENDLESS;
            let (clock, log) = (Arc::clone(&self.clock), Arc::clone(&self.log));
            let mut attempt = Attempt { text: text.clone(), clock, log, is_done: false };
            let long = if is_endless { Duration::from_secs(24 * 3600) } else { SLOW };
            self.clock.sleep_until(self.clock.now() + long).await;
            attempt.is_done = true;
            self.ready.lock().unwrap().insert(text);
        }
        self.silent.prepare(utterance).await
    }
}

/// A worker and everything around it.
struct World {
    clock: Arc<VirtualClock>,
    store: Arc<MemoryStore>,
    queue: Arc<MemoryQueue>,
    log: Log,
}

fn play<F: Future<Output = ()> + Send + 'static>(scene: impl FnOnce(World) -> F + Send + 'static) {
    let clock = Arc::new(VirtualClock::for_tests(Duration::from_secs(24 * 3600)));
    let time = Arc::clone(&clock);
    clock.run(async move { scene(World::new(time)).await }).unwrap();
}

impl World {
    fn new(clock: Arc<VirtualClock>) -> Self {
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let store = Arc::new(MemoryStore::new(Arc::clone(&time)));
        let queue = Arc::new(MemoryQueue::new());
        let network = SimulatedNetwork::new(Arc::clone(&time), NetworkSettings::default());
        let log = Log::default();
        let speech = Arc::new(SlowSpeech {
            clock: Arc::clone(&time),
            silent: SilentSpeech::new(),
            ready: Mutex::default(),
            log: Arc::clone(&log),
        });
        let ports = Ports {
            clock: time,
            queue: Arc::clone(&queue) as _,
            store: Arc::clone(&store) as _,
            events: Arc::new(MemoryEventBus::new([])),
            commands: Arc::new(MemoryCommandBus::new()),
            telephony: network.telephony(),
            speech: Arc::clone(&speech) as _,
        };
        let settings = WorkerSettings::new("worker".parse().unwrap(), ProcessId(1));
        let programs = Arc::new(Programs::new(FlowCatalogue::default(), speech));
        tokio::spawn(network.run());
        tokio::spawn(Worker::new(Arc::new(ports), programs, settings).run(Shutdown::default()));
        Self { clock, store, queue, log }
    }

    /// Calls somebody, and answers once that is over.
    async fn call(&self, phone: &str, steps: Value) {
        let organisation: OrganisationId = "org".parse().unwrap();
        let body = json!({"requestId": "r", "destinations": [{"phone": phone}], "callFlow": {"steps": steps}});
        let key = RequestKey { organisation: organisation.clone(), request: "r".parse().unwrap() };
        self.queue.publish(organisation, serde_json::to_vec(&body).unwrap()).unwrap().await.unwrap();
        while !self.store.request(&key).await.unwrap().summary.status.is_final() {
            self.clock.sleep_until(self.clock.now() + Duration::from_millis(100)).await;
        }
    }

    /// When something became of a text, if it did.
    fn when(&self, text: &str, what: Made) -> Vec<Timestamp> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|(said, made, _)| said == text && *made == what).map(|(.., at)| *at).collect()
    }
}

fn message(text: &str) -> Value {
    json!({"name": "play", "message": {"msg": text}})
}

#[test]
fn what_may_come_next_is_made_while_something_else_plays() {
    play(async |world: World| {
        let question = json!({"name": "gather", "message": {"msg": "a question"}, "branches": [
            {"digit": "1", "callFlow": {"steps": [message(YES)]}},
            {"default": true, "callFlow": {"steps": [message("no")]}},
        ]});
        // Answers, and presses 1.
        world.call("+99970000011", json!([message("good morning to you"), question, message("thank you")])).await;
        for text in ["good morning to you", "a question", YES, "no", "thank you"] {
            assert_eq!(world.when(text, Made::Begun).len(), 1, "{text}: {:?}", world.log.lock().unwrap());
            // The way that was not taken need not be made to its end.
            assert!(text == "no" || world.when(text, Made::Done).len() == 1, "{text}");
        }
        // Both ways, while the question is heard.
        assert_eq!(world.when("no", Made::Begun)[0].since(world.when(YES, Made::Begun)[0]), SLOW);
        let length = |text: &str| {
            let voice = crate::scene::voice("en", robocall::callflow::program::Gender::Female, 5, 5);
            let said = crate::scene::says(text, &voice);
            async move { SilentSpeech::new().prepare(&said).await.unwrap().length }
        };
        // The question began when the greeting was over, not later: nothing waited for it to be made.
        let (greeting, question) = (world.when("a question", Made::Begun)[0], world.when(YES, Made::Begun)[0]);
        assert_eq!(question.since(greeting), length("good morning to you").await);
    });
}

#[test]
fn what_is_being_made_is_given_up_when_the_call_ends() {
    play(async |world: World| {
        let begun = world.clock.now();
        // Answers, and hangs up 1.5 s later.
        world
            .call("+9996000001", json!([message("good morning, this is a rather long greeting"), message(ENDLESS)]))
            .await;
        let ended = world.clock.now();
        assert!(ended.since(begun) < Duration::from_secs(60), "nothing waits for it");
        let (since, until) = (world.when(ENDLESS, Made::Begun), world.when(ENDLESS, Made::GivenUp));
        assert_eq!((since.len(), until.len()), (1, 1));
        assert!(until[0].since(since[0]) < Duration::from_secs(5), "{since:?} {until:?}");
    });
}
