//! Transitions of one organisation that travel together: what is asked while others are under way is carried out with the
//! next. A script's own beginning and end cost more than a transition.
//!
//! **Invariant:** each is answered for itself, and one that fails takes nothing from the others. A lone transition is not
//! kept waiting.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::codec::unreadable;
use super::link::Link;
use super::reply::Reply;
use super::ring::Ring;
use super::script::{Code, Ops, TOGETHER};
use crate::model::{OrganisationId, Timestamp};
use crate::ports::{StoreError, StoreResult};

/// Batches of one organisation under way at a time: while one is carried out, the next is on its way.
const UNDER_WAY: usize = 2;

/// How long replicas may take, in milliseconds: a dial follows its commitment within a second.
const REPLICATED_WITHIN_MS: u32 = 500;

/// What an organisation's scripts are called with, before operations.
pub(super) struct Call {
    pub key: String,
    pub now: Option<Timestamp>,
    pub default_limit: u32,
    pub operations: Ops,
}

/// What a script answered to one asker, its time, and the windows that it found out of date.
pub(super) type Said = StoreResult<(Reply, Timestamp, Vec<Reply>)>;

/// The time, what each asker is answered, and windows.
type Answers = (Timestamp, Vec<StoreResult<Reply>>, Vec<Reply>);

struct Waiting {
    call: Call,
    answer: oneshot::Sender<Said>,
}

#[derive(Default)]
struct Queue {
    under_way: usize,
    waiting: VecDeque<Waiting>,
}

/// Whoever carries transitions to the database.
pub(super) struct Carrier {
    link: Link,
    ring: Arc<Ring>,
    /// How many replicas must have what was written before anybody is answered.
    replicas: Option<u32>,
    queues: Mutex<BTreeMap<OrganisationId, Queue>>,
}

impl Carrier {
    pub fn new(link: Link, ring: Arc<Ring>, replicas: Option<u32>) -> Arc<Self> {
        Arc::new(Self { link, ring, replicas, queues: Mutex::default() })
    }

    /// Carries operations out, perhaps with others. What the ring is to hear of it is noted.
    pub async fn ask(self: &Arc<Self>, organisation: &OrganisationId, call: Call) -> Said {
        let (answer, answered) = oneshot::channel();
        {
            let mut queues = self.lock();
            let queue = queues.entry(organisation.clone()).or_default();
            queue.waiting.push_back(Waiting { call, answer });
            if queue.under_way < UNDER_WAY {
                queue.under_way += 1;
                // Not the asker's own doing: it may be gone before others are answered.
                tokio::spawn(Arc::clone(self).carry(organisation.clone()));
            }
        }
        answered.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the program ends".to_owned())))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<OrganisationId, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(self: Arc<Self>, organisation: OrganisationId) {
        while let Some(batch) = self.next(&organisation) {
            self.carry_out(&organisation, batch).await;
        }
    }

    /// What goes next; none if nothing waits, and then this way is over.
    fn next(&self, organisation: &OrganisationId) -> Option<Vec<Waiting>> {
        let mut queues = self.lock();
        let queue = queues.get_mut(organisation)?;
        let (mut batch, mut operations) = (Vec::new(), 0);
        while let Some(first) = queue.waiting.front() {
            operations += first.call.operations.weight();
            if !batch.is_empty() && operations > TOGETHER {
                break;
            }
            // A claim that nobody waits for any more would hold its destinations for nobody.
            let is_idle = |waiting: &Waiting| waiting.call.operations.claims && waiting.answer.is_closed();
            batch.extend(queue.waiting.pop_front().filter(|waiting| !is_idle(waiting)));
        }
        if batch.is_empty() {
            queue.under_way = queue.under_way.saturating_sub(1);
            if queue.under_way == 0 {
                queues.remove(organisation);
            }
            return None;
        }
        Some(batch)
    }

    async fn carry_out(&self, organisation: &OrganisationId, batch: Vec<Waiting>) {
        let said = self.run(organisation, &batch).await;
        let grow = batch.iter().filter(|waiting| waiting.call.operations.grows).count();
        match said {
            // What lets calls end does not wait until there is memory for new ones.
            Err(StoreError::Unavailable(why)) if why.contains("OOM") && grow > 0 && grow < batch.len() => {
                let (grows, ends) = batch.into_iter().partition(|waiting| waiting.call.operations.grows);
                for part in [ends, grows] {
                    Box::pin(self.carry_out(organisation, part)).await;
                }
            }
            Err(error) => {
                for Waiting { answer, .. } in batch {
                    // Whoever asked may be gone.
                    let _ = answer.send(Err(error.clone()));
                }
            }
            Ok((now, said, stale)) => {
                for (Waiting { answer, .. }, said) in batch.into_iter().zip(said) {
                    let _ = answer.send(said.map(|own| (own, now, stale.clone())));
                }
            }
        }
    }

    /// The time, what each is answered, and windows that were found out of date.
    async fn run(&self, organisation: &OrganisationId, batch: &[Waiting]) -> StoreResult<Answers> {
        let Some(Waiting { call: first, .. }) = batch.first() else { return Err(unreadable("nothing to do")) };
        let ops = Ops::at(first.now).int(first.default_limit);
        let ops = batch.iter().fold(ops, |ops, waiting| ops.group(&waiting.call.operations));
        let wait = self.replicas.map(wait_for);
        let (answer, had) = self.link.run_and(Code::Organisation, &first.key, &ops, wait.as_ref()).await?;
        let mut answer = Reply::of(answer)?;
        let (now, mut said) = (answer.time()?, answer.list()?);
        self.ring.note(organisation, answer.list()?)?;
        if let Some(replicas) = self.replicas {
            match had {
                Some(redis::Value::Int(had)) if had >= i64::from(replicas) => {}
                had => return Err(StoreError::Unavailable(format!("{had:?} of {replicas} replicas have it"))),
            }
        }
        if said.len() != batch.len() {
            return Err(unreadable(format!("{} answers to {} askers", said.len(), batch.len())));
        }
        let said = batch.iter().map(|_| said.list_or_error()).collect();
        Ok((now, said, answer.lists()?))
    }
}

/// Waits until replicas have what was written on this connection.
fn wait_for(replicas: u32) -> redis::Cmd {
    let mut wait = redis::cmd("WAIT");
    wait.arg(replicas).arg(REPLICATED_WITHIN_MS);
    wait
}
