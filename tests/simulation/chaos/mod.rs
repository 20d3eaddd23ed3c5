//! Ports that fail: replies get lost before or after their effect, workers die or stand still between any two steps.
//! One file for each port; this one owns a worker's fate, which all its ports share.

mod buses;
mod intake;
mod store;
mod telephony;

pub use buses::{ChaosBus, ChaosCommands};
pub use intake::{ChaosQueue, ChaosSpeech};
pub use store::ChaosStore;
pub use telephony::ChaosTelephony;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use robocall::model::Timestamp;
use robocall::ports::Clock;

use crate::dice::Dice;

/// What befalls one worker's ports.
pub struct Fate {
    /// Whose it is, for reports.
    pub name: String,
    clock: Arc<dyn Clock>,
    dice: Mutex<Dice>,
    /// Share of calls of a port whose reply is lost, in thousandths.
    loss: AtomicU64,
    /// Share of the backend's reports that are lost, and as many again that come twice, in thousandths.
    garble: AtomicU64,
    /// Calls of ports after which the worker dies; none: it does not.
    fuse: AtomicI64,
    frozen_until: AtomicI64,
    /// For how long the worker stands still between its next leg and the commitment to dial it, in milliseconds.
    ambush: AtomicU64,
    /// Accidents to come, each at the next call of a port by that name.
    accidents: Mutex<Vec<(&'static str, Accident)>>,
    /// The same between its next commitment, or granted slot, and the dial.
    late: AtomicU64,
    /// Whether it has its name and listens in it.
    up: AtomicBool,
    cut_off: AtomicBool,
    dead: AtomicBool,
    died: tokio::sync::Notify,
}

/// What happens to one call of a port.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accident {
    /// It has no effect and no answer.
    LoseRequest,
    /// It has its effect and no answer.
    LoseReply,
    /// It never comes back.
    Hang,
    /// The worker stands still before it.
    Stand(Duration),
    /// It has its effect, and its answer comes so much later; everything else goes on.
    Slow(Duration),
    /// It panics.
    Panic,
}

/// Where in a call of a port something goes wrong.
#[derive(PartialEq)]
enum Loss {
    None,
    Request,
    Reply,
    Slow(Duration),
}

/// What becomes of a report of the backend's.
#[derive(PartialEq)]
enum Delivered {
    Once,
    Twice,
    Never,
}

impl Fate {
    pub fn new(name: String, clock: Arc<dyn Clock>, seed: u64, loss: u64, garble: u64) -> Arc<Self> {
        Arc::new(Self {
            name,
            clock,
            dice: Mutex::new(Dice::new(seed)),
            loss: AtomicU64::new(loss),
            garble: AtomicU64::new(garble),
            fuse: AtomicI64::new(i64::MAX),
            frozen_until: AtomicI64::new(i64::MIN),
            ambush: AtomicU64::new(0),
            accidents: Mutex::default(),
            late: AtomicU64::new(0),
            up: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            died: tokio::sync::Notify::new(),
        })
    }

    /// The worker dies at the `count`th await from now.
    pub fn light_fuse(&self, count: i64) {
        self.fuse.store(count, Ordering::Relaxed);
    }

    /// The worker stands still; answers until when.
    pub fn freeze(&self, length: Duration) -> Timestamp {
        let until = self.clock.now() + length;
        self.frozen_until.store(until.as_millis(), Ordering::Relaxed);
        until
    }

