//! What the processes of `robocall api` see: clients, webhooks, and what the store knows of all organisations together.
//!
//! Every one of them says the same of the store: queries take `max`, never `sum`, over processes.

use super::super::metric::Role::Api;
use super::super::metric::{By, Metric};
use super::super::words::ANSWERS as ANSWER_WORDS;

/// How long clients wait.
const ANSWER_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const ORGANISATION: By = By { name: "organisation", words: &[] };

/// Answers.
pub static ANSWERED: Metric =
    Metric::counter(Api, "robocall_api_answers_total", "Answers of the HTTP interface by kind of status.")
        .by(&[By { name: "code", words: ANSWER_WORDS }]);

/// Time to answer.
pub static ANSWER: Metric = Metric::histogram(
    Api,
    "robocall_api_answer_seconds",
    "From the head of a question to the head of its answer.",
    ANSWER_SECONDS,
);

/// Event streams.
pub static STREAMS: Metric =
    Metric::gauge(Api, "robocall_api_event_streams", "Clients that listen to live events of this process.");

/// Deliveries.
pub static HOOKS: Metric = Metric::counter(
    Api,
    "robocall_hook_deliveries_total",
    "Attempts to deliver an event to a webhook: delivered, to be tried again, given up (a dead letter), or gone (410).",
)
.by(&[By { name: "outcome", words: &["delivered", "retried", "dead", "gone"] }]);

/// Time of deliveries.
pub static HOOK: Metric = Metric::histogram(
    Api,
    "robocall_hook_delivery_seconds",
    "How long webhooks took to answer, or to be given up for this time.",
    ANSWER_SECONDS,
);

/// The lead.
pub static HOOK_LEAD: Metric = Metric::gauge(
    Api,
    "robocall_hook_lead",
    "Whether this process is the one that delivers to webhooks: 1, else 0. The sum over processes is 1.",
);

/// Limits.
pub static SLOT_LIMIT: Metric = Metric::gauge(
    Api,
    "robocall_slots_limit",
    "Concurrent calls allowed, summed over organisations with work or calls.",
);

/// Slots in use.
pub static SLOTS_LEASED: Metric =
    Metric::gauge(Api, "robocall_slots_leased", "Slots held by workers, suspects included.");

/// Slots of others.
pub static SLOTS_EXTERNAL: Metric = Metric::gauge(Api, "robocall_slots_external", "Slots held by other applications.");

/// Suspects.
pub static SLOTS_SUSPECT: Metric = Metric::gauge(
    Api,
    "robocall_slots_suspect",
    "Slots whose owners have not renewed them in time: they are adopted within half a minute, or somebody is needed.",
);

/// Counters that cannot be read.
pub static SLOTS_UNREADABLE: Metric = Metric::gauge(
    Api,
    "robocall_slots_unreadable",
    "Organisations whose slots of other applications cannot be read: nothing is dialled for them.",
);

/// Free slots.
pub static SLOTS_FREE: Metric = Metric::gauge(Api, "robocall_slots_free", "Slots that nobody holds.");

/// Drift.
pub static SLOT_DRIFT: Metric = Metric::gauge(
    Api,
    "robocall_slot_drift",
    "Slots above the limit in force: leases and external calls together exceed it. Lowered limits pass, anything else does not.",
);

/// Backlog.
pub static BACKLOG: Metric = Metric::gauge(
    Api,
    "robocall_backlog_destinations",
    "Destinations that are due within two minutes, schedules and retries included, not paused, and no more than rates allow until then.",
);

/// What could be dialled.
pub static WANTED: Metric = Metric::gauge(
    Api,
    "robocall_wanted_calls",
    "The smaller of backlog and free slots, summed over organisations: what more workers could carry. Workers are scaled by it.",
);

/// Idle slots.
pub static IDLE: Metric = Metric::counter(
    Api,
    "robocall_idle_slot_seconds_total",
    "Seconds in which a slot was free while a destination of its organisation was due, summed over slots.",
);

/// When the store was last looked at.
pub static CENSUS: Metric = Metric::gauge(
    Api,
    "robocall_census_timestamp_seconds",
    "When slots and backlog were last read from the store, in seconds since 1970.",
);

/// Requests waiting.
pub static QUEUED: Metric =
    Metric::gauge(Api, "robocall_queued_requests", "Requests in the broker's queue that no worker has judged yet.");

/// Dead letters.
pub static DEAD: Metric = Metric::gauge(
    Api,
    "robocall_dead_letters",
    "Requests in the broker's queue of dead letters: `robocall dead list` shows them.",
);

/// Durability.
pub static DURABLE: Metric =
    Metric::gauge(Api, "robocall_redis_durable", "Whether Redis keeps a log on disk and evicts nothing: 1, else 0.");

/// Slots of an organisation.
pub static ORGANISATION_LEASED: Metric = Metric::gauge(
    Api,
    "robocall_organisation_slots_leased",
    "Slots held by workers, of organisations listed in `metrics.organisations`.",
)
.by(&[ORGANISATION]);

/// Limit of an organisation.
pub static ORGANISATION_LIMIT: Metric = Metric::gauge(
    Api,
    "robocall_organisation_slots_limit",
    "Concurrent calls allowed, of organisations listed in `metrics.organisations`.",
)
.by(&[ORGANISATION]);

/// Others' slots of an organisation.
pub static ORGANISATION_EXTERNAL: Metric = Metric::gauge(
    Api,
    "robocall_organisation_slots_external",
    "Slots held by other applications, of organisations listed in `metrics.organisations`.",
)
.by(&[ORGANISATION]);

/// Backlog of an organisation.
pub static ORGANISATION_BACKLOG: Metric = Metric::gauge(
    Api,
    "robocall_organisation_backlog_destinations",
    "Destinations due within two minutes, no more than the rate allows until then, of organisations listed in `metrics.organisations`.",
)
.by(&[ORGANISATION]);

pub(super) static ALL: &[&Metric] = &[
    &ANSWERED,
    &ANSWER,
    &STREAMS,
    &HOOKS,
    &HOOK,
    &HOOK_LEAD,
    &SLOT_LIMIT,
    &SLOTS_LEASED,
    &SLOTS_EXTERNAL,
    &SLOTS_SUSPECT,
    &SLOTS_UNREADABLE,
    &SLOTS_FREE,
    &SLOT_DRIFT,
    &BACKLOG,
    &WANTED,
    &IDLE,
    &CENSUS,
    &QUEUED,
    &DEAD,
    &DURABLE,
    &ORGANISATION_LEASED,
    &ORGANISATION_LIMIT,
    &ORGANISATION_EXTERNAL,
    &ORGANISATION_BACKLOG,
];
