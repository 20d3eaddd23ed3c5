//! Legs that hear each other.

use std::time::Duration;

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
pub async fn whoever_listens_in_keeps_nobody(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    let other = line.reach(Outcome::Answers).await;
    line.telephony.listen_in(leg, other, None, line.soon()).await.expect("listens in");
    line.telephony.listen_in(leg, other, None, line.soon()).await.expect("asking again is harmless");
    line.play(leg, 1, Duration::from_secs(1), false).await;
    line.until(leg, |event| *event == LegEvent::PlaybackFinished { playback: 1, played: true }).await;
    line.hang_up(other).await;
    let (events, end) = line.hear_out(other).await;
    assert_eq!((events, end.by), (vec![], Some(Party::Us)));
    assert_eq!(line.telephony.inspect(leg).await, Ok(Some(LegState::Up)), "the callee stays");
    let again = line.reach(Outcome::Answers).await;
    line.telephony.listen_in(leg, again, None, line.soon()).await.expect("another listens in");
    line.hang_up(leg).await;
    line.hear_out(leg).await;
    assert_eq!(line.telephony.inspect(again).await, Ok(Some(LegState::Up)), "whoever listened is ended by us");
    line.hang_up(again).await;
    line.hear_out(again).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_third_party_changes_from_listening_to_talking_and_back(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let (leg, agent) = (line.reach(Outcome::Answers).await, line.reach(Outcome::Answers).await);
    let other = line.reach(Outcome::Answers).await;
    line.telephony.bridge(leg, agent, line.soon()).await.expect("the two talk");
    line.telephony.listen_in(leg, other, None, line.soon()).await.expect("listens");
    line.telephony.listen_in(leg, other, Some(agent), line.soon()).await.expect("whispers");
    line.telephony.bridge(leg, other, line.soon()).await.expect("talks");
    line.telephony.bridge(leg, other, line.soon()).await.expect("asking again is harmless");
    line.play(leg, 1, Duration::from_secs(1), false).await;
    line.until(leg, |event| *event == LegEvent::PlaybackFinished { playback: 1, played: true }).await;
    line.telephony.listen_in(leg, other, None, line.soon()).await.expect("listens again");
    line.stays_quiet(leg).await;
    for there in [leg, agent, other] {
        assert_eq!(line.telephony.inspect(there).await, Ok(Some(LegState::Up)), "all stay");
    }
    for there in [other, agent, leg] {
        line.hang_up(there).await;
        line.hear_out(there).await;
    }
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn nobody_listens_in_on_a_leg_that_is_gone(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let (leg, other) = (line.reach(Outcome::Answers).await, line.reach(Outcome::Answers).await);
    line.hang_up(leg).await;
    line.hear_out(leg).await;
    assert_eq!(line.telephony.listen_in(leg, other, None, line.soon()).await, Err(TelephonyError::NoSuchLeg));
    assert_eq!(line.telephony.listen_in(other, leg, None, line.soon()).await, Err(TelephonyError::NoSuchLeg));
    assert_eq!(line.telephony.inspect(other).await, Ok(Some(LegState::Up)));
    line.hang_up(other).await;
    line.hear_out(other).await;
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
