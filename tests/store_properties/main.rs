//! Whatever is done to the waiting room, in whatever order, its books add up; and if it is sabotaged, they do not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod run;
mod steps;

use std::time::Duration;

use proptest::prelude::*;
use robocall::adapters::memory::Sabotage;
use robocall::conformance::store::scene::*;
use robocall::model::DispositionResult;
use robocall::ports::store::*;

use run::Run;
use steps::{Step, steps};

async fn play(sabotage: Sabotage, steps: Vec<Step>) -> Result<(), String> {
    let mut run = Run::new(sabotage);
    for step in steps {
        let told = format!("{step:?}");
        run.step(step).await.map_err(|error| format!("after {told}: {error}"))?;
    }
    let audit = run.come_to_rest().await?;
    for org in &audit.organisations {
        if !org.leases.is_empty() || !org.waiting.is_empty() {
            return Err(format!("{} rests and holds {:?}", org.id, org.leases));
        }
        for request in &org.requests {
            if !request.ended || !request.calls.iter().all(|call| call.status.is_final()) {
                return Err(format!("{} does not rest: {:?}", request.id, request.summary));
            }
        }
    }
    Ok(())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_books_add_up_whatever_happens(steps in steps()) {
        let result = block_on(play(Sabotage::default(), steps));
        prop_assert!(result.is_ok(), "{}", result.unwrap_err());
    }
}

/// Plays random steps until the books no longer add up.
fn is_noticed(sabotage: Sabotage) -> Option<String> {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..300).find_map(|_| {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        block_on(play(sabotage, steps)).err()
    })
}

#[test]
fn releasing_twice_is_noticed() {
    let noticed = is_noticed(Sabotage { double_release: true, ..Sabotage::default() });
    assert!(noticed.is_some());
}

#[test]
fn freeing_expired_leases_is_noticed() {
    let noticed = is_noticed(Sabotage { free_expired_leases: true, ..Sabotage::default() });
    assert!(noticed.is_some_and(|error| error.contains("over the limit")));
}

#[test]
fn ignoring_tokens_is_noticed() {
    block_on(async {
        let run = Run::new(Sabotage { ignore_tokens: true, ..Sabotage::default() });
        submit(&run.store, header("r"), 1).await;
        let (claim, _) = claim_and_dial(&run.store).await;
        run.clock.advance(Duration::from_secs(30));
        done(run.store.adopt(&claim.held, &worker("v")).await.unwrap());
        let late = run.store.finish(&claim.held, &worker("w"), 2, &[], ends(DispositionResult::Busy), 0).await.unwrap();
        assert!(matches!(late, Written::Done(_)), "the frozen owner ends a call that is another's");
    });
}
