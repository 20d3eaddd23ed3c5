//! Legs and their names, their lives, and whoever listens to them.

use std::time::Duration;

use super::{Line, Outcome, PATIENCE, QUIET, RING_TIMEOUT, TelephonyWorld, codes};
use crate::model::{AnsweredBy, LegId, Party};
use crate::ports::TelephonyError;
use crate::ports::telephony::{LegEvent, LegState, NewLeg};

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_leg_that_is_never_dialled_never_invites(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let number = world.number_for(Outcome::Answers);
    let leg = line.create(number).await;
    line.stays_quiet(leg).await;
    line.hang_up(leg).await;
    let (events, end) = line.hear_out(leg).await;
    let (cause, sip) = codes(end);
    // As if it had been declined, or simply hung up.
    assert!(events.is_empty() && matches!(cause, Some(16 | 21)) && sip == Some(603), "{events:?} {end:?}");
    assert_eq!(world.invites(number).await, 0);
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_leg_is_dialled_once(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let number = world.number_for(Outcome::Answers);
    let leg = line.create(number).await;
    line.dial(leg).await;
    assert_eq!(line.telephony.dial(leg, RING_TIMEOUT, line.soon()).await, Err(TelephonyError::Conflict));
    line.until(leg, |event| *event == LegEvent::Answered).await;
    assert_eq!(line.telephony.dial(leg, RING_TIMEOUT, line.soon()).await, Err(TelephonyError::Conflict));
    line.hang_up(leg).await;
    line.hear_out(leg).await;
    assert_eq!(world.invites(number).await, 1);
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_name_in_use_is_refused(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let (first, second) = (world.number_for(Outcome::Answers), world.number_for(Outcome::Answers));
    let leg = line.create(first).await;
    let again = Line::new_leg(leg, second);
    assert_eq!(line.telephony.create(&line.app, &again, line.soon()).await, Err(TelephonyError::Conflict));
    line.dial(leg).await;
    line.until(leg, |event| *event == LegEvent::Answered).await;
    assert_eq!(line.telephony.create(&line.app, &again, line.soon()).await, Err(TelephonyError::Conflict));
    line.hang_up(leg).await;
    line.hear_out(leg).await;
    assert_eq!((world.invites(first).await, world.invites(second).await), (1, 0));
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn an_unknown_leg_is_not_found(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.fresh_leg();
    finds_nothing(&line, leg).await;
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn an_ended_leg_is_not_found(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    line.hang_up(leg).await;
    line.hear_out(leg).await;
    finds_nothing(&line, leg).await;
    line.stays_quiet(leg).await;
}

async fn finds_nothing(line: &Line<'_>, leg: LegId) {
    let (telephony, soon, audio) = (&line.telephony, line.soon(), line.world.audio(Duration::from_secs(1)));
    let gone = Err(TelephonyError::NoSuchLeg);
    assert_eq!(telephony.dial(leg, RING_TIMEOUT, soon).await, gone);
    assert_eq!(telephony.hang_up(leg, soon).await, gone);
    assert_eq!(telephony.play(leg, 1, &audio, false, soon).await, gone);
    assert_eq!(telephony.detect_machine(leg, false, soon).await, gone);
    assert_eq!(telephony.inspect(leg).await, Ok(None));
    assert_eq!(telephony.legs_of(&line.app).await, Ok(vec![]));
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn what_comes_too_late_does_nothing(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let number = world.number_for(Outcome::Answers);
    let late = Err(TelephonyError::TooLate);
    let unmade = line.fresh_leg();
    assert_eq!(line.telephony.create(&line.app, &Line::new_leg(unmade, number), line.past()).await, late);
    assert_eq!(line.telephony.inspect(unmade).await, Ok(None));

    let leg = line.create(number).await;
    assert_eq!(line.telephony.dial(leg, RING_TIMEOUT, line.past()).await, late);
    line.stays_quiet(leg).await;
    assert_eq!((line.telephony.inspect(leg).await, world.invites(number).await), (Ok(Some(LegState::Created)), 0));

    line.dial(leg).await;
    line.until(leg, |event| *event == LegEvent::Answered).await;
    let (other, audio) = (line.reach(Outcome::Answers).await, world.audio(Duration::from_secs(1)));
    let (telephony, past) = (&line.telephony, line.past());
    assert_eq!(telephony.play(leg, 1, &audio, false, past).await, late);
    assert_eq!(telephony.stop_playback(leg, 1, past).await, late);
    assert_eq!(telephony.detect_machine(leg, false, past).await, late);
    assert_eq!(telephony.bridge(leg, other, past).await, late);
    assert_eq!(telephony.listen_in(leg, other, None, past).await, late);
    assert_eq!(telephony.record(leg, "late", true, past).await.map(drop), late);
    assert_eq!(telephony.hang_up(leg, past).await, late);
    line.stays_quiet(leg).await;
    assert_eq!(line.telephony.inspect(leg).await, Ok(Some(LegState::Up)));
    for leg in [leg, other] {
        line.hang_up(leg).await;
        line.hear_out(leg).await;
    }
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_leg_ends_by_itself_when_it_has_lived_long_enough(world: &dyn TelephonyWorld) {
    let lives_at_most = Duration::from_secs(12);
    let (line, lived, events) = outlive(world, Outcome::Answers, (lives_at_most, 2 * PATIENCE)).await;
    let [LegEvent::Ringing, LegEvent::Answered, LegEvent::Ended(end)] = events[..] else { panic!("{events:?}") };
    assert!(matches!(end.cause, Some(0 | 16)) && end.by != Some(Party::Callee), "{end:?}");
    assert!(lived < lives_at_most + 2 * QUIET, "{lived:?}");
    assert_eq!(line.telephony.legs_of(&line.app).await, Ok(vec![]));
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_leg_that_rings_lives_no_longer_than_it_may(world: &dyn TelephonyWorld) {
    let lives_at_most = Duration::from_secs(5);
    let (_, lived, events) = outlive(world, Outcome::Unanswered, (lives_at_most, 2 * PATIENCE)).await;
    assert!(matches!(events[..], [LegEvent::Ringing, LegEvent::Ended(_)]), "{events:?}");
    assert!(lived < lives_at_most + 2 * QUIET, "{lived:?}");
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn an_answered_leg_talks_no_longer_than_it_may(world: &dyn TelephonyWorld) {
    let (lives_at_most, talks_at_most) = (2 * PATIENCE, Duration::from_secs(5));
    let (_, lived, events) = outlive(world, Outcome::Answers, (lives_at_most, talks_at_most)).await;
    let [LegEvent::Ringing, LegEvent::Answered, LegEvent::Ended(end)] = events[..] else { panic!("{events:?}") };
    assert_ne!(end.by, Some(Party::Callee), "{end:?}");
    // It rings for up to a minute in some worlds.
    assert!(lived >= talks_at_most && lived < PATIENCE, "{lived:?}");
}

async fn outlive(
    world: &dyn TelephonyWorld,
    outcome: Outcome,
    (lives_at_most, talks_at_most): (Duration, Duration),
) -> (Line<'_>, Duration, Vec<LegEvent>) {
    let mut line = Line::open(world).await;
    let (leg, begin) = (line.fresh_leg(), line.clock.now());
    let new = NewLeg { lives_at_most, talks_at_most, ..Line::new_leg(leg, world.number_for(outcome)) };
    line.telephony.create(&line.app, &new, line.soon()).await.expect("creates");
    line.dial(leg).await;
    let events = line.until(leg, |event| matches!(event, LegEvent::Ended(_))).await;
    let lived = line.clock.now().since(begin);
    (line, lived, events)
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn one_can_ask_how_far_legs_are(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let created = line.create(world.number_for(Outcome::Answers)).await;
    let rings = line.call(Outcome::Unanswered).await;
    line.until(rings, |event| *event == LegEvent::Ringing).await;
    let up = line.reach(Outcome::Answers).await;
    let mut expected = vec![(created, LegState::Created), (rings, LegState::Dialled), (up, LegState::Up)];
    for (leg, state) in &expected {
        assert_eq!(line.telephony.inspect(*leg).await, Ok(Some(*state)));
    }
    let mut legs = line.telephony.legs_of(&line.app).await.expect("lists");
    legs.sort_by_key(|(leg, _)| *leg);
    expected.sort_by_key(|(leg, _)| *leg);
    assert_eq!(legs, expected);

    let stranger = Line::open(world).await;
    assert_eq!(stranger.telephony.legs_of(&stranger.app).await, Ok(vec![]), "others' legs are none of its business");
    for leg in [created, rings, up] {
        line.hang_up(leg).await;
        line.until(leg, |event| matches!(event, LegEvent::Ended(_))).await;
    }
    assert_eq!(line.telephony.legs_of(&line.app).await, Ok(vec![]));
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_newer_listener_takes_over(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    let newer = line.telephony.listen(&line.app).await.expect("listens");
    let mut older = std::mem::replace(&mut line.reports, newer);
    line.hang_up(leg).await;
    line.hear_out(leg).await;
    let over = line.clock.sleep_until(line.soon());
    let last = tokio::select! {
        biased;
        report = older.recv() => report,
        () = over => panic!("the older stream should have ended within {PATIENCE:?}"),
    };
    assert_eq!(last, None, "what happened after the takeover is the newer one's");
}

#[expect(missing_docs, reason = "the name is the sentence")]
pub async fn a_call_outlives_its_listener(world: &dyn TelephonyWorld) {
    let mut line = Line::open(world).await;
    let leg = line.reach(Outcome::Answers).await;
    line.reports.close();
    line.clock.sleep_until(line.clock.now() + QUIET).await;
    assert_eq!(line.telephony.legs_of(&line.app).await, Ok(vec![(leg, LegState::Up)]));

    // Somebody else adopts it.
    line.reports = line.telephony.listen(&line.app).await.expect("listens");
    line.telephony.detect_machine(leg, false, line.soon()).await.expect("detects");
    let events = line.until(leg, |event| matches!(event, LegEvent::PartyDetected(_))).await;
    // So late nothing is left to tell people from others by.
    assert!(matches!(events[..], [LegEvent::PartyDetected(AnsweredBy::Human | AnsweredBy::Unknown)]), "{events:?}");
    line.hang_up(leg).await;
    line.hear_out(leg).await;
}
