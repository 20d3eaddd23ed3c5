//! What an operator says about Asterisk: its nodes, and how each kind of destination is dialled there.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::endpoints::Endpoints;
use crate::model::WorkerId;
use crate::ports::{Clock, StoreResult};

/// Asks whether this process may still listen in somebody's name.
pub type IsOurs = Arc<dyn Fn(WorkerId) -> BoxFuture<'static, StoreResult<bool>> + Send + Sync>;

/// One Asterisk.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// What logs call it.
    pub name: String,
    /// Where its ARI is, such as `http://10.0.0.7:8088/ari`.
    pub url: String,
    /// A user of `ari.conf`.
    pub user: String,
    /// The user's password.
    pub password: SecretString,
    /// Most legs it carries at a time, whoever made them; none: as many as come.
    pub max_legs: Option<NonZeroU32>,
    /// Most callees' legs made there in a second by this process, less what other legs it was given; none: as many as
    /// come.
    pub legs_per_second: Option<NonZeroU32>,
}

/// Everything the adapter is told.
#[derive(Clone)]
pub struct AsteriskSettings {
    /// At least one.
    pub nodes: Vec<NodeSettings>,
    /// How destinations are dialled.
    pub endpoints: Endpoints,
    /// Where recordings begin their names, a folder within Asterisk's own for them; empty: right there.
    pub recordings: String,
    /// The time that everything goes by.
    pub clock: Arc<dyn Clock>,
    /// Asked before an app's socket is opened again: whoever opens it takes it from whoever has it.
    pub is_ours: IsOurs,
    /// How long an answer is waited for.
    pub answer_within: Duration,
    /// How often every node's legs are looked through.
    pub look_every: Duration,
}

impl AsteriskSettings {
    /// As a worker needs it that is alone: every app is its own.
    pub fn new(nodes: Vec<NodeSettings>, endpoints: Endpoints, clock: Arc<dyn Clock>) -> Self {
        Self {
            nodes,
            endpoints,
            recordings: String::new(),
            clock,
            is_ours: Arc::new(|_| async { Ok(true) }.boxed()),
            answer_within: Duration::from_secs(2),
            look_every: Duration::from_secs(10),
        }
    }
}
