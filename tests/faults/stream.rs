//! The stream of events, read from its beginning on.

use std::sync::Arc;

use robocall::adapters::amqp::TailFrom;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::deployment::Deployment;
use crate::evidence::Logged;

/// Everything the stream has brought.
pub struct Stream {
    events: watch::Sender<Vec<Logged>>,
}

impl Stream {
    /// Begins to read, for as long as the handle lives. Everything is declared at the broker then.
    pub async fn read(deployment: &Arc<Deployment>) -> (Arc<Self>, AbortOnDropHandle<()>) {
        while deployment.client.round_trip(1).await.is_err() {}
        let mut tail = loop {
            match deployment.client.tail(TailFrom::First).await {
                Ok(tail) => break tail,
                Err(error) => eprintln!("{}: {error}", deployment.name),
            }
        };
        let stream = Arc::new(Self { events: watch::Sender::default() });
        let (reader, kept) = (Arc::clone(&stream), Arc::clone(deployment));
        let reading = tokio::spawn(async move {
            // Its connection is the deployment's.
            let _kept = kept;
            loop {
                let event = tail.next().await;
                let id = event.id.map(|id| id.to_string()).unwrap_or_default();
                reader.events.send_modify(|events| events.push(Logged::read(id, &event.body)));
            }
        });
        (stream, AbortOnDropHandle::new(reading))
    }

    /// Waits until it has brought something.
    pub async fn shows(&self, what: impl Fn(&[Logged]) -> bool) {
        let mut events = self.events.subscribe();
        let _ = events.wait_for(|events| what(events)).await;
    }

    /// What it has brought so far.
    pub fn events(&self) -> Vec<Logged> {
        self.events.borrow().clone()
    }
}
