//! What a worker does: claims, refusals, what it takes in and puts out.

use std::time::Duration;

use tracing::field;

use super::catalogue::{
    ADOPTIONS, CAPACITY, CLAIM_ROUNDS, CLAIMS, CONFIRMATION, DESTINATIONS, DRAINING, EVENTS, FENCED, LAG, LIVE,
    NOT_DIALLED, OUTBOX, REQUESTS,
};
use crate::model::Event;
use crate::model::status::RejectReason;
use crate::ports::BusError;
use crate::ports::store::NotNow;

/// A round of claims brought so many destinations.
pub fn claimed(destinations: usize) {
    CLAIM_ROUNDS.count([if destinations == 0 { "none" } else { "some" }]);
    CLAIMS.add([], u64::try_from(destinations).unwrap_or(u64::MAX));
}

/// The end of a call brought so many destinations in exchange.
pub fn refilled(destinations: usize) {
    CLAIMS.add([], u64::try_from(destinations).unwrap_or(u64::MAX));
}

/// Nothing could be claimed.
pub fn claim_failed() {
    CLAIM_ROUNDS.count(["failed"]);
}

/// A claim became a dial, so long after it was asked for.
pub fn dialled(after: Duration) {
    LAG.record([], after.as_secs_f64());
}

/// Why a claim is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDialled {
    /// The request is paused.
    Paused,
    /// The request is cancelled, or its time is over.
    Over,
    /// The organisation's calls a second are used up.
    Rate,
    /// The calling window has closed.
    Window,
    /// Somebody else has the slot.
    Slot,
    /// A rule or the do-not-call list forbids it.
    Blocked,
    /// Its data do not allow it.
    Refused,
    /// The telephony server made no channel.
    Channel,
    /// Its first message could not be made, or its organisation not be read.
    Unready,
}

impl From<NotNow> for NotDialled {
    fn from(why: NotNow) -> Self {
        match why {
            NotNow::Paused => Self::Paused,
            NotNow::Over => Self::Over,
            NotNow::Rate => Self::Rate,
            NotNow::Window => Self::Window,
            NotNow::NoSlot => Self::Slot,
        }
    }
}

/// A claim is not dialled, now or at all.
pub fn not_dialled(why: NotDialled) {
    let reason = match why {
        NotDialled::Paused => "paused",
        NotDialled::Over => "over",
        NotDialled::Rate => "rate",
        NotDialled::Window => "window",
        NotDialled::Slot => "slot",
        NotDialled::Blocked => "blocked",
        NotDialled::Refused => "refused",
        NotDialled::Channel => "channel",
        NotDialled::Unready => "unready",
    };
    NOT_DIALLED.count([reason]);
}

/// A call was taken over from a worker that is gone, or handed it over.
pub fn adopted() {
    ADOPTIONS.count([]);
}

/// A call became another worker's while this one carried it.
pub fn fenced() {
    FENCED.count([]);
}

/// A worker began, which carries so many calls at a time.
pub fn began(capacity: usize) {
    CAPACITY.set([], whole(capacity));
    DRAINING.set([], 0.0);
    live(0);
    outbox(0);
}

/// A worker was told to finish what is live.
pub fn draining() {
    DRAINING.set([], 1.0);
}

/// So many calls are in the worker's hands.
pub fn live(calls: usize) {
    LIVE.set([], whole(calls));
}

/// So many events are not confirmed yet.
pub fn outbox(events: usize) {
    OUTBOX.set([], whole(events));
}

/// The broker confirmed an event, so long after it was handed over.
pub fn confirmed(after: Duration) {
    EVENTS.count(["confirmed"]);
    CONFIRMATION.record([], after.as_secs_f64());
}

/// The broker refused an event, or said nothing; it is published again, with what follows of `unconfirmed` events.
pub fn refused(event: &Event, error: &BusError, unconfirmed: usize) {
    let (request, call) = (event.request().map(field::display), event.call().map(field::display));
    let (organisation, event) = (event.organisation(), event.id());
    tracing::warn!(
        %organisation, request, call, event, %error, unconfirmed,
        "publishing again from the first unconfirmed event on"
    );
    EVENTS.count(["refused"]);
}

/// A request was accepted.
pub fn accepted(destinations: u32) {
    REQUESTS.count(["accepted"]);
    DESTINATIONS.add([], u64::from(destinations));
}

/// A request was rejected.
pub fn rejected(reason: RejectReason) {
    let word = match reason {
        RejectReason::Invalid => "invalid",
        RejectReason::Conflict => "conflict",
        RejectReason::TooLarge => "tooLarge",
    };
    REQUESTS.count([word]);
}

/// Exact below 2^53, which is more than there ever are.
#[expect(clippy::cast_precision_loss, reason = "counts of what fits into memory")]
pub(super) fn whole(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::log::tests::lines;
    use super::*;
    use crate::conformance::store::scene;
    use crate::model::event::{Beginning, CallContext};
    use crate::model::{CallId, Destination, Fact, Happening, Number, Timestamp};

    #[test]
    fn an_event_that_is_not_confirmed_is_named_and_the_number_is_not() {
        let header = scene::header("survey");
        let call = CallId::new(&header.organisation, &header.id, 3);
        let destination = Destination {
            index: 3,
            number: Number::Valid("+6591234567".parse().expect("a number")),
            caller: None,
            external_id: None,
            time_zone: None,
            properties: Vec::new(),
        };
        let queued_at = Timestamp::VIRTUAL_START;
        let context = CallContext { header: Arc::new(header), steps: [].into(), call, destination, queued_at };
        let facts = vec![Fact { at: queued_at, what: Happening::Ringing }];
        let event = Event::Call { context: Arc::new(context), facts: Beginning::of(&Arc::new(facts), 1), seq: 1 };
        let told = lines(|| refused(&event, &BusError("nobody listens".to_owned()), 7));
        let [line] = &told[..] else { panic!("one line: {told:?}") };
        assert_eq!(
            (&line["request"], &line["organisation"]),
            (&"survey".into(), &event.organisation().as_str().into())
        );
        assert_eq!((&line["call"], &line["event"]), (&call.to_string().into(), &event.id().into()));
        assert_eq!((&line["level"], &line["unconfirmed"]), (&"WARN".into(), &7.into()));
        assert!(!line.to_string().contains("91234567"), "{line}");
    }
}
