//! Legs that hear each other.

use super::{Line, Outcome, TelephonyWorld, codes};
use crate::callflow::program::Target;
use crate::model::{LegId, Party};
use crate::ports::TelephonyError;
use crate::ports::telephony::{LegEvent, LegState};

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn joined_legs_end_one_by_one(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let (leg, other) = (line.reach(Outcome::Answers).await, line.reach(Outcome::Answers).await);
    line.telephony.bridge(leg, other, line.soon()).await.expect("joins");
    line.telephony.bridge(leg, other, line.soon()).await.expect("asking again is harmless");
    line.stays_quiet(leg).await;
    line.hang_up(other).await;
    let (events, end) = line.hear_out(other).await;
    assert_eq!((events, end.by), (vec![], Some(Party::Us)));
    assert_eq!(line.telephony.inspect(leg).await, Ok(Some(LegState::Up)), "the callee stays");
    line.hang_up(leg).await;
    line.hear_out(leg).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_leg_cannot_be_joined_with_one_that_is_gone(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let (leg, other) = (line.reach(Outcome::Answers).await, line.reach(Outcome::Answers).await);
    line.hang_up(other).await;
    line.hear_out(other).await;
    assert_eq!(line.telephony.bridge(leg, other, line.soon()).await, Err(TelephonyError::NoSuchLeg));
    assert_eq!(line.telephony.bridge(other, leg, line.soon()).await, Err(TelephonyError::NoSuchLeg));
    assert_eq!(line.telephony.inspect(leg).await, Ok(Some(LegState::Up)));
    line.hang_up(leg).await;
    line.hear_out(leg).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_blind_transfer_tells_of_its_target(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    let (other, number) = (LegId::transfer(leg.attempt, 1), world.number_for(Outcome::Answers));
    line.telephony.blind_transfer(leg, other, &Target::External(number), line.soon()).await.expect("hands over");
    line.until(other, |event| *event == LegEvent::Answered).await;
    assert_eq!(world.invites(number).await, 1);
    assert_eq!(line.telephony.inspect(other).await, Ok(Some(LegState::Up)), "whoever adopts the call asks for it");
    line.hang_up(leg).await;
    let mut over = Vec::new();
    while over.len() < 2 {
        let report = line.within(super::PATIENCE).await.expect("both end");
        assert!(matches!(report.what, LegEvent::Ended(_)), "{report:?}");
        over.push(report.leg);
    }
    over.sort();
    assert_eq!(over, [leg, other]);
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_blind_transfer_to_a_busy_line_leaves_the_callee(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    let (other, number) = (LegId::transfer(leg.attempt, 1), world.number_for(Outcome::Busy));
    line.telephony.blind_transfer(leg, other, &Target::External(number), line.soon()).await.expect("hands over");
    let (events, end) = line.hear_out(other).await;
    assert_eq!((events, codes(end)), (vec![], (Some(17), Some(486))));
    assert_eq!(line.telephony.inspect(other).await, Ok(None));
    assert_eq!(line.telephony.inspect(leg).await, Ok(Some(LegState::Up)));
    line.hang_up(leg).await;
    line.hear_out(leg).await;
}
