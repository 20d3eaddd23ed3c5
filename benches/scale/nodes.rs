//! Telephony nodes, each a simulated network of its own with a bound, behind one worker's port: legs go to nodes as the
//! Asterisk adapter has them go.
//!
//! A callee's leg goes to the node on which this worker has the fewest; of others' legs a worker knows what its last look
//! found. Everything else of a leg happens where it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use robocall::callflow::program::Target;
use robocall::model::{LegId, Timestamp, WorkerId};
use robocall::ports::telephony::{LegEvent, LegReport, LegState, NewLeg};
use robocall::ports::{Audio, Clock, Telephony, TelephonyError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::books::Books;

/// How often a worker looks how many legs of others a node has, as `asterisk.look_every` is unless settled otherwise.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// All nodes, as nobody but this bench sees them.
pub struct Nodes {
    networks: Vec<Arc<dyn Telephony>>,
    /// Most legs each of them is to have.
    most: usize,
    legs: Mutex<Legs>,
}

/// How many legs each node has, and had at most, and how many were dialled there.
#[derive(Clone, Debug, Default)]
pub struct Legs {
    pub live: Vec<usize>,
    pub peak: Vec<usize>,
    pub dialled: Vec<u64>,
}

impl Nodes {
    pub fn new(networks: Vec<Arc<dyn Telephony>>, most: usize) -> Self {
        let count = networks.len();
        let legs = Legs { live: vec![0; count], peak: vec![0; count], dialled: vec![0; count] };
        Self { networks, most, legs: Mutex::new(legs) }
    }

    fn lock(&self) -> MutexGuard<'_, Legs> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How they are used.
    pub fn legs(&self) -> Legs {
        self.lock().clone()
    }
}

/// One worker's way to the nodes.
pub struct Phones {
    nodes: Arc<Nodes>,
    books: Arc<Books>,
    clock: Arc<dyn Clock>,
    own: Arc<Mutex<Own>>,
    dialled: Arc<AtomicU64>,
}

/// What one worker knows of the nodes.
struct Own {
    /// Where its legs are, and whether each was dialled.
    legs: BTreeMap<LegId, (usize, bool)>,
    /// How many that is, by node.
    count: Vec<usize>,
    /// Others' at the last look.
    others: Vec<usize>,
    look_at: Timestamp,
}

impl Phones {
    pub fn new(nodes: Arc<Nodes>, books: Arc<Books>, clock: Arc<dyn Clock>) -> Self {
        let count = nodes.networks.len();
        let own = Own { legs: BTreeMap::new(), count: vec![0; count], others: vec![0; count], look_at: clock.now() };
        Self { nodes, books, clock, own: Arc::new(Mutex::new(own)), dialled: Arc::default() }
    }

    /// How many calls this worker has dialled, now and later.
    pub fn dialled(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dialled)
    }

    /// What is known now, after a look if it is time for one.
    fn known(&self) -> MutexGuard<'_, Own> {
        let mut own = lock(&self.own);
        let now = self.clock.now();
        if own.look_at <= now {
            let legs = self.nodes.legs();
            own.others = legs.live.iter().zip(&own.count).map(|(all, own)| all.saturating_sub(*own)).collect();
            own.look_at = now + LOOK_EVERY;
        }
        own
    }

    fn room(&self, own: &Own, node: usize) -> usize {
        self.nodes.most.saturating_sub(own.count[node] + own.others[node])
    }

    /// Where a leg is.
    async fn at(&self, leg: LegId) -> Result<&Arc<dyn Telephony>, TelephonyError> {
        let known = lock(&self.own).legs.get(&leg).map(|(node, _)| *node);
        if let Some(node) = known {
            return Ok(&self.nodes.networks[node]);
        }
        for network in &self.nodes.networks {
            if network.inspect(leg).await?.is_some() {
                return Ok(network);
            }
        }
        Err(TelephonyError::NoSuchLeg)
    }
}

fn lock(own: &Mutex<Own>) -> MutexGuard<'_, Own> {
    own.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands a node's reports on, and notes which legs are no more.
