//! Third parties of a call while messages are played, and when another process takes the call over.

use std::time::Duration;

use robocall::model::LegRole;
use robocall::ports::telephony::LegEvent;
use robocall::ports::{Audio, Telephony as _};

use crate::call::Line;
use crate::outcomes::in_real_time;
use crate::supervision::{
    AGENT, CALLEE, SECOND, SUPERVISOR, all_end, listens, open, prove, reach, reach_callee, section, talking, talks,
};
use crate::world::{bed, heard, hears_for, network, nothing_stays, tone_of};

const PROMPT: f64 = 700.0;

fn finished(playback: u32) -> LegEvent {
    LegEvent::PlaybackFinished { playback, played: true }
}

#[test]
fn a_message_is_heard_by_all_who_talk_and_its_end_is_told() {
    in_real_time(async {
        let mut line = open().await;
        let callee = reach_callee(&mut line, "70", "12").await;
        let third = reach(&mut line, callee, LegRole::Participant, 1, "19").await;
        talks(&line, callee, third).await;
        for playback in [1, 2] {
            line.play(callee.leg, playback, &tone_of(PROMPT, 3 * SECOND)).await;
        }
        let events = line.until(callee.leg, |event| *event == finished(2)).await;
        let keys = events.iter().filter(|event| matches!(event, LegEvent::Digit(_))).count();
        assert!(keys > 0 && events.contains(&finished(1)), "{events:?}");
        // What is not there is said to be so.
        let reference = "sound:/nowhere/at/all".into();
        line.play(callee.leg, 3, &Audio { reference, length: SECOND }).await;
        let missing = LegEvent::PlaybackFinished { playback: 3, played: false };
        line.until(callee.leg, |event| *event == missing).await;
        hears_for(third.number, SECOND).await;
        all_end(&mut line, [third, callee]).await;
        nothing_stays(callee.leg).await;
        for number in [callee.number, third.number] {
            let heard = heard(number).await;
            let frames = (0..heard.length().as_millis() / 100).map(|frame| {
                heard.part(Duration::from_millis(100) * u32::try_from(frame).unwrap(), Duration::from_millis(100))
            });
            let played = frames.filter(|frame| frame.loudness_at(PROMPT) > -25.0).count();
            assert!((55..=65).contains(&played), "{number}: {played} tenths of a second of {:?}", heard.length());
        }
    });
}

#[test]
fn a_message_goes_on_when_the_other_leaves_until_it_is_stopped() {
    in_real_time(async {
        let mut line = open().await;
        let (callee, agent) = talking(&mut line).await;
        line.play(callee.leg, 1, &tone_of(PROMPT, 60 * SECOND)).await;
        let both = section("both", [(callee, &[AGENT, PROMPT]), (agent, &[CALLEE, PROMPT])]).await;
        line.bye(agent.leg).await;
        let alone = section("alone", [(callee, &[PROMPT])]).await;
        line.phones.stop_playback(callee.leg, 1, line.soon()).await.unwrap();
        let events = line.until(callee.leg, |event| matches!(event, LegEvent::PlaybackFinished { .. })).await;
        assert_eq!(events, [finished(1)]);
        let stopped = section("stopped", [(callee, &[])]).await;
        // And somebody may come again, at once after another one was stopped.
        let next = reach(&mut line, callee, LegRole::Transfer, 2, "18").await;
        line.play(callee.leg, 2, &tone_of(PROMPT, 60 * SECOND)).await;
        line.phones.stop_playback(callee.leg, 2, line.soon()).await.unwrap();
        talks(&line, callee, next).await;
        let again = section("again", [(callee, &[AGENT]), (next, &[CALLEE])]).await;
        all_end(&mut line, [callee, next]).await;
        nothing_stays(callee.leg).await;
        prove(vec![both, alone, stopped, again]).await;
    });
}

#[test]
fn somebody_joins_at_once_after_a_message_was_stopped() {
    in_real_time(async {
        let mut line = open().await;
        let callee = reach_callee(&mut line, "17", "").await;
        let third = reach(&mut line, callee, LegRole::Participant, 1, "19").await;
        line.play(callee.leg, 1, &tone_of(PROMPT, 60 * SECOND)).await;
        hears_for(callee.number, SECOND).await;
        line.phones.stop_playback(callee.leg, 1, line.soon()).await.unwrap();
        talks(&line, callee, third).await;
        line.play(callee.leg, 2, &tone_of(PROMPT, 60 * SECOND)).await;
        let hear = section("joined", [(callee, &[SUPERVISOR, PROMPT]), (third, &[CALLEE, PROMPT])]).await;
        line.phones.stop_playback(callee.leg, 2, line.soon()).await.unwrap();
        line.until(callee.leg, |event| *event == finished(2)).await;
        all_end(&mut line, [callee, third]).await;
        nothing_stays(callee.leg).await;
        prove(vec![hear]).await;
    });
}

