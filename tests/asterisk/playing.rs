//! What is played is what the callee's own recording has.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use robocall::ports::telephony::LegEvent;
use robocall::ports::{Audio, Telephony as _};

use crate::call::Line;
use crate::outcomes::in_real_time;
use crate::sound::Sound;
use crate::world::{heard, hears_for, number, tone_of};

const SECOND: Duration = Duration::from_secs(1);

fn finished(playback: u32) -> LegEvent {
    LegEvent::PlaybackFinished { playback, played: true }
}

#[test]
fn a_message_is_heard_at_its_pitch_and_length() {
    in_real_time(async {
        let (mut line, number) = (Line::open().await, number("15", ""));
        let leg = line.reach(1, number).await;
        line.play(leg, 1, &tone_of(700.0, 2 * SECOND)).await;
        line.until(leg, |event| *event == finished(1)).await;
        hears_for(number, SECOND).await;
        line.bye(leg).await;
        let heard = heard(number).await;
        let length = heard.tone_for(700.0);
        assert!(length.abs_diff(2 * SECOND) < SECOND / 4, "{length:?} of {:?}", heard.length());
        let middle = heard.part(heard.begins(-30.0).unwrap() + SECOND / 2, SECOND);
        assert!((middle.loudness_at(700.0) + 15.0).abs() < 1.0, "{}", middle.loudness_at(700.0));
        assert!(middle.loudness_at(1004.0) < -40.0, "{}", middle.loudness_at(1004.0));
    });
}

#[test]
fn a_stopped_message_is_heard_up_to_there() {
    in_real_time(async {
        let (mut line, number) = (Line::open().await, number("15", ""));
        let leg = line.reach(1, number).await;
        let began_at = line.clock.now();
        line.play(leg, 1, &tone_of(700.0, 30 * SECOND)).await;
        hears_for(number, 2 * SECOND).await;
        line.phones.stop_playback(leg, 1, line.soon()).await.unwrap();
        line.until(leg, |event| *event == finished(1)).await;
        let took = line.clock.now().since(began_at);
        hears_for(number, 2 * SECOND).await;
        line.bye(leg).await;
        let heard = heard(number).await;
        let length = heard.tone_for(700.0);
        assert!(length > SECOND && length < took + SECOND / 2, "{length:?}, stopped after {took:?}");
        let end = heard.part(heard.length() - SECOND, SECOND);
        assert!(end.loudness() < -60.0, "{}", end.loudness());
    });
}

#[test]
fn messages_are_heard_one_after_the_other() {
    in_real_time(async {
        let (mut line, number) = (Line::open().await, number("15", ""));
        let leg = line.reach(1, number).await;
        for (playback, hertz) in [(1, 700.0), (2, 1200.0)] {
            line.play(leg, playback, &tone_of(hertz, SECOND)).await;
        }
        let events = line.until(leg, |event| *event == finished(2)).await;
        assert_eq!(events, [finished(1), finished(2)]);
        hears_for(number, SECOND).await;
        line.bye(leg).await;
        let heard = heard(number).await;
        for hertz in [700.0, 1200.0] {
            let length = heard.tone_for(hertz);
            assert!(length.abs_diff(SECOND) < SECOND / 4, "{hertz} Hz: {length:?} of {:?}", heard.length());
        }
        let first = heard.part(Duration::ZERO, heard.begins(-30.0).unwrap() + SECOND / 2);
        assert!(first.tone_for(700.0) > SECOND / 4 && first.tone_for(1200.0).is_zero());
    });
}

#[test]
fn a_message_is_fetched_over_http_and_heard() {
    in_real_time(async {
        let (mut line, number) = (Line::open().await, number("15", ""));
        let leg = line.reach(1, number).await;
        let port = serve(Sound::tone(900.0, -12.0, SECOND).wav());
        // Asterisk cannot play what has a shorter address than its copy has (deploy/asterisk/modules.conf).
        let reference = format!("sound:http://127.0.0.1:{port}/{}.wav", "0123456789abcdef".repeat(5)).into();
        line.play(leg, 1, &Audio { reference, length: SECOND }).await;
        let events = line.until(leg, |event| matches!(event, LegEvent::PlaybackFinished { .. })).await;
        assert_eq!(events, [finished(1)]);
        hears_for(number, SECOND).await;
        line.bye(leg).await;
        let length = heard(number).await.tone_for(900.0);
        assert!(length.abs_diff(SECOND) < SECOND / 4, "{length:?}");
    });
}

#[test]
fn what_cannot_be_fetched_was_not_heard_and_the_call_goes_on() {
    in_real_time(async {
        let (mut line, number) = (Line::open().await, number("15", ""));
        let leg = line.reach(1, number).await;
        // Nobody listens there any more.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let reference = format!("sound:http://127.0.0.1:{port}/{}.wav", "0123456789abcdef".repeat(5)).into();
        line.play(leg, 1, &Audio { reference, length: SECOND }).await;
        let events = line.until(leg, |event| matches!(event, LegEvent::PlaybackFinished { .. })).await;
        assert_eq!(events, [LegEvent::PlaybackFinished { playback: 1, played: false }]);
        line.play(leg, 2, &tone_of(700.0, SECOND)).await;
        line.until(leg, |event| *event == finished(2)).await;
        hears_for(number, SECOND).await;
        line.bye(leg).await;
        let length = heard(number).await.tone_for(700.0);
        assert!(length.abs_diff(SECOND) < SECOND / 4, "{length:?}");
    });
}

/// Serves a file to whoever asks, for as long as the test program lives; where.
fn serve(wav: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let head = format!("Content-Type: audio/wav\r\nContent-Length: {}\r\nCache-Control: max-age=3600", wav.len());
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\nConnection: close\r\n\r\n").unwrap();
            stream.write_all(&wav).unwrap();
        }
    });
    port
}
