//! Supervisors and participants of live calls, and transfers, from the command line to what each of them hears.

use std::time::Duration;

use serde_json::{Value, json};

use crate::scene::{bed, deployment, details, name, number, recorded, request, says};
use crate::sound::Sound;
use crate::support::Said;
use crate::world::World;

/// What numbers of the kinds 17, 18, 19 and 16 send.
const CALLEE: f64 = 1004.0;
const AGENT: f64 = 620.0;
const SUPERVISOR: f64 = 1500.0;
const PARTICIPANT: f64 = 1900.0;
const ALL: [f64; 4] = [CALLEE, AGENT, SUPERVISOR, PARTICIPANT];

const SECOND: Duration = Duration::from_secs(1);

/// What somebody hears comes into its file so much later.
const KEPT_IN: Duration = Duration::from_millis(2_100);

/// A number, where in its recording to listen, and the pitches that must be heard there and no others.
struct Proof<'a>(&'static str, &'a str, Duration, Vec<f64>);

/// Two seconds from now on, in which everybody must hear these.
fn section<'a>(what: &'static str, hear: &[(&'a str, &[f64])]) -> Vec<Proof<'a>> {
    let carrier = &bed().carrier;
    let proofs =
        hear.iter().map(|(number, whom)| Proof(what, number, carrier.heard_by_now(number) + KEPT_IN, whom.to_vec()));
    let proofs: Vec<Proof<'_>> = proofs.collect();
    for Proof(_, number, from, _) in &proofs {
        carrier.wait_for_sound(number, *from + 2 * SECOND);
    }
    proofs
}

fn prove(sections: Vec<Vec<Proof<'_>>>) {
    check(sections, |_| true);
}

/// What must be heard was. A voice that speaks besides has something of every pitch.
fn prove_heard(sections: Vec<Vec<Proof<'_>>>) {
    check(sections, |expected| expected);
}

fn check(sections: Vec<Vec<Proof<'_>>>, counts: impl Fn(bool) -> bool) {
    let mut wrong = String::new();
    for Proof(what, number, from, whom) in sections.into_iter().flatten() {
        let part: Sound = bed().carrier.heard(number).part(from, 2 * SECOND);
        for hertz in ALL {
            let (loudness, expected) = (part.loudness_at(hertz), whom.contains(&hertz));
            let is_wrong = if expected { loudness <= -25.0 } else { loudness >= -33.0 };
            if is_wrong && counts(expected) {
                wrong += &format!("{what}, {number}: {hertz} Hz at {loudness:.0} dB\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Waits until a call's legs are these.
fn until_legs(world: &World, request: &str, roles: &[&str]) -> Value {
    for _ in 0..200 {
        let call = details(world, request);
        let there: Vec<&str> =
            call["monitorData"].as_array().unwrap().iter().map(|leg| leg["type"].as_str().unwrap()).collect();
        if there == roles {
            return call;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no {roles:?}: {:#}", details(world, request));
}

fn said(said: &Said) -> String {
    assert_eq!(said.code, 0, "{said:?}");
    said.out.clone()
}

#[test]
fn a_supervisor_listens_coaches_and_barges_in_and_a_participant_comes_and_goes() {
    let bed = bed();
    let mut world = deployment(bed, &bed.url());
    world.add_worker(&name());
    let [callee, agent, boss, guest] = ["17", "18", "19", "16"].map(|kind| number(kind, ""));
    let transfer = json!([{"name": "transfer", "destination": agent, "ringTimeoutSecs": 30}]);
    let mut document = request("supervised", &callee, &transfer);
    document["maxCallDurationSecs"] = json!(120);
    world.submit(&document);
    world.wait_for("supervised", "leg.added", 1);
    let id = details(&world, "supervised")["callId"].as_str().unwrap().to_owned();
    for _ in 0..100 {
        if details(&world, "supervised")["callFlowSteps"][0]["info"]["transfer_status"] == "answered" {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let call = |rest: &[&str]| world.run(&[&["call"], &rest[..1], &[&id], &rest[1..]].concat());
    let supervise = |session| call(&["supervise", "--to", &boss, "--session", session]);

    let session = said(&supervise("monitor")).trim().rsplit(' ').next().unwrap().to_owned();
    until_legs(&world, "supervised", &["callee", "transfer", "supervisor"]);
    bed.carrier.wait_for("answered", &boss);
    let two: [(&str, &[f64]); 2] = [(&callee, &[AGENT]), (&agent, &[CALLEE])];
    let boss_hears: (&str, &[f64]) = (&boss, &[CALLEE, AGENT]);
    let mut sections = vec![section("monitoring", &[two[0], two[1], boss_hears])];
    assert!(said(&supervise("coaching")).contains(&session), "the same session");
    let coached: (&str, &[f64]) = (&agent, &[CALLEE, SUPERVISOR]);
    sections.push(section("coaching", &[two[0], coached, boss_hears]));
    said(&supervise("bargein"));
    sections.push(section("barged in", &[(&callee, &[AGENT, SUPERVISOR]), coached, boss_hears]));
    said(&supervise("monitor"));
    said(&call(&["add", "--to", &guest]));
    until_legs(&world, "supervised", &["callee", "transfer", "supervisor", "participant"]);
    bed.carrier.wait_for("answered", &guest);
    let guest_hears: (&str, &[f64]) = (&guest, &[CALLEE, AGENT]);
    let with_guest = [
        (&*callee, &[AGENT, PARTICIPANT][..]),
        (&*agent, &[CALLEE, PARTICIPANT]),
        (&*boss, &[CALLEE, AGENT, PARTICIPANT]),
        guest_hears,
    ];
    sections.push(section("with a participant", &with_guest));
    said(&call(&["end-session", &session]));
    until_legs(&world, "supervised", &["callee", "transfer", "participant"]);
    said(&call(&["record", "on"]));
    sections.push(section("without a supervisor", &[with_guest[0], with_guest[1], guest_hears]));
    said(&call(&["record", "off"]));
    let no_such = call(&["end-session", &session]);
    assert!(no_such.code == 2 && no_such.err.contains("no such session"), "{no_such:?}");
    said(&call(&["hangup"]));
    let ended = world.wait_for("supervised", "call.ended", 1);
    assert_eq!(ended["data"]["status"], "completed", "{ended:#}");
    prove(sections);
    for each in [&callee, &agent, &boss, &guest] {
        assert_eq!(bed.carrier.invites(each), 1, "{each}");
    }

    // Every event of a leg says of which.
    let said =
        world.run(&["tail", "--from", "first", "--request", "supervised", "--types", "leg", "--count", "6", "--json"]);
    let told: Vec<(String, String, String)> = said
        .out
        .lines()
        .map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let leg = &event["data"]["leg"];
            (text(&event["type"]).replace("robocall.leg.", ""), text(&leg["type"]), text(&leg["dest"]))
        })
        .collect();
    let known =
        |what: &str, role: &str, dest: &str| told.contains(&(what.to_owned(), role.to_owned(), dest.to_owned()));
    for (role, dest) in [("transfer", &agent), ("supervisor", &boss), ("participant", &guest)] {
        assert!(known("added", role, dest) && known("removed", role, dest), "{role} in {told:?}");
    }

    // What was recorded is what both heard while it was on.
    let recorded = recorded(bed, &details(&world, "supervised"));
    let tones = [CALLEE, AGENT, PARTICIPANT, SUPERVISOR].map(|hertz| recorded.loudness_at(hertz));
    let whom = tones.map(|loudness| loudness > -25.0);
    assert_eq!((whom, recorded.length() > SECOND), ([true, true, true, false], true), "{tones:?}");
}

#[test]
fn nobody_is_coached_while_the_callee_is_alone_and_a_listener_outlives_the_worker() {
    let bed = bed();
    let mut world = deployment(bed, &bed.url());
    world.add_worker(&name());
    let [callee, boss] = ["17", "19"].map(|kind| number(kind, ""));
    let long = "Please hold the line. ".repeat(40);
    let mut document = request("alone", &callee, &json!([says(&long)]));
    document["maxCallDurationSecs"] = json!(90);
    world.submit(&document);
    world.wait_for("alone", "step.started", 1);
    let id = details(&world, "alone")["callId"].as_str().unwrap().to_owned();
    let supervise =
        |world: &World, session| world.run(&["call", "supervise", &id, "--to", &boss, "--session", session]);
    let refused = supervise(&world, "coaching");
    assert!(refused.code == 2 && refused.err.contains("nobody has joined"), "{refused:?}");
    said(&supervise(&world, "monitor"));
    bed.carrier.wait_for("answered", &boss);
    let monitoring = section("monitoring", &[(&boss, &[CALLEE])]);
    world.kill_worker();
    world.add_worker(&name());
    // Whoever has taken the call over answers for it.
    let barged = (0..60).any(|_| supervise(&world, "bargein").code == 0);
    assert!(barged, "nobody took it over: {:#}", details(&world, "alone"));
    let sections = vec![monitoring, section("barged in", &[(&callee, &[SUPERVISOR]), (&boss, &[CALLEE])])];
    let dismissed = world.run(&["call", "end-session", &id, &boss]);
    said(&dismissed);
    until_legs(&world, "alone", &["callee"]);
    said(&world.run(&["call", "hangup", &id]));
    world.wait_for("alone", "call.ended", 1);
    prove_heard(sections);
    assert_eq!((bed.carrier.invites(&callee), bed.carrier.invites(&boss)), (1, 1));
}

#[test]
fn a_callee_is_transferred_away_from_a_message_and_from_the_one_to_the_next() {
    let bed = bed();
    let mut world = deployment(bed, &bed.url());
    world.add_worker(&name());
    let [callee, agent, next] = ["17", "18", "19"].map(|kind| number(kind, ""));
    let mut document = request("transferred", &callee, &json!([says(&"Please hold the line. ".repeat(40))]));
    document["maxCallDurationSecs"] = json!(120);
    world.submit(&document);
    world.wait_for("transferred", "step.started", 1);
    let id = details(&world, "transferred")["callId"].as_str().unwrap().to_owned();
    let transfer = |to: &str| said(&world.run(&["call", "transfer", &id, "--to", to]));

    assert!(transfer(&agent).contains(".t1"), "the leg is named");
    let cut = world.wait_for("transferred", "step.finished", 1);
    assert_eq!(cut["data"]["callFlowSteps"][0]["info"]["status"], "error_session_ended", "{cut:#}");
    let mut sections = vec![section("with the first", &[(&callee, &[AGENT]), (&agent, &[CALLEE])])];
    assert!(transfer(&next).contains(".t2"), "the leg is named");
    let gone = world.wait_for("transferred", "leg.removed", 1);
    assert_eq!(gone["data"]["leg"]["dest"], json!(agent), "{gone:#}");
    sections.push(section("with the next", &[(&callee, &[SUPERVISOR]), (&next, &[CALLEE])]));
    said(&world.run(&["call", "hangup", &id]));
    let ended = world.wait_for("transferred", "call.ended", 1);
    assert_eq!(ended["data"]["status"], "completed", "{ended:#}");
    prove(sections);
    for each in [&callee, &agent, &next] {
        assert_eq!(bed.carrier.invites(each), 1, "{each}");
    }
}
