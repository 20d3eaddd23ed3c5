//! Third parties of a call: who hears whom, told by the pitch of the tone that each far end sends and by what each has
//! heard itself.

use std::sync::Arc;
use std::time::Duration;

use robocall::callflow::program::Target;
use robocall::model::{LegId, LegRole, Phone};
use robocall::ports::Telephony as _;
use robocall::ports::telephony::{LegEvent, LegState};

use crate::call::Line;
use crate::outcomes::in_real_time;
use crate::recording::recorded;
use crate::sound::Sound;
use crate::world::{KEPT_IN, bed, client_looking, heard, hears_for, network, node, nothing_stays, number, tone_of};

pub const SECOND: Duration = Duration::from_secs(1);

/// The tones that numbers of the kinds 17, 18, 19 and 16 send.
pub const CALLEE: f64 = 1004.0;
pub const AGENT: f64 = 620.0;
pub const SUPERVISOR: f64 = 1500.0;
const ANOTHER: f64 = 1900.0;

/// What is played to the callee.
const PROMPT: f64 = 700.0;

/// Every pitch that there is.
const ALL: [f64; 5] = [CALLEE, AGENT, SUPERVISOR, ANOTHER, PROMPT];

/// Somebody on the telephone.
#[derive(Clone, Copy)]
pub struct Party {
    pub leg: LegId,
    pub number: Phone,
}

/// A call, of a process that leaves nothing to a later look.
pub async fn open() -> Line {
    Line::with(Arc::new(client_looking(vec![node(bed())], Duration::from_secs(3_600)))).await
}

/// Rings another party of a callee's call, and waits for the answer.
pub async fn reach(line: &mut Line, callee: Party, role: LegRole, ordinal: u16, kind: &str) -> Party {
    let party = Party { leg: LegId { attempt: callee.leg.attempt, role, ordinal }, number: number(kind, "") };
    line.dial(party.leg, Target::External(party.number), 0, 30).await;
    line.until(party.leg, |event| *event == LegEvent::Answered).await;
    party
}

pub async fn reach_callee(line: &mut Line, kind: &str, keys: &str) -> Party {
    let number = number(kind, keys);
    Party { leg: line.reach(1, number).await, number }
}

/// A callee and an agent who talk.
pub async fn talking(line: &mut Line) -> (Party, Party) {
    let callee = reach_callee(line, "17", "").await;
    let agent = reach(line, callee, LegRole::Transfer, 1, "18").await;
    talks(line, callee, agent).await;
    (callee, agent)
}

pub async fn talks(line: &Line, callee: Party, other: Party) {
    line.phones.bridge(callee.leg, other.leg, line.soon()).await.unwrap();
}

pub async fn listens(line: &Line, callee: Party, other: Party, whispers_to: Option<Party>) {
    let whispers_to = whispers_to.map(|party| party.leg);
    line.phones.listen_in(callee.leg, other.leg, whispers_to, line.soon()).await.unwrap();
}

