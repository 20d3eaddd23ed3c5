//! Prompts that are made while earlier ones play, so that nobody waits for the next one.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::live_call::LiveCall;
use crate::callflow::program::{StepIndex, Utterance};
use crate::ports::Speech;

/// Prompts that are made ahead at a time, for all calls: others are needed now, and use the same engine.
pub const AT_A_TIME: usize = 2;

/// What is being made ahead for a call; given up when this is dropped. Nothing, as a rule.
#[derive(Default)]
pub struct Ahead(Option<(StepIndex, AbortOnDropHandle<()>)>);

impl LiveCall<'_> {
    /// Has what may be heard after the step that is going on made ready, and gives up what was wanted before.
    pub(super) fn look_ahead(&mut self) {
        let Some(step) = self.machine.step() else { return };
        if matches!(&self.ahead.0, Some((of, making)) if *of == step && !making.is_finished()) {
            // A question that is asked again: begun anew, it would take longer.
            return;
        }
        let speech = &self.shared.ports.speech;
        let next = self.machine.next_messages().into_iter().filter_map(|message| self.utterances.get(message));
        let wanted: Vec<Utterance> = next.filter(|utterance| !speech.is_ready(utterance)).cloned().collect();
        // Given up first: what it holds is free for what follows.
        self.ahead = Ahead::default();
        if !wanted.is_empty() {
            // Of what all share only this, so that nobody waits for it at the end.
            let making = make(Arc::clone(speech), Arc::clone(&self.shared.ahead), wanted);
            self.ahead = Ahead(Some((step, AbortOnDropHandle::new(tokio::spawn(making)))));
        }
    }
}

async fn make(speech: Arc<dyn Speech>, places: Arc<Semaphore>, wanted: Vec<Utterance>) {
    for utterance in wanted {
        let Ok(_place) = places.acquire().await else { return };
        // If it cannot be made, whoever needs it hears why.
        let _not_now = speech.prepare(&utterance).await;
    }
}
