//! The event bus that does not confirm, and the command bus that delivers twice.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use robocall::command::{Command, CommandReply};
use robocall::model::{Event, Timestamp, WorkerId};
use robocall::ports::{BusError, Clock, CommandBus, EventBus, Incoming, Order};

use super::{Accident, Fate, Loss};
use crate::checker::Checker;

pub struct ChaosBus {
    inner: Arc<dyn EventBus>,
    fate: Arc<Fate>,
    broken: Arc<AtomicBool>,
}

impl ChaosBus {
    pub fn new(inner: Arc<dyn EventBus>, fate: Arc<Fate>) -> Self {
        Self { inner, fate, broken: Arc::default() }
    }
}

impl EventBus for ChaosBus {
    fn publish(&self, event: Event) -> BoxFuture<'static, Result<(), BusError>> {
        let lost = || Err(BusError("lost by the test".to_owned()));
        let loss = self.fate.loss();
        let broken = self.broken.load(Ordering::Relaxed) || self.fate.is_dead();
        if loss != Loss::None {
            self.broken.store(true, Ordering::Relaxed);
        }
        if broken || loss == Loss::Request {
            return async move { lost() }.boxed();
        }
        let confirmation = self.inner.publish(event);
        let fate = Arc::clone(&self.fate);
        let hangs = fate.accident("publish") == Some(Accident::Hang);
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            fate.gate().await;
            let answer = confirmation.await;
            if loss == Loss::Reply { lost() } else { answer }
        }
        .boxed()
    }

    fn recover(&self) {
        self.broken.store(false, Ordering::Relaxed);
    }
}

pub struct ChaosCommands {
    inner: Arc<dyn CommandBus>,
    fate: Arc<Fate>,
    checker: Arc<Checker>,
    clock: Arc<dyn Clock>,
    /// Commands that come once more, and when; in the order of their first coming.
    again: Mutex<VecDeque<(Timestamp, Incoming)>>,
}

impl ChaosCommands {
    pub fn new(inner: Arc<dyn CommandBus>, fate: Arc<Fate>, checker: Arc<Checker>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, fate, checker, clock, again: Mutex::default() }
    }
}

#[async_trait]
impl CommandBus for ChaosCommands {
    async fn next(&self, worker: &WorkerId) -> Option<Incoming> {
        self.fate.gate().await;
        let due = self.again.lock().unwrap().front().map(|(at, _)| *at);
        let again = async {
            match due {
                Some(at) => self.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let incoming = tokio::select! {
            biased;
            () = again => {
                self.checker.count("commands delivered twice");
                self.again.lock().unwrap().pop_front()?.1
            }
            incoming = self.inner.next(worker) => {
                let incoming = incoming?;
                if self.fate.one_in(4) {
                    let later = Duration::from_secs(self.fate.below(40));
                    self.again.lock().unwrap().push_back((self.clock.now() + later, incoming.clone()));
                }
                incoming
            }
        };
        // An order was wanted when it was given; its owner looks whether it still means the same attempt.
        if let Incoming::Command(command) = &incoming {
            self.checker.delivered(command);
        }
        Some(incoming)
    }
    async fn forward(&self, owner: &WorkerId, order: Order) {
        self.fate.gate().await;
        self.checker.forwarded(&order);
        match self.fate.accident("forward") {
            None => self.inner.forward(owner, order).await,
            Some(Accident::Slow(length)) => {
                self.clock.sleep_until(self.clock.now() + length).await;
                self.inner.forward(owner, order).await;
            }
            Some(_) => {}
        }
    }
    async fn answer(&self, command: &Command, reply: CommandReply) {
        self.fate.gate().await;
        self.checker.answered(command, reply);
        self.inner.answer(command, reply).await;
    }
}
