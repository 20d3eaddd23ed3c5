//! Transfers beside a message, or a talk: what the callee goes on hearing until the other answers, and whom they hear then.

use std::time::Duration;

use robocall::callflow::program::Target;
use robocall::model::{LegId, Phone};
use robocall::ports::Telephony as _;
use robocall::ports::telephony::LegEvent;

use crate::call::Line;
use crate::outcomes::in_real_time;
use crate::supervision::{
    AGENT, CALLEE, Party, SECOND, SUPERVISOR, all_end, open, prove, reach_callee, section, talks,
};
use crate::world::{heard, hears_for, nothing_stays, number, tone_of};

/// What is played to the callee.
const PROMPT: f64 = 700.0;

/// More than a ringing tone is silent between two rings.
const PAUSES: Duration = Duration::from_millis(4_500);

/// One of the two tones of ringing.
const RINGING: f64 = 440.0;

/// Rings somebody beside whatever the callee hears.
async fn rings(line: &Line, callee: Party, ordinal: u16, kind: &str) -> Party {
    let to: Phone = number(kind, "");
    let party = Party { leg: LegId::transfer(callee.leg.attempt, ordinal), number: to };
    line.dial_beside(party.leg, Target::External(to), 30).await;
    party
}

async fn answers(line: &mut Line, party: Party) {
    line.until(party.leg, |event| *event == LegEvent::Answered).await;
}

#[test]
fn a_callee_hears_on_while_somebody_rings_and_talks_with_whoever_answered_last() {
    in_real_time(async {
        let mut line = open().await;
        let callee = reach_callee(&mut line, "17", "").await;
        // A key is waited for, and then a message follows.
        let nobody = rings(&line, callee, 1, "30").await;
        line.until(nobody.leg, |event| *event == LegEvent::Ringing).await;
        hears_for(callee.number, PAUSES).await;
        line.play(callee.leg, 1, &tone_of(PROMPT, 60 * SECOND)).await;
        let mut sections = vec![section("while it rings", [(callee, &[PROMPT])]).await];
        line.bye(nobody.leg).await;
        sections.push(section("when it rings no more", [(callee, &[PROMPT])]).await);

        let agent = rings(&line, callee, 2, "18").await;
        answers(&mut line, agent).await;
        line.phones.stop_playback(callee.leg, 1, line.soon()).await.unwrap();
        talks(&line, callee, agent).await;
        let two: [(Party, &[f64]); 2] = [(callee, &[AGENT]), (agent, &[CALLEE])];
        sections.push(section("talking", two).await);

        let next = rings(&line, callee, 3, "19").await;
        answers(&mut line, next).await;
        sections.push(section("beside the talk", two).await);
        line.hang_up(agent.leg).await;
        talks(&line, callee, next).await;
        line.hear_out(agent.leg).await;
        sections.push(section("with the next", [(callee, &[SUPERVISOR]), (next, &[CALLEE])]).await);

        // And sent on from there, by Asterisk alone.
        let last = Party { leg: LegId::transfer(callee.leg.attempt, 4), number: number("18", "") };
        let (target, soon) = (Target::External(last.number), line.soon());
        line.hang_up(next.leg).await;
        line.phones.blind_transfer(callee.leg, last.leg, &target, soon).await.unwrap();
        line.hear_out(next.leg).await;
        answers(&mut line, last).await;
        hears_for(last.number, SECOND).await;
        sections.push(section("sent on", [(callee, &[AGENT]), (last, &[CALLEE])]).await);

        all_end(&mut line, [last, callee]).await;
        nothing_stays(callee.leg).await;
        prove(sections).await;
        // Only who is sent on hears ringing, for as long as the last phone rings.
        let rang = heard(callee.number).await.tone_for(RINGING);
        assert!(rang < Duration::from_millis(800), "the callee heard ringing for {rang:?}");
    });
}
