//! Events on their way to webhooks: each at least once, those of a call in their order, and no receiver to another's harm.
//!
//! One deliverer reads the log of events and keeps, for each endpoint, what it has yet to be sent. Decisions are pure
//! (`desk`, `turns`, `endpoint`, `verdict`, `template`, `signature`); `deliverer` drives the ports.
//!
//! **Invariants**
//! - What the log's position has passed was wanted by nobody, or waits in the store, or is behind the cursor of an endpoint
//!   that lags.
//! - Nothing is sent without the lead, nor after the time until which it is sure.

mod attaching;
mod deliverer;
pub mod desk;
pub mod endpoint;
mod reading;
mod sending;
pub mod signature;
mod subscribers;
pub mod template;
mod turns;
pub mod verdict;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::hook::TemplateName;
use crate::ports::hooks::{EventLog, HookSender, HookStore};
use crate::ports::store::ProcessId;
use crate::ports::{CampaignStore, Clock, RecordingArchive, RecordingIndex};
use crate::telemetry::deployment as telemetry;

use attaching::Recordings;
use deliverer::{Ended, Leader};
pub use endpoint::Rules;
use sending::Office;
pub use template::{Template, TemplateDocument};

/// How long the lead is another's at most after its holder has died, and how much of that its holder makes use of, counted
/// from when it asked.
const LIFE: Duration = Duration::from_secs(30);
const SURE: Duration = Duration::from_secs(20);

/// How soon the lead is asked for again.
const AGAIN: Duration = Duration::from_secs(3);

/// How long what is on its way may take to come to its end after the end was asked for, and how long everything else may
/// besides: writing down what came of it, leaving the lead.
const GRACE: Duration = Duration::from_secs(5);
const LEFT_WITHIN: Duration = Duration::from_secs(3);

/// Templates by their names.
pub type Templates = BTreeMap<TemplateName, Template>;

/// What delivering asks of the world.
pub struct HookPorts {
    /// Where events are read.
    pub log: Arc<dyn EventLog>,
    /// Where what is not delivered is kept.
    pub store: Arc<dyn HookStore>,
    /// Who sends.
    pub sender: Arc<dyn HookSender>,
    /// Where hooks of organisations and requests are.
    pub campaigns: Arc<dyn CampaignStore>,
    /// Which recordings there are.
    pub recordings: Arc<dyn RecordingIndex>,
    /// Where they are kept.
    pub archive: Arc<dyn RecordingArchive>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// How events are delivered.
#[derive(Clone, Copy, Debug)]
pub struct HookSettings {
    /// This process.
    pub process: ProcessId,
    /// What an endpoint may have.
    pub rules: Rules,
    /// Messages on their way at a time, to all endpoints.
    pub connections: usize,
    /// How long a message may take.
    pub within: Duration,
    /// Bytes of the largest recording that is attached.
    pub recording_bytes: u64,
    /// Bytes of recordings that are held at a time; the largest fits in any case.
    pub recordings_bytes: u64,
}

/// Delivers events whenever this process has the lead, until told to stop: then what is on its way has five seconds to come to
/// its end, the rest is another's, and everything is over three seconds later at most.
pub async fn deliver(
    ports: Arc<HookPorts>,
    settings: HookSettings,
    templates: Arc<Templates>,
    stop: CancellationToken,
) {
    let clock = Arc::clone(&ports.clock);
    let late = async {
        stop.cancelled().await;
        clock.sleep_until(clock.now() + GRACE + LEFT_WITHIN).await;
    };
    tokio::select! {
        biased;
        () = deliver_until(ports, settings, templates, stop.clone()) => {}
        // It can be dropped anywhere: what it has not written down is sent again, and its lead runs out.
        () = late => tracing::warn!("the database does not answer: webhooks are left as they are"),
    }
}

async fn deliver_until(
    ports: Arc<HookPorts>,
    settings: HookSettings,
    templates: Arc<Templates>,
    stop: CancellationToken,
) {
    let clock = Arc::clone(&ports.clock);
    let office = Arc::new(Office {
        ports: Arc::clone(&ports),
        templates,
        within: settings.within,
        sure_until: AtomicI64::new(i64::MIN),
        secrets: Mutex::default(),
        recordings: Recordings::new(
            Arc::clone(&ports.recordings),
            Arc::clone(&ports.archive),
            Arc::clone(&ports.clock),
            settings.recording_bytes,
            settings.recordings_bytes,
        ),
    });
    telemetry::hooks_are_led_here(false);
    while !stop.is_cancelled() {
        let asked_at = clock.now();
        match ports.store.lead(settings.process, LIFE).await {
            Ok(Some(lead)) => match Leader::begin(Arc::clone(&office), &settings, lead, asked_at, stop.clone()).await {
                Ok(leader) => {
                    telemetry::hooks_are_led_here(true);
                    let ended = leader.run().await;
                    telemetry::hooks_are_led_here(false);
                    if ended == Ended::Lost {
                        tracing::warn!("another process may deliver to webhooks now");
                    }
                }
                Err(error) => tracing::warn!(%error, "nothing can be delivered to webhooks yet"),
            },
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "nothing is delivered to webhooks: the database does not answer"),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = clock.sleep_until(clock.now() + AGAIN) => {}
        }
    }
}

/// Chance that follows from a seed: waits are spread, and a seed tells one story.
struct Dice(u64);

impl Dice {
    fn new(seed: u128) -> Self {
        Self((seed ^ seed >> 64) as u64)
    }

    /// From 0 to 1.
    fn chance(&mut self) -> f64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
