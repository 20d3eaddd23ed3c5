//! Events on their way out: written in order without waiting for confirmations, which [`super::confirms`] judges.
//!
//! A generation is one channel. The first event that is not confirmed ends it: every later one fails, and after
//! [`EventBus::recover`] the next begins on a new channel, with everything declared again. What the old one still had
//! to write is given up with its connection, so nothing of it can come between.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::confirms::{Asker, CONFIRMED_WITHIN, Written, judge};
use super::link::{Link, Live, within};
use super::post::{let_go, open};
use super::settings::AmqpSettings;
use super::{topology, wire};
use crate::model::{Event, TraceParent};
use crate::ports::{BusError, Clock, EventBus};

/// Most events that are written and not confirmed: what a lost connection publishes twice.
const WINDOW: usize = 1024;

/// Events that are rendered and written together.
const BATCH: usize = 128;

/// Events on their way out, to the exchange of events.
pub struct AmqpEventBus {
    handed: UnboundedSender<Handed>,
    _writer: AbortOnDropHandle<()>,
}

enum Handed {
    Event(Event, Asker),
    Recover,
}

impl AmqpEventBus {
    pub(super) fn new(link: Arc<Link>, settings: AmqpSettings) -> Self {
        let (handed, incoming) = unbounded_channel();
        let exchange = settings.names.events();
        let writer = Writer { link, settings, exchange, incoming, window: Arc::new(Semaphore::new(WINDOW)) };
        Self { handed, _writer: AbortOnDropHandle::new(tokio::spawn(writer.run())) }
    }
}

impl EventBus for AmqpEventBus {
    fn publish(&self, event: Event) -> BoxFuture<'static, Result<(), BusError>> {
        let (asker, answer) = oneshot::channel();
        // The writer lives as long as this does.
        let _ = self.handed.send(Handed::Event(event, asker));
        async move { answer.await.unwrap_or_else(|_| Err(BusError("the bus is closed".to_owned()))) }.boxed()
    }

    fn recover(&self) {
        let _ = self.handed.send(Handed::Recover);
    }
}

struct Writer {
    link: Arc<Link>,
    settings: AmqpSettings,
    exchange: String,
    incoming: UnboundedReceiver<Handed>,
    window: Arc<Semaphore>,
}

/// One channel's worth of publishing.
struct Generation {
    live: Arc<Live>,
    channel: Channel,
    written: UnboundedSender<Written>,
    broken: CancellationToken,
}

/// Who is told that an event failed, and of what.
struct Failed {
    askers: Vec<Asker>,
    why: String,
}

