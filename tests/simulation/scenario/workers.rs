//! Workers: how they are made, and how one knows that they are gone.

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::speech::SilentSpeech;
use robocall::dispatch::{Ports, Shutdown, Worker, WorkerSettings};
use robocall::model::WorkerId;
use robocall::ports::store::ProcessId;
use robocall::ports::{CampaignStore, RequestQueue};

use super::World;
use crate::chaos::{ChaosBus, ChaosCommands, ChaosQueue, ChaosSpeech, ChaosStore, ChaosTelephony, Fate};
use crate::checker::{Checker, Member};

/// How long a scene's worker may go on with its calls when it drains.
const GRACE: Duration = Duration::from_secs(600);

pub struct Alive {
    pub id: WorkerId,
    pub fate: Arc<Fate>,
    pub shutdown: Shutdown,
    pub task: tokio::task::AbortHandle,
}

/// Tells the checker that a worker is gone, however it went.
struct Gone(Arc<Checker>, Arc<Fate>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.tell(|| format!("{} is gone", self.1.name));
        self.0.crew.leave(&self.1);
    }
}

impl World {
    pub fn start_worker(&mut self) {
        let id = format!("worker{}", self.started + 1).parse().unwrap();
        self.start_worker_named(id);
    }

    /// A name that somebody bears or has borne, if anybody ever did.
    pub fn any_name(&mut self) -> Option<WorkerId> {
        let count = self.started;
        let number = (count > 0).then(|| 1 + self.dice.below(count))?;
        Some(format!("worker{number}").parse().unwrap())
    }

    /// A worker that may ail, as long as there is trouble.
    pub fn start_worker_named(&mut self, id: WorkerId) {
        let (loss, garble) =
            if self.well || self.dice.below(2) == 0 { (0, 0) } else { (self.dice.below(60), self.dice.below(3) * 15) };
        let capacity = 1 + self.dice.below(8) as usize;
        let grace = Duration::from_secs([0, 5, 30, 600][self.dice.below(4) as usize]);
        self.start(id, capacity, grace, (loss, garble));
    }

    pub fn start_well_worker(&mut self, capacity: usize) {
        let id = format!("worker{}", self.started + 1).parse().unwrap();
        self.start(id, capacity, GRACE, (0, 0));
    }

    pub fn start(&mut self, id: WorkerId, capacity: usize, grace: Duration, (loss, garble): (u64, u64)) {
        self.started += 1;
        let name = format!("{id} ({})", self.started);
        let seed = self.seed ^ (self.started << 32);
        let fate = Fate::new(name, Arc::clone(&self.clock) as _, seed, loss, garble);
        let checker = || Arc::clone(&self.checker);
        self.checker.tell(|| format!("{} starts, losing {loss} and garbling {garble}", fate.name));
        let ports = Ports {
            clock: Arc::clone(&self.clock) as _,
            queue: Arc::new(ChaosQueue {
                inner: Arc::clone(&self.queue) as Arc<dyn RequestQueue>,
                fate: Arc::clone(&fate),
                checker: checker(),
            }),
            store: Arc::new(ChaosStore {
                inner: Arc::clone(&self.store) as Arc<dyn CampaignStore>,
                fate: Arc::clone(&fate),
                checker: checker(),
            }),
            events: Arc::new(ChaosBus::new(Arc::clone(&self.bus) as _, Arc::clone(&fate))),
            commands: Arc::new(ChaosCommands::new(
                Arc::clone(&self.commands) as _,
                Arc::clone(&fate),
                checker(),
                Arc::clone(&self.clock) as _,
            )),
            telephony: Arc::new(ChaosTelephony {
                inner: Arc::clone(&self.telephony),
                fate: Arc::clone(&fate),
                checker: checker(),
            }),
            speech: Arc::new(ChaosSpeech { inner: Arc::new(SilentSpeech::new()), fate: Arc::clone(&fate) }),
        };
        let process = ProcessId(u128::from(self.started));
        let settings = WorkerSettings { capacity, grace, ..WorkerSettings::new(id.clone(), process) };
        let worker = Worker::new(Arc::new(ports), Arc::clone(&self.programs), settings);
        let shutdown = Shutdown::default();
        let drain = shutdown.drain.clone();
        let member = Member { id: id.clone(), capacity, fate: Arc::clone(&fate), drain, grace, told_to_drain: None };
        self.checker.crew.join(member);
        let task = tokio::spawn({
            let gone = Gone(checker(), Arc::clone(&fate));
            let (fate, shutdown, checker) = (Arc::clone(&fate), shutdown.clone(), checker());
            async move {
                let _gone = gone;
                let drain = shutdown.drain.clone();
                tokio::select! {
                    biased;
                    () = fate.death() => {}
                    // A worker that finds itself replaced ends; nobody restarts it here but trouble and peace.
                    ended = worker.run(shutdown) => match ended {
                        Ok(()) if drain.is_cancelled() => {
                            checker.count("workers drained to their end");
                            checker.drained(&fate);
                        }
                        Ok(()) => {}
                        Err(robocall::dispatch::WorkerFailure::Broken(reason)) => {
                            checker.report(format!("a part of a worker failed: {reason}"));
                        }
                        Err(_) => checker.count("workers replaced or deaf"),
                    },
                }
            }
        });
        self.workers.push(Alive { id, fate, shutdown, task: task.abort_handle() });
    }
}
