//! The network as the composition root and the tests hold it: shared, counted, driven by the clock.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::exchange::{Exchange, Outcome};
use super::log::{Counters, Invite, Witness};
use super::population::NetworkSettings;
use crate::model::{LegId, Timestamp};
use crate::ports::telephony::LegState;
use crate::ports::{Clock, Telephony, TelephonyError};

/// Is told of every dial as it leaves, before the command that dials has returned and before anything rings. It may ask
/// the network anything, since the network is not locked meanwhile.
pub type OnInvite = Arc<dyn Fn(&Invite) + Send + Sync>;

/// A simulated phone network. Clones are the same network; its calls go on while anybody has one of them and drives it.
#[derive(Clone)]
pub struct SimulatedNetwork {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Tells the driver that the next thing is due at another time than it thinks.
    replan: Notify,
}

struct State {
    exchange: Exchange,
    /// What the driver waits for.
    planned: Option<Timestamp>,
    on_invite: Option<OnInvite>,
}

impl SimulatedNetwork {
    /// A network in which nobody has been called yet.
    pub fn new(clock: Arc<dyn Clock>, settings: NetworkSettings) -> Self {
        let state = State { exchange: Exchange::new(settings), planned: None, on_invite: None };
        Self { shared: Arc::new(Shared { clock, state: Mutex::new(state), replan: Notify::new() }) }
    }

    /// Lets things happen when they are due, for ever. One task runs this; without it, things happen late: when the
    /// next command comes.
    pub fn run(&self) -> impl Future<Output = Infallible> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            loop {
                let next = shared.catch_up();
                let due = async {
                    match next {
                        Some(at) => shared.clock.sleep_until(at).await,
                        None => pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    () = shared.replan.notified() => {}
                    () = due => {}
                }
            }
        }
    }

    /// The port to it.
    pub fn telephony(&self) -> Arc<dyn Telephony> {
        Arc::new(self.clone())
    }

    /// Has `hook` told of every dial from now on, in place of an earlier one.
    pub fn on_invite(&self, hook: OnInvite) {
        self.shared.state().on_invite = Some(hook);
    }

    /// Lets a witness see everything from now on, in place of an earlier one.
    pub fn show_to(&self, witness: Box<dyn Witness>) {
        self.shared.state().exchange.log.show_to(witness);
    }

    /// The latest dials in order, as many as the settings keep.
    pub fn dial_log(&self) -> Vec<Invite> {
        self.shared.state().exchange.log.list()
    }

    /// How many of what there were.
    pub fn counters(&self) -> Counters {
        self.shared.state().exchange.counters
    }

    /// Every leg that lives, whoever made it, in the order of their names.
    pub fn live_legs(&self) -> Vec<(LegId, LegState)> {
        self.shared.state().exchange.legs_of(None)
    }

    /// Asks something of the network, after everything that is due has happened.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&mut Exchange, Timestamp) -> T) -> T {
        let mut state = self.shared.state();
        let now = self.shared.clock.now();
        state.exchange.catch_up(now);
        let answer = question(&mut state.exchange, now);
        self.shared.replan_if_needed(&state);
        answer
    }

    /// Has the network do something, unless it is later than `not_after`.
    pub(super) fn act<T>(
        &self,
        not_after: Timestamp,
        command: impl FnOnce(&mut Exchange, Timestamp) -> Outcome<T>,
    ) -> Outcome<T> {
        self.ask(|exchange, now| if now > not_after { Err(TelephonyError::TooLate) } else { command(exchange, now) })
    }

    /// Tells of a dial.
    pub(super) fn tell(&self, invite: &Invite) {
        let hook = self.shared.state().on_invite.clone();
        if let Some(hook) = hook {
            hook(invite);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No command panics half-way: there is nothing broken to be protected from.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everything happen that is due, and says when the next thing is.
    fn catch_up(&self) -> Option<Timestamp> {
        let mut state = self.state();
        state.exchange.catch_up(self.clock.now());
        state.planned = state.exchange.agenda.next_at();
        state.planned
    }

    fn replan_if_needed(&self, state: &State) {
        if state.exchange.agenda.next_at() != state.planned {
            self.replan.notify_one();
        }
    }
}

impl std::fmt::Debug for SimulatedNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedNetwork").field("counters", &self.counters()).finish_non_exhaustive()
    }
}
