//! Two legs that hear each other, and what a callee hears until then: each of the two sends a tone of its own, and keeps
//! what it hears.

use std::time::Duration;

use robocall::callflow::program::Target;
use robocall::model::{LegId, Party, Phone};
use robocall::ports::Telephony as _;
use robocall::ports::telephony::{LegEvent, LegState};

use crate::call::Line;
use crate::outcomes::in_real_time;
use crate::sound::Sound;
use crate::world::{bridge_goes, heard, hears_for, network, number};

const SECOND: Duration = Duration::from_secs(1);

/// The tone that numbers of the kind 17 send.
const CALLEES: f64 = 1004.0;

/// The tone that numbers of the kind 18 send.
const AGENTS: f64 = 620.0;

/// More than a ringing tone is silent between two rings.
const RINGS: Duration = Duration::from_millis(4_500);

/// A callee who was answered, and the other leg of its call.
async fn callee(line: &mut Line) -> (Phone, LegId, LegId) {
    let number = number("17", "");
    let leg = line.reach(1, number).await;
    (number, leg, LegId::transfer(leg.attempt, 1))
}

/// How long both tones of ringing were heard: 440 and 480 Hz, each of which carries half.
fn rings(heard: &Sound) -> Duration {
    let frames = (0..heard.length().as_millis() / 100).map(|frame| {
        heard.part(Duration::from_millis(100) * u32::try_from(frame).unwrap(), Duration::from_millis(100))
    });
    let ring = |frame: &Sound| {
        let loudness = frame.loudness();
        loudness > -40.0 && [440.0, 480.0].iter().all(|hertz| frame.loudness_at(*hertz) > loudness - 6.0)
    };
    Duration::from_millis(100) * u32::try_from(frames.filter(ring).count()).unwrap()
}

/// The end of what was heard.
fn end(heard: &Sound, length: Duration) -> Sound {
    heard.part(heard.length().saturating_sub(length), length)
}

#[test]
fn the_callee_hears_ringing_and_then_both_hear_each_other() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (number, leg, other) = callee(&mut line).await;
        let agent = crate::world::number("18", "");
        line.dial(other, Target::External(agent), 0, 30).await;
        line.until(other, |event| *event == LegEvent::Answered).await;
        line.phones.bridge(leg, other, line.soon()).await.unwrap();
        for hears in [number, agent] {
            hears_for(hears, 7 * SECOND).await;
        }
        line.bye(other).await;
        line.bye(leg).await;
        let (callee_heard, agent_heard) = (heard(number).await, heard(agent).await);
        // The agent's phone rang for some 300 ms.
        assert!(rings(&callee_heard) < SECOND, "rung for {:?} of {:?}", rings(&callee_heard), callee_heard.length());
        for (hears, hertz) in [(&callee_heard, AGENTS), (&agent_heard, CALLEES)] {
            let length = hears.tone_for(hertz);
            assert!(length > 6 * SECOND, "{hertz} Hz: {length:?} of {:?}", hears.length());
        }
        assert!(agent_heard.loudness_at(AGENTS) < -40.0, "nobody hears an echo: {}", agent_heard.loudness_at(AGENTS));
    });
}

/// Rings somebody who does not come to be connected; what the callee heard meanwhile and some time after.
async fn in_vain(target: Target, rings: u64) -> (Vec<LegEvent>, [Option<u16>; 2], Sound) {
    let mut line = Line::open().await;
    let (number, leg, other) = callee(&mut line).await;
    line.dial(other, target, 0, rings).await;
    let (events, end) = line.hear_out(other).await;
    assert_eq!(line.phones.inspect(leg).await, Ok(Some(LegState::Up)), "the callee stays");
    hears_for(number, RINGS + SECOND).await;
    bridge_goes(leg).await;
    line.bye(leg).await;
    (events, [end.cause.map(u16::from), end.sip], heard(number).await)
}

#[test]
fn a_callee_hears_ringing_until_nobody_has_come() {
    in_real_time(async {
        let (events, codes, heard) = in_vain(Target::External(number("30", "")), 3).await;
        assert_eq!((&*events, codes), (&[LegEvent::Ringing][..], [Some(19), Some(480)]));
        let rung = rings(&heard);
        assert!(rung > SECOND && rung < 3 * SECOND, "{rung:?} of {:?}", heard.length());
        assert_eq!(rings(&end(&heard, RINGS)), Duration::ZERO);
    });
}

