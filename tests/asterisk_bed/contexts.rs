//! The contexts of deploy/asterisk that workers send calls through.

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::bed;

#[test]
fn a_person_is_told_from_a_machine() {
    let mut app = App::listen(bed(), "amd");
    for (number, verdict) in [("+9991200001", "HUMAN"), ("+9991300001", "MACHINE")] {
        let channel = app.reach(&format!("PJSIP/{number}@carrier"));
        app.ask("POST", &format!("/channels/{channel}/continue?context=robocall-amd&extension=s&priority=1"));
        let back = app.until(&channel, |event| event["type"] == "StasisStart" && event["args"][0] == "amd");
        assert_eq!(back["args"][1], verdict, "{back}");
        app.hang_up(&channel);
    }
}

#[test]
fn a_machine_is_waited_for_until_its_beep_is_over() {
    let mut app = App::listen(bed(), "beep");
    let channel = app.reach("PJSIP/+9991300002@carrier");
    app.ask("POST", &format!("/channels/{channel}/variable?variable=ROBOCALL_BEEP&value=1"));
    app.ask("POST", &format!("/channels/{channel}/continue?context=robocall-amd&extension=s&priority=1"));
    app.until(&channel, |event| event["type"] == "StasisStart" && event["args"][0] == "amd");
    assert!(bed().carrier.steps_of("+9991300002").iter().all(|step| step.what != "beeping"), "the greeting goes on");
    app.ask("POST", &format!("/channels/{channel}/continue"));
    let back = app.until(&channel, |event| event["type"] == "StasisStart" && event["args"][0] == "beep");
    assert_eq!(back["args"], json!(["beep", "SILENCE"]));
    assert!(bed().carrier.steps_of("+9991300002").iter().any(|step| step.what == "beeped"), "the beep was waited for");
    app.hang_up(&channel);
}

#[test]
fn a_verdict_waits_for_somebody_who_listens() {
    let mut app = App::listen(bed(), "dead");
    let channel = app.reach("PJSIP/+9991200002@carrier");
    app.ask("POST", &format!("/channels/{channel}/continue?context=robocall-amd&extension=s&priority=1"));
    app.until(&channel, |event| event["type"] == "StasisEnd");
    drop(app);
    // The dialplan says so when it has found nobody.
    bed().ours.wait_for_log("Stasis app 'dead'");
    let mut app = App::listen(bed(), "dead");
    let back = app.until(&channel, |event| event["type"] == "StasisStart");
    assert_eq!((&back["args"][0], &back["args"][1]), (&json!("amd"), &json!("HUMAN")));
    app.hang_up(&channel);
}

#[test]
fn our_own_people_are_reached_by_number_and_through_a_queue() {
    let mut app = App::listen(bed(), "people");
    for endpoint in ["PJSIP/1000", "Local/sales@robocall-queues/n"] {
        let channel = app.reach(endpoint);
        app.hang_up(&channel);
    }
    let nobody = app.dial("Local/nobody@robocall-queues/n");
    assert_ne!(app.end(&nobody).0, 0);
}

#[test]
fn calls_to_us_are_declined_before_they_are_answered() {
    let caller = UdpSocket::bind("127.0.0.1:0").unwrap();
    caller.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (port, ours) = (caller.local_addr().unwrap().port(), bed().ours.ports().sip());
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
    );
    let invite = format!(
        "INVITE sip:+6561234567@127.0.0.1:{ours} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-refused\r\n\
         From: <sip:+6580000001@127.0.0.1:{port}>;tag=caller\r\nTo: <sip:+6561234567@127.0.0.1>\r\nCall-ID: refused@test\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:127.0.0.1:{port}>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    caller.send_to(invite.as_bytes(), ("127.0.0.1", ours)).unwrap();
    let status = loop {
        let mut answer = [0; 4096];
        let length = caller.recv(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        if status != 100 {
            break status;
        }
    };
    assert_eq!(status, 603);
}
