//! What one worker does: calls, dispatch, what it takes in and puts out.

use super::super::metric::Role::Worker;
use super::super::metric::{By, Metric};
use super::super::words::{COMMANDS, ENDS, LEGS, NOT_NOW, REJECTIONS, RESULTS, ROLES, STEPS, TRANSFERS};

/// How long people let it ring, and talk: a word said in passing, a prompt, a conversation.
const CALL_SECONDS: &[f64] = &[1.0, 3.0, 6.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 900.0, 1800.0];

/// How long what should be quick takes: some of it waits for a prompt to be made.
const QUICK_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How long a destination may wait for its turn: a campaign that has slots, one that has few.
const WAIT_SECONDS: &[f64] = &[0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0];

const RESULT: By = By { name: "result", words: RESULTS };

/// Dials.
pub static DIALS: Metric = Metric::counter(Worker, "robocall_dials_total", "Attempts that were committed to a dial.");

/// Dials by trunk.
pub static TRUNK_DIALS: Metric = Metric::counter(
    Worker,
    "robocall_trunk_dials_total",
    "Dials by the trunk they left through. The simulated network has none.",
)
.by(&[By { name: "trunk", words: &[] }]);

/// Ends of dialled attempts by trunk.
pub static TRUNK_ENDS: Metric = Metric::counter(
    Worker,
    "robocall_trunk_attempts_total",
    "Ended attempts by the trunk they left through and how they ended.",
)
.by(&[By { name: "trunk", words: &[] }, RESULT]);

/// Answers.
pub static ANSWERS: Metric = Metric::counter(Worker, "robocall_answers_total", "Dials that were answered.");

/// Short calls.
pub static SHORT_CALLS: Metric = Metric::counter(
    Worker,
    "robocall_short_calls_total",
    "Answered calls that ended within six seconds: carriers charge for them, and nobody hears a message in that time.",
);

/// Ended attempts.
pub static ATTEMPTS: Metric = Metric::counter(
    Worker,
    "robocall_attempts_total",
    "Ended attempts by how they ended, those that were refused before they were dialled included.",
)
.by(&[RESULT]);

/// Ended calls.
pub static CALLS: Metric = Metric::counter(Worker, "robocall_calls_total", "Ended calls by their final status.")
    .by(&[By { name: "status", words: ENDS }]);

/// Retries.
pub static RETRIES: Metric =
    Metric::counter(Worker, "robocall_retries_total", "Attempts after which another was scheduled, by how they ended.")
        .by(&[RESULT]);

/// Ring time.
pub static RING: Metric = Metric::histogram(
    Worker,
    "robocall_ring_seconds",
    "From the dial to the answer, of attempts that were answered.",
    CALL_SECONDS,
);

/// Talk time.
pub static TALK: Metric =
    Metric::histogram(Worker, "robocall_talk_seconds", "From the answer to the end of the attempt.", CALL_SECONDS);

/// Steps.
pub static STEP: Metric = Metric::histogram(
    Worker,
    "robocall_step_seconds",
    "How long steps of call flows took, by kind of step.",
    CALL_SECONDS,
)
.by(&[By { name: "step", words: STEPS }]);

/// Steps that went wrong.
pub static STEP_ERRORS: Metric = Metric::counter(
    Worker,
    "robocall_step_errors_total",
    "Steps that ended with another status than SuccessOk, by kind of step.",
)
.by(&[By { name: "step", words: STEPS }]);

/// Transfers.
pub static FLOW_TRANSFERS: Metric =
    Metric::counter(Worker, "robocall_transfers_total", "Transfers of call flows by how they ended.")
        .by(&[By { name: "status", words: TRANSFERS }]);

/// Second legs.
pub static SECOND_LEGS: Metric = Metric::counter(
    Worker,
    "robocall_second_legs_total",
    "Legs of transfer targets, participants and supervisors: dialled, answered, failed.",
)
.by(&[By { name: "role", words: ROLES }, By { name: "outcome", words: LEGS }]);

/// Commands.
pub static COMMANDS_EXECUTED: Metric =
    Metric::counter(Worker, "robocall_commands_total", "Commands to live calls that were carried out.")
        .by(&[By { name: "command", words: COMMANDS }]);