#[test]
fn a_callee_hears_no_more_ringing_when_the_other_is_busy() {
    in_real_time(async {
        let (events, codes, heard) = in_vain(Target::External(number("20", "")), 30).await;
        assert_eq!((&*events, codes), (&[][..], [Some(17), Some(486)]));
        assert_eq!(rings(&end(&heard, RINGS)), Duration::ZERO);
    });
}

#[test]
fn a_callee_hears_no_more_ringing_when_the_other_declines() {
    in_real_time(async {
        let (_, codes, heard) = in_vain(Target::External(number("50", "")), 30).await;
        assert_eq!(codes, [Some(21), Some(603)]);
        assert_eq!(rings(&end(&heard, RINGS)), Duration::ZERO);
    });
}

#[test]
fn a_queue_that_does_not_exist_leaves_the_callee() {
    in_real_time(async {
        let (events, _, heard) = in_vain(Target::Queue("nobody".into()), 30).await;
        assert!(!events.contains(&LegEvent::Answered), "{events:?}");
        assert_eq!(rings(&end(&heard, RINGS)), Duration::ZERO);
    });
}

/// Joins a callee with an agent.
async fn joined(line: &mut Line) -> ([Phone; 2], LegId, LegId) {
    let (number, leg, other) = callee(line).await;
    let agent = crate::world::number("18", "");
    line.dial(other, Target::External(agent), 0, 30).await;
    line.until(other, |event| *event == LegEvent::Answered).await;
    line.phones.bridge(leg, other, line.soon()).await.unwrap();
    hears_for(number, SECOND).await;
    ([number, agent], leg, other)
}

#[test]
fn when_the_agent_goes_the_callee_stays_and_another_can_be_connected() {
    in_real_time(async {
        let mut line = Line::open().await;
        let ([number, _], leg, other) = joined(&mut line).await;
        line.bye(other).await;
        hears_for(number, 2 * SECOND).await;
        assert_eq!(line.phones.inspect(leg).await, Ok(Some(LegState::Up)));
        let (third, agent) = (LegId::transfer(leg.attempt, 2), crate::world::number("18", ""));
        line.dial(third, Target::External(agent), 0, 30).await;
        line.until(third, |event| *event == LegEvent::Answered).await;
        line.phones.bridge(leg, third, line.soon()).await.unwrap();
        hears_for(agent, 2 * SECOND).await;
        line.bye(leg).await;
        bridge_goes(leg).await;
        line.bye(third).await;
        let length = heard(agent).await.tone_for(CALLEES);
        assert!(length > SECOND, "{length:?}");
    });
}

#[test]
fn when_the_callee_goes_the_agent_stays_and_hears_nothing() {
    in_real_time(async {
        let mut line = Line::open().await;
        let ([_, agent], leg, other) = joined(&mut line).await;
        line.bye(leg).await;
        bridge_goes(leg).await;
        hears_for(agent, 2 * SECOND).await;
        assert_eq!(line.phones.inspect(other).await, Ok(Some(LegState::Up)), "whoever joined them ends it");
        line.bye(other).await;
        let heard = heard(agent).await;
        assert!(end(&heard, SECOND).loudness() < -60.0, "{}", end(&heard, SECOND).loudness());
    });
}

#[test]
fn after_a_blind_transfer_both_hear_each_other() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (number, leg, other) = callee(&mut line).await;
        let agent = crate::world::number("18", "");
        line.phones.blind_transfer(leg, other, &Target::External(agent), line.soon()).await.unwrap();
        line.until(other, |event| *event == LegEvent::Answered).await;
        for hears in [number, agent] {
            hears_for(hears, 3 * SECOND).await;
        }
        line.hang_up(leg).await;
        for ends in [leg, other] {
            let (_, end) = line.hear_out(ends).await;
            assert_eq!(end.by, Some(Party::Us), "{ends}");
        }
        bridge_goes(leg).await;
        for (hears, hertz) in [(number, AGENTS), (agent, CALLEES)] {
            let length = heard(hears).await.tone_for(hertz);
            assert!(length > 2 * SECOND, "{hertz} Hz: {length:?}");
        }
    });
}

#[test]
fn a_callee_who_hangs_up_after_a_blind_transfer_takes_the_other_along() {
    in_real_time(async {
        let mut line = Line::open().await;
        // The first is talking by then, the second still rings.
        for kind in ["18", "30"] {
            let claim = kind.parse().unwrap();
            let leg = line.reach(claim, number("60", "")).await;
            let (other, target) = (LegId::transfer(leg.attempt, 1), number(kind, ""));
            line.phones.blind_transfer(leg, other, &Target::External(target), line.soon()).await.unwrap();
            let (_, end) = line.hear_out(leg).await;
            assert_eq!(end.by, Some(Party::Callee));
            line.hear_out(other).await;
            bridge_goes(leg).await;
            network(move |carrier| carrier.wait_for("ended", &target.to_string())).await;
        }
    });
}

