//! Commands on their way in, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};

use crate::callflow::call::Refusal;
use crate::command::{Command, CommandKind, CommandReply};
use crate::model::{OrganisationId, WorkerId};
use crate::ports::{CommandBus, Incoming, Order};

/// How long after another's end an order is surely over; owners look at the instant itself.
const OVERDUE: Duration = Duration::from_secs(60);

/// How many answers are remembered, for commands that are given again.
const REMEMBERED: usize = 10_000;

/// The command bus in memory.
#[derive(Default)]
pub struct MemoryCommandBus {
    state: Mutex<State>,
    changed: Notify,
}

/// What is answered to a command under another's id.
const TAKEN: CommandReply = CommandReply::Refused(Refusal::IdTaken);

type Key = (OrganisationId, Box<str>);

#[derive(Default)]
struct State {
    /// For whichever worker takes them.
    shared: VecDeque<Command>,
    /// For one worker each.
    own: BTreeMap<WorkerId, VecDeque<Order>>,
    /// Who waits for an answer, and to what.
    askers: BTreeMap<Key, (CommandKind, Vec<oneshot::Sender<CommandReply>>)>,
    answers: BTreeMap<Key, (CommandKind, CommandReply)>,
    /// The keys of the answers, oldest first.
    answered: VecDeque<Key>,
    closed: bool,
}

impl State {
    /// Whether a command waits to be taken, or somebody still waits for its answer. One that a worker took to its grave
    /// is given anew.
    fn is_awaited(&self, asked: &Key) -> bool {
        let waits = self.shared.iter().any(|command| key(command) == *asked);
        waits || self.askers.get(asked).is_some_and(|(_, askers)| askers.iter().any(|asker| !asker.is_closed()))
    }
}

fn key(command: &Command) -> Key {
    (command.organisation.clone(), command.id.clone())
}

impl MemoryCommandBus {
    /// An empty bus.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a command; the answer comes through what is returned, or never: put a bound on the wait. A command given
    /// before is not given again: whoever gives it hears the same answer. Another under its id is refused.
    pub fn send(&self, command: Command) -> oneshot::Receiver<CommandReply> {
        let (asker, answer) = oneshot::channel();
        let key = key(&command);
        let mut state = self.lock();
        // The receiver is in our hands: it cannot have gone.
        if let Some((kind, reply)) = state.answers.get(&key) {
            let _ = asker.send(if *kind == command.kind { *reply } else { TAKEN });
        } else if state.closed {
            let _ = asker.send(CommandReply::Unavailable);
        } else if state.is_awaited(&key) {
            let (kind, askers) = state.askers.entry(key).or_insert_with(|| (command.kind.clone(), Vec::new()));
            if *kind == command.kind {
                askers.push(asker);
            } else {
                let _ = asker.send(TAKEN);
            }
        } else {
            state.askers.insert(key, (command.kind.clone(), vec![asker]));
            state.shared.push_back(command);
            drop(state);
            self.changed.notify_waiters();
        }
        answer
    }

    /// Takes nothing more; what waits is still taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something for this worker; `Some(None)` when there will be nothing.
    fn take(&self, worker: &WorkerId) -> Option<Option<Incoming>> {
        let mut state = self.lock();
        let own = state.own.get_mut(worker).and_then(VecDeque::pop_front).map(Incoming::Order);
        match own.or_else(|| state.shared.pop_front().map(Incoming::Command)) {
            Some(incoming) => Some(Some(incoming)),
            None => state.closed.then_some(None),
        }
    }
}

#[async_trait]
impl CommandBus for MemoryCommandBus {
    async fn next(&self, worker: &WorkerId) -> Option<Incoming> {
        loop {
            let changed = self.changed.notified();
            if let Some(incoming) = self.take(worker) {
                return incoming;
            }
            changed.await;
        }
    }

    async fn forward(&self, owner: &WorkerId, order: Order) {
        let mut state = self.lock();
        // The dead never fetch theirs.
        state.own.retain(|_, orders| {
            orders.retain(|old| order.not_after < old.not_after + OVERDUE);
            !orders.is_empty()
        });
        state.own.entry(owner.clone()).or_default().push_back(order);
        drop(state);
        self.changed.notify_waiters();
    }

