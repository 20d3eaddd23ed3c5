//! Lines that break, and workers that take over from each other.

use std::time::Duration;

use robocall::model::Party;
use robocall::ports::telephony::{LegEvent, LegState};
use robocall::ports::{Telephony as _, TelephonyError};

use super::scene::{
    Proxy, Served, Wire, Worker, app, ended, fresh_leg, in_real_time, lost, magic, new_leg, next, soon, until, wall,
    within,
};

/// Fast phones: an answer takes some hundredths of a second.
const SPEED: f64 = 50.0;

#[test]
fn a_worker_whose_line_was_cut_goes_on_hearing_its_calls() {
    in_real_time(async {
        let served = Served::at_speed(SPEED).await;
        let proxy = Proxy::to(served.address).await;
        let worker = Worker::impatient(proxy.address);
        let mut reports = worker.listen("w1").await;
        let leg = worker.call("w1", 10).await;
        until(&mut reports, |event| *event == LegEvent::Answered).await;

        proxy.be(Wire::Cut);
        let nobody = worker.telephony.inspect(leg).await;
        assert!(matches!(nobody, Err(TelephonyError::Unavailable(_))), "{nobody:?}");
        assert_eq!(served.network.live_legs(), [(leg, LegState::Up)], "the call goes on");

        proxy.be(Wire::Whole);
        worker.insist_that_there_is_somebody().await;
        worker.telephony.hang_up(leg, soon()).await.unwrap();
        let end = until(&mut reports, ended).await;
        assert!(!lost(&end) && end.leg == leg, "{end:?}");
        served.stop().await;
    });
}

#[test]
fn what_happened_while_the_line_was_cut_is_found_out_when_it_is_mended() {
    in_real_time(async {
        let served = Served::at_speed(5.0).await;
        let (proxy, bystander) = (Proxy::to(served.address).await, served.worker());
        let worker = Worker::impatient(proxy.address);
        let mut reports = worker.listen("w1").await;
        let (answers, ends) = (worker.call("w1", 10).await, worker.call("w1", 10).await);
        let undialled = fresh_leg();
        worker.telephony.create(&app("w1"), &new_leg(undialled, magic(10)), soon()).await.unwrap();
        proxy.be(Wire::Cut);
        while worker.telephony.inspect(undialled).await.is_ok() {}

        bystander.telephony.hang_up(ends, soon()).await.unwrap();
        while bystander.telephony.inspect(answers).await != Ok(Some(LegState::Up)) {}
        proxy.be(Wire::Whole);

        // Only what is still of use is told, and each once.
        let (mut heard_answer, mut heard_end) = (0, 0);
        while (heard_answer, heard_end) != (1, 1) {
            let report = next(&mut reports).await.unwrap();
            match report.what {
                LegEvent::Ringing => {}
                LegEvent::Answered if report.leg == answers => heard_answer += 1,
                LegEvent::Answered if report.leg == ends => {}
                LegEvent::Ended(end) if report.leg == ends && end.lost => heard_end += 1,
                other => panic!("{other:?} of {}", report.leg),
            }
        }
        for leg in [answers, undialled] {
            worker.telephony.hang_up(leg, soon()).await.unwrap();
            let end = until(&mut reports, ended).await;
            assert!(end.leg == leg && !lost(&end), "{end:?}");
        }
        served.stop().await;
    });
}

#[test]
fn a_request_whose_line_is_cut_before_the_answer_is_in_doubt() {
    in_real_time(async {
        let served = Served::at_speed(SPEED).await;
        let proxy = Proxy::to(served.address).await;
        let worker = Worker::impatient(proxy.address);
        let _reports = worker.listen("w1").await;
        // What is sent from here on waits in the wire.
        proxy.be(Wire::Silent);
        let leg = fresh_leg();
        let (name, new) = (app("w1"), new_leg(leg, magic(10)));
        let asked = worker.telephony.create(&name, &new, soon());
        let answer = within(asked).await;
        assert!(matches!(answer, Err(TelephonyError::Unavailable(_))), "{answer:?}");
        proxy.be(Wire::Whole);
        worker.insist_that_there_is_somebody().await;
        // Doubt is cleared up by asking; the name tells.
        match worker.telephony.inspect(leg).await.unwrap() {
            Some(state) => assert_eq!(state, LegState::Created),
            None => worker.telephony.create(&name, &new, soon()).await.unwrap(),
        }
        served.stop().await;
    });
}

#[test]
fn a_line_that_falls_silent_is_noticed_without_being_used() {
    in_real_time(async {
        let served = Served::at_speed(SPEED).await;
        let (proxy, bystander) = (Proxy::to(served.address).await, served.worker());
        let worker = Worker::impatient(proxy.address);
        let mut reports = worker.listen("w1").await;
        let leg = worker.call("w1", 10).await;
        until(&mut reports, |event| *event == LegEvent::Answered).await;
        proxy.be(Wire::Silent);
        bystander.telephony.hang_up(leg, soon()).await.unwrap();
        // Nobody closes the silent connection; the worker makes another.
        proxy.connections(2).await;
        proxy.be(Wire::Whole);
        let end = until(&mut reports, ended).await;
        assert!(end.leg == leg && lost(&end), "{end:?}");
        served.stop().await;
    });
}

