//! The simulated phone network, told as stories in virtual time.
#![expect(clippy::unwrap_used, reason = "a story that cannot be told is a failed test")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use robocall::adapters::clock::{SystemClock, VirtualClock};
use robocall::adapters::simulator::{Chance, NetworkSettings, Population, Shares, SimulatedNetwork, Span, Staff};
use robocall::callflow::program::Target;
use robocall::model::{AttemptId, CallId, LegId, Timestamp, WorkerId};
use robocall::ports::telephony::{LegEvent, LegReport, LegState, NewLeg};
use robocall::ports::{Audio, Clock, Telephony, TelephonyError};
use tokio::sync::mpsc::UnboundedReceiver;

const SECOND: Duration = Duration::from_secs(1);
const START: Timestamp = Timestamp::VIRTUAL_START;

fn leg(index: u32) -> LegId {
    let call = CallId::new(&"acme".parse().unwrap(), &"r1".parse().unwrap(), index);
    LegId::callee(AttemptId { call, claim: 1 })
}

fn worker(name: &str) -> WorkerId {
    name.parse().unwrap()
}

fn audio(seconds: u32) -> Audio {
    Audio { reference: "message".into(), length: seconds * SECOND }
}

/// A worker of these tests: it makes calls and waits for reports.
#[derive(Clone)]
struct Desk {
    clock: VirtualClock,
    network: SimulatedNetwork,
    app: WorkerId,
    lives_at_most: Duration,
}

impl Desk {
    fn late(&self) -> Timestamp {
        self.clock.now() + SECOND
    }

    async fn create(&self, leg: LegId, target: Target) -> Result<(), TelephonyError> {
        let (lives_at_most, talks_at_most) = (self.lives_at_most, self.lives_at_most);
        let new = NewLeg { leg, target, caller: None, lives_at_most, talks_at_most, trunk: 0, is_waited_for: true };
        self.network.create(&self.app, &new, self.late()).await
    }

    async fn dial(&self, leg: LegId, target: Target) {
        self.create(leg, target).await.unwrap();
        self.network.dial(leg, 30 * SECOND, self.late()).await.unwrap();
    }

    async fn call(&self, index: u32, number: &str) -> LegId {
        self.dial(leg(index), Target::External(number.parse().unwrap())).await;
        leg(index)
    }
}

/// Runs a story in virtual time on a network that is driven.
fn on<F>(
    settings: NetworkSettings,
    story: impl FnOnce(Desk, UnboundedReceiver<LegReport>) -> F + Send + 'static,
) -> F::Output
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let clock = VirtualClock::for_tests(7 * 86_400 * SECOND);
    let network = SimulatedNetwork::new(Arc::new(clock.clone()), settings);
    let desk = Desk { clock: clock.clone(), network, app: worker("w1"), lives_at_most: 3_600 * SECOND };
    clock
        .run(async move {
            tokio::spawn(desk.network.run());
            let reports = desk.network.listen(&desk.app).await.unwrap();
            story(desk, reports).await
        })
        .unwrap()
}

fn people(shares: Shares) -> NetworkSettings {
    NetworkSettings { population: Population { shares, ..Population::default() }, ..NetworkSettings::default() }
}

async fn until(reports: &mut UnboundedReceiver<LegReport>, last: impl Fn(&LegReport) -> bool) -> Vec<LegReport> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|report| !last(report)) {
        seen.push(reports.recv().await.unwrap());
    }
    seen
}

fn is_end(report: &LegReport) -> bool {
    matches!(report.what, LegEvent::Ended(_))
}

type Stories = BTreeMap<LegId, Vec<(Duration, String)>>;

/// A hundred calls, each with a question, `stagger` apart, told leg by leg in time since its dial.
fn campaign(seed: u64, stagger: Duration) -> Stories {
    on(NetworkSettings { seed, ..NetworkSettings::default() }, move |desk, mut reports| async move {
        let caller = desk.clone();
        tokio::spawn(async move {
            for index in 0..100 {
                caller.call(index, &format!("+65{}", 80_000_000 + index)).await;
                caller.clock.sleep_until(caller.clock.now() + stagger).await;
            }
        });
        let mut stories = Stories::new();
        let mut ended = 0;
        while ended < 100 {
            let report = reports.recv().await.unwrap();
            let since = report.at.since(START + report.leg.attempt.call.index() * stagger);
            stories.entry(report.leg).or_default().push((since, format!("{:?}", report.what)));
            match report.what {
                LegEvent::Answered => desk.network.play(report.leg, 1, &audio(8), true, desk.late()).await.unwrap(),
                LegEvent::Digit(_) => {
                    desk.network.stop_playback(report.leg, 1, desk.late()).await.unwrap();
                    desk.network.hang_up(report.leg, desk.late()).await.unwrap();
                }
                LegEvent::Ended(_) => ended += 1,
                _ => {}
            }
        }
        stories
    })
}