    /// The worker will stand still between making its next leg and committing to dial it.
    pub fn ambush(&self, length: Duration) {
        self.ambush.store(u64::try_from(length.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// The worker will stand still between its next commitment, or the grant of a second leg's slot, and the dial.
    pub fn make_late(&self, length: Duration) {
        self.late.store(u64::try_from(length.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Lets it stand still, if it is to; until when.
    fn is_late(&self) -> Option<Timestamp> {
        let length = self.late.swap(0, Ordering::Relaxed);
        (length > 0).then(|| self.freeze(Duration::from_millis(length)))
    }

    /// Springs the ambush, if one was laid; until when it lasts.
    fn spring(&self) -> Option<Timestamp> {
        let length = self.ambush.swap(0, Ordering::Relaxed);
        (length > 0).then(|| self.freeze(Duration::from_millis(length)))
    }

    pub fn heal(&self) {
        self.ambush.store(0, Ordering::Relaxed);
        self.late.store(0, Ordering::Relaxed);
        self.loss.store(0, Ordering::Relaxed);
        self.garble.store(0, Ordering::Relaxed);
        self.fuse.store(i64::MAX, Ordering::Relaxed);
    }

    /// Until when it stands still, or stood still last.
    pub fn frozen_until(&self) -> Timestamp {
        Timestamp::from_millis(self.frozen_until.load(Ordering::Relaxed).max(0))
    }

    /// Whether anything goes wrong for the worker now, or may at any await.
    pub fn ails(&self) -> bool {
        self.loss.load(Ordering::Relaxed) > 0
            || self.garble.load(Ordering::Relaxed) > 0
            || self.fuse.load(Ordering::Relaxed) < i64::MAX >> 1
            || self.dead.load(Ordering::Relaxed)
            || self.cut_off.load(Ordering::Relaxed)
            || self.ambush.load(Ordering::Relaxed) > 0
            || self.clock.now().as_millis() < self.frozen_until.load(Ordering::Relaxed)
    }

    /// Whether it has its name and listens in it: one that waits for its name does no work.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// It listens for the first time, or again: answers whether it did not before.
    fn gets_up(&self) -> bool {
        !self.up.swap(true, Ordering::Relaxed)
    }

    pub async fn death(&self) {
        while !self.dead.load(Ordering::Relaxed) {
            self.died.notified().await;
        }
    }

    /// One await: the worker may die or stand still here.
    async fn gate(&self) {
        if self.fuse.fetch_sub(1, Ordering::Relaxed) <= 0 {
            self.dead.store(true, Ordering::Relaxed);
            self.died.notify_one();
        }
        loop {
            if self.dead.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let until = Timestamp::from_millis(self.frozen_until.load(Ordering::Relaxed));
            if self.clock.now() >= until {
                return;
            }
            self.clock.sleep_until(until).await;
        }
    }

    /// Has the next call of this name go wrong; told several times, those after it, too.
    pub fn prepare(&self, what: &'static str, accident: Accident) {
        self.accidents.lock().unwrap().push((what, accident));
    }

    /// From now on the store does not answer it, or does again; everything else does.
    pub fn cut_off(&self, from_the_store: bool) {
        self.cut_off.store(from_the_store, Ordering::Relaxed);
    }

    /// Whether every accident that was prepared has happened.
    pub fn all_happened(&self) -> bool {
        self.accidents.lock().unwrap().is_empty()
    }

    fn accident(&self, what: &str) -> Option<Accident> {
        let mut accidents = self.accidents.lock().unwrap();
        let place = accidents.iter().position(|(name, _)| *name == what)?;
        Some(accidents.remove(place).1)
    }

    /// What goes wrong with a call of a port.
    async fn strike(&self, what: &str) -> Loss {
        match self.accident(what) {
            None => self.loss(),
            Some(Accident::LoseRequest) => Loss::Request,
            Some(Accident::LoseReply) => Loss::Reply,
            Some(Accident::Slow(length)) => Loss::Slow(length),
            Some(Accident::Hang) => std::future::pending().await,
            Some(Accident::Stand(length)) => {
                self.freeze(length);
                self.gate().await;
                Loss::None
            }
            Some(Accident::Panic) => panic!("an accident: {what}"),
        }
    }

    fn loss(&self) -> Loss {
        let share = self.loss.load(Ordering::Relaxed);
        let mut dice = self.dice.lock().unwrap();
        if dice.below(1000) >= share {
            Loss::None
        } else if dice.below(2) == 0 {
            Loss::Request
        } else {
            Loss::Reply
        }
    }

    fn delivered(&self) -> Delivered {
        let share = self.garble.load(Ordering::Relaxed);
        match self.dice.lock().unwrap().below(1000) {
            thrown if thrown < share => Delivered::Never,
            thrown if thrown < 2 * share => Delivered::Twice,
            _ => Delivered::Once,
        }
    }

    fn one_in(&self, many: u64) -> bool {
        self.dice.lock().unwrap().below(many) == 0
    }

    fn below(&self, bound: u64) -> u64 {
        self.dice.lock().unwrap().below(bound)
    }

    fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }
}
