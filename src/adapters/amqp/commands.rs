//! Commands on their way in, from the queue that all workers share, and orders between workers.
//!
//! A command stays the broker's until it is answered or passed on: a worker that dies over it leaves it to another. An
//! order is acknowledged as it is sent, since it loses its force within seconds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::ShortString;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::acks;
use super::dead::message_id;
use super::link::Link;
use super::post::{Letter, Post, PostError};
use super::queue::text;
use super::settings::{AmqpSettings, Topology};
use super::subscription::Subscription;
use super::topology::ORDER_LIFE;
use super::wire;
use crate::callflow::call::Refusal;
use crate::command::{Command, CommandKind, CommandReply, ReplyBody};
use crate::model::{OrganisationId, TraceParent, WorkerId};
use crate::ports::{CommandBus, Incoming, Order};

/// How long an answer or an order may take to be confirmed.
const SENT_WITHIN: Duration = Duration::from_secs(2);

/// Most commands a worker holds.
const PREFETCH: u16 = 16;

/// How many answers are remembered, for commands that are given again.
const REMEMBERED: usize = 10_000;

/// Commands from the broker, and orders to one worker.
pub struct AmqpCommandBus {
    names: Topology,
    worker: WorkerId,
    post: Post,
    arriving: tokio::sync::Mutex<UnboundedReceiver<Arrived>>,
    state: Mutex<State>,
    over: CancellationToken,
    _readers: [AbortOnDropHandle<()>; 2],
}

enum Arrived {
    Shared(Delivery),
    Own(Delivery),
}

/// What is answered to a command under another's id.
const TAKEN: CommandReply = CommandReply::Refused(Refusal::IdTaken);

type Key = (OrganisationId, Box<str>);

#[derive(Default)]
struct State {
    /// Who waits for an answer, by command.
    pending: BTreeMap<Key, (CommandKind, Vec<Asker>)>,
    answers: BTreeMap<Key, (CommandKind, CommandReply)>,
    /// The keys of the answers, oldest first.
    answered: VecDeque<Key>,
    /// Names of commands that came without one.
    unnamed: u64,
}

/// Where an answer goes.
#[derive(Clone, Debug, Default)]
struct ReturnAddress {
    reply_to: Option<ShortString>,
    correlation_id: Option<ShortString>,
}

struct Asker {
    address: ReturnAddress,
    /// The command's message; none for an order, which is acknowledged.
    message: Option<Delivery>,
}

impl ReturnAddress {
    fn of(properties: &BasicProperties) -> Self {
        let reply_to = properties.reply_to().clone().filter(|to| !to.as_str().is_empty());
        Self { reply_to, correlation_id: properties.correlation_id().clone() }
    }
}

fn key(command: &Command) -> Key {
    (command.organisation.clone(), command.id.clone())
}

impl AmqpCommandBus {
    pub(super) fn new(consuming: Arc<Link>, publishing: Arc<Link>, settings: AmqpSettings, worker: WorkerId) -> Self {
        let names = settings.names.clone();
        let over = CancellationToken::new();
        let (sink, arriving) = unbounded_channel();
        let subscription = |queue, prefetch, orders_to| Subscription {
            link: Arc::clone(&consuming),
            settings: settings.clone(),
            queue,
            prefetch,
            orders_to,
            over: over.clone(),
        };
        let own = subscription(names.orders(&worker), None, Some(worker.clone()));
        let shared = subscription(names.commands(), Some(PREFETCH), None);
        let readers = [
            AbortOnDropHandle::new(tokio::spawn(own.run(Arrived::Own, sink.clone()))),
            AbortOnDropHandle::new(tokio::spawn(shared.run(Arrived::Shared, sink))),
        ];
        Self {
            names,
            worker,
            post: Post::new(publishing, SENT_WITHIN),
            arriving: tokio::sync::Mutex::new(arriving),
            state: Mutex::default(),
            over,
            _readers: readers,
        }
    }

