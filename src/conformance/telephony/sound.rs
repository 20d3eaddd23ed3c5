//! What callees hear, and what is heard of them.

use std::time::Duration;

use super::{Line, Outcome, QUIET, TelephonyWorld};
use crate::callflow::program::Digit;
use crate::model::{AnsweredBy, LegId};
use crate::ports::TelephonyError;
use crate::ports::telephony::LegEvent;

const SECOND: Duration = Duration::from_secs(1);

/// Tries, where a callee decides by chance.
const TRIES: u32 = 16;

fn finished(playback: u32) -> LegEvent {
    LegEvent::PlaybackFinished { playback, played: true }
}

async fn bye(line: &mut Line<'_>, leg: LegId) {
    line.hang_up(leg).await;
    line.until(leg, |event| matches!(event, LegEvent::Ended(_))).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_message_plays_to_its_end(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    let begin = line.clock.now();
    line.play(leg, 7, 2 * SECOND, false).await;
    let events = line.until(leg, |event| matches!(event, LegEvent::PlaybackFinished { .. })).await;
    let took = line.clock.now().since(begin);
    assert_eq!(events, [finished(7)]);
    assert!(took >= SECOND && took < 2 * SECOND + QUIET, "{took:?}");
    bye(&mut line, leg).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_stopped_message_ends_at_once(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    let begin = line.clock.now();
    line.play(leg, 1, 30 * SECOND, false).await;
    line.clock.sleep_until(begin + SECOND).await;
    line.telephony.stop_playback(leg, 1, line.soon()).await.expect("stops");
    let events = line.until(leg, |event| matches!(event, LegEvent::PlaybackFinished { .. })).await;
    assert_eq!(events, [finished(1)]);
    assert!(line.clock.now().since(begin) < 10 * SECOND);
    line.telephony.stop_playback(leg, 1, line.soon()).await.expect("stopping what has ended is harmless");
    line.stays_quiet(leg).await;
    bye(&mut line, leg).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn messages_play_one_after_the_other(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    let begin = line.clock.now();
    line.play(leg, 1, 2 * SECOND, false).await;
    line.play(leg, 2, 2 * SECOND, false).await;
    let events = line.until(leg, |event| *event == finished(2)).await;
    assert_eq!(events, [finished(1), finished(2)]);
    assert!(line.clock.now().since(begin) >= 3 * SECOND);
    bye(&mut line, leg).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_message_asked_for_twice_plays_once(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    line.play(leg, 1, 2 * SECOND, false).await;
    let again = line.telephony.play(leg, 1, &world.audio(2 * SECOND), false, line.soon()).await;
    assert_eq!(again, Err(TelephonyError::Conflict), "whoever heard no answer learns that it plays");
    assert_eq!(line.until(leg, |event| *event == finished(1)).await, [finished(1)]);
    line.stays_quiet(leg).await;
    bye(&mut line, leg).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn what_cannot_be_played_is_reported_so(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    line.telephony.play(leg, 1, &world.missing_audio(), false, line.soon()).await.expect("is accepted at first");
    let events = line.until(leg, |event| matches!(event, LegEvent::PlaybackFinished { .. })).await;
    assert_eq!(events, [LegEvent::PlaybackFinished { playback: 1, played: false }]);
    line.play(leg, 2, SECOND, false).await;
    assert_eq!(line.until(leg, |event| *event == finished(2)).await.len(), 1, "the call goes on");
    bye(&mut line, leg).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_hang_up_cuts_the_message_off(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::HangsUp).await;
    line.play(leg, 1, 60 * SECOND, false).await;
    let (events, _) = line.hear_out(leg).await;
    assert_eq!(events, [LegEvent::PlaybackFinished { playback: 1, played: false }]);
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_key_can_come_during_the_message(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    for _ in 0..TRIES {
        let leg = line.reach(Outcome::Presses("1")).await;
        line.play(leg, 1, 20 * SECOND, true).await;
        let events = line.until(leg, |event| is_key(event) || *event == finished(1)).await;
        let barged_in = events.last() == Some(&key('1'));
        if barged_in {
            line.telephony.stop_playback(leg, 1, line.soon()).await.expect("stops");
            line.until(leg, |event| *event == finished(1)).await;
        }
        bye(&mut line, leg).await;
        if barged_in {
            return;
        }
    }
    panic!("nobody of {TRIES} pressed a key before the message had ended");
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_key_can_come_after_the_message(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    for _ in 0..TRIES {
        let leg = line.reach(Outcome::Presses("5")).await;
        line.play(leg, 1, SECOND / 5, true).await;
        let events = line.until(leg, is_key).await;
        bye(&mut line, leg).await;
        if events == [finished(1), key('5')] {
            return;
        }
    }
    panic!("nobody of {TRIES} waited for the end of the message");
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn keys_come_in_the_order_of_pressing(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Presses("42")).await;
    for (playback, expected) in [(1, '4'), (2, '2')] {
        line.play(leg, playback, SECOND / 5, true).await;
        let events = line.until(leg, is_key).await;
        assert_eq!(events.last(), Some(&key(expected)));
    }
    bye(&mut line, leg).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_person_is_told_from_a_machine(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    for (outcome, expected) in [(Outcome::Answers, AnsweredBy::Human), (Outcome::Machine, AnsweredBy::Machine)] {
        let leg = line.reach(outcome).await;
        line.telephony.detect_machine(leg, false, line.soon()).await.expect("detects");
        let events = line.until(leg, |event| matches!(event, LegEvent::PartyDetected(_))).await;
        assert_eq!(events, [LegEvent::PartyDetected(expected)]);
        line.stays_quiet(leg).await;
        bye(&mut line, leg).await;
    }
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_machine_is_waited_for_until_its_beep(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Machine).await;
    line.telephony.detect_machine(leg, true, line.soon()).await.expect("detects");
    let events = line.until(leg, |event| *event == LegEvent::BeepHeard).await;
    assert_eq!(events, [LegEvent::PartyDetected(AnsweredBy::Machine), LegEvent::BeepHeard]);
    bye(&mut line, leg).await;
}

fn is_key(event: &LegEvent) -> bool {
    matches!(event, LegEvent::Digit(_))
}

fn key(face: char) -> LegEvent {
    LegEvent::Digit(Digit::new(face).expect("a key"))
}
