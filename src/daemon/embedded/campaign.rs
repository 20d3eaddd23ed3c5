//! One request on its way to its end, and those who work at it.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{EmbeddedError, Ending};
use crate::adapters::memory::MemoryCommandBus;
use crate::adapters::simulator::SimulatedNetwork;
use crate::api::Server;
use crate::command::{Command, CommandKind};
use crate::dispatch::{Ports, Programs, Shutdown, Worker, WorkerFailure, WorkerSettings};
use crate::model::status::RequestSummary;
use crate::model::{Organisation, OrganisationId, RequestStatus};
use crate::ports::store::{ProcessId, RequestKey};
use crate::shutdown::Interrupts;

/// How finishing what is live ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    /// Everything is at rest.
    Done,
    /// It was to end at once.
    CutOff,
}

/// One request on its way to its end.
pub(super) struct Campaign {
    pub ports: Arc<Ports>,
    pub programs: Arc<Programs>,
    pub commands: Arc<MemoryCommandBus>,
    pub network: SimulatedNetwork,
    pub ended: watch::Receiver<Option<RequestSummary>>,
    pub key: Arc<OnceLock<RequestKey>>,
    pub organisation: OrganisationId,
    pub rules: Organisation,
    pub external: u32,
    pub workers: u32,
    pub interrupts: Interrupts,
    /// What answers over HTTP from when the request is accepted.
    pub server: Option<Server>,
}

/// Those who work, and who answers over HTTP. They end when this is dropped.
#[derive(Default)]
pub(super) struct Crew {
    network: JoinSet<Infallible>,
    workers: JoinSet<Result<(), WorkerFailure>>,
    shutdown: Shutdown,
    serving: JoinSet<()>,
    /// Ends serving.
    closing: CancellationToken,
}

impl Crew {
    /// Finishes what is live.
    async fn drain(&mut self, interrupts: &Interrupts) -> Result<Drained, EmbeddedError> {
        self.shutdown.drain.cancel();
        loop {
            tokio::select! {
                biased;
                () = interrupts.hard.cancelled() => return Ok(Drained::CutOff),
                ended = self.workers.join_next() => match ended {
                    Some(Ok(Ok(()))) => {}
                    None => return Ok(Drained::Done),
                    failed => return Err(gone(failed)),
                },
            }
        }
    }

    /// Goes on until interrupted.
    pub async fn stay(mut self, interrupts: &Interrupts) -> Result<(), EmbeddedError> {
        tokio::select! {
            biased;
            () = interrupts.soft.cancelled() => {}
            failed = self.workers.join_next() => return Err(gone(failed)),
            broken = self.serving.join_next() => return Err(broken_off(broken)),
        }
        self.closing.cancel();
        tokio::select! {
            biased;
            () = interrupts.hard.cancelled() => {}
            // It ends within a bound.
            _ = self.serving.join_next() => {}
        }
        Ok(())
    }
}

impl Campaign {
    /// Runs it to its end. Whoever may still be asked over HTTP is handed back.
    pub async fn run(
        mut self,
        verdict: oneshot::Receiver<RequestSummary>,
    ) -> Result<(Ending, Option<Crew>), EmbeddedError> {
        let store = Arc::clone(&self.ports.store);
        store.set_organisation(&self.organisation, self.rules.clone()).await?;
        store.set_external(&self.organisation, Some(self.external.to_string())).await?;
        // Dropped with this future, and their tasks with them.
        let mut crew = Crew::default();
        crew.network.spawn(self.network.clone().run());
        for number in 1..=self.workers {
            let id = format!("embedded-{number}").parse();
            let id = id.map_err(|error: crate::model::IdError| EmbeddedError::Broken(error.to_string()))?;
            // The store is this process's own: no other process ever asks it.
            let settings = WorkerSettings::new(id, ProcessId(number.into()));
            let worker = Worker::new(Arc::clone(&self.ports), Arc::clone(&self.programs), settings);
            crew.workers.spawn(worker.run(crew.shutdown.clone()));
        }
        let ending = tokio::select! {
            biased;
            () = self.interrupts.hard.clone().cancelled_owned() => return Ok((Ending::Stopped, None)),
            failed = crew.workers.join_next() => return Err(gone(failed)),
            ending = self.follow(verdict, &mut crew.serving, &crew.closing) => ending?,
        };
        let goes_on = !crew.serving.is_empty() && !self.interrupts.soft.is_cancelled();
        if !goes_on && crew.drain(&self.interrupts).await? == Drained::CutOff {
            return Ok((Ending::Stopped, None));
        }
        Ok((ending, (!crew.serving.is_empty()).then_some(crew)))
    }

    /// From the verdict on the request to its last event.
    async fn follow(
        &mut self,
        verdict: oneshot::Receiver<RequestSummary>,
        serving: &mut JoinSet<()>,
        closing: &CancellationToken,
    ) -> Result<Ending, EmbeddedError> {
        let summary = tokio::select! {
            biased;
            // Not accepted yet: there is nothing to bring to an end.
            () = self.interrupts.soft.cancelled() => return Ok(Ending::Stopped),
            verdict = verdict => verdict.map_err(|_| EmbeddedError::Broken("nobody took the request".to_owned()))?,
        };
        if summary.status == RequestStatus::Failed {
            return Ok(Ending::Refused(summary));
        }
        let key = RequestKey { organisation: self.organisation.clone(), request: summary.request_id };
        // There is one request in a run, so nobody was here before.
        let _first = self.key.set(key.clone());
        if let Some(server) = self.server.take() {
            serving.spawn(server.serve(closing.clone()));
        }
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                changed = self.ended.wait_for(Option::is_some) => {
                    let ended = changed.map_err(|_| EmbeddedError::Broken("nobody tells of the end".to_owned()))?;
                    if let Some(summary) = &*ended {
                        return Ok(Ending::AtRest(summary.clone()));
                    }
                }
                () = self.interrupts.soft.cancelled(), if !told => {
                    told = true;
                    // What it came to is heard as the request's last event.
                    let _answer = self.commands.send(Command {
                        id: "interrupt".into(),
                        organisation: key.organisation.clone(),
                        actor: None,
                        expect: None,
                        trace: None,
                        kind: CommandKind::Cancel { request: key.request.clone(), hang_up: false },
                    });
                }
            }
        }
    }
}

/// Why workers that should work have ended.
fn gone(ended: Option<Result<Result<(), WorkerFailure>, tokio::task::JoinError>>) -> EmbeddedError {
    match ended {
        Some(Ok(Err(failure))) => failure.into(),
        Some(Err(error)) => EmbeddedError::Broken(error.to_string()),
        Some(Ok(Ok(()))) | None => EmbeddedError::Broken("a worker stopped before its time".to_owned()),
    }
}

/// Why nobody answers over HTTP any more.
fn broken_off(ended: Option<Result<(), tokio::task::JoinError>>) -> EmbeddedError {
    let why = ended.and_then(Result::err).map(|error| error.to_string());
    EmbeddedError::Broken(why.unwrap_or_else(|| "the interface stopped before its time".to_owned()))
}
