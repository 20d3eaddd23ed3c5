//! Every outcome as a real Asterisk 22 tells of it, from the first event to what is reported.

use super::ari::event::AriEvent;
use super::leg::{Heard, Leg, playback_id, playback_of, state_of};
use crate::callflow::call::LegEnd;
use crate::model::{AnsweredBy, AttemptId, CallId, LegId, Party};
use crate::ports::telephony::{LegEvent, LegState};

fn leg() -> Leg {
    let mut leg = found();
    leg.made_here = true;
    leg
}

fn found() -> Leg {
    Leg::found("worker-1".parse().unwrap(), 0, LegState::Created)
}

/// An event about the leg: its kind, and its own fields as JSON.
fn event(kind: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!(r#"{{"type":"{kind}"{comma}{fields}}}"#)
}

fn state(state: &str) -> String {
    event("ChannelStateChange", &format!(r#""channel":{{"id":"x","state":"{state}"}}"#))
}

fn dial(status: &str) -> String {
    event("Dial", &format!(r#""dialstatus":"{status}","peer":{{"id":"x"}}"#))
}

fn hang_up(fields: &str) -> String {
    event("ChannelHangupRequest", fields)
}

fn gone(fields: &str) -> String {
    event("ChannelDestroyed", fields)
}

fn told(leg: &mut Leg, events: &[String]) -> Vec<LegEvent> {
    let heard = events.iter().flat_map(|text| leg.hear(&AriEvent::read(text).unwrap()));
    let report = |heard| match heard {
        Heard::Report(event) => Some(event),
        Heard::AwaitBeep => None,
    };
    heard.filter_map(report).collect()
}

fn end(cause: u8, sip: u16, by: Option<Party>) -> LegEvent {
    LegEvent::Ended(LegEnd { cause: Some(cause), sip: (sip > 0).then_some(sip), by, lost: false })
}

fn outcome(events: &[String]) -> Vec<LegEvent> {
    let mut leg = leg();
    assert!(leg.take_dial());
    told(&mut leg, events)
}

fn answered() -> Vec<String> {
    vec![dial(""), state("Ringing"), dial("RINGING"), state("Up"), dial("ANSWER")]
}

#[test]
fn an_answered_leg_rings_and_is_answered_once() {
    assert_eq!(outcome(&answered()), [LegEvent::Ringing, LegEvent::Answered]);
}

#[test]
fn a_busy_one_does_not_ring() {
    let events =
        [dial(""), hang_up(r#""cause":17,"tech_cause":486"#), dial("BUSY"), gone(r#""cause":17,"tech_cause":486"#)];
    assert_eq!(outcome(&events), [end(17, 486, None)]);
}

#[test]
fn nobody_answered_in_our_time() {
    let events = [dial(""), state("Ringing"), gone(r#""cause":19,"tech_cause":480"#)];
    assert_eq!(outcome(&events), [LegEvent::Ringing, end(19, 480, None)]);
}

#[test]
fn early_audio_counts_as_ringing_only_if_our_time_ran_out() {
    let over = gone(r#""cause":19,"tech_cause":480"#);
    let ours = [dial(""), dial("PROGRESS"), hang_up(r#""cause":32,"soft":true"#), over.clone()];
    assert_eq!(outcome(&ours), [LegEvent::Ringing, end(19, 480, None)]);
    let theirs = [dial(""), dial("PROGRESS"), hang_up(r#""cause":19,"tech_cause":480"#), over];
    assert_eq!(outcome(&theirs), [end(19, 480, None)], "the network says so itself");
    let announced =
        [dial(""), dial("PROGRESS"), hang_up(r#""cause":34,"tech_cause":503"#), gone(r#""cause":34,"tech_cause":503"#)];
    assert_eq!(outcome(&announced), [end(34, 503, None)]);
    let answered = [dial(""), dial("PROGRESS"), state("Up"), dial("ANSWER")];
    assert_eq!(outcome(&answered), [LegEvent::Answered]);
}

#[test]
fn the_status_may_come_with_the_hang_up_only() {
    let events = [hang_up(r#""cause":1,"tech_cause":404"#), dial("NOANSWER"), gone(r#""cause":1"#)];
    assert_eq!(outcome(&events), [end(1, 404, None)]);
}

#[test]
fn a_callee_hangs_up_with_a_reason_or_without() {
    for cause in [0, 16] {
        let mut events = answered();
        events.extend([hang_up(r#""cause":16"#), gone(&format!(r#""cause":{cause}"#))]);
        assert_eq!(outcome(&events)[2..], [end(cause, 0, Some(Party::Callee))]);
    }
}

#[test]
fn a_line_that_breaks_is_the_networks() {
    let mut events = answered();
    events.extend([hang_up(r#""cause":38"#), gone(r#""cause":38"#)]);
    assert_eq!(outcome(&events)[2..], [end(38, 0, Some(Party::Network))]);
}

#[test]
fn a_leg_whose_time_is_over_was_ended_by_us() {
    let mut events = answered();
    events.push(gone(r#""cause":0"#));
    assert_eq!(outcome(&events)[2..], [end(0, 0, Some(Party::Us))]);
}

#[test]
fn our_own_hang_up_is_ours_whoever_of_us_asked() {
    let mut events = answered();
    events.extend([hang_up(r#""cause":32,"soft":true"#), gone(r#""cause":16"#)]);
    assert_eq!(outcome(&events)[2..], [end(16, 0, Some(Party::Us))], "an adopter, or an operator at the console");
    let mut leg = leg();
    assert!(leg.take_dial());
    leg.asked = true;
    let cancelled =
        [dial(""), state("Ringing"), hang_up(r#""cause":32,"soft":true"#), dial("NOANSWER"), gone(r#""cause":16"#)];
    assert_eq!(told(&mut leg, &cancelled), [LegEvent::Ringing, end(16, 0, Some(Party::Us))]);
}

#[test]
fn a_leg_is_dialled_once() {
    let mut leg = leg();
    assert!(leg.take_dial() && !leg.take_dial());
    leg.give_dial_back();
    assert!(leg.take_dial());
    told(&mut leg, &[state("Up")]);
    leg.give_dial_back();
    assert!(!leg.take_dial(), "what was answered was dialled");
}

#[test]
fn a_leg_that_was_found_is_not_dialled_from_here() {
    assert!(!found().take_dial());
}

#[test]
fn keys_are_told_and_letters_are_not() {
    let keys = ["1", "#", "A", ""].map(|key| event("ChannelDtmfReceived", &format!(r#""digit":"{key}""#)));
    assert_eq!(outcome(&keys).len(), 2);
}

#[test]
fn a_verdict_comes_back_with_the_channel() {
    let verdict = |word: &str| event("StasisStart", &format!(r#""args":["amd","{word}","x"]"#));
    for (word, party) in [
        ("HUMAN", AnsweredBy::Human),
        ("MACHINE", AnsweredBy::Machine),
        ("NOTSURE", AnsweredBy::Unknown),
        ("", AnsweredBy::Unknown),
    ] {
        assert_eq!(outcome(&[verdict(word)]), [LegEvent::PartyDetected(party)]);
    }
    let silent = event("StasisStart", r#""args":["amd","MACHINE","INITIALSILENCE-2500-2500"]"#);
    assert_eq!(outcome(&[silent]), [LegEvent::PartyDetected(AnsweredBy::Unknown)], "they may wait for us to speak");
    let mut leg = leg();
    leg.wants_beep = true;
    let text = verdict("MACHINE");
    let heard = leg.hear(&AriEvent::read(&text).unwrap());
    assert_eq!(heard, [Heard::Report(LegEvent::PartyDetected(AnsweredBy::Machine)), Heard::AwaitBeep]);
    assert_eq!(told(&mut leg, &[event("StasisStart", r#""args":["beep"]"#)]), [LegEvent::BeepHeard]);
    leg.wants_beep = true;
    let text = verdict("HUMAN");
    assert_eq!(leg.hear(&AriEvent::read(&text).unwrap()).len(), 1, "people do not beep");
}

#[test]
fn whoever_asked_for_a_leg_is_told_when_it_is_there() {
    let (there, mut told) = tokio::sync::oneshot::channel();
    let mut leg = Leg::asked_for("worker-1".parse().unwrap(), 0, there);
    assert!(!leg.is_there() && !leg.take_dial());
    assert!(leg.hear(&AriEvent::read(&event("StasisStart", r#""args":[]"#)).unwrap()).is_empty());
    assert_eq!(told.try_recv(), Ok(()));
    assert!(leg.is_there() && leg.take_dial());
}

#[test]
fn states_are_told_apart() {
    for (state, dialled, expected) in [
        ("Down", false, LegState::Created),
        ("Down", true, LegState::Dialled),
        ("Ringing", false, LegState::Dialled),
        ("Up", false, LegState::Up),
    ] {
        assert_eq!(state_of(state, dialled), expected, "{state}");
    }
}

#[test]
fn playbacks_have_names_that_lead_back() {
    let call = CallId::new(&"bank".parse().unwrap(), &"r".parse().unwrap(), 3);
    let leg = LegId::transfer(AttemptId { call, claim: 2 }, 1);
    assert_eq!(playback_of(&playback_id(leg, 4097)), Some((leg, 4097)));
    assert_eq!(playback_of("b0a6ce2e-9f0e"), None);
}