async fn hand_on(
    mut reports: UnboundedReceiver<LegReport>,
    to: tokio::sync::mpsc::UnboundedSender<LegReport>,
    nodes: Arc<Nodes>,
    books: Arc<Books>,
    own: Arc<Mutex<Own>>,
) {
    while let Some(report) = reports.recv().await {
        if matches!(report.what, LegEvent::Ended(_)) {
            let known = lock(&own).legs.remove(&report.leg);
            if let Some((node, was_dialled)) = known {
                lock(&own).count[node] -= 1;
                nodes.lock().live[node] -= 1;
                if was_dialled {
                    books.ended(report.leg, report.at);
                }
            }
        }
        if to.send(report).is_err() {
            return;
        }
    }
}

#[async_trait]
impl Telephony for Phones {
    fn most_calls(&self) -> usize {
        let own = self.known();
        (0..self.nodes.networks.len()).map(|node| own.count[node] + self.room(&own, node)).sum()
    }

    async fn listen(&self, app: &WorkerId) -> Result<UnboundedReceiver<LegReport>, TelephonyError> {
        let (to, reports) = unbounded_channel();
        for network in &self.nodes.networks {
            let (nodes, books, own) = (Arc::clone(&self.nodes), Arc::clone(&self.books), Arc::clone(&self.own));
            tokio::spawn(hand_on(network.listen(app).await?, to.clone(), nodes, books, own));
        }
        Ok(reports)
    }

    async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Result<(), TelephonyError> {
        let node = {
            let mut own = self.known();
            let with_room = (0..self.nodes.networks.len()).filter(|node| self.room(&own, *node) > 0);
            let best = with_room.min_by_key(|node| own.count[*node] * 1_000 / self.nodes.most.max(1));
            let node = best.ok_or_else(|| TelephonyError::Unavailable("every node is full".to_owned()))?;
            own.count[node] += 1;
            own.legs.insert(new.leg, (node, false));
            let mut legs = self.nodes.lock();
            legs.live[node] += 1;
            legs.peak[node] = legs.peak[node].max(legs.live[node]);
            node
        };
        self.nodes.networks[node].create(app, new, not_after).await
    }

    async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.at(leg).await?.dial(leg, ring_timeout, not_after).await?;
        if let Some((node, was_dialled)) = lock(&self.own).legs.get_mut(&leg) {
            *was_dialled = true;
            self.nodes.lock().dialled[*node] += 1;
        }
        self.dialled.fetch_add(1, Ordering::Relaxed);
        self.books.dialled(leg, self.clock.now());
        Ok(())
    }

    async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.at(leg).await?.hang_up(leg, not_after).await
    }

    async fn play(
        &self,
        leg: LegId,
        playback: u32,
        audio: &Audio,
        expects_key: bool,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        self.at(leg).await?.play(leg, playback, audio, expects_key, not_after).await
    }

    async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.at(leg).await?.stop_playback(leg, playback, not_after).await
    }

    async fn detect_machine(
        &self,
        leg: LegId,
        wait_for_beep: bool,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        self.at(leg).await?.detect_machine(leg, wait_for_beep, not_after).await
    }

    async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.at(leg).await?.bridge(leg, other, not_after).await
    }

    async fn listen_in(
        &self,
        leg: LegId,
        other: LegId,
        whispers_to: Option<LegId>,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        self.at(leg).await?.listen_in(leg, other, whispers_to, not_after).await
    }

    async fn blind_transfer(
        &self,
        leg: LegId,
        other: LegId,
        target: &Target,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        self.at(leg).await?.blind_transfer(leg, other, target, not_after).await
    }

    async fn record(
        &self,
        leg: LegId,
        name: &str,
        on: bool,
        not_after: Timestamp,
    ) -> Result<Option<Box<str>>, TelephonyError> {
        self.at(leg).await?.record(leg, name, on, not_after).await
    }

    async fn inspect(&self, leg: LegId) -> Result<Option<LegState>, TelephonyError> {
        match self.at(leg).await {
            Ok(network) => network.inspect(leg).await,
            Err(TelephonyError::NoSuchLeg) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn legs_of(&self, app: &WorkerId) -> Result<Vec<(LegId, LegState)>, TelephonyError> {
        let mut legs = Vec::new();
        for network in &self.nodes.networks {
            legs.extend(network.legs_of(app).await?);
        }
        Ok(legs)
    }
}
