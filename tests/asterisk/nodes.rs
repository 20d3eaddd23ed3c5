//! Several Asterisks, what each may carry, and what nobody wants there.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::asterisk::NodeSettings;
use robocall::callflow::program::Target;
use robocall::model::LegId;
use robocall::ports::telephony::{LegEvent, LegState, NewLeg};
use robocall::ports::{Telephony, TelephonyError};

use crate::asterisk::Bed;
use crate::call::Line;
use crate::grumbler::{Grumbler, Mood};
use crate::outcomes::in_real_time;
use crate::proxy::{Faults, Proxy};
use crate::world::{ari, bed, client, client_of, clock, node, number, pause};

/// A leg to somebody who answers and stays.
fn new_leg(leg: LegId) -> NewLeg {
    let (target, hour) = (Target::External(number("10", "")), Duration::from_secs(3_600));
    NewLeg { leg, target, caller: None, lives_at_most: hour, talks_at_most: hour, trunk: 0, is_waited_for: false }
}

/// The legs that an Asterisk has, by its own word.
fn has(bed: &Bed, leg: LegId) -> bool {
    bed.ari("GET", &format!("/channels/{leg}")).status == 200
}

#[test]
fn legs_are_shared_among_nodes_and_followed_on_each() {
    in_real_time(async {
        let (one, other) = (bed(), Bed::start());
        let mut line = Line::with(Arc::new(client_of(vec![node(one), node(&other)]))).await;
        let mut legs = Vec::new();
        for claim in 1..=4 {
            legs.push(line.reach(claim, number("10", "")).await);
        }
        for bed in [one, &other] {
            assert_eq!(legs.iter().filter(|leg| has(bed, **leg)).count(), 2, "half of them each");
        }
        let mut listed = line.phones.legs_of(&line.app).await.unwrap();
        listed.sort_by_key(|(leg, _)| *leg);
        assert_eq!(listed, legs.iter().map(|leg| (*leg, LegState::Up)).collect::<Vec<_>>());

        // Whoever has made none of them finds them all the same.
        let stranger = client_of(vec![node(one), node(&other)]);
        for leg in &legs {
            assert_eq!(stranger.inspect(*leg).await, Ok(Some(LegState::Up)));
        }

        // One dies: its legs are lost, the other's are not, and new ones go there.
        other.ours.kill();
        let (dead, alive): (Vec<LegId>, Vec<LegId>) = legs.iter().partition(|leg| !has(one, **leg));
        assert!(matches!(stranger.inspect(dead[0]).await, Err(TelephonyError::Unavailable(_))), "nobody knows");
        assert_eq!(stranger.inspect(alive[0]).await, Ok(Some(LegState::Up)));
        for claim in 5..=7 {
            let leg = line.reach(claim, number("10", "")).await;
            assert!(has(one, leg));
            line.bye(leg).await;
        }
        other.ours.start_again();
        for leg in dead {
            let (_, end) = line.hear_out(leg).await;
            assert!(end.lost, "{end:?}");
        }
        for leg in alive {
            line.bye(leg).await;
        }
    });
}

#[test]
fn a_second_leg_is_made_where_the_callee_is() {
    in_real_time(async {
        let (one, other) = (bed(), Bed::start());
        let mut line = Line::with(Arc::new(client_of(vec![node(one), node(&other)]))).await;
        for claim in 1..=2 {
            let callee = line.reach(claim, number("10", "")).await;
            let second = LegId::transfer(callee.attempt, 1);
            line.dial(second, Target::External(number("10", "")), 0, 30).await;
            line.until(second, |event| *event == LegEvent::Answered).await;
            assert_eq!(has(one, callee), has(one, second));
            line.phones.bridge(callee, second, line.soon()).await.unwrap();
        }
    });
}

#[test]
fn a_node_that_is_full_is_given_no_more() {
    in_real_time(async {
        let bed = Bed::start();
        let most = |legs| NodeSettings { max_legs: NonZeroU32::new(legs), ..node(&bed) };
        let mut line = Line::with(Arc::new(client_of(vec![most(3)]))).await;
        assert_eq!(line.phones.most_calls(), 3);
        let mut legs = Vec::new();
        for claim in 1..=3 {
            legs.push(line.reach(claim, number("10", "")).await);
        }
        let refused = line.phones.create(&line.app, &new_leg(line.leg(4)), line.soon()).await;
        assert_eq!(refused, Err(TelephonyError::Unavailable("every node is full".to_owned())));

        // Others see it at their next look.
        let other = Line::with(Arc::new(client_of(vec![most(4)]))).await;
        while other.phones.most_calls() != 1 {
            pause().await;
        }
        let leg = legs.remove(0);
        line.bye(leg).await;
        line.reach(5, number("10", "")).await;
    });
}

