//! How the servers around a process answer it.

use super::super::metric::Role::{Every, Worker};
use super::super::metric::{By, Metric};

/// How long servers nearby take.
const SERVER_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

const OUTCOME: By = By { name: "outcome", words: &["ok", "failed"] };

/// Which build this is.
pub static BUILD: Metric = Metric::gauge(Every, "robocall_build_info", "1, with the version of this program.")
    .by(&[By { name: "version", words: &[env!("CARGO_PKG_VERSION")] }]);

/// Redis.
pub static REDIS: Metric = Metric::histogram(
    Every,
    "robocall_redis_seconds",
    "From a question to Redis to its answer, waiting for a connection included.",
    SERVER_SECONDS,
)
.by(&[OUTCOME]);

/// The broker.
pub static CONFIRMATION: Metric = Metric::histogram(
    Worker,
    "robocall_event_confirm_seconds",
    "From handing an event to the broker to its confirmation.",
    SERVER_SECONDS,
);

/// Connections to the broker.
pub static BROKER: Metric = Metric::gauge(
    Every,
    "robocall_broker_connections",
    "Connections to the broker that are open now: each part of a process has its own.",
);

/// Lost connections.
pub static BROKER_LOST: Metric = Metric::counter(
    Every,
    "robocall_broker_connections_lost_total",
    "Connections to the broker that ended without being asked to, or could not be made.",
);

/// Nodes.
pub static NODE_UP: Metric = Metric::gauge(
    Worker,
    "robocall_telephony_node_up",
    "Whether a telephony server is heard by this worker: 1, else 0.",
)
.by(&[By { name: "node", words: &[] }]);

/// Legs on a node.
pub static NODE_LEGS: Metric =
    Metric::gauge(Worker, "robocall_telephony_node_legs", "Legs that a telephony server carries, whoever made them.")
        .by(&[By { name: "node", words: &[] }]);

/// Prompts.
pub static PROMPTS: Metric = Metric::counter(
    Worker,
    "robocall_prompts_total",
    "Prompts that were asked for: found in the cache, made, refused by the engine, or failed.",
)
.by(&[By { name: "outcome", words: &["cached", "made", "refused", "failed"] }]);

/// Making prompts.
pub static PROMPT: Metric = Metric::histogram(
    Worker,
    "robocall_prompt_seconds",
    "How long it took to make a prompt that was not in the cache.",
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
);

pub(super) static ALL: &[&Metric] =
    &[&BUILD, &REDIS, &CONFIRMATION, &BROKER, &BROKER_LOST, &NODE_UP, &NODE_LEGS, &PROMPTS, &PROMPT];
