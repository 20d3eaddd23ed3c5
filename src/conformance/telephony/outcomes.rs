//! What becomes of a dial.

use std::time::Duration;

use super::{Line, Outcome, QUIET, TelephonyWorld, codes};
use crate::model::Party;
use crate::ports::telephony::LegEvent;

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn an_answered_call_rings_and_ends_when_we_hang_up(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.call(Outcome::Answers).await;
    let events = line.until(leg, |event| *event == LegEvent::Answered).await;
    assert_eq!(events, [LegEvent::Ringing, LegEvent::Answered]);
    line.stays_quiet(leg).await;
    line.hang_up(leg).await;
    let (events, end) = line.hear_out(leg).await;
    assert_eq!((events, end.cause, end.by), (vec![], Some(16), Some(Party::Us)));
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_busy_line_ends_with_17_486(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.call(Outcome::Busy).await;
    let (events, end) = line.hear_out(leg).await;
    assert_eq!((events, codes(end)), (vec![], (Some(17), Some(486))));
    assert_ne!(end.by, Some(Party::Us));
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn nobody_answers_until_our_ring_timeout(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.create(world.number_for(Outcome::Unanswered)).await;
    let (begin, ring_timeout) = (line.clock.now(), Duration::from_secs(5));
    line.telephony.dial(leg, ring_timeout, line.soon()).await.expect("dials");
    let events = line.until(leg, |event| matches!(event, LegEvent::Ended(_))).await;
    let rang = line.clock.now().since(begin);
    let [LegEvent::Ringing, LegEvent::Ended(end)] = events[..] else { panic!("{events:?}") };
    assert_eq!(codes(end), (Some(19), Some(480)));
    assert_ne!(end.by, Some(Party::Callee));
    assert!(rang >= ring_timeout - Duration::from_millis(100) && rang < ring_timeout + 2 * QUIET, "{rang:?}");
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn an_unknown_number_ends_with_1_404(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.call(Outcome::UnknownNumber).await;
    let (events, end) = line.hear_out(leg).await;
    assert_eq!((events, codes(end)), (vec![], (Some(1), Some(404))));
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_declined_call_ends_with_21(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.call(Outcome::Rejects).await;
    let (events, end) = line.hear_out(leg).await;
    // A person declines while it rings, a device may do so before.
    assert!(events.iter().all(|event| *event == LegEvent::Ringing), "{events:?}");
    let (cause, sip) = codes(end);
    assert!(cause == Some(21) && matches!(sip, Some(403 | 603)), "{end:?}");
    assert_ne!(end.by, Some(Party::Us));
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn congestion_ends_with_34_503(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.call(Outcome::Congestion).await;
    let (events, end) = line.hear_out(leg).await;
    assert_eq!((events, codes(end)), (vec![], (Some(34), Some(503))));
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn an_unreachable_phone_does_not_ring(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.call(Outcome::Unreachable).await;
    let (events, end) = line.hear_out(leg).await;
    assert_eq!((events, codes(end)), (vec![], (Some(19), Some(480))));
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_callee_who_hangs_up_is_told_from_us(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::HangsUp).await;
    let (events, end) = line.hear_out(leg).await;
    assert_eq!((events, end.by), (vec![], Some(Party::Callee)));
    assert!(matches!(end.cause, Some(0 | 16)), "{end:?}");
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_call_we_cancel_while_it_rings_is_never_answered(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.call(Outcome::Unanswered).await;
    line.until(leg, |event| *event == LegEvent::Ringing).await;
    line.hang_up(leg).await;
    let (events, end) = line.hear_out(leg).await;
    assert_eq!((events, end.cause, end.by), (vec![], Some(16), Some(Party::Us)));
}
