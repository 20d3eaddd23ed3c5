//! In whose name a process listens: as long as the name is its own, and no longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use robocall::adapters::asterisk::{AsteriskSettings, NodeSettings};
use robocall::model::LegId;
use robocall::ports::telephony::{LegEvent, LegState};
use robocall::ports::{StoreError, Telephony as _};

use crate::call::Line;
use crate::outcomes::in_real_time;
use crate::proxy::{Faults, Proxy};
use crate::world::{ari, bed, client, client_with, node, number, pause};

/// A line whose network can be cut, and what it is told when it asks whether it may listen in its own name.
async fn line_behind_a_proxy() -> (Line, Proxy, Arc<AtomicBool>, Arc<AtomicBool>) {
    let proxy = Proxy::before(ari(bed()), Faults::default()).await;
    let nodes = vec![NodeSettings { url: format!("http://127.0.0.1:{}/ari", proxy.port()), ..node(bed()) }];
    let (answers, ours) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let told = (Arc::clone(&answers), Arc::clone(&ours));
    let phones = client_with(nodes, |settings| AsteriskSettings {
        is_ours: Arc::new(move |_| {
            let silent = StoreError::Unavailable("the database is away".to_owned());
            let answer = told.0.load(Ordering::SeqCst).then(|| told.1.load(Ordering::SeqCst)).ok_or(silent);
            async { answer }.boxed()
        }),
        ..settings
    });
    (Line::with(Arc::new(phones)).await, proxy, answers, ours)
}

/// Cuts the network and waits until that is noticed.
async fn cut(line: &Line, proxy: &Proxy) {
    proxy.set(Faults { refuse: true, ..Faults::default() });
    proxy.cut();
    while line.phones.most_calls() > 0 {
        pause().await;
    }
}

#[test]
fn whoever_was_cut_off_listens_again_if_the_name_is_still_its_own() {
    in_real_time(async {
        let (mut line, proxy, answers, _ours) = line_behind_a_proxy().await;
        let leg = line.reach(1, number("10", "")).await;
        cut(&line, &proxy).await;
        answers.store(false, Ordering::SeqCst);
        proxy.set(Faults::default());
        line.clock.sleep_until(line.clock.now() + Duration::from_secs(4)).await;
        assert_eq!(line.phones.most_calls(), 0, "nobody has said yet that it may");
        answers.store(true, Ordering::SeqCst);
        while line.phones.most_calls() == 0 {
            pause().await;
        }
        line.bye(leg).await;
    });
}

#[test]
fn whoever_was_cut_off_takes_nothing_back_from_who_listens_in_its_name_by_now() {
    in_real_time(async {
        let (mut line, proxy, _answers, ours) = line_behind_a_proxy().await;
        let leg: LegId = line.reach(1, number("10", "")).await;
        cut(&line, &proxy).await;
        ours.store(false, Ordering::SeqCst);
        let adopter = client(bed());
        let mut reports = adopter.listen(&line.app).await.unwrap();
        proxy.set(Faults::default());
        line.falls_silent().await;
        assert_eq!(adopter.inspect(leg).await, Ok(Some(LegState::Up)));
        adopter.hang_up(leg, line.soon()).await.unwrap();
        loop {
            let report = reports.recv().await.expect("the adopter is told how its call goes on");
            if let LegEvent::Ended(end) = report.what {
                assert!(!end.lost, "{end:?}");
                return;
            }
        }
    });
}