#[test]
fn the_same_seed_tells_the_same_story_whatever_else_goes_on() {
    let together = campaign(1, Duration::ZERO);
    assert_eq!(together, campaign(1, Duration::ZERO));
    assert_eq!(together, campaign(1, Duration::from_millis(1_234)));
    assert_ne!(together, campaign(2, Duration::ZERO));
    assert!(together.values().any(|story| story.iter().any(|(_, event)| event.starts_with("Digit"))));
}

#[test]
fn a_name_is_used_once_ever() {
    on(NetworkSettings::default(), async |desk, mut reports| {
        let first = desk.call(0, "+9992000001").await;
        until(&mut reports, is_end).await;
        let target = Target::External("+9991000001".parse().unwrap());
        assert_eq!(desk.create(first, target.clone()).await, Err(TelephonyError::Conflict));
        let second = desk.call(1, "+9991000001").await;
        until(&mut reports, |report| report.what == LegEvent::Answered).await;
        let again = desk.network.blind_transfer(second, first, &target, desk.late()).await;
        assert_eq!(again, Err(TelephonyError::Conflict));
        assert_eq!(desk.network.dial_log().len(), 2);
    });
}

#[test]
fn nothing_is_made_for_an_app_that_nobody_listens_to() {
    on(NetworkSettings::default(), async |mut desk, reports| {
        let target = Target::External("+9991000001".parse().unwrap());
        drop(reports);
        assert!(matches!(desk.create(leg(0), target.clone()).await, Err(TelephonyError::Unavailable(_))));
        desk.app = worker("stranger");
        assert!(matches!(desk.create(leg(0), target.clone()).await, Err(TelephonyError::Unavailable(_))));
        let _listener = desk.network.listen(&desk.app).await.unwrap();
        assert_eq!(desk.create(leg(0), target).await, Ok(()), "the refused name was not used up");
    });
}

#[test]
fn calls_of_a_dead_worker_go_on_until_their_time_is_over() {
    on(NetworkSettings::default(), async |mut desk, mut reports| {
        desk.lives_at_most = 60 * SECOND;
        let (adopted, forgotten) = (desk.call(0, "+9991000001").await, desk.call(1, "+9991000002").await);
        until(&mut reports, |report| report.what == LegEvent::Answered).await;
        drop(reports);
        desk.clock.sleep_until(START + 20 * SECOND).await;
        assert_eq!(desk.network.counters().reports_lost, 1, "the second answer");

        let mut reports = desk.network.listen(&desk.app).await.unwrap();
        let legs = desk.network.legs_of(&desk.app).await.unwrap();
        assert_eq!(legs, [(adopted, LegState::Up), (forgotten, LegState::Up)]);
        desk.network.hang_up(adopted, desk.late()).await.unwrap();
        let report = until(&mut reports, |report| report.leg == forgotten && is_end(report)).await.pop().unwrap();
        assert_eq!(report.at, START + 60 * SECOND);
        let counters = desk.network.counters();
        assert_eq!((counters.ended, counters.outlived, counters.live(), counters.most_live), (2, 1, 0, 2));
    });
}

#[test]
fn nothing_is_left_to_wait_for_when_all_calls_have_ended() {
    on(people(Shares::default()), async |desk, mut reports| {
        for index in 0..200 {
            desk.call(index, &format!("+65{}", 80_000_000 + index)).await;
        }
        let mut last = START;
        for _ in 0..200 {
            let report = until(&mut reports, |report| is_end(report) || report.what == LegEvent::Answered).await.pop();
            let report = report.unwrap();
            if report.what == LegEvent::Answered {
                desk.network.play(report.leg, 1, &audio(60), true, desk.late()).await.unwrap();
                desk.network.detect_machine(report.leg, true, desk.late()).await.unwrap();
                desk.network.hang_up(report.leg, desk.late()).await.unwrap();
                until(&mut reports, |next| next.leg == report.leg && is_end(next)).await;
            }
            last = last.max(report.at);
        }
        tokio::task::yield_now().await;
        assert_eq!((desk.clock.timers(), desk.clock.now()), (0, last));
        assert_eq!(desk.network.counters().live(), 0);
    });
}