#[test]
fn legs_are_made_no_faster_than_a_node_may() {
    in_real_time(async {
        let slow = NodeSettings { legs_per_second: NonZeroU32::new(5), ..node(bed()) };
        let line = Line::with(Arc::new(client_of(vec![slow]))).await;
        let begun = line.clock.now();
        for claim in 1..=6 {
            line.phones.create(&line.app, &new_leg(line.leg(claim)), line.soon()).await.unwrap();
        }
        assert!(
            line.clock.now().since(begun) >= Duration::from_millis(950),
            "the first at once, one each fifth of a second"
        );
        let soon = line.clock.now() + Duration::from_millis(50);
        assert_eq!(line.phones.create(&line.app, &new_leg(line.leg(7)), soon).await, Err(TelephonyError::TooLate));
        for claim in 1..=6 {
            line.hang_up(line.leg(claim)).await;
        }
    });
}

#[test]
fn a_second_leg_waits_for_no_turn_and_callees_wait_the_longer() {
    in_real_time(async {
        let slow = NodeSettings { legs_per_second: NonZeroU32::new(2), ..node(bed()) };
        let mut line = Line::with(Arc::new(client_of(vec![slow]))).await;
        let callee = line.reach(1, number("10", "")).await;
        let crowd = {
            let (phones, app, soon) = (Arc::clone(&line.phones), line.app.clone(), line.soon());
            let legs = [2, 3, 4, 5].map(|claim| line.leg(claim));
            async move {
                for leg in legs {
                    phones.create(&app, &new_leg(leg), soon).await.unwrap();
                }
                clock().now()
            }
        };
        // The callee's turn is over.
        line.clock.sleep_until(line.clock.now() + Duration::from_secs(1)).await;
        let (begun, crowd) = (line.clock.now(), tokio::spawn(crowd));
        pause().await;
        let other = LegId::transfer(callee.attempt, 1);
        let new = new_leg(other);
        line.phones.create(&line.app, &new, line.clock.now() + Duration::from_millis(400)).await.unwrap();
        assert!(line.clock.now().since(begun) < Duration::from_millis(450), "it had no time to wait");
        let took = crowd.await.unwrap().since(begun);
        assert!(took > Duration::from_millis(1_900), "four legs and one that went ahead, two a second: {took:?}");
        for claim in 2..=5 {
            line.hang_up(line.leg(claim)).await;
        }
        line.hang_up(other).await;
        line.bye(callee).await;
    });
}

#[test]
fn no_more_is_claimed_than_a_slow_node_is_soon_given() {
    in_real_time(async {
        let most = |legs| NodeSettings { legs_per_second: NonZeroU32::new(2), max_legs: legs, ..node(bed()) };
        let mut line = Line::with(Arc::new(client_of(vec![most(None)]))).await;
        assert_eq!(line.phones.most_calls(), 10, "what it is given in five seconds");
        let callee = line.reach(1, number("10", "")).await;
        assert_eq!(line.phones.most_calls(), 11, "besides those that are there");
        let other = LegId::transfer(callee.attempt, 1);
        line.dial(other, Target::External(number("10", "")), 0, 30).await;
        assert_eq!(line.phones.most_calls(), 11);
        line.hang_up(other).await;
        line.bye(callee).await;
        let full = Line::with(Arc::new(client_of(vec![most(NonZeroU32::new(3))]))).await;
        assert!(full.phones.most_calls() <= 3);
    });
}

#[test]
fn a_node_that_refuses_at_once_does_not_answer_for_one_that_takes_its_time() {
    in_real_time(async {
        let slow = Faults { latency: Duration::from_millis(300), ..Faults::default() };
        let proxy = Proxy::before(ari(bed()), slow).await;
        let at = |port: u16| NodeSettings { url: format!("http://127.0.0.1:{port}/ari"), ..node(bed()) };
        let line = Line::with(Arc::new(client_of(vec![at(bed().ours.ports().nobody()), at(proxy.port())]))).await;
        assert!(line.phones.most_calls() > 0);
    });
}