/// Two seconds of a call: from where on in each party's recording, and whom each must hear.
pub struct Section(&'static str, Vec<(Phone, Duration, Vec<f64>)>);

/// Two seconds from now on, in which each party must hear these and no others.
pub async fn section<const N: usize>(name: &'static str, hear: [(Party, &[f64]); N]) -> Section {
    let mut parts = Vec::new();
    for (party, whom) in hear {
        parts.push((party.number, network(move |carrier| carrier.heard_by_now(&party.number.to_string())).await, whom));
    }
    for (party, _) in hear {
        hears_for(party.number, 2 * SECOND).await;
    }
    Section(name, parts.into_iter().map(|(number, from, whom)| (number, from + KEPT_IN, whom.to_vec())).collect())
}

/// Looks, when everybody has hung up, at who heard whom.
pub async fn prove(sections: Vec<Section>) {
    let mut wrong = String::new();
    for Section(name, parts) in sections {
        for (number, from, whom) in parts {
            let part = heard(number).await.part(from, 2 * SECOND);
            wrong += &unlike(&part, &whom, &format!("{name}, {number}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What is in a sound that should not be there, and what is not.
fn unlike(sound: &Sound, whom: &[f64], who: &str) -> String {
    let mut wrong = String::new();
    for hertz in ALL {
        let loudness = sound.loudness_at(hertz);
        // All of them together are louder than can be told, and what is cut off has something of each.
        let is_as_it_must = if whom.contains(&hertz) { loudness > -25.0 } else { loudness < -33.0 };
        if !is_as_it_must {
            wrong += &format!("{who}: {hertz} Hz at {loudness:.0} dB of {:?}\n", sound.length());
        }
    }
    wrong
}

/// Hangs everybody up.
pub async fn all_end<const N: usize>(line: &mut Line, parties: [Party; N]) {
    for party in parties {
        line.bye(party.leg).await;
    }
}

#[test]
fn a_supervisor_listens_whispers_talks_listens_again_and_goes() {
    in_real_time(async {
        let mut line = open().await;
        let (callee, agent) = talking(&mut line).await;
        let boss = reach(&mut line, callee, LegRole::Supervisor, 1, "19").await;
        let boss_hears: (Party, &[f64]) = (boss, &[CALLEE, AGENT]);
        let two: [(Party, &[f64]); 2] = [(callee, &[AGENT]), (agent, &[CALLEE])];
        let coached: (Party, &[f64]) = (agent, &[CALLEE, SUPERVISOR]);
        listens(&line, callee, boss, None).await;
        let mut sections = vec![section("monitoring", [two[0], two[1], boss_hears]).await];
        listens(&line, callee, boss, Some(agent)).await;
        sections.push(section("coaching", [two[0], coached, boss_hears]).await);
        talks(&line, callee, boss).await;
        sections.push(section("barged in", [(callee, &[AGENT, SUPERVISOR]), coached, boss_hears]).await);
        listens(&line, callee, boss, None).await;
        sections.push(section("monitoring again", [two[0], two[1], boss_hears]).await);
        line.bye(boss.leg).await;
        sections.push(section("without a supervisor", two).await);
        for there in [callee, agent] {
            assert_eq!(line.phones.inspect(there.leg).await, Ok(Some(LegState::Up)));
        }
        all_end(&mut line, [agent, callee]).await;
        nothing_stays(callee.leg).await;
        prove(sections).await;
    });
}

#[test]
fn a_supervisor_of_a_callee_alone_hears_what_is_played_and_said() {
    in_real_time(async {
        let mut line = open().await;
        let callee = reach_callee(&mut line, "17", "").await;
        let boss = reach(&mut line, callee, LegRole::Supervisor, 1, "19").await;
        listens(&line, callee, boss, None).await;
        line.play(callee.leg, 1, &tone_of(PROMPT, 30 * SECOND)).await;
        let before = section("monitoring", [(callee, &[PROMPT]), (boss, &[CALLEE, PROMPT])]).await;
        // To the callee itself, while it hears its message.
        listens(&line, callee, boss, Some(callee)).await;
        let after = section("whispering", [(callee, &[PROMPT, SUPERVISOR]), (boss, &[CALLEE, PROMPT])]).await;
        // Its ear goes with the leg it is on; the supervisor stays, until it is hung up.
        line.bye(callee.leg).await;
        assert_eq!(line.phones.inspect(boss.leg).await, Ok(Some(LegState::Up)));
        line.bye(boss.leg).await;
        nothing_stays(callee.leg).await;
        prove(vec![before, after]).await;
    });
}

#[test]
fn a_participant_listens_and_then_talks() {
    in_real_time(async {
        let mut line = open().await;
        let (callee, agent) = talking(&mut line).await;
        let third = reach(&mut line, callee, LegRole::Participant, 1, "19").await;
        listens(&line, callee, third, None).await;
        let hear: [(Party, &[f64]); 3] = [(callee, &[AGENT]), (agent, &[CALLEE]), (third, &[CALLEE, AGENT])];
        let listening = section("listening", hear).await;
        talks(&line, callee, third).await;
        let hear: [(Party, &[f64]); 3] =
            [(callee, &[AGENT, SUPERVISOR]), (agent, &[CALLEE, SUPERVISOR]), (third, &[CALLEE, AGENT])];
        let talking = section("talking", hear).await;
        // The agent goes, and the two talk on.
        line.bye(agent.leg).await;
        let two = section("two", [(callee, &[SUPERVISOR]), (third, &[CALLEE])]).await;
        all_end(&mut line, [callee, third]).await;
        nothing_stays(callee.leg).await;
        prove(vec![listening, talking, two]).await;
    });
}

#[test]
fn two_supervisors_do_not_hear_each_other_until_they_talk() {
    in_real_time(async {
        let mut line = open().await;
        let (callee, agent) = talking(&mut line).await;
        let boss = reach(&mut line, callee, LegRole::Supervisor, 1, "19").await;
        let other = reach(&mut line, callee, LegRole::Supervisor, 2, "16").await;
        listens(&line, callee, boss, None).await;
        listens(&line, callee, other, Some(agent)).await;
        let both: &[f64] = &[CALLEE, AGENT];
        let hear: [(Party, &[f64]); 4] = [(callee, &[AGENT]), (agent, &[CALLEE, ANOTHER]), (boss, both), (other, both)];
        let apart = section("apart", hear).await;
        talks(&line, callee, boss).await;
        talks(&line, callee, other).await;
        let hear: [(Party, &[f64]); 4] = [
            (callee, &[AGENT, SUPERVISOR, ANOTHER]),
            (agent, &[CALLEE, SUPERVISOR, ANOTHER]),
            (boss, &[CALLEE, AGENT, ANOTHER]),
            (other, &[CALLEE, AGENT, SUPERVISOR]),
        ];
        let together = section("together", hear).await;
        all_end(&mut line, [boss, callee, other, agent]).await;
        nothing_stays(callee.leg).await;
        prove(vec![apart, together]).await;
    });
}

#[test]
fn a_recording_goes_on_and_holds_who_barges_in_but_no_whisper() {
    in_real_time(async {
        let mut line = open().await;
        let (callee, agent) = talking(&mut line).await;
        let name = format!("{}-barged", callee.leg);
        line.phones.record(callee.leg, &name, true, line.soon()).await.unwrap();
        let boss = reach(&mut line, callee, LegRole::Supervisor, 1, "19").await;
        listens(&line, callee, boss, Some(agent)).await;
        hears_for(callee.number, 2 * SECOND).await;
        talks(&line, callee, boss).await;
        hears_for(callee.number, 2 * SECOND).await;
        all_end(&mut line, [boss, agent, callee]).await;
        nothing_stays(callee.leg).await;
        let recorded = recorded(name).await;
        assert!(recorded.length() > 8 * SECOND, "{:?}", recorded.length());
        let whispered = recorded.part(3 * SECOND / 2, SECOND);
        // All three at once, and then everybody goes.
        let barged = recorded.part(recorded.length().saturating_sub(2 * SECOND), SECOND);
        let wrong = unlike(&whispered, &[CALLEE, AGENT], "whispered")
            + &unlike(&barged, &[CALLEE, AGENT, SUPERVISOR], "barged");
        assert!(wrong.is_empty(), "{wrong}");
    });
}
