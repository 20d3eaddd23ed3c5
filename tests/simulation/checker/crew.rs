//! Who works, who of them is well, and since when nothing has gone wrong.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use robocall::model::{Timestamp, WorkerId};
use robocall::ports::Clock;
use tokio_util::sync::CancellationToken;

use crate::chaos::Fate;

/// A worker that runs.
pub struct Member {
    pub id: WorkerId,
    pub capacity: usize,
    pub fate: Arc<Fate>,
    pub drain: CancellationToken,
    /// How long its calls may go on once it is told to drain.
    pub grace: Duration,
    /// When it was, and since when nothing had gone wrong then.
    pub told_to_drain: Option<(Timestamp, Option<Timestamp>)>,
}

impl Member {
    fn works(&self) -> bool {
        !self.drain.is_cancelled() && self.fate.is_up()
    }
}

pub struct Crew {
    clock: Arc<dyn Clock>,
    members: Mutex<Vec<Member>>,
    has_ailed: AtomicBool,
    /// The last instant at which something was wrong, as far as it was noted; may be to come.
    upset: Mutex<Timestamp>,
}

impl Crew {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let upset = Mutex::new(clock.now());
        Self { clock, members: Mutex::default(), has_ailed: AtomicBool::new(false), upset }
    }

    pub fn join(&self, member: Member) {
        self.has_ailed.fetch_or(member.fate.ails(), Ordering::Relaxed);
        self.members.lock().unwrap().push(member);
    }

    /// Whether anybody who ever joined had something wrong from the beginning.
    pub fn has_ailed(&self) -> bool {
        self.has_ailed.load(Ordering::Relaxed)
    }

    /// A worker begins to work: maybe nobody did until now.
    pub fn gets_up(&self) {
        if self.members.lock().unwrap().iter().filter(|member| member.works()).count() <= 1 {
            self.upset(self.clock.now());
        }
    }

    /// Tells a worker to drain.
    pub fn drain(&self, fate: &Arc<Fate>) {
        let told = (self.clock.now(), self.calm_since());
        let mut members = self.members.lock().unwrap();
        for member in members.iter_mut().filter(|member| Arc::ptr_eq(&member.fate, fate)) {
            member.told_to_drain.get_or_insert(told);
            member.drain.cancel();
        }
        drop(members);
        self.upset(told.0);
    }

    /// Since when all was well when a worker was told to drain, if nothing has gone wrong since then but that.
    pub fn calm_but_for_drain(&self, fate: &Fate) -> Option<Timestamp> {
        let now_calm = self.calm_since()?;
        let members = self.members.lock().unwrap();
        let (told, before) = members.iter().find(|member| std::ptr::eq(&*member.fate, fate))?.told_to_drain?;
        before.filter(|_| now_calm <= told)
    }

    /// Until when a worker's calls may go on with it, if it was told to drain.
    pub fn grace_until(&self, fate: &Fate) -> Option<Timestamp> {
        let members = self.members.lock().unwrap();
        let member = members.iter().find(|member| std::ptr::eq(&*member.fate, fate))?;
        Some(member.told_to_drain?.0 + member.grace)
    }

    /// A worker has ended, however it did.
    pub fn leave(&self, fate: &Arc<Fate>) {
        self.members.lock().unwrap().retain(|member| !Arc::ptr_eq(&member.fate, fate));
        self.upset(self.clock.now());
    }

    /// Something is wrong until `at`.
    pub fn upset(&self, at: Timestamp) {
        let mut upset = self.upset.lock().unwrap();
        *upset = at.max(*upset);
    }

    /// Since when nothing has gone wrong: everybody who runs is well, at least one takes work, and nobody has died.
    pub fn calm_since(&self) -> Option<Timestamp> {
        let (mut ails, mut works, mut frozen) = (false, false, Timestamp::default());
        for member in self.members.lock().unwrap().iter() {
            ails |= member.fate.ails();
            works |= member.works();
            frozen = frozen.max(member.fate.frozen_until());
        }
        let now = self.clock.now();
        let mut upset = self.upset.lock().unwrap();
        // Nobody may have looked while it was frozen.
        *upset = upset.max(frozen);
        if ails || !works {
            *upset = now.max(*upset);
        }
        (*upset < now).then_some(*upset)
    }

    /// Those who take work, and how much they can.
    pub fn capacities(&self) -> Vec<(WorkerId, usize)> {
        let members = self.members.lock().unwrap();
        let working = members.iter().filter(|member| member.works());
        working.map(|member| (member.id.clone(), member.capacity)).collect()
    }
}