#[test]
fn a_node_that_makes_no_legs_is_given_none_as_long_as_another_does() {
    in_real_time(async {
        // The first of two that are as good as each other is asked first.
        let (broken, good) = (Bed::start(), bed());
        let grumbler = Grumbler::before(ari(&broken), Mood::Refuses, 1).await;
        let url = format!("http://127.0.0.1:{}/ari", grumbler.port());
        let nodes = vec![NodeSettings { url, ..node(&broken) }, node(good)];
        let mut line = Line::with(Arc::new(client_of(nodes))).await;
        let numbers: Vec<_> = (0..5).map(|_| number("10", "")).collect();
        let mut claim = 0;
        for number in &numbers {
            let leg = loop {
                claim += 1;
                assert!(claim < 20, "it is asked again and again");
                let (leg, target) = (line.leg(claim), Target::External(*number));
                match line.phones.create(&line.app, &NewLeg { target, ..new_leg(leg) }, line.soon()).await {
                    Ok(()) => break leg,
                    Err(error) => assert!(matches!(error, TelephonyError::Unavailable(_)), "{error}"),
                }
                // It answers whatever else it is asked.
                assert_eq!(line.phones.inspect(leg).await, Ok(None));
            };
            line.phones.dial(leg, Duration::from_secs(30), line.soon()).await.unwrap();
            line.until(leg, |event| *event == LegEvent::Answered).await;
            assert!(has(good, leg));
        }
        assert_eq!((grumbler.struck(), claim), (3, 8), "asked three times, and then never again");
        for number in numbers.iter().map(ToString::to_string) {
            assert_eq!((good.carrier.invites(&number), broken.carrier.invites(&number)), (1, 0));
        }
        for claim in 1..=claim {
            if has(good, line.leg(claim)) {
                line.bye(line.leg(claim)).await;
            }
        }
    });
}

#[test]
fn a_leg_that_was_never_dialled_and_is_nobodys_is_taken_down() {
    in_real_time(async {
        let line = Line::open().await;
        let leg = line.leg(1);
        line.phones.create(&line.app, &new_leg(leg), line.soon()).await.unwrap();
        // The same worker, started again: it knows nothing of it. One that was dialled it would leave alone.
        let (leg, dialled) = (leg, line.leg(2));
        line.dial(dialled, Target::External(number("10", "")), 0, 30).await;
        let app = line.app.clone();
        drop(line);
        let again = client(bed());
        let _reports = again.listen(&app).await.unwrap();
        while again.inspect(leg).await != Ok(None) {
            pause().await;
        }
        assert_eq!(again.inspect(dialled).await, Ok(Some(LegState::Up)));
        again.hang_up(dialled, clock().now() + Duration::from_secs(9)).await.unwrap();
    });
}

#[test]
fn bridges_that_were_left_behind_are_cleared_away() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (callee, second) = (line.reach(1, number("10", "")).await, line.reach(2, number("10", "")).await);
        line.phones.bridge(callee, second, line.soon()).await.unwrap();
        let bridge = format!("/bridges/{callee}");
        assert_eq!(bed().ari("GET", &bridge).status, 200);
        // Nobody hears of their ends.
        let app = line.app.clone();
        drop(line);
        for leg in [callee, second] {
            bed().ari("DELETE", &format!("/channels/{leg}"));
        }
        let again = client(bed());
        let _reports = again.listen(&app).await.unwrap();
        while bed().ari("GET", &bridge).status == 200 {
            pause().await;
        }
    });
}

#[test]
fn a_node_is_looked_at_for_what_calls_need() {
    in_real_time(async {
        let good = client(bed()).check_up().await.remove(0);
        assert!(good.version.unwrap().starts_with("22.") && good.wrong.is_empty(), "{:?}", good.wrong);
        let stranger = NodeSettings { password: "guessed".into(), ..node(bed()) };
        let refused = client_of(vec![stranger]).check_up().await.remove(0).version.unwrap_err();
        assert!(refused.contains("401") && !refused.contains("guessed"), "{refused}");
        let twins = client_of(vec![node(bed()), node(bed())]).check_up().await;
        assert!(twins[1].wrong[0].contains("entity id"), "{twins:?}");
    });
}