impl Writer {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut generation: Option<Generation> = None;
        let mut failed: Option<String> = None;
        while self.incoming.recv_many(&mut batch, BATCH).await > 0 {
            let mut events = Vec::with_capacity(batch.len());
            for handed in batch.drain(..) {
                match handed {
                    Handed::Event(event, asker) => events.push((event, asker)),
                    Handed::Recover => {
                        self.write_out(&mut generation, &mut failed, &mut events).await;
                        if failed.take().is_some() || generation.as_ref().is_some_and(|one| one.broken.is_cancelled()) {
                            end(self.link.clock(), generation.take());
                        }
                    }
                }
            }
            self.write_out(&mut generation, &mut failed, &mut events).await;
        }
    }

    /// Writes events, or fails them if one before them failed.
    async fn write_out(
        &self,
        generation: &mut Option<Generation>,
        failed: &mut Option<String>,
        events: &mut Vec<(Event, Asker)>,
    ) {
        let mut events = std::mem::take(events);
        if events.is_empty() {
            return;
        }
        if generation.as_ref().is_some_and(|one| one.broken.is_cancelled()) {
            failed.get_or_insert_with(|| "an event before it was not confirmed".to_owned());
        }
        if failed.is_none() && generation.is_none() {
            match within(&**self.link.clock(), CONFIRMED_WITHIN, self.begin()).await {
                Some(Ok(begun)) => *generation = Some(begun),
                Some(Err(error)) => *failed = Some(error.to_string()),
                None => *failed = Some(format!("no connection within {CONFIRMED_WITHIN:?}")),
            }
        }
        if failed.is_none()
            && let Some(one) = generation
        {
            match self.write(one, std::mem::take(&mut events)).await {
                Ok(()) => return,
                Err(Failed { askers, why }) => {
                    one.broken.cancel();
                    tell(askers, &why);
                    *failed = Some(why);
                }
            }
        }
        if let Some(why) = failed {
            tell(events.into_iter().map(|(_, asker)| asker), why);
        }
    }

    /// A channel that confirms, on a connection that is whole.
    async fn begin(&self) -> lapin::Result<Generation> {
        let live = self.link.up().await;
        topology::declare(&live, &self.settings).await?;
        let channel = open(&live.channel().await?).await?;
        let (written, confirms) = unbounded_channel();
        let broken = CancellationToken::new();
        tokio::spawn(judge(confirms, Arc::clone(self.link.clock()), Arc::clone(&live), broken.clone()));
        Ok(Generation { live, channel, written, broken })
    }

    /// Writes events in their order and hands them to the judge.
    async fn write(&self, generation: &Generation, events: Vec<(Event, Asker)>) -> Result<(), Failed> {
        let clock = self.link.clock();
        let give_up = |askers, why: &str| Failed { askers, why: why.to_owned() };
        // Rendered here, once, and by nobody who holds a lock.
        let rendered: Vec<_> = events.iter().map(|(event, _)| render(event)).collect();
        let mut askers: Vec<Asker> = events.into_iter().map(|(_, asker)| asker).collect();
        let many = u32::try_from(askers.len()).unwrap_or(u32::MAX);
        let room = tokio::select! {
            biased;
            () = generation.broken.cancelled() => return Err(give_up(askers, "an event before it was not confirmed")),
            room = Arc::clone(&self.window).acquire_many_owned(many) => room,
        };
        let Ok(mut room) = room else { return Err(give_up(askers, "the bus is closed")) };
        let mut writing = Vec::with_capacity(rendered.len());
        for letter in &rendered {
            let Some(Rendered { id, key, trace, body }) = letter else {
                return Err(give_up(askers, "it cannot be rendered"));
            };
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let properties = BasicProperties::default()
                .with_content_type("application/cloudevents+json".into())
                .with_delivery_mode(2)
                .with_message_id(id.clone());
            let properties = wire::part_of(properties, *trace);
            let exchange = self.exchange.as_str().into();
            writing.push(Box::pin(generation.channel.basic_publish(exchange, key.clone(), options, body, properties)));
        }
        let at = clock.now();
        // A first poll puts the frames into the queue, in this order; that they have left is awaited behind all of them.
        let mut confirms = Vec::with_capacity(writing.len());
        let early: Vec<_> =
            writing.iter_mut().map(|one| one.poll_unpin(&mut Context::from_waker(Waker::noop()))).collect();
        let sent = async {
            for (early, one) in early.into_iter().zip(&mut writing) {
                confirms.push(match early {
                    Poll::Ready(sent) => sent?,
                    Poll::Pending => one.await?,
                });
            }
            Ok::<(), lapin::Error>(())
        };
        let sent = tokio::select! {
            biased;
            () = generation.broken.cancelled() => Err("an event before it was not confirmed".to_owned()),
            sent = within(&**clock, CONFIRMED_WITHIN, sent) => match sent {
                Some(sent) => sent.map_err(|error| error.to_string()),
                None => {
                    generation.live.cut();
                    Err(format!("the broker takes nothing for {CONFIRMED_WITHIN:?}"))
                }
            },
        };
        drop(writing);
        let rest = askers.split_off(confirms.len());
        for ((letter, confirm), asker) in rendered.into_iter().zip(confirms).zip(askers) {
            let (Some(Rendered { id, .. }), Some(permit)) = (letter, room.split(1)) else { continue };
            let written = Written { id: id.as_str().into(), at, confirm, asker, permit };
            // The judge reads until it is told that there will be no more.
            let _ = generation.written.send(written);
        }
        sent.map_err(|why| Failed { askers: rest, why })
    }
}

/// Ends a generation of which something was not confirmed.
fn end(clock: &Arc<dyn Clock>, generation: Option<Generation>) {
    let Some(Generation { live, channel, broken, .. }) = generation else { return };
    broken.cancel();
    if live.is_taking() {
        // The channel's own fault, such as a message without a queue: nothing of it waits to be written.
        let_go(clock, channel, ());
    } else {
        live.cut();
    }
}

fn tell(askers: impl IntoIterator<Item = Asker>, why: &str) {
    for asker in askers {
        // Whoever asked may not care any more.
        let _ = asker.send(Err(BusError(why.to_owned())));
    }
}

/// An event as it is sent.
struct Rendered {
    id: ShortString,
    key: ShortString,
    trace: Option<TraceParent>,
    body: Vec<u8>,
}

fn render(event: &Event) -> Option<Rendered> {
    let id = ShortString::try_new(event.id()).ok()?;
    let key = ShortString::try_new(format!("{}.{}", event.organisation(), event.kind().as_str())).ok()?;
    Some(Rendered { id, key, trace: event.trace(), body: serde_json::to_vec(event).ok()? })
}