#[test]
fn commands_find_everything_that_was_due_before_them_done() {
    let clock = VirtualClock::for_tests(3_600 * SECOND);
    let network = SimulatedNetwork::new(Arc::new(clock.clone()), NetworkSettings::default());
    let desk = Desk { clock: clock.clone(), network, app: worker("w1"), lives_at_most: 600 * SECOND };
    clock
        .run(async move {
            let mut reports = desk.network.listen(&desk.app).await.unwrap();
            let leg = desk.call(0, "+9991000001").await;
            desk.clock.sleep_until(START + 100 * SECOND).await;
            assert_eq!(desk.network.inspect(leg).await, Ok(Some(LegState::Up)), "although nobody drives the network");
            let events = until(&mut reports, |report| report.what == LegEvent::Answered).await;
            assert!(events.iter().all(|event| event.at < START + 5 * SECOND), "{events:?}");
        })
        .unwrap();
}

#[test]
fn a_dial_is_told_of_before_the_command_returns() {
    on(NetworkSettings { dial_log: 2, ..NetworkSettings::default() }, async |desk, _reports| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let (notes, network) = (Arc::clone(&told), desk.network.clone());
        desk.network.on_invite(Arc::new(move |invite| {
            notes.lock().unwrap().push((invite.leg, invite.at, network.counters().dialled));
        }));
        for index in 0..3 {
            desk.call(index, "+9991000001").await;
            desk.create(leg(index + 10), Target::Extension("1000".into())).await.unwrap();
            assert_eq!(told.lock().unwrap().last(), Some(&(leg(index), START, u64::from(index) + 1)));
        }
        let log = desk.network.dial_log();
        assert_eq!(
            log.iter().map(|invite| invite.leg).collect::<Vec<_>>(),
            [leg(1), leg(2)],
            "the log keeps the latest"
        );
        assert_eq!((log[0].number(), desk.network.counters().created), ("+9991000001".parse().ok(), 6));
    });
    on(NetworkSettings { dial_log: 0, ..NetworkSettings::default() }, async |desk, _reports| {
        desk.call(0, "+9991000001").await;
        assert_eq!((desk.network.dial_log(), desk.network.counters().dialled), (vec![], 1));
    });
}

#[test]
fn people_who_were_joined_talk_for_a_while_and_then_one_of_them_leaves() {
    let mut settings = people(Shares::ALL_ANSWER);
    settings.population.talk = Span::new(60.0, 90.0).unwrap();
    settings.population.staff = Staff { busy: Chance::NEVER, unanswered: Chance::NEVER, ..Staff::default() };
    on(settings, async |desk, mut reports| {
        let mut first_to_leave = BTreeMap::new();
        for index in 0..20 {
            let callee = desk.call(index, "+6580000000").await;
            let agent = LegId::transfer(callee.attempt, 1);
            until(&mut reports, |report| report.what == LegEvent::Answered).await;
            let called = desk.clock.now();
            desk.dial(agent, Target::Queue("sales".into())).await;
            let answered = until(&mut reports, |report| report.what == LegEvent::Answered).await;
            let waited = desk.clock.now().since(called);
            assert!(waited >= SECOND && waited < 7 * SECOND, "{waited:?}");
            assert_eq!(answered.last().unwrap().leg, agent, "{answered:?}");
            let joined = desk.clock.now();
            desk.network.bridge(callee, agent, desk.late()).await.unwrap();

            let [report] = &until(&mut reports, is_end).await[..] else { panic!("only the leaver's end is told") };
            let talked = report.at.since(joined);
            assert!((60 * SECOND..=90 * SECOND).contains(&talked), "{talked:?}");
            *first_to_leave.entry(report.leg == callee).or_insert(0) += 1;
            let stays = if report.leg == callee { agent } else { callee };
            assert_eq!(desk.network.live_legs(), [(stays, LegState::Up)]);
            desk.network.hang_up(stays, desk.late()).await.unwrap();
            until(&mut reports, is_end).await;
        }
        assert_eq!(first_to_leave.len(), 2, "sometimes the one, sometimes the other: {first_to_leave:?}");
    });
}

