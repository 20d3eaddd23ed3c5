//! Who picked up, and when a machine's beep is over.

use std::time::Duration;

use robocall::model::{AnsweredBy, Party};
use robocall::ports::Telephony as _;
use robocall::ports::telephony::{LegEvent, LegState};

use crate::call::Line;
use crate::outcomes::in_real_time;
use crate::world::{bed, heard, hears_for, number, tone_of};

const SECOND: Duration = Duration::from_secs(1);

fn finished(playback: u32) -> LegEvent {
    LegEvent::PlaybackFinished { playback, played: true }
}

/// Asks who picked up; what is reported up to the verdict, after which the call goes on.
async fn picked_up(kind: &str, wait_for_beep: bool) -> Vec<LegEvent> {
    let (mut line, number) = (Line::open().await, number(kind, ""));
    let leg = line.reach(1, number).await;
    line.phones.detect_machine(leg, wait_for_beep, line.soon()).await.unwrap();
    let events = line.until(leg, |event| matches!(event, LegEvent::PartyDetected(_))).await;
    assert_eq!(line.phones.inspect(leg).await, Ok(Some(LegState::Up)));
    line.play(leg, 1, &tone_of(700.0, SECOND)).await;
    assert_eq!(line.until(leg, |event| *event == finished(1)).await, [finished(1)]);
    hears_for(number, SECOND).await;
    line.bye(leg).await;
    let length = heard(number).await.tone_for(700.0);
    assert!(length.abs_diff(SECOND) < SECOND / 4, "{length:?}");
    events
}

#[test]
fn a_person_is_known_and_spoken_to() {
    in_real_time(async {
        for wait_for_beep in [false, true] {
            assert_eq!(picked_up("12", wait_for_beep).await, [LegEvent::PartyDetected(AnsweredBy::Human)]);
        }
    });
}

#[test]
fn a_machine_is_known_and_spoken_to() {
    in_real_time(async {
        assert_eq!(picked_up("13", false).await, [LegEvent::PartyDetected(AnsweredBy::Machine)]);
    });
}

#[test]
fn whoever_says_nothing_is_unknown_and_spoken_to() {
    in_real_time(async {
        for wait_for_beep in [false, true] {
            assert_eq!(picked_up("10", wait_for_beep).await, [LegEvent::PartyDetected(AnsweredBy::Unknown)]);
        }
    });
}

#[test]
fn a_message_comes_after_the_beep_and_is_on_the_machine() {
    in_real_time(async {
        let (mut line, number) = (Line::open().await, number("13", ""));
        let leg = line.reach(1, number).await;
        line.phones.detect_machine(leg, true, line.soon()).await.unwrap();
        line.until(leg, |event| *event == LegEvent::PartyDetected(AnsweredBy::Machine)).await;
        let done = |what: &str| bed().carrier.steps_of(&number.to_string()).iter().any(|step| step.what == what);
        assert!(!done("beeped"), "the greeting goes on");
        assert_eq!(line.until(leg, |event| *event == LegEvent::BeepHeard).await, [LegEvent::BeepHeard]);
        assert!(done("beeped"), "the beep was waited for");
        line.play(leg, 1, &tone_of(700.0, 2 * SECOND)).await;
        line.until(leg, |event| *event == finished(1)).await;
        hears_for(number, SECOND).await;
        line.bye(leg).await;
        let heard = heard(number).await;
        let length = heard.tone_for(700.0);
        assert!(length.abs_diff(2 * SECOND) < SECOND / 4, "{length:?} of {:?}", heard.length());
    });
}

#[test]
fn a_callee_who_hangs_up_meanwhile_has_hung_up() {
    in_real_time(async {
        let mut line = Line::open().await;
        // Silent until it goes, which is before a verdict.
        let leg = line.reach(1, number("60", "")).await;
        line.phones.detect_machine(leg, true, line.soon()).await.unwrap();
        let (events, end) = line.hear_out(leg).await;
        assert!(events.iter().all(|event| *event == LegEvent::PartyDetected(AnsweredBy::Unknown)), "{events:?}");
        assert_eq!((end.by, end.lost), (Some(Party::Callee), false));
    });
}

#[test]
fn a_call_can_be_hung_up_while_its_beep_is_waited_for() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("13", "")).await;
        line.phones.detect_machine(leg, true, line.soon()).await.unwrap();
        line.until(leg, |event| *event == LegEvent::PartyDetected(AnsweredBy::Machine)).await;
        line.hang_up(leg).await;
        let (events, end) = line.hear_out(leg).await;
        assert_eq!((events, end.by), (vec![], Some(Party::Us)));
    });
}

#[test]
fn keys_are_heard_meanwhile() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("70", "5")).await;
        line.phones.detect_machine(leg, false, line.soon()).await.unwrap();
        let (mut key, mut verdict) = (false, false);
        while !(key && verdict) {
            let events =
                line.until(leg, |event| matches!(event, LegEvent::Digit(_) | LegEvent::PartyDetected(_))).await;
            key |= events.iter().any(|event| matches!(event, LegEvent::Digit(_)));
            verdict |= events.iter().any(|event| matches!(event, LegEvent::PartyDetected(_)));
        }
        line.bye(leg).await;
    });
}
