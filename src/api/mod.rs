//! What clients ask over HTTP: who they are, what they may, what their questions mean to the ports, and the document that
//! says all this to them.
//!
//! [`operations`] is the one table from which routes, their documentation and its tests are made. **Invariant:** whatever
//! is looked up is looked up in the organisation of the key that asked.

mod answer;
mod asked;
mod call_out;
mod calls;
mod commands;
mod disposition;
mod door;
mod events;
mod following;
mod notes;
mod numbers;
mod openapi;
mod operation;
mod operations;
mod organisation;
mod origin;
mod pace;
mod page;
mod recordings;
mod requests;
mod room;
mod router;
mod schedule;
pub mod schemas;
mod server;
mod status;
mod submit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::callflow::program::Gender;
use crate::policy::network::Network;
use crate::ports::{ApiKeys, CampaignStore, Clock, EventLog, Gate, RecordingArchive, RecordingIndex};
use crate::request::FlowCompiler;

pub use openapi::document;
pub use requests::RequestList;
pub use server::{Server, ServerError};
pub use status::{Shared, StatusDocument, entries};

use door::Door;
use events::Hub;
use room::Room;
use status::Flows;

/// What the interface asks of the world.
pub struct ApiPorts {
    /// The waiting room.
    pub store: Arc<dyn CampaignStore>,
    /// Who may ask.
    pub keys: Arc<dyn ApiKeys>,
    /// Where requests and commands go in.
    pub gate: Arc<dyn Gate>,
    /// What was published.
    pub events: Arc<dyn EventLog>,
    /// What was recorded.
    pub recordings: Arc<dyn RecordingIndex>,
    /// Where that is kept.
    pub archive: Arc<dyn RecordingArchive>,
    /// What understands flows, as workers do.
    pub flows: Arc<dyn FlowCompiler>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Numbers that nobody can guess, for ids of commands without one.
    pub random: Arc<dyn Fn() -> u128 + Send + Sync>,
}

/// What the interface is like.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Most destinations in a request over its parts.
    pub max_destinations: u32,
    /// Questions a second that one key may ask, and as many at once.
    pub requests_per_second: u32,
    /// Keys nobody was seen with lately that may be tried from one address in a second, and five times as many at once.
    pub unknown_keys_per_second: u32,
    /// Proxies that are believed whom they were asked by.
    pub trusted_proxies: Vec<Network>,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Most who listen to events at a time.
    pub event_streams: usize,
    /// Bytes of requests that are held at a time, in MiB; and of pages of calls on their way to clients as many again.
    pub body_mb: u32,
    /// Voices that calls out may name.
    pub voices: BTreeMap<String, SpokenVoice>,
    /// Installed flows, by the menus whose calls they are.
    pub menus: BTreeMap<String, String>,
}

/// A voice, as far as a message says which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpokenVoice {
    /// Its gender.
    pub gender: Gender,
    /// The language that it speaks (BCP 47); none: the default.
    pub language: Option<String>,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            max_destinations: 1_000_000,
            requests_per_second: 1_000,
            unknown_keys_per_second: 10,
            trusted_proxies: Vec::new(),
            max_connections: 4_096,
            event_streams: 1_000,
            body_mb: 256,
            voices: BTreeMap::new(),
            menus: BTreeMap::new(),
        }
    }
}

/// The interface.
pub struct Api {
    ports: ApiPorts,
    settings: ApiSettings,
    door: Door,
    flows: Flows,
    hub: Arc<Hub>,
    /// A permit for each who may listen to events.
    listening: Arc<Semaphore>,
    /// Room for bodies that are on their way.
    room: Room,
    /// Room for pages of calls that are on their way.
    pages: Room,
    /// Listings of live calls at a time: each reads all that an organisation has.
    listings: Room,
    /// Requests that are checked at a time: that takes a core each.
    desks: Arc<Semaphore>,
    /// A place for each recording that is read.
    readers: Room,
    /// The end has begun: streams, which have none of their own, end too.
    ending: CancellationToken,
}

/// Recordings that are read at a time, half of them for one organisation: each is a connection to a server that has calls to
/// carry, for as long as whoever asked takes over it.
const READERS: usize = 32;

/// Requests that are checked at a time.
const DESKS: usize = 2;

/// Listings of live calls that are read at a time: one of each organisation.
const LISTINGS: usize = 2;

/// How long the store may take for what one question needs.
const STORE_WITHIN: Duration = Duration::from_secs(10);

impl Api {
    /// The interface over some ports.
    pub fn new(ports: ApiPorts, settings: ApiSettings) -> Arc<Self> {
        let door = Door::new(Arc::clone(&ports.keys), settings.requests_per_second, settings.unknown_keys_per_second);
        let (room, pages) = (Room::of(settings.body_mb), Room::of(settings.body_mb));
        let (listings, readers) = (Room::of_places(LISTINGS), Room::of_places(READERS));
        let hub = Arc::new(Hub::new(Arc::clone(&ports.events), Arc::clone(&ports.clock)));
        let listening = Arc::new(Semaphore::new(settings.event_streams.min(Semaphore::MAX_PERMITS)));
        let (desks, flows) = (Arc::new(Semaphore::new(DESKS)), Flows::default());
        let ending = CancellationToken::new();
        Arc::new(Self { ports, settings, door, flows, hub, listening, room, pages, listings, desks, readers, ending })
    }

    /// What `future` gives, unless it takes longer than `bound`.
    async fn within<T>(&self, bound: Duration, future: impl Future<Output = T>) -> Option<T> {
        let clock = &*self.ports.clock;
        tokio::select! {
            biased;
            done = future => Some(done),
            () = clock.sleep_until(clock.now() + bound) => None,
        }
    }
}
