//! What becomes of a dial: one test for each thing that a real switch tells in its own way, from the SIP message to the
//! disposition.

use std::time::Duration;

use robocall::callflow::program::Target;
use robocall::model::{DispositionResult, Party};
use robocall::policy::disposition::Asked;
use robocall::ports::Telephony as _;
use robocall::ports::telephony::{LegEvent, LegState, NewLeg};
use tokio::runtime::Builder;

use crate::call::{Line, outcome};
use crate::world::{bed, client, network, number, tone};

/// Runs a test with sockets and timers.
pub fn in_real_time(test: impl Future<Output = ()>) {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Dials a number of a kind that ends by itself; what was reported, and what the attempt came to.
async fn come_to(
    kind: &str,
    trunk: usize,
    rings: u64,
) -> (Vec<LegEvent>, (DispositionResult, Option<Party>), [Option<u16>; 2]) {
    let mut line = Line::open().await;
    let leg = line.leg(1);
    line.dial(leg, Target::External(number(kind, "")), trunk, rings).await;
    let (events, end) = line.hear_out(leg).await;
    let disposition = outcome(&events, end, None);
    (events, (disposition.result, disposition.by), [end.cause.map(u16::from), end.sip])
}

const NETWORK: Option<Party> = Some(Party::Network);
const CALLEE: Option<Party> = Some(Party::Callee);
const US: Option<Party> = Some(Party::Us);

#[test]
fn busy() {
    in_real_time(async {
        let (events, came_to, codes) = come_to("20", 0, 30).await;
        assert_eq!((&*events, came_to, codes), (&[][..], (DispositionResult::Busy, CALLEE), [Some(17), Some(486)]));
    });
}

#[test]
fn unanswered_in_our_time() {
    in_real_time(async {
        let (events, came_to, codes) = come_to("30", 0, 2).await;
        assert_eq!(events, [LegEvent::Ringing]);
        assert_eq!((came_to, codes), ((DispositionResult::Unanswered, US), [Some(19), Some(480)]));
    });
}

#[test]
fn temporarily_unavailable() {
    in_real_time(async {
        let (events, came_to, codes) = come_to("90", 0, 30).await;
        assert_eq!((&*events, codes), (&[][..], [Some(19), Some(480)]));
        assert_eq!(came_to, (DispositionResult::Unreachable, NETWORK));
    });
}

#[test]
fn an_unknown_number() {
    in_real_time(async {
        let (events, came_to, codes) = come_to("40", 0, 30).await;
        assert_eq!((&*events, codes), (&[][..], [Some(1), Some(404)]));
        assert_eq!(came_to, (DispositionResult::InvalidNumber, NETWORK));
    });
}

#[test]
fn declined() {
    in_real_time(async {
        let (_, came_to, codes) = come_to("50", 0, 30).await;
        assert_eq!((came_to, codes), ((DispositionResult::Rejected, CALLEE), [Some(21), Some(603)]));
    });
}

#[test]
fn congestion() {
    in_real_time(async {
        let (events, came_to, codes) = come_to("80", 0, 30).await;
        assert_eq!((&*events, codes), (&[][..], [Some(34), Some(503)]));
        assert_eq!(came_to, (DispositionResult::Congestion, NETWORK));
    });
}

#[test]
fn a_trunk_that_refuses_connections_is_congested() {
    in_real_time(async {
        let (events, came_to, codes) = come_to("10", 1, 30).await;
        assert_eq!((&*events, codes), (&[][..], [Some(34), Some(503)]));
        assert_eq!(came_to, (DispositionResult::Congestion, NETWORK));
    });
}

#[test]
fn a_trunk_that_says_nothing_does_not_look_unanswered() {
    in_real_time(async {
        let (events, came_to, _) = come_to("10", 2, 3).await;
        assert_eq!((&*events, came_to), (&[][..], (DispositionResult::Unreachable, NETWORK)));
    });
}

#[test]
fn an_announcement_before_a_refusal_is_no_ringing() {
    in_real_time(async {
        let (events, came_to, codes) = come_to("01", 0, 30).await;
        assert_eq!((&*events, codes), (&[][..], [Some(34), Some(503)]));
        assert_eq!(came_to, (DispositionResult::Congestion, NETWORK));
    });
}

#[test]
fn audio_before_an_answer_is_not_the_answer() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.call(1, number("00", "")).await;
        let events = line.until(leg, |event| *event == LegEvent::Answered).await;
        assert_eq!(events, [LegEvent::Answered], "nothing rings when an announcement comes");
        line.bye(leg).await;
    });
}