#[test]
fn people_do_not_listen_to_silence_for_ever() {
    on(people(Shares::ALL_ANSWER), async |desk, mut reports| {
        for index in 0..50 {
            let leg = desk.call(index, "+6580000000").await;
            until(&mut reports, |report| report.what == LegEvent::Answered).await;
            desk.network.play(leg, 1, &audio(5), false, desk.late()).await.unwrap();
            until(&mut reports, |report| matches!(report.what, LegEvent::PlaybackFinished { .. }) || is_end(report))
                .await;
            let heard = desk.clock.now();
            if desk.network.inspect(leg).await == Ok(None) {
                continue;
            }
            let end = until(&mut reports, is_end).await.pop().unwrap();
            assert!(end.at.since(heard) <= 40 * SECOND, "{end:?}");
        }
    });
}

#[test]
fn machines_greet_record_and_hang_up() {
    let shares = Shares { answer: 0, machine: 1, ..Shares::ALL_ANSWER };
    on(people(shares), async |desk, mut reports| {
        let leg = desk.call(0, "+6580000000").await;
        let answer = until(&mut reports, |report| report.what == LegEvent::Answered).await.pop().unwrap();
        desk.network.detect_machine(leg, true, desk.late()).await.unwrap();
        let beep = until(&mut reports, |report| report.what == LegEvent::BeepHeard).await.pop().unwrap();
        assert!((4 * SECOND..=12 * SECOND).contains(&beep.at.since(answer.at)), "{beep:?}");
        let end = until(&mut reports, is_end).await.pop().unwrap();
        assert!((20 * SECOND..=60 * SECOND).contains(&end.at.since(beep.at)), "{end:?}");
    });
}

#[test]
fn both_ends_of_a_blind_transfer_go_together() {
    let mut settings = people(Shares::ALL_ANSWER);
    settings.population.staff = Staff { busy: Chance::NEVER, unanswered: Chance::NEVER, ..Staff::default() };
    on(settings, async |desk, mut reports| {
        let callee = desk.call(0, "+9991000001").await;
        until(&mut reports, |report| report.what == LegEvent::Answered).await;
        let agent = LegId::transfer(callee.attempt, 1);
        desk.network.blind_transfer(callee, agent, &Target::Extension("1000".into()), desk.late()).await.unwrap();
        let late = desk.network.play(callee, 1, &audio(1), false, desk.late()).await;
        assert_eq!(late, Err(TelephonyError::Conflict), "it is not the worker's any more");
        let told = until(&mut reports, |report| report.leg == callee && is_end(report)).await;
        let legs: Vec<_> = told.iter().map(|report| report.leg).collect();
        assert_eq!(legs, [agent, agent, agent, callee], "{told:?}");
        let [_, answered, left, taken_down] = &told[..] else { panic!("{told:?}") };
        assert_eq!(left.at, taken_down.at);
        assert!((20 * SECOND..=180 * SECOND).contains(&left.at.since(answered.at)), "{told:?}");
    });
}

#[test]
fn a_campaign_of_the_default_population_has_something_of_everything() {
    let stories = campaign(1, Duration::ZERO);
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    for story in stories.values() {
        let (_, end) = story.last().unwrap();
        let cause = end.split("cause: Some(").nth(1).unwrap().split(')').next().unwrap();
        *ends
            .entry(match cause {
                "0" | "16" => "answered",
                "17" => "busy",
                "19" => "unanswered",
                _ => "other",
            })
            .or_default() += 1;
    }
    assert!(ends["answered"] > 45 && ends["unanswered"] > 12 && ends["busy"] > 1 && ends["other"] > 1, "{ends:?}");
}

#[test]
fn in_real_time_it_works_the_same_and_as_fast_as_asked() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::at_speed(500.0).unwrap());
        let network = SimulatedNetwork::new(Arc::clone(&clock), NetworkSettings::default());
        tokio::spawn(network.run());
        let app = worker("w1");
        let mut reports = network.listen(&app).await.unwrap();
        let target = Target::External("+9996000001".parse().unwrap());
        let hour = 3_600 * SECOND;
        let new = NewLeg {
            leg: leg(0),
            target,
            caller: None,
            lives_at_most: hour,
            talks_at_most: hour,
            trunk: 0,
            is_waited_for: true,
        };
        network.create(&app, &new, clock.now() + 60 * SECOND).await.unwrap();
        network.dial(leg(0), 600 * SECOND, clock.now() + 60 * SECOND).await.unwrap();
        let told = until(&mut reports, is_end).await;
        let [LegEvent::Ringing, LegEvent::Answered, LegEvent::Ended(_)] = [0, 1, 2].map(|n| told[n].what.clone())
        else {
            panic!("{told:?}");
        };
        assert_eq!(told[2].at.since(told[1].at), Duration::from_millis(1_500), "each thing at its own time");
    });
}
