//! Calls, how they end, and what is heard.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::app::App;
use crate::asterisk::{Bed, ON_HOLD};
use crate::bed;
use crate::sipp::Sipp;
use crate::sound::Sound;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn ours_answers_with_its_version() {
    let info = bed().ari("GET", "/asterisk/info");
    let (_, version) = info.body.split_once(r#""version":""#).unwrap();
    let major: u32 = version.split('.').next().unwrap().parse().unwrap();
    assert!(major >= 22, "{version}");
}

#[test]
fn a_number_is_rung_and_answers_and_is_seen_dialled_once() {
    let mut app = App::listen(bed(), "answers");
    let channel = app.dial("PJSIP/+9991000001@carrier");
    app.until(&channel, |event| event["channel"]["state"] == "Ringing");
    app.until(&channel, |event| event["channel"]["state"] == "Up");
    assert_eq!(bed().carrier.invites("+9991000001"), 1);
    assert_eq!(bed().carrier.invites("+9991000002"), 0);
    app.hang_up(&channel);
    bed().carrier.wait_for("ended", "+9991000001");
    let steps = bed().carrier.steps_of("+9991000001").into_iter().map(|step| step.what);
    assert_eq!(steps.collect::<Vec<_>>(), ["invite", "answered", "ended"]);
}

#[test]
fn numbers_end_as_they_are_known_to() {
    let mut app = App::listen(bed(), "ends");
    let ends = [
        ("+9992000001", (17, 486)),
        ("+9994000001", (1, 404)),
        ("+9995000001", (21, 603)),
        ("+9998000001", (34, 503)),
        ("+9999000001", (19, 480)),
        ("+9990100001", (34, 503)),
        ("+6512345678", (1, 404)),
    ];
    for (number, end) in ends {
        let channel = app.dial(&format!("PJSIP/{number}@carrier"));
        assert_eq!(app.end(&channel), end, "{number}");
        assert_eq!(bed().carrier.invites(number), 1, "{number}");
    }
    let channel = app.dial("PJSIP/+9992000002@refused");
    assert_eq!(app.end(&channel), (34, 503));
}

#[test]
fn a_number_that_rings_for_ever_rings_until_we_give_up() {
    let mut app = App::listen(bed(), "rings");
    let channel = app.dial("PJSIP/+9993000001@carrier");
    app.until(&channel, |event| event["channel"]["state"] == "Ringing");
    app.ask("DELETE", &format!("/channels/{channel}"));
    assert_eq!(app.end(&channel).0, 16);
    bed().carrier.wait_for("ended", "+9993000001");
}

#[test]
fn a_callee_hangs_up_by_itself() {
    let mut app = App::listen(bed(), "hangs-up");
    let channel = app.reach("PJSIP/+9996000001@carrier");
    let (cause, _) = app.end(&channel);
    assert!([0, 16].contains(&cause), "{cause}");
}

#[test]
fn a_number_speaks_before_it_answers() {
    let mut app = App::listen(bed(), "early");
    let channel = app.dial("PJSIP/+9990000001@carrier");
    app.until(&channel, |event| event["type"] == "Dial" && event["dialstatus"] == "PROGRESS");
    app.until(&channel, |event| event["channel"]["state"] == "Up");
    app.hang_up(&channel);
}

#[test]
fn keys_are_pressed_in_their_order() {
    let mut app = App::listen(bed(), "keys");
    let channel = app.reach("PJSIP/+9997000001427@carrier");
    for key in ["4", "2", "7"] {
        let event = app.until(&channel, |event| event["type"] == "ChannelDtmfReceived");
        assert_eq!(event["digit"], key);
    }
    assert_eq!(bed().carrier.pressed("+9997000001427"), "427");
    app.hang_up(&channel);
}

#[test]
fn what_is_played_is_heard_at_the_other_end() {
    let tone = Sound::tone(700.0, -10.0, 2 * SECOND);
    let media = bed().put_sound("played", &tone);
    let mut app = App::listen(bed(), "plays");
    let channel = app.reach("PJSIP/+9991500001@carrier");
    app.play(&channel, &media);
    // Silence is sent, too, while nothing is played.
    bed().carrier.wait_for_sound("+9991500001", 3 * SECOND);
    app.hang_up(&channel);
    let heard = bed().carrier.heard("+9991500001");
    assert!(heard.length() >= 3 * SECOND, "{:?}", heard.length());
    let tone_heard = heard.tone_for(700.0);
    assert!(tone_heard.abs_diff(2 * SECOND) < SECOND / 4, "{tone_heard:?} of {:?}", heard.length());
    let middle = heard.part(heard.begins(-30.0).unwrap() + SECOND / 2, SECOND);
    assert!((middle.loudness_at(700.0) - tone.loudness()).abs() < 1.0, "{}", middle.loudness_at(700.0));
    assert!(middle.loudness_at(1004.0) < -40.0, "{}", middle.loudness_at(1004.0));
}

#[test]
fn music_on_hold_and_the_tone_of_ringing_are_heard() {
    let mut app = App::listen(bed(), "waits");
    for (number, what, hertz) in [("+9991500002", "moh", ON_HOLD), ("+9991500003", "play?media=tone:ring", 480.0)] {
        let channel = app.reach(&format!("PJSIP/{number}@carrier"));
        app.ask("POST", &format!("/channels/{channel}/{what}"));
        bed().carrier.wait_for_sound(number, SECOND);
        app.hang_up(&channel);
        let heard = bed().carrier.heard(number);
        assert!(
            heard.louder_than(-30.0) > SECOND / 2,
            "{what}: {:?} of {:?}",
            heard.louder_than(-30.0),
            heard.length()
        );
        assert!(heard.loudness_at(hertz) > heard.loudness_at(1004.0) + 10.0, "{what}");
    }
}

#[test]
fn a_phone_network_that_says_nothing_is_given_up() {
    let mut app = App::listen(bed(), "hole");
    let channel = app.dial_for("PJSIP/+9991000003@hole", 2);
    assert_eq!(app.end(&channel), (19, 480));
}

#[test]
fn a_message_is_fetched_over_http_and_kept_as_long_as_its_server_says() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let fetches = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&fetches);
    // Ends with the test program.
    std::thread::spawn(move || {
        let wav = Sound::tone(700.0, -10.0, SECOND).wav();
        let head = format!("Content-Type: audio/wav\r\nContent-Length: {}\r\nCache-Control: max-age=3600", wav.len());
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            counted.fetch_add(1, Ordering::SeqCst);
            write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\nConnection: close\r\n\r\n").unwrap();
            stream.write_all(&wav).unwrap();
        }
    });
    let mut app = App::listen(bed(), "fetches");
    let channel = app.reach("PJSIP/+9991500004@carrier");
    // Asterisk cannot play what has a shorter address than its copy has (deploy/asterisk/modules.conf).
    let media = format!("sound:http://127.0.0.1:{port}/{}.wav", "message-".repeat(10));
    app.play(&channel, &media);
    app.play(&channel, &media);
    app.hang_up(&channel);
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
    let heard = bed().carrier.heard("+9991500004").tone_for(700.0);
    assert!(heard.abs_diff(2 * SECOND) < SECOND / 4, "{heard:?}");
}

