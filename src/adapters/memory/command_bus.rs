//! Commands on their way in, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};

use crate::model::{OrganisationId, WorkerId};
use crate::ports::{Command, CommandBus, CommandReply};

/// How many answers are remembered, for commands that are given again.
const REMEMBERED: usize = 10_000;

/// The command bus in memory.
#[derive(Default)]
pub struct MemoryCommandBus {
    state: Mutex<State>,
    changed: Notify,
}

type Key = (OrganisationId, Box<str>);

#[derive(Default)]
struct State {
    /// For whichever worker takes them.
    shared: VecDeque<Command>,
    /// For one worker each.
    own: BTreeMap<WorkerId, VecDeque<Command>>,
    /// Who waits for an answer.
    askers: BTreeMap<Key, Vec<oneshot::Sender<CommandReply>>>,
    answers: BTreeMap<Key, CommandReply>,
    /// The keys of the answers, oldest first.
    answered: VecDeque<Key>,
    closed: bool,
}

fn key(command: &Command) -> Key {
    (command.organisation.clone(), command.id.clone())
}

impl MemoryCommandBus {
    /// A bus without commands.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a command; the answer comes through what is returned, or never: put a bound on the wait. A command given
    /// before is not given again: whoever gives it hears the same answer.
    pub fn send(&self, command: Command) -> oneshot::Receiver<CommandReply> {
        let (asker, answer) = oneshot::channel();
        let key = key(&command);
        let mut state = self.lock();
        if let Some(reply) = state.answers.get(&key) {
            // The receiver is in our hands: it cannot have gone.
            let _ = asker.send(*reply);
        } else if state.closed {
            let _ = asker.send(CommandReply::Unavailable);
        } else if let Some(askers) = state.askers.get_mut(&key) {
            askers.push(asker);
        } else {
            state.askers.insert(key, vec![asker]);
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

    /// A command for this worker; `Some(None)` when there will be none.
    fn take(&self, worker: &WorkerId) -> Option<Option<Command>> {
        let mut state = self.lock();
        let own = state.own.get_mut(worker).and_then(VecDeque::pop_front);
        match own.or_else(|| state.shared.pop_front()) {
            Some(command) => Some(Some(command)),
            None => state.closed.then_some(None),
        }
    }
}

#[async_trait]
impl CommandBus for MemoryCommandBus {
    async fn next(&self, worker: &WorkerId) -> Option<Command> {
        loop {
            let changed = self.changed.notified();
            if let Some(command) = self.take(worker) {
                return command;
            }
            changed.await;
        }
    }

    async fn forward(&self, owner: &WorkerId, command: Command) {
        self.lock().own.entry(owner.clone()).or_default().push_back(command);
        self.changed.notify_waiters();
    }

    async fn answer(&self, command: &Command, reply: CommandReply) {
        let key = key(command);
        let mut state = self.lock();
        for asker in state.askers.remove(&key).unwrap_or_default() {
            // Whoever asked may have stopped waiting.
            let _ = asker.send(reply);
        }
        // What is to be asked again is not the command's answer for good.
        if matches!(reply, CommandReply::Done | CommandReply::NotFound)
            && state.answers.insert(key.clone(), reply).is_none()
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
    use crate::ports::CommandKind;
    use std::sync::Arc;

    fn command(id: &str) -> Command {
        let kind = CommandKind::Pause("r".parse().unwrap());
        Command { id: id.into(), organisation: "bank".parse().unwrap(), kind }
    }

    fn worker(name: &str) -> WorkerId {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn a_command_is_taken_once_and_answered() {
        let bus = MemoryCommandBus::new();
        let answer = bus.send(command("1"));
        let taken = bus.next(&worker("w")).await.unwrap();
        assert_eq!(taken, command("1"));
        bus.answer(&taken, CommandReply::Done).await;
        assert_eq!(answer.await.unwrap(), CommandReply::Done);
    }

    #[tokio::test]
    async fn a_forwarded_command_reaches_its_worker_only() {
        let bus = Arc::new(MemoryCommandBus::new());
        let _answer = bus.send(command("1"));
        let taken = bus.next(&worker("w")).await.unwrap();
        let owner = tokio::spawn({
            let bus = Arc::clone(&bus);
            async move { bus.next(&worker("owner")).await }
        });
        tokio::task::yield_now().await;
        bus.forward(&worker("owner"), taken).await;
        assert_eq!(owner.await.unwrap(), Some(command("1")));
        bus.close();
        assert_eq!(bus.next(&worker("w")).await, None);
    }

    #[tokio::test]
    async fn a_command_given_twice_is_carried_out_once() {
        let bus = MemoryCommandBus::new();
        let (first, second) = (bus.send(command("1")), bus.send(command("1")));
        let other = Command { organisation: "shop".parse().unwrap(), ..command("1") };
        let _others = bus.send(other.clone());
        let taken = bus.next(&worker("w")).await.unwrap();
        assert_eq!(bus.next(&worker("w")).await.unwrap(), other, "ids are an organisation's own");
        bus.answer(&taken, CommandReply::Done).await;
        let third = bus.send(command("1"));
        for answer in [first, second, third] {
            assert_eq!(answer.await.unwrap(), CommandReply::Done);
        }
        bus.close();
        assert_eq!(bus.next(&worker("w")).await, None);
    }

    #[tokio::test]
    async fn what_was_to_be_asked_again_is_carried_out_again() {
        let bus = MemoryCommandBus::new();
        for reply in [CommandReply::Adopting, CommandReply::Unavailable, CommandReply::NotFound] {
            let answer = bus.send(command("1"));
            let taken = bus.next(&worker("w")).await.unwrap();
            bus.answer(&taken, reply).await;
            assert_eq!(answer.await.unwrap(), reply);
        }
    }
}
