//! What every telephony backend must do.
//!
//! The tests wait for reports, with generous bounds, and never for a time to pass, so that they hold in virtual time
//! as over a real network. Each makes calls and an app of its own, so that they can run side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::callflow::call::LegEnd;
use crate::callflow::program::Target;
use crate::model::{AttemptId, CallId, LegId, Phone, Timestamp, WorkerId};
use crate::ports::telephony::{LegEvent, LegReport, NewLeg};
use crate::ports::{Audio, Clock, Telephony};

mod joining;
mod legs;
mod outcomes;
mod sound;

pub use joining::*;
pub use legs::*;
pub use outcomes::*;
pub use sound::*;

/// Makes a test of every sentence of the suite: `$run` takes a function from a world to a future.
#[doc(hidden)]
#[macro_export]
macro_rules! telephony_conformance {
    ($run:path) => {
        $crate::telephony_conformance! { @ $run;
            an_answered_call_rings_and_ends_when_we_hang_up
            a_busy_line_ends_with_17_486
            nobody_answers_until_our_ring_timeout
            an_unknown_number_ends_with_1_404
            a_declined_call_ends_with_21
            congestion_ends_with_34_503
            an_unreachable_phone_does_not_ring
            a_callee_who_hangs_up_is_told_from_us
            a_call_we_cancel_while_it_rings_is_never_answered
            a_leg_that_is_never_dialled_never_invites
            a_leg_is_dialled_once
            a_name_in_use_is_refused
            an_unknown_leg_is_not_found
            an_ended_leg_is_not_found
            what_comes_too_late_does_nothing
            a_leg_ends_by_itself_when_it_has_lived_long_enough
            a_leg_that_rings_lives_no_longer_than_it_may
            an_answered_leg_talks_no_longer_than_it_may
            one_can_ask_how_far_legs_are
            a_newer_listener_takes_over
            a_call_outlives_its_listener
            a_message_plays_to_its_end
            a_stopped_message_ends_at_once
            messages_play_one_after_the_other
            a_message_asked_for_twice_plays_once
            what_cannot_be_played_is_reported_so
            a_hang_up_cuts_the_message_off
            a_key_can_come_during_the_message
            a_key_can_come_after_the_message
            keys_come_in_the_order_of_pressing
            a_person_is_told_from_a_machine
            a_machine_is_waited_for_until_its_beep
            joined_legs_end_one_by_one
            a_leg_cannot_be_joined_with_one_that_is_gone
            whoever_listens_in_keeps_nobody
            a_third_party_changes_from_listening_to_talking_and_back
            nobody_listens_in_on_a_leg_that_is_gone
            a_blind_transfer_tells_of_its_target
            a_blind_transfer_to_a_busy_line_leaves_the_callee
        }
    };
    (@ $run:path; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $run(|world| ::std::boxed::Box::pin(async move {
                    $crate::conformance::telephony::$name(&*world).await;
                }));
            }
        )*
    };
}

/// What a number does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Rings, is answered by somebody who listens for as long as one likes.
    Answers,
    /// Rings, is answered by a machine with a greeting and a beep.
    Machine,
    /// Busy.
    Busy,
    /// Rings for ever.
    Unanswered,
    /// Nobody knows the number.
    UnknownNumber,
    /// Is declined.
    Rejects,
    /// Rings, is answered, hangs up a moment later.
    HangsUp,
    /// Rings, is answered, presses these keys: one each time it is asked, or all at once.
    Presses(&'static str),
    /// The network has no way.
    Congestion,
    /// Cannot be reached, does not ring.
    Unreachable,
}

/// A telephony backend with a phone network behind it.
#[async_trait]
pub trait TelephonyWorld: Send + Sync {
    /// The backend.
    fn telephony(&self) -> Arc<dyn Telephony>;
    /// The time the backend goes by.
    fn clock(&self) -> Arc<dyn Clock>;
    /// A number that nobody has dialled yet.
    fn number_for(&self, outcome: Outcome) -> Phone;
    /// How often the callee's side saw a number dialled.
    async fn invites(&self, number: Phone) -> usize;
    /// Something that plays for about `length`.
    fn audio(&self, length: Duration) -> Audio;
    /// Something that cannot be played.
    fn missing_audio(&self) -> Audio;
}

/// Longest wait for anything that ought to come.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long to listen before believing that nothing comes.
const QUIET: Duration = Duration::from_secs(3);

/// How long a leg may ring, where a test is not about that.
const RING_TIMEOUT: Duration = Duration::from_secs(30);

/// An app with its ear on the backend.
struct Line<'w> {
    world: &'w dyn TelephonyWorld,
    telephony: Arc<dyn Telephony>,
    clock: Arc<dyn Clock>,
    app: WorkerId,
    call: CallId,
    claims: u32,
    reports: UnboundedReceiver<LegReport>,
}