#[test]
fn a_target_that_hangs_up_after_a_blind_transfer_leaves_the_callee() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (number, leg, other) = callee(&mut line).await;
        let target = Target::External(crate::world::number("60", ""));
        line.phones.blind_transfer(leg, other, &target, line.soon()).await.unwrap();
        let (events, end) = line.hear_out(other).await;
        assert_eq!((events.last(), end.by), (Some(&LegEvent::Answered), Some(Party::Callee)));
        hears_for(number, RINGS + SECOND).await;
        assert_eq!(line.phones.inspect(leg).await, Ok(Some(LegState::Up)));
        line.bye(leg).await;
        bridge_goes(leg).await;
        let heard = heard(number).await;
        assert_eq!(rings(&end_of(&heard)), Duration::ZERO);
    });
}

fn end_of(heard: &Sound) -> Sound {
    end(heard, RINGS)
}

#[test]
fn a_target_that_answers_after_its_worker_has_died_is_joined_by_the_next_one() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (number, leg, other) = callee(&mut line).await;
        // Speaks for some six seconds before it answers.
        let target = crate::world::number("00", "");
        line.phones.blind_transfer(leg, other, &Target::External(target), line.soon()).await.unwrap();
        let mut line = line.dies().taken_over().await;
        line.until(other, |event| *event == LegEvent::Answered).await;
        hears_for(target, 2 * SECOND).await;
        hears_for(number, RINGS + SECOND).await;
        line.bye(leg).await;
        line.hear_out(other).await;
        let (heard, length) = (heard(number).await, heard(target).await.tone_for(CALLEES));
        assert!(length > 2 * SECOND, "{length:?}");
        assert_eq!(rings(&end_of(&heard)), Duration::ZERO);
    });
}

#[test]
fn a_target_that_answered_while_nobody_listened_is_joined_by_the_next_worker() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (number, leg, other) = callee(&mut line).await;
        let agent = crate::world::number("18", "");
        line.phones.blind_transfer(leg, other, &Target::External(agent), line.soon()).await.unwrap();
        let dead = line.dies();
        network(move |carrier| carrier.wait_for("answered", &agent.to_string())).await;
        let mut line = dead.taken_over().await;
        hears_for(number, 2 * SECOND).await;
        line.bye(leg).await;
        line.hear_out(other).await;
        let length = heard(number).await.tone_for(AGENTS);
        assert!(length > 2 * SECOND, "{length:?}");
    });
}

#[test]
fn our_own_people_are_connected_by_number_and_through_a_queue() {
    in_real_time(async {
        let mut line = Line::open().await;
        // One after the other: they have one telephone, which keeps what it heard last.
        for (claim, target) in [(1, Target::Extension("1000".into())), (2, Target::Queue("sales".into()))] {
            let number = number("17", "");
            let leg = line.reach(claim, number).await;
            let other = LegId::transfer(leg.attempt, 1);
            line.dial(other, target, 0, 30).await;
            line.until(other, |event| *event == LegEvent::Answered).await;
            line.phones.bridge(leg, other, line.soon()).await.unwrap();
            hears_for(number, 3 * SECOND).await;
            line.bye(other).await;
            line.bye(leg).await;
            let length = network(|carrier| carrier.heard("1000")).await.tone_for(CALLEES);
            assert!(length > 2 * SECOND, "{length:?}");
        }
    });
}

#[test]
fn an_address_is_connected_over_the_trunk() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (number, leg, other) = callee(&mut line).await;
        let agent = crate::world::number("18", "");
        let port = network(crate::asterisk::carrier::Carrier::sip).await;
        let target: Target = format!("sip:{agent}@127.0.0.1:{port}").parse().unwrap();
        line.dial(other, target, 0, 30).await;
        line.until(other, |event| *event == LegEvent::Answered).await;
        line.phones.bridge(leg, other, line.soon()).await.unwrap();
        hears_for(number, 3 * SECOND).await;
        line.bye(other).await;
        line.bye(leg).await;
        let length = heard(number).await.tone_for(AGENTS);
        assert!(length > 2 * SECOND, "{length:?}");
    });
}