#[test]
fn another_process_asks_again_and_changes_how_somebody_listens() {
    in_real_time(async {
        let mut line = open().await;
        let (callee, agent) = talking(&mut line).await;
        let boss = reach(&mut line, callee, LegRole::Supervisor, 1, "19").await;
        listens(&line, callee, boss, None).await;
        let mut line = line.dies().taken_over().await;
        let alone = section("nobody asked", [(callee, &[AGENT]), (agent, &[CALLEE]), (boss, &[CALLEE, AGENT])]).await;
        talks(&line, callee, agent).await;
        listens(&line, callee, boss, None).await;
        let same = section("the same", [(callee, &[AGENT]), (agent, &[CALLEE]), (boss, &[CALLEE, AGENT])]).await;
        listens(&line, callee, boss, Some(agent)).await;
        let hear = [(callee, &[AGENT][..]), (agent, &[CALLEE, SUPERVISOR]), (boss, &[CALLEE, AGENT])];
        let coaching = section("coaching", hear).await;
        talks(&line, callee, boss).await;
        // Played to all by whoever has learnt of it only now.
        line.play(callee.leg, 1, &tone_of(PROMPT, 60 * SECOND)).await;
        let hear = [
            (callee, &[AGENT, SUPERVISOR, PROMPT][..]),
            (agent, &[CALLEE, SUPERVISOR, PROMPT]),
            (boss, &[CALLEE, AGENT, PROMPT]),
        ];
        let barged = section("barged in", hear).await;
        line.phones.stop_playback(callee.leg, 1, line.soon()).await.unwrap();
        line.until(callee.leg, |event| *event == finished(1)).await;
        let mut line = line.dies().taken_over().await;
        listens(&line, callee, boss, None).await;
        let again = section("again", [(callee, &[AGENT]), (agent, &[CALLEE]), (boss, &[CALLEE, AGENT])]).await;
        all_end(&mut line, [boss, agent, callee]).await;
        nothing_stays(callee.leg).await;
        prove(vec![alone, same, coaching, barged, again]).await;
    });
}

#[test]
fn ears_of_a_supervisor_who_went_while_nobody_listened_are_taken_down_by_anybody() {
    in_real_time(async {
        let mut line = open().await;
        let (callee, agent) = talking(&mut line).await;
        let boss = reach(&mut line, callee, LegRole::Supervisor, 1, "19").await;
        listens(&line, callee, boss, None).await;
        drop(line.dies());
        let gone = move || bed().ari("DELETE", &format!("/channels/{}", boss.leg)).status;
        assert_eq!(network(move |_| gone()).await, 204);
        // In another name, and of no call of these.
        let stranger = Line::open().await;
        nothing_stays(boss.leg).await;
        drop(stranger);
        for leg in [callee.leg, agent.leg] {
            network(move |_| bed().ari("DELETE", &format!("/channels/{leg}")).status).await;
        }
        nothing_stays(callee.leg).await;
    });
}

#[test]
fn whoever_takes_a_call_over_can_ask_for_anything_at_once() {
    in_real_time(async {
        for _ in 0..5 {
            let mut line = open().await;
            let callee = reach_callee(&mut line, "17", "").await;
            let mut next = line.dies().taken_over().await;
            let agent = reach(&mut next, callee, LegRole::Transfer, 1, "18").await;
            talks(&next, callee, agent).await;
            all_end(&mut next, [agent, callee]).await;
        }
    });
}

#[test]
fn the_ends_of_other_calls_are_told_as_before_when_messages_are_shared() {
    in_real_time(async {
        let mut line = open().await;
        let (callee, agent) = talking(&mut line).await;
        line.play(callee.leg, 1, &tone_of(PROMPT, SECOND)).await;
        line.until(callee.leg, |event| *event == finished(1)).await;
        for claim in [2, 3] {
            let number = crate::world::number("17", "");
            let next = crate::supervision::Party { leg: line.reach(claim, number).await, number };
            let with = reach(&mut line, next, LegRole::Transfer, 1, "18").await;
            talks(&line, next, with).await;
            // Nobody looks at what is there in this process, so it is events that tell.
            all_end(&mut line, [with, next]).await;
            nothing_stays(next.leg).await;
        }
        all_end(&mut line, [agent, callee]).await;
    });
}
