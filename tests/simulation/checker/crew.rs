//! Who works, who of them is well, and since when nothing has gone wrong.

use std::sync::{Arc, Mutex};

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
}

pub struct Crew {
    clock: Arc<dyn Clock>,
    members: Mutex<Vec<Member>>,
    /// The last instant at which something was wrong, as far as it was noted; may be to come.
    upset: Mutex<Timestamp>,
}

impl Crew {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let upset = Mutex::new(clock.now());
        Self { clock, members: Mutex::default(), upset }
    }

    pub fn join(&self, member: Member) {
        let mut members = self.members.lock().unwrap();
        if members.iter().all(|member| member.drain.is_cancelled()) {
            // Nobody worked until now.
            self.upset(self.clock.now());
        }
        members.push(member);
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
            works |= !member.drain.is_cancelled();
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
        let working = members.iter().filter(|member| !member.drain.is_cancelled());
        working.map(|member| (member.id.clone(), member.capacity)).collect()
    }
}