#[test]
fn whoever_looks_at_a_leg_with_early_audio_sees_that_it_was_dialled() {
    in_real_time(async {
        let (mut line, number) = (Line::open().await, number("01", ""));
        let leg = line.call(1, number).await;
        network(move |carrier| carrier.wait_for("invite", &number.to_string())).await;
        line.clock.sleep_until(line.clock.now() + Duration::from_millis(300)).await;
        assert_eq!(client(bed()).inspect(leg).await, Ok(Some(LegState::Dialled)));
        let channel = bed().ari("GET", &format!("/channels/{leg}")).body;
        assert!(channel.contains(r#""state":"Down""#), "that was not to be seen by its state: {channel}");
        line.bye(leg).await;
    });
}

#[test]
fn audio_until_our_time_is_over_was_ringing() {
    in_real_time(async {
        // The announcement takes some six seconds.
        let (events, came_to, codes) = come_to("00", 0, 1).await;
        assert_eq!((&*events, codes), (&[LegEvent::Ringing][..], [Some(19), Some(480)]));
        assert_eq!(came_to, (DispositionResult::Unanswered, US));
    });
}

#[test]
fn the_callee_hangs_up_during_a_message() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("60", "")).await;
        line.play(leg, 1, &tone(Duration::from_secs(30))).await;
        let (mut events, end) = line.hear_out(leg).await;
        assert_eq!(events, [LegEvent::PlaybackFinished { playback: 1, played: false }]);
        events.push(LegEvent::Answered);
        let disposition = outcome(&events, end, None);
        assert_eq!((disposition.result, disposition.by), (DispositionResult::Answered, CALLEE));
    });
}

#[test]
fn we_hang_up() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.reach(1, number("10", "")).await;
        line.hang_up(leg).await;
        let (_, end) = line.hear_out(leg).await;
        let disposition = outcome(&[LegEvent::Answered], end, Some(Asked::Flow));
        assert_eq!((disposition.result, disposition.by, end.cause), (DispositionResult::Answered, US, Some(16)));
    });
}

#[test]
fn we_cancel_while_it_rings() {
    in_real_time(async {
        let mut line = Line::open().await;
        let leg = line.call(1, number("30", "")).await;
        let mut events = line.until(leg, |event| *event == LegEvent::Ringing).await;
        line.hang_up(leg).await;
        let (more, end) = line.hear_out(leg).await;
        events.extend(more);
        let disposition = outcome(&events, end, Some(Asked::Requested));
        assert_eq!((events, disposition.result), (vec![LegEvent::Ringing], DispositionResult::Cancelled));
    });
}

#[test]
fn a_call_whose_time_is_over_was_ended_by_us() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (leg, number) = (line.leg(1), number("10", ""));
        let talks_at_most = Duration::from_secs(2);
        let lives_at_most = Duration::from_secs(60);
        let target = Target::External(number);
        let new = NewLeg { leg, target, caller: None, lives_at_most, talks_at_most, trunk: 0, is_waited_for: true };
        line.phones.create(&line.app, &new, line.soon()).await.unwrap();
        line.phones.dial(leg, Duration::from_secs(30), line.soon()).await.unwrap();
        let (events, end) = line.hear_out(leg).await;
        let disposition = outcome(&events, end, None);
        assert_eq!((disposition.result, disposition.by), (DispositionResult::Answered, US), "{end:?}");
        assert_eq!(bed().carrier.invites(&number.to_string()), 1);
    });
}

#[test]
fn the_number_of_whoever_calls_is_shown() {
    in_real_time(async {
        let mut line = Line::open().await;
        let number = number("10", "");
        let leg = line.reach(1, number).await;
        let invite = bed().carrier.wait_for("invite", &number.to_string());
        assert_eq!(invite.detail, "+6560000000");
        line.bye(leg).await;
    });
}