    /// Takes nothing more; commands that are not answered go back for other workers to take.
    pub fn release(&self) {
        self.over.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a command from the shared queue, unless it is known.
    async fn take(&self, message: Delivery) -> Option<Command> {
        if !message.acker.usable() {
            // It came over a connection that is lost, and comes again.
            return None;
        }
        let (organisation, (kind, expect)) = match wire::read_command(message.routing_key.as_str(), &message.data) {
            Ok(read) => read,
            Err(malformed) => {
                // What is wrong with it quotes it, and is for whoever gave it.
                tracing::warn!(key = message.routing_key.as_str(), "not a command");
                self.tell(&ReturnAddress::of(&message.properties), &ReplyBody::invalid(&malformed)).await;
                self.acknowledge(&message).await;
                return None;
            }
        };
        let address = ReturnAddress::of(&message.properties);
        let known = {
            let mut state = self.lock();
            let id = message_id(&message.properties).map_or_else(
                || {
                    state.unnamed += 1;
                    format!("{}.{}.{}", self.worker, self.post.clock().now().as_millis(), state.unnamed).into()
                },
                |id| Box::from(&*id),
            );
            let (actor, trace) = (wire::actor(&message.properties), wire::trace(&message.properties));
            let command = Command { id, organisation, actor, expect, trace, kind };
            // Those of a lost connection come again.
            let waiting = state.pending.get(&key(&command)).filter(|(_, askers)| {
                askers.iter().any(|one| one.message.as_ref().is_none_or(|message| message.acker.usable()))
            });
            let waiting = waiting.map(|(kind, _)| *kind == command.kind);
            match state.answers.get(&key(&command)) {
                Some((kind, reply)) if *kind == command.kind => Err((message, *reply)),
                Some(_) => Err((message, TAKEN)),
                None if waiting == Some(false) => Err((message, TAKEN)),
                None => {
                    let asker = Asker { address: address.clone(), message: Some(message) };
                    let waiting = state.pending.entry(key(&command));
                    let (kind, askers) = waiting.or_insert_with(|| (command.kind.clone(), Vec::new()));
                    kind.clone_from(&command.kind);
                    askers.retain(|one| one.message.as_ref().is_none_or(|message| message.acker.usable()));
                    askers.push(asker);
                    Ok((askers.len() == 1).then_some(command))
                }
            }
        };
        match known {
            Ok(command) => command,
            Err((message, reply)) => {
                self.tell(&address, &ReplyBody::of(reply)).await;
                self.acknowledge(&message).await;
                None
            }
        }
    }

    fn take_order(&self, message: &Delivery) -> Option<Order> {
        match wire::read_order(&message.data, wire::trace(&message.properties)) {
            Ok(order) => {
                let asker = Asker { address: ReturnAddress::of(&message.properties), message: None };
                let mut state = self.lock();
                let waiting = state.pending.entry(key(&order.command));
                waiting.or_insert_with(|| (order.command.kind.clone(), Vec::new())).1.push(asker);
                Some(order)
            }
            Err(_) => {
                tracing::warn!(key = message.routing_key.as_str(), "not an order");
                None
            }
        }
    }

    /// Answers one asker, if it can be answered.
    async fn tell(&self, address: &ReturnAddress, answer: &ReplyBody) {
        let Some(to) = text(address.reply_to.as_ref()) else { return };
        let Ok(body) = serde_json::to_vec(answer) else { return };
        let properties = wire::reply_properties(address.correlation_id.as_ref());
        let letter = Letter { exchange: "", key: to, must_arrive: false, properties, body: &body };
        if let Err(error) = self.post.send(letter).await {
            // Whoever asked hears nothing in time, and asks again under the same id.
            tracing::warn!(%error, "an answer to a command was not sent");
        }
    }

    /// Acknowledges a command. Should that fail, it comes again, and its answer is known.
    async fn acknowledge(&self, message: &Delivery) {
        acks::acknowledge(self.post.clock(), message).await;
    }

    async fn send_order(
        &self,
        owner: &WorkerId,
        (body, trace): (&[u8], Option<TraceParent>),
        address: &ReturnAddress,
    ) -> Result<(), PostError> {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_expiration(ORDER_LIFE.to_string().into());
        let mut properties = wire::part_of(properties, trace);
        if let Some(to) = &address.reply_to {
            properties = properties.with_reply_to(to.clone());
        }
        if let Some(id) = &address.correlation_id {
            properties = properties.with_correlation_id(id.clone());
        }
        let key = self.names.orders(owner);
        self.post.send(Letter { exchange: "", key: &key, must_arrive: true, properties, body }).await
    }
}

#[async_trait]
impl CommandBus for AmqpCommandBus {
    /// Orders are those to the worker that this bus was made for.
    async fn next(&self, worker: &WorkerId) -> Option<Incoming> {
        if *worker != self.worker {
            tracing::error!(%worker, ours = %self.worker, "orders to another worker are asked for");
        }
        let mut arriving = self.arriving.lock().await;
        loop {
            match arriving.recv().await? {
                Arrived::Shared(message) => {
                    if let Some(command) = self.take(message).await {
                        return Some(Incoming::Command(command));
                    }
                }
                Arrived::Own(message) => {
                    if let Some(order) = self.take_order(&message) {
                        return Some(Incoming::Order(order));
                    }
                }
            }
        }
    }

    async fn forward(&self, owner: &WorkerId, order: Order) {
        let askers = self.lock().pending.remove(&key(&order.command)).map(|(_, askers)| askers).unwrap_or_default();
        let body = match wire::order_body(&order) {
            Ok(body) => body,
            Err(error) => return tracing::error!(%error, "an order cannot be written"),
        };
        // A hang-up of a whole request orders one of each call, for which nobody waits.
        let nobody = [Asker { address: ReturnAddress::default(), message: None }];
        for asker in if askers.is_empty() { &nobody[..] } else { &askers } {
            match self.send_order(owner, (&body, order.command.trace), &asker.address).await {
                Ok(()) => {}
                // The owner is gone: whoever takes the call over can be asked.
                Err(PostError::Unroutable | PostError::Refused) => {
                    self.tell(&asker.address, &ReplyBody::of(CommandReply::Adopting)).await;
                }
                Err(error) => {
                    tracing::warn!(%error, %owner, "an order was not passed on");
                    if let Some(message) = &asker.message {
                        acks::give_back(self.post.clock(), message).await;
                    }
                    continue;
                }
            }
            if let Some(message) = &asker.message {
                self.acknowledge(message).await;
            }
        }
    }

    async fn answer(&self, command: &Command, reply: CommandReply) {
        let key = key(command);
        let askers = {
            let mut state = self.lock();
            // What is to be asked again is not the command's answer for good.
            if matches!(reply, CommandReply::Done | CommandReply::NotFound)
                && state.answers.insert(key.clone(), (command.kind.clone(), reply)).is_none()
            {
                state.answered.push_back(key.clone());
                if state.answered.len() > REMEMBERED
                    && let Some(oldest) = state.answered.pop_front()
                {
                    state.answers.remove(&oldest);
                }
            }
            state.pending.remove(&key).map(|(_, askers)| askers).unwrap_or_default()
        };
        for asker in askers {
            self.tell(&asker.address, &ReplyBody::of(reply)).await;
            if let Some(message) = &asker.message {
                self.acknowledge(message).await;
            }
        }
    }
}
