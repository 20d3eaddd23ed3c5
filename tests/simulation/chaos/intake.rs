//! The request queue whose settlements get lost, and the speech engine that is out of breath.

use std::sync::Arc;

use async_trait::async_trait;
use robocall::callflow::program::Utterance;
use robocall::ports::queue::Verdict;
use robocall::ports::{Audio, Delivery, QueueError, RequestQueue, Speech, SpeechError};

use super::{Fate, Loss};
use crate::checker::Checker;

pub struct ChaosQueue {
    pub inner: Arc<dyn RequestQueue>,
    pub fate: Arc<Fate>,
    pub checker: Arc<Checker>,
}

#[async_trait]
impl RequestQueue for ChaosQueue {
    async fn next(&self) -> Result<Option<Delivery>, QueueError> {
        self.fate.gate().await;
        self.inner.next().await
    }
    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), QueueError> {
        self.fate.gate().await;
        let loss = self.fate.loss();
        let lost = || Err(QueueError::Unavailable("lost by the test".to_owned()));
        if loss == Loss::Request {
            return lost();
        }
        self.checker.acknowledged(delivery, &verdict);
        let answer = self.inner.settle(delivery, verdict).await;
        self.fate.gate().await;
        if loss == Loss::Reply { lost() } else { answer }
    }
}

pub struct ChaosSpeech {
    pub inner: Arc<dyn Speech>,
    pub fate: Arc<Fate>,
}

#[async_trait]
impl Speech for ChaosSpeech {
    fn speaks(&self, language: &str) -> bool {
        self.inner.speaks(language)
    }
    fn is_ready(&self, utterance: &Utterance) -> bool {
        self.inner.is_ready(utterance)
    }
    async fn prepare(&self, utterance: &Utterance) -> Result<Audio, SpeechError> {
        self.fate.gate().await;
        if self.fate.loss() != Loss::None {
            return Err(SpeechError::Unavailable("lost by the test".to_owned()));
        }
        self.inner.prepare(utterance).await
    }
}