impl<'w> Line<'w> {
    /// An app and a call that nobody had before: named after the time and the order of asking.
    async fn open(world: &'w dyn TelephonyWorld) -> Self {
        static OPENED: AtomicU32 = AtomicU32::new(0);
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        let (telephony, clock) = (world.telephony(), world.clock());
        let name = format!("conformance-{}-{number}", clock.now().as_millis());
        let (app, request) = (name.parse().expect("an id"), name.parse().expect("an id"));
        let call = CallId::new(&"conformance".parse().expect("an id"), &request, 0);
        let reports = telephony.listen(&app).await.expect("listens");
        Line { world, telephony, clock, app, call, claims: 0, reports }
    }

    fn fresh_leg(&mut self) -> LegId {
        self.claims += 1;
        LegId::callee(AttemptId { call: self.call, claim: self.claims })
    }

    /// A bound for commands that have all the time they need.
    fn soon(&self) -> Timestamp {
        self.clock.now() + PATIENCE
    }

    fn past(&self) -> Timestamp {
        self.clock.now() - Duration::from_millis(1)
    }

    fn new_leg(leg: LegId, number: Phone) -> NewLeg {
        NewLeg {
            leg,
            target: Target::External(number),
            caller: None,
            lives_at_most: 3 * PATIENCE,
            talks_at_most: 3 * PATIENCE,
            trunk: 0,
            is_waited_for: false,
        }
    }

    /// Makes a leg to a number, without dialling it.
    async fn create(&mut self, number: Phone) -> LegId {
        let leg = self.fresh_leg();
        self.telephony.create(&self.app, &Self::new_leg(leg, number), self.soon()).await.expect("creates");
        leg
    }

    async fn dial(&self, leg: LegId) {
        self.telephony.dial(leg, RING_TIMEOUT, self.soon()).await.expect("dials");
    }

    async fn hang_up(&self, leg: LegId) {
        self.telephony.hang_up(leg, self.soon()).await.expect("hangs up");
    }

    async fn play(&self, leg: LegId, playback: u32, length: Duration, expects_key: bool) {
        let audio = self.world.audio(length);
        self.telephony.play(leg, playback, &audio, expects_key, self.soon()).await.expect("plays");
    }

    /// Dials somebody.
    async fn call(&mut self, outcome: Outcome) -> LegId {
        let leg = self.create(self.world.number_for(outcome)).await;
        self.dial(leg).await;
        leg
    }

    /// Dials somebody who answers, and waits for that.
    async fn reach(&mut self, outcome: Outcome) -> LegId {
        let leg = self.call(outcome).await;
        self.until(leg, |event| *event == LegEvent::Answered).await;
        leg
    }

    /// The next report, or none if none comes within `bound`. None too when the stream has ended.
    async fn within(&mut self, bound: Duration) -> Option<LegReport> {
        let over = self.clock.sleep_until(self.clock.now() + bound);
        tokio::select! {
            biased;
            report = self.reports.recv() => report,
            () = over => None,
        }
    }

    /// What a leg reports, up to something in particular.
    async fn until(&mut self, leg: LegId, last: impl Fn(&LegEvent) -> bool) -> Vec<LegEvent> {
        let mut events = Vec::new();
        while let Some(report) = self.within(PATIENCE).await {
            if report.leg == leg {
                let found = last(&report.what);
                events.push(report.what);
                if found {
                    return events;
                }
            }
        }
        panic!("{leg} reported {events:?} and then nothing for {PATIENCE:?}");
    }

    /// What a leg reports up to its end, and how it ended; nothing may follow.
    async fn hear_out(&mut self, leg: LegId) -> (Vec<LegEvent>, LegEnd) {
        let mut events = self.until(leg, |event| matches!(event, LegEvent::Ended(_))).await;
        let Some(LegEvent::Ended(end)) = events.pop() else { panic!("waited for the end") };
        assert_eq!(self.telephony.inspect(leg).await, Ok(None), "an ended leg is gone");
        self.stays_quiet(leg).await;
        (events, end)
    }

    /// A leg reports nothing for a while.
    async fn stays_quiet(&mut self, leg: LegId) {
        let over = self.clock.now() + QUIET;
        while let Some(report) = self.within(over.since(self.clock.now())).await {
            assert_ne!(report.leg, leg, "nothing should follow, but {:?} did", report.what);
        }
    }
}

/// Cause and SIP status of an end.
fn codes(end: LegEnd) -> (Option<u8>, Option<u16>) {
    assert!(!end.lost, "the backend knows how it ended: {end:?}");
    (end.cause, end.sip)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_sentence_of_the_suite_is_run() {
        let list = include_str!("telephony.rs");
        let sources = [
            include_str!("telephony/joining.rs"),
            include_str!("telephony/legs.rs"),
            include_str!("telephony/outcomes.rs"),
            include_str!("telephony/sound.rs"),
        ];
        for line in sources.iter().flat_map(|source| source.lines()) {
            if let Some((name, _)) = line.strip_prefix("pub async fn ").and_then(|rest| rest.split_once('(')) {
                assert!(list.lines().any(|listed| listed.trim() == name), "{name}");
            }
        }
    }
}