/// Adoptions.
pub static ADOPTIONS: Metric = Metric::counter(
    Worker,
    "robocall_adoptions_total",
    "Calls that this worker took over from one that died, or that handed them over.",
);

/// Calls lost to others.
pub static FENCED: Metric = Metric::counter(
    Worker,
    "robocall_calls_lost_total",
    "Calls that another worker took over while this one carried them: it stood still, or could not reach the store.",
);

/// Recordings.
pub static RECORDINGS: Metric = Metric::counter(Worker, "robocall_recordings_total", "Recordings that began.");

/// Opt-outs.
pub static OPT_OUTS: Metric =
    Metric::counter(Worker, "robocall_opt_outs_total", "Callees who asked not to be called again.");

/// Waits.
pub static WAIT: Metric = Metric::histogram(
    Worker,
    "robocall_due_to_dial_seconds",
    "From when a destination was due, by its schedule or its retry, to its dial: slots, windows and rates are waited for.",
    WAIT_SECONDS,
);

/// Dispatch lag.
pub static LAG: Metric = Metric::histogram(
    Worker,
    "robocall_dispatch_lag_seconds",
    "From the claim of a destination, which takes a slot, to its dial: what a slot stands idle before each call.",
    QUICK_SECONDS,
);

/// Claims.
pub static CLAIMS: Metric = Metric::counter(Worker, "robocall_claims_total", "Destinations that this worker claimed.");

/// Rounds of claims.
pub static CLAIM_ROUNDS: Metric = Metric::counter(
    Worker,
    "robocall_claim_rounds_total",
    "Times that the store was asked for destinations: it gave some, had none, or did not answer.",
)
.by(&[By { name: "outcome", words: &["some", "none", "failed"] }]);

/// Dials refused.
pub static NOT_DIALLED: Metric = Metric::counter(
    Worker,
    "robocall_dials_refused_total",
    "Claims that were given back instead of dialled, or ended undialled, by reason.",
)
.by(&[By { name: "reason", words: NOT_NOW }]);

/// Live calls.
pub static LIVE: Metric = Metric::gauge(
    Worker,
    "robocall_live_calls",
    "Calls in the hands of this worker, those that are about to be dialled included.",
);

/// Capacity.
pub static CAPACITY: Metric =
    Metric::gauge(Worker, "robocall_capacity_calls", "Most calls that this worker carries at a time.");

/// Draining.
pub static DRAINING: Metric =
    Metric::gauge(Worker, "robocall_draining", "Whether this worker was told to finish what is live: 1, else 0.");

/// Unconfirmed events.
pub static OUTBOX: Metric = Metric::gauge(
    Worker,
    "robocall_outbox_events",
    "Events that are stored and that the broker has not confirmed yet.",
);

/// Published events.
pub static EVENTS: Metric = Metric::counter(
    Worker,
    "robocall_events_published_total",
    "Events that were handed to the broker: it confirmed them, or refused them and got them again.",
)
.by(&[By { name: "outcome", words: &["confirmed", "refused"] }]);

/// Requests taken in.
pub static REQUESTS: Metric = Metric::counter(
    Worker,
    "robocall_requests_total",
    "Requests that were judged: accepted, or rejected with a reason.",
)
.by(&[By { name: "outcome", words: REJECTIONS }]);

/// Destinations taken in.
pub static DESTINATIONS: Metric =
    Metric::counter(Worker, "robocall_destinations_total", "Destinations of accepted requests, duplicates left out.");

pub(super) static ALL: &[&Metric] = &[
    &DIALS,
    &TRUNK_DIALS,
    &TRUNK_ENDS,
    &ANSWERS,
    &SHORT_CALLS,
    &ATTEMPTS,
    &CALLS,
    &RETRIES,
    &RING,
    &TALK,
    &STEP,
    &STEP_ERRORS,
    &FLOW_TRANSFERS,
    &SECOND_LEGS,
    &COMMANDS_EXECUTED,
    &ADOPTIONS,
    &FENCED,
    &RECORDINGS,
    &OPT_OUTS,
    &WAIT,
    &LAG,
    &CLAIMS,
    &CLAIM_ROUNDS,
    &NOT_DIALLED,
    &LIVE,
    &CAPACITY,
    &DRAINING,
    &OUTBOX,
    &EVENTS,
    &REQUESTS,
    &DESTINATIONS,
];