    async fn answer(&self, command: &Command, reply: CommandReply) {
        let key = key(command);
        let mut state = self.lock();
        // What nobody gave here was made by a worker of what somebody did: thousands of hang-ups of one cancellation must
        // not push out what may be asked again.
        let Some((_, askers)) = state.askers.remove(&key) else { return };
        for asker in askers {
            // Whoever asked may have stopped waiting.
            let _ = asker.send(reply);
        }
        // What is to be asked again is not the command's answer for good.
        if matches!(reply, CommandReply::Done | CommandReply::NotFound)
            && state.answers.insert(key.clone(), (command.kind.clone(), reply)).is_none()
        {
            state.answered.push_back(key);
            if state.answered.len() > REMEMBERED
                && let Some(oldest) = state.answered.pop_front()
            {
                state.answers.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptId, CallId, Timestamp};
    use crate::ports::store::{Held, Token};
    use std::sync::Arc;

    fn command(id: &str) -> Command {
        let kind = CommandKind::Pause("r".parse().unwrap());
        Command { id: id.into(), organisation: "bank".parse().unwrap(), actor: None, expect: None, trace: None, kind }
    }

    fn worker(name: &str) -> WorkerId {
        name.parse().unwrap()
    }

    fn order(command: Command, not_after: Timestamp) -> Order {
        let call = CallId::new(&command.organisation, &"r".parse().unwrap(), 0);
        let held = Held {
            organisation: command.organisation.clone(),
            request: "r".parse().unwrap(),
            attempt: AttemptId { call, claim: 1 },
            token: Token(1),
        };
        Order { command, held, not_after }
    }

    async fn taken_by_w(bus: &MemoryCommandBus) -> Command {
        match bus.next(&worker("w")).await.unwrap() {
            Incoming::Command(command) => command,
            Incoming::Order(order) => panic!("an order to nobody: {order:?}"),
        }
    }

    #[tokio::test]
    async fn a_command_is_taken_once_and_answered() {
        let bus = MemoryCommandBus::new();
        let answer = bus.send(command("1"));
        let taken = taken_by_w(&bus).await;
        assert_eq!(taken, command("1"));
        bus.answer(&taken, CommandReply::Done).await;
        assert_eq!(answer.await.unwrap(), CommandReply::Done);
    }

    #[tokio::test]
    async fn a_forwarded_command_reaches_its_worker_only() {
        let bus = Arc::new(MemoryCommandBus::new());
        let _answer = bus.send(command("1"));
        let taken = taken_by_w(&bus).await;
        let owner = tokio::spawn({
            let bus = Arc::clone(&bus);
            async move { bus.next(&worker("owner")).await }
        });
        tokio::task::yield_now().await;
        let order = order(taken, Timestamp::VIRTUAL_START);
        bus.forward(&worker("owner"), order.clone()).await;
        assert_eq!(owner.await.unwrap(), Some(Incoming::Order(order)));
        bus.close();
        assert_eq!(bus.next(&worker("w")).await, None);
    }

    #[tokio::test]
    async fn a_command_given_twice_is_carried_out_once() {
        let bus = MemoryCommandBus::new();
        let (first, second) = (bus.send(command("1")), bus.send(command("1")));
        let other = Command { organisation: "shop".parse().unwrap(), ..command("1") };
        let _others = bus.send(other.clone());
        let taken = taken_by_w(&bus).await;
        assert_eq!(taken_by_w(&bus).await, other, "ids are an organisation's own");
        bus.answer(&taken, CommandReply::Done).await;
        let third = bus.send(command("1"));
        for answer in [first, second, third] {
            assert_eq!(answer.await.unwrap(), CommandReply::Done);
        }
        bus.close();
        assert_eq!(bus.next(&worker("w")).await, None);
    }

    #[tokio::test]
    async fn another_command_under_its_id_is_refused_whether_it_is_answered_or_not() {
        let bus = MemoryCommandBus::new();
        let other = Command { kind: CommandKind::Resume("r".parse().unwrap()), ..command("1") };
        let answer = bus.send(command("1"));
        assert_eq!(bus.send(other.clone()).await.unwrap(), TAKEN);
        let taken = taken_by_w(&bus).await;
        assert_eq!(bus.send(other.clone()).await.unwrap(), TAKEN);
        bus.answer(&taken, CommandReply::Done).await;
        assert_eq!(answer.await.unwrap(), CommandReply::Done);
        assert_eq!(bus.send(other).await.unwrap(), TAKEN);
    }

    #[tokio::test]
    async fn what_workers_tell_each_other_does_not_push_answers_out() {
        let bus = MemoryCommandBus::new();
        let answer = bus.send(command("1"));
        let taken = taken_by_w(&bus).await;
        bus.answer(&taken, CommandReply::Done).await;
        assert_eq!(answer.await.unwrap(), CommandReply::Done);
        for number in 0..=REMEMBERED {
            bus.answer(&command(&format!("cancel/{number}")), CommandReply::Done).await;
        }
        assert_eq!(bus.send(command("1")).await.unwrap(), CommandReply::Done, "not carried out again");
        assert_eq!(bus.lock().answers.len(), 1);
    }

    #[tokio::test]
    async fn what_was_to_be_asked_again_is_carried_out_again() {
        let bus = MemoryCommandBus::new();
        for reply in [CommandReply::Adopting, CommandReply::Unavailable, CommandReply::NotFound] {
            let answer = bus.send(command("1"));
            let taken = taken_by_w(&bus).await;
            bus.answer(&taken, reply).await;
            assert_eq!(answer.await.unwrap(), reply);
        }
    }

    #[tokio::test]
    async fn a_command_that_a_worker_took_to_its_grave_can_be_given_again() {
        let bus = MemoryCommandBus::new();
        let answer = bus.send(command("1"));
        let lost = taken_by_w(&bus).await;
        let _in_time = bus.send(lost.clone());
        drop((answer, _in_time));
        let answer = bus.send(lost.clone());
        let again = taken_by_w(&bus).await;
        assert_eq!(again, lost);
        bus.answer(&again, CommandReply::Done).await;
        assert_eq!(answer.await.unwrap(), CommandReply::Done);
    }

    #[tokio::test]
    async fn orders_to_the_dead_do_not_pile_up() {
        let bus = MemoryCommandBus::new();
        let start = Timestamp::VIRTUAL_START;
        bus.forward(&worker("dead"), order(command("1"), start)).await;
        bus.forward(&worker("w"), order(command("2"), start + OVERDUE)).await;
        assert_eq!(bus.lock().own.len(), 1);
    }
}