#[test]
fn callees_who_send_a_tone_each_have_their_own() {
    let mut app = App::listen(bed(), "tones");
    // How long a tone is recorded is how long this takes to play.
    let media = bed().put_sound("a-second", &Sound::silence(SECOND));
    for (number, hertz) in [("+9991700001", 1004.0), ("+9991800001", 620.0), ("+9991900001", 1500.0)] {
        let channel = app.reach(&format!("PJSIP/{number}@carrier"));
        let name = &number[1..];
        app.record(&channel, name);
        app.play(&channel, &media);
        let said = app.recorded(name);
        assert!(said.tone_for(hertz) > SECOND * 7 / 10, "{hertz}: {:?} of {:?}", said.tone_for(hertz), said.length());
        app.hang_up(&channel);
    }
}

#[test]
fn another_telephone_is_called_that_is_no_asterisk() {
    let ports = bed().ours.ports();
    let telephone = Sipp::start(ports.callee(), ports.callee_sound(), ports.callee_control());
    let mut app = App::listen(bed(), "sipp");
    let media = bed().put_sound("echoed", &Sound::tone(700.0, -10.0, 2 * SECOND));
    let channel = app.reach("PJSIP/+9991000001@sipp");
    app.record(&channel, "echo");
    app.play(&channel, &media);
    let echo = app.recorded("echo");
    assert!(echo.tone_for(700.0) > SECOND, "{:?}", echo.tone_for(700.0));
    app.hang_up(&channel);
    let channel = app.dial("PJSIP/+9992000001@sipp");
    assert_eq!(app.end(&channel), (17, 486));
    let channel = app.dial("PJSIP/+9993000001@sipp");
    app.until(&channel, |event| event["channel"]["state"] == "Ringing");
    app.ask("DELETE", &format!("/channels/{channel}"));
    assert_eq!(app.end(&channel).0, 16);
    for number in ["+9991000001", "+9992000001", "+9993000001"] {
        assert_eq!(telephone.invites(number), 1, "{number}: {}", telephone.said());
    }
}

#[test]
fn a_killed_server_comes_back_where_it_was() {
    let bed = Bed::start();
    let dialled = |number: &str| {
        let mut app = App::listen(&bed, "again");
        let channel = app.reach(&format!("PJSIP/{number}@carrier"));
        app.hang_up(&channel);
        bed.carrier.invites(number)
    };
    assert_eq!(dialled("+9991000001"), 1);
    bed.ours.kill();
    bed.ours.start_again();
    assert_eq!(dialled("+9991000001"), 2, "the phone network has kept its log");
    bed.carrier.server().kill();
    bed.carrier.server().start_again();
    assert_eq!(dialled("+9991000001"), 3);
}