#[test]
fn a_command_that_waited_too_long_for_a_line_is_never_sent() {
    in_real_time(async {
        let served = Served::at_speed(SPEED).await;
        let proxy = Proxy::to(served.address).await;
        let worker = Worker::at(proxy.address);
        let _reports = worker.listen("w1").await;
        let leg = fresh_leg();
        worker.telephony.create(&app("w1"), &new_leg(leg, magic(10)), soon()).await.unwrap();
        proxy.be(Wire::Cut);
        while worker.telephony.inspect(leg).await.is_ok() {}
        let not_after = wall().now() + Duration::from_millis(200);
        let dial = worker.telephony.dial(leg, Duration::from_secs(30), not_after);
        let mend = async {
            wall().sleep_until(not_after + Duration::from_millis(50)).await;
            proxy.be(Wire::Whole);
        };
        let (dialled, ()) = futures_util::join!(dial, mend);
        assert_eq!(dialled, Err(TelephonyError::TooLate));
        worker.insist_that_there_is_somebody().await;
        assert_eq!(worker.telephony.inspect(leg).await, Ok(Some(LegState::Created)));
        assert_eq!(served.network.counters().dialled, 0);
        served.stop().await;
    });
}

#[test]
fn whoever_listens_last_hears_and_the_one_before_is_told() {
    in_real_time(async {
        let served = Served::at_speed(SPEED).await;
        let (one, two) = (served.worker(), served.worker());
        let mut first = one.listen("w1").await;
        let leg = one.call("w1", 10).await;
        until(&mut first, |event| *event == LegEvent::Answered).await;
        let mut second = two.listen("w1").await;
        assert_eq!(next(&mut first).await, None, "the older stream ends");
        two.telephony.hang_up(leg, soon()).await.unwrap();
        assert_eq!(until(&mut second, ended).await.leg, leg);
        // The connection of the older one goes on.
        assert_eq!(one.telephony.inspect(leg).await, Ok(None));
        served.stop().await;
    });
}

#[test]
fn a_worker_that_comes_back_does_not_take_over_from_its_successor() {
    in_real_time(async {
        let served = Served::at_speed(SPEED).await;
        let (proxy, successor) = (Proxy::to(served.address).await, served.worker());
        let worker = Worker::impatient(proxy.address);
        let mut first = worker.listen("w1").await;
        proxy.be(Wire::Cut);
        while worker.telephony.inspect(fresh_leg()).await.is_ok() {}
        let mut second = successor.listen("w1").await;
        proxy.be(Wire::Whole);
        assert_eq!(next(&mut first).await, None, "its stream has ended");
        let leg = successor.call("w1", 20).await;
        assert_eq!(until(&mut second, ended).await.leg, leg);
        served.stop().await;
    });
}

#[test]
fn after_a_new_start_of_the_network_all_legs_are_gone() {
    in_real_time(async {
        let served = Served::at_speed(SPEED).await;
        let address = served.address;
        let worker = Worker::impatient(address);
        let mut reports = worker.listen("w1").await;
        let leg = worker.call("w1", 10).await;
        until(&mut reports, |event| *event == LegEvent::Answered).await;
        served.stop().await;

        let served = Served::on(&address.to_string(), wall(), None).await;
        let end = until(&mut reports, ended).await;
        assert!(end.leg == leg && lost(&end), "{end:?}");
        assert_eq!(worker.telephony.inspect(leg).await, Ok(None));
        // The app is listened to again, so legs can be made.
        let busy = worker.call("w1", 20).await;
        let end = until(&mut reports, ended).await;
        assert!(end.leg == busy && matches!(end.what, LegEvent::Ended(end) if end.by == Some(Party::Callee)));
        served.stop().await;
    });
}

#[test]
fn where_nobody_serves_everything_is_unavailable_within_the_bound() {
    in_real_time(async {
        let served = Served::at_speed(SPEED).await;
        let address = served.address;
        served.stop().await;
        let worker = Worker::impatient(address);
        let begin = wall().now();
        let listening = worker.telephony.listen(&app("w1")).await;
        let Err(TelephonyError::Unavailable(reason)) = listening else { panic!("{listening:?}") };
        assert!(reason.contains("refused") && reason.contains(&address.to_string()), "{reason}");
        assert!(wall().now().since(begin) < Duration::from_secs(5));

        let _served = Served::on(&address.to_string(), wall(), None).await;
        worker.insist_that_there_is_somebody().await;
        let _reports = worker.listen("w1").await;
    });
}

#[test]
fn a_stream_that_nobody_listens_to_any_more_is_given_back() {
    in_real_time(async {
        let served = Served::at_speed(SPEED).await;
        let worker = Worker::impatient(served.address);
        drop(worker.listen("w1").await);
        let refused = loop {
            let made = worker.telephony.create(&app("w1"), &new_leg(fresh_leg(), magic(10)), soon()).await;
            if made.is_err() {
                break made;
            }
        };
        let Err(TelephonyError::Unavailable(reason)) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("nobody listens"), "{reason}");
        served.stop().await;
    });
}
