//! Keys that callees press: in their order, each once; and what a key cuts short.

use std::time::Duration;

use robocall::callflow::program::Digit;
use robocall::ports::Telephony as _;
use robocall::ports::telephony::LegEvent;

use crate::call::Line;
use crate::outcomes::in_real_time;
use crate::world::{heard, hears_for, network, number, tone_of};

const SECOND: Duration = Duration::from_secs(1);

fn key(face: char) -> LegEvent {
    LegEvent::Digit(Digit::new(face).unwrap())
}

fn finished(playback: u32) -> LegEvent {
    LegEvent::PlaybackFinished { playback, played: true }
}

#[test]
fn keys_come_during_a_message_and_after_it_each_once() {
    in_real_time(async {
        // The first key comes a second after the answer, the next two seconds later.
        let (mut line, number) = (Line::open().await, number("70", "447"));
        let leg = line.reach(1, number).await;
        line.play(leg, 1, &tone_of(700.0, 2 * SECOND)).await;
        let events = line.until(leg, |event| *event == key('7')).await;
        assert_eq!(events, [key('4'), finished(1), key('4'), key('7')]);
        hears_for(number, SECOND).await;
        line.hang_up(leg).await;
        let (events, _) = line.hear_out(leg).await;
        assert_eq!(events, [], "no key comes twice");
        assert_eq!(network(move |carrier| carrier.pressed(&number.to_string())).await, "447");
        let length = heard(number).await.tone_for(700.0);
        assert!(length.abs_diff(2 * SECOND) < SECOND / 4, "a key alone cuts nothing: {length:?}");
    });
}

#[test]
fn what_is_stopped_for_a_key_is_not_heard_any_more_and_the_next_message_is() {
    in_real_time(async {
        let (mut line, number) = (Line::open().await, number("70", "5"));
        let leg = line.reach(1, number).await;
        let began_at = line.clock.now();
        line.play(leg, 1, &tone_of(700.0, 30 * SECOND)).await;
        assert_eq!(line.until(leg, |event| *event == key('5')).await, [key('5')]);
        line.phones.stop_playback(leg, 1, line.soon()).await.unwrap();
        line.play(leg, 2, &tone_of(1200.0, SECOND)).await;
        let stopped_after = line.clock.now().since(began_at);
        assert_eq!(line.until(leg, |event| *event == finished(2)).await, [finished(1), finished(2)]);
        hears_for(number, SECOND).await;
        line.bye(leg).await;
        let heard = heard(number).await;
        let [first, second] = [700.0, 1200.0].map(|hertz| heard.tone_for(hertz));
        assert!(first > SECOND / 2 && first < stopped_after + SECOND / 2, "{first:?}, stopped after {stopped_after:?}");
        assert!(second.abs_diff(SECOND) < SECOND / 4, "{second:?} of {:?}", heard.length());
    });
}

#[test]
fn keys_come_from_a_leg_that_hears_nothing() {
    in_real_time(async {
        let (mut line, number) = (Line::open().await, number("70", "09"));
        let leg = line.reach(1, number).await;
        assert_eq!(line.until(leg, |event| *event == key('9')).await, [key('0'), key('9')]);
        line.bye(leg).await;
    });
}
