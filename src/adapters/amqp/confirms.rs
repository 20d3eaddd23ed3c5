//! Events that were written to the broker and are not yet confirmed.
//!
//! The client library hands a returned message to whichever confirmation completes next, which need not be its own. So
//! nothing counts as confirmed before every confirmation that is complete was looked at: whatever carries the return of
//! an event completes before that event's own confirmation does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::poll_fn;
use lapin::{Confirmation, PublisherConfirm};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use super::link::Live;
use crate::model::Timestamp;
use crate::ports::{BusError, Clock};

/// How long the oldest event may wait for its confirmation.
pub(super) const CONFIRMED_WITHIN: Duration = Duration::from_secs(30);

/// Who waits to hear of an event.
pub(super) type Asker = oneshot::Sender<Result<(), BusError>>;

/// An event that was written.
pub(super) struct Written {
    pub id: Box<str>,
    pub at: Timestamp,
    pub confirm: PublisherConfirm,
    pub asker: Asker,
    /// Its place in the window.
    pub permit: OwnedSemaphorePermit,
}

/// An event in flight.
struct InFlight {
    written: Written,
    /// Whether the broker has it, once it has said so.
    answer: Option<Result<(), String>>,
}

/// Tells askers of confirmations, in order, until one does not come. Then all the rest fail, and `broken` is cancelled.
pub(super) async fn judge(
    mut written: UnboundedReceiver<Written>,
    clock: Arc<dyn Clock>,
    live: Arc<Live>,
    broken: CancellationToken,
) {
    let mut window = Window::default();
    let mut alarm = clock.sleep_until(clock.now() + CONFIRMED_WITHIN);
    let mut incoming = Vec::new();
    let why = loop {
        let moved = tokio::select! {
            biased;
            () = broken.cancelled() => Moved::Broken,
            () = poll_fn(|context| window.poll_front(context)) => Moved::Confirmed,
            count = written.recv_many(&mut incoming, 256) => Moved::Written(count),
            () = &mut alarm, if !window.in_flight.is_empty() => Moved::Alarm,
        };
        match moved {
            Moved::Broken => break "the connection was given up".to_owned(),
            Moved::Confirmed => {
                if let Err(why) = window.settle() {
                    break why;
                }
            }
            Moved::Written(0) if window.in_flight.is_empty() => return,
            Moved::Written(0) => {
                // No more will come; wait for the rest.
                written.close();
                if let Err(why) = window.finish(&*clock, &broken).await {
                    break why;
                }
                return;
            }
            Moved::Written(_) => {
                window.in_flight.extend(incoming.drain(..).map(|written| InFlight { written, answer: None }));
            }
            Moved::Alarm => {
                let due = window.in_flight.front().map_or(clock.now(), |oldest| oldest.written.at) + CONFIRMED_WITHIN;
                if due <= clock.now() {
                    // Whatever is wrong with it, what it has not sent yet must not be sent behind what follows.
                    live.cut();
                    break format!("no confirmation within {CONFIRMED_WITHIN:?}");
                }
                alarm = clock.sleep_until(due);
            }
        }
    };
    broken.cancel();
    window.fail(&why);
    while let Some(late) = written.recv().await {
        fail(late, &why);
    }
}

enum Moved {
    Broken,
    Confirmed,
    Written(usize),
    Alarm,
}

#[derive(Default)]
struct Window {
    in_flight: VecDeque<InFlight>,
    /// Events that the broker returned.
    returned: Vec<Box<str>>,
}

impl Window {
    /// Ready when the oldest event was answered; never if there is none.
    fn poll_front(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(front) = self.in_flight.front_mut() else { return Poll::Pending };
        if front.answer.is_some() || front.poll(context, &mut self.returned) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Looks at everything that was answered and tells the askers at the front.
    fn settle(&mut self) -> Result<(), String> {
        // Only the oldest is waited for; a waker for each would be woken for each.
        let mut nobody = Context::from_waker(Waker::noop());
        for event in &mut self.in_flight {
            if event.answer.is_none() {
                event.poll(&mut nobody, &mut self.returned);
            }
        }
        while let Some(front) = self.in_flight.front_mut() {
            match front.answer.take() {
                None => return Ok(()),
                Some(Err(why)) => return Err(why),
                Some(Ok(())) if !self.returned.is_empty() && self.was_returned() => {
                    return Err("the broker has no queue for it".to_owned());
                }
                Some(Ok(())) => {}
            }
            if let Some(InFlight { written: Written { asker, permit, .. }, .. }) = self.in_flight.pop_front() {
                // Whoever asked may not care any more.
                let _ = asker.send(Ok(()));
                drop(permit);
            }
        }
        Ok(())
    }

    /// Whether the oldest event was returned, or one that is not known.
    fn was_returned(&self) -> bool {
        let known = |id: &str| self.in_flight.iter().any(|event| *event.written.id == *id);
        self.in_flight.front().is_some_and(|front| self.returned.contains(&front.written.id))
            || self.returned.iter().any(|id| !known(id))
    }

    /// Waits for everything that is in flight.
    async fn finish(&mut self, clock: &dyn Clock, broken: &CancellationToken) -> Result<(), String> {
        let end = clock.now() + CONFIRMED_WITHIN;
        while !self.in_flight.is_empty() {
            tokio::select! {
                biased;
                () = broken.cancelled() => return Err("the connection was given up".to_owned()),
                () = poll_fn(|context| self.poll_front(context)) => {}
                () = clock.sleep_until(end) => return Err(format!("no confirmation within {CONFIRMED_WITHIN:?}")),
            }
            self.settle()?;
        }
        Ok(())
    }

    fn fail(&mut self, why: &str) {
        for event in self.in_flight.drain(..) {
            fail(event.written, why);
        }
    }
}

fn fail(written: Written, why: &str) {
    // Whoever asked may not care any more.
    let _ = written.asker.send(Err(BusError(why.to_owned())));
}

impl InFlight {
    /// Whether it was answered by now. A waiting event's waker becomes that of `context`.
    fn poll(&mut self, context: &mut Context<'_>, returned: &mut Vec<Box<str>>) -> bool {
        let Poll::Ready(answer) = self.written.confirm.poll_unpin(context) else { return false };
        self.answer = Some(match answer {
            Ok(Confirmation::Ack(message)) => {
                returned.extend(message.map(|message| id_of(&message)));
                Ok(())
            }
            Ok(Confirmation::Nack(message)) => {
                returned.extend(message.map(|message| id_of(&message)));
                Err("the broker refuses it".to_owned())
            }
            Ok(Confirmation::NotRequested) => Err("the channel does not confirm".to_owned()),
            Err(error) => Err(error.to_string()),
        });
        true
    }
}

fn id_of(message: &lapin::message::BasicReturnMessage) -> Box<str> {
    message.properties.message_id().as_ref().map_or_else(Box::default, |id| id.as_str().into())
}
