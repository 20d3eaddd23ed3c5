use std::sync::Mutex as StdMutex;

use futures_util::FutureExt as _;

use super::*;

const START: Timestamp = Timestamp::VIRTUAL_START;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn clock() -> VirtualClock {
    VirtualClock::for_tests(Duration::from_secs(86_400))
}

#[derive(Clone, Default)]
struct Diary(Arc<StdMutex<Vec<String>>>);

impl Diary {
    fn note(&self, clock: &VirtualClock, what: impl std::fmt::Display) {
        self.0.lock().unwrap().push(format!("{} {what}", clock.now().since(START).as_millis()));
    }
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[test]
fn time_stands_at_its_start_until_somebody_sleeps() {
    let clock = clock();
    assert_eq!(clock.now(), START);
    let there = clock.clone();
    let slept = clock
        .run(async move {
            tokio::task::yield_now().await;
            assert_eq!(there.now(), START);
            there.sleep_until(START - ms(5)).await;
            there.sleep_until(START).await;
            assert_eq!(there.now(), START, "what is past takes no time");
            there.sleep_until(START + Duration::from_secs(3600)).await;
            there.now()
        })
        .unwrap();
    assert_eq!(slept, START + Duration::from_secs(3600));
}

#[test]
fn sleepers_wake_in_the_order_of_their_times() {
    let (clock, diary) = (clock(), Diary::default());
    let (there, notes) = (clock.clone(), diary.clone());
    clock
        .run(async move {
            let sleepers = [30, 10, 20].map(|wait| {
                let (clock, notes) = (there.clone(), notes.clone());
                tokio::spawn(async move {
                    clock.sleep_until(START + ms(wait)).await;
                    notes.note(&clock, "woke");
                })
            });
            for sleeper in sleepers {
                sleeper.await.unwrap();
            }
        })
        .unwrap();
    assert_eq!(diary.take(), ["10 woke", "20 woke", "30 woke"]);
}

#[test]
fn sleepers_of_one_instant_wake_first_come_first_served() {
    let (clock, diary) = (clock(), Diary::default());
    let (there, notes) = (clock.clone(), diary.clone());
    clock
        .run(async move {
            let sleepers: Vec<_> = (0..200)
                .map(|number| {
                    let (clock, notes) = (there.clone(), notes.clone());
                    tokio::spawn(async move {
                        clock.sleep_until(START + ms(7)).await;
                        notes.note(&clock, number);
                    })
                })
                .collect();
            for sleeper in sleepers {
                sleeper.await.unwrap();
            }
        })
        .unwrap();
    assert_eq!(diary.take(), (0..200).map(|number| format!("7 {number}")).collect::<Vec<_>>());
}

#[test]
fn everything_that_can_run_runs_before_time_moves() {
    let (clock, diary) = (clock(), Diary::default());
    let (there, notes) = (clock.clone(), diary.clone());
    clock
        .run(async move {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<u32>();
            let (clock, log) = (there.clone(), notes.clone());
            let reader = tokio::spawn(async move {
                while let Some(number) = receiver.recv().await {
                    // More turns than tokio takes before it looks at its drivers.
                    for _ in 0..150 {
                        tokio::task::yield_now().await;
                    }
                    log.note(&clock, number);
                }
            });
            sender.send(1).unwrap();
            there.sleep_until(START + ms(1)).await;
            notes.note(&there, "woke");
            sender.send(2).unwrap();
            drop(sender);
            reader.await.unwrap();
        })
        .unwrap();
    assert_eq!(diary.take(), ["0 1", "1 woke", "1 2"]);
}

#[test]
fn a_dropped_sleep_moves_nothing() {
    let clock = clock();
    let there = clock.clone();
    clock
        .run(async move {
            let mut long = there.sleep_until(START + Duration::from_secs(3600));
            assert!((&mut long).now_or_never().is_none());
            assert_eq!(there.timers(), 1);
            drop(long);
            assert_eq!(there.timers(), 0);

            let mut other = there.sleep_until(START + Duration::from_secs(50));
            tokio::select! {
                biased;
                () = &mut other => panic!("too early"),
                () = there.sleep_until(START + ms(3)) => {}
            }
            drop(other);
            there.sleep_until(START + Duration::from_secs(100)).await;
            assert_eq!(there.now(), START + Duration::from_secs(100));
            assert_eq!(there.timers(), 0);
        })
        .unwrap();
}

#[test]
fn an_aborted_task_takes_its_timer_along() {
    let clock = clock();
    let there = clock.clone();
    clock
        .run(async move {
            let sleeper = tokio::spawn(there.sleep_until(START + Duration::from_secs(3600)));
            there.sleep_until(START + ms(1)).await;
            assert_eq!(there.timers(), 1);
            sleeper.abort();
            assert!(sleeper.await.unwrap_err().is_cancelled());
            assert_eq!((there.timers(), there.now()), (0, START + ms(1)));
        })
        .unwrap();
}

#[test]
fn a_sleep_can_move_to_another_task_between_polls() {
    let clock = clock();
    let there = clock.clone();
    clock
        .run(async move {
            let mut sleep = there.sleep_until(START + ms(9));
            assert!((&mut sleep).now_or_never().is_none(), "registered with a waker that wakes nobody");
            tokio::spawn(sleep).await.unwrap();
            assert_eq!(there.now(), START + ms(9));
        })
        .unwrap();
}

#[test]
fn tasks_that_spawn_tasks_that_sleep_keep_time() {
    fn generation(clock: VirtualClock, left: u64) -> BoxFuture<'static, u64> {
        Box::pin(async move {
            clock.sleep_until(clock.now() + ms(left)).await;
            match left {
                0 => 0,
                _ => 1 + tokio::spawn(generation(clock, left - 1)).await.unwrap(),
            }
        })
    }
    let clock = clock();
    assert_eq!(clock.run(generation(clock.clone(), 100)).unwrap(), 100);
    assert_eq!(clock.now(), START + ms(5050));
}

#[test]
fn a_hundred_thousand_sleepers_wake_in_order() {
    let clock = clock();
    let there = clock.clone();
    let order = clock
        .run(async move {
            let woken = Arc::new(StdMutex::new(Vec::with_capacity(100_000)));
            let sleepers: Vec<_> = (0_u64..100_000)
                .map(|number| {
                    let (clock, woken) = (there.clone(), Arc::clone(&woken));
                    tokio::spawn(async move {
                        clock.sleep_until(START + ms(1 + number * 7919 % 1000)).await;
                        woken.lock().unwrap().push((clock.now(), number));
                    })
                })
                .collect();
            for sleeper in sleepers {
                sleeper.await.unwrap();
            }
            std::mem::take(&mut *woken.lock().unwrap())
        })
        .unwrap();
    assert_eq!(order.len(), 100_000);
    assert!(order.is_sorted(), "by instant, and within an instant in the order of going to sleep");
}

#[test]
fn the_future_in_block_on_is_woken_too() {
    let clock = clock();
    let runtime = clock.runtime().unwrap();
    runtime.block_on(async {
        for step in 1..=1000 {
            clock.sleep_until(START + ms(step)).await;
        }
    });
    assert_eq!(clock.now(), START + ms(1000));
    runtime.block_on(clock.sleep_until(START + ms(2000)));
    assert_eq!(clock.now(), START + ms(2000), "one runtime can block on one future after another");
}

#[test]
#[should_panic = "nothing can run and nobody waits for a time; it is 2026-01-05T09:00:00.005Z"]
fn a_test_that_hangs_is_told_so() {
    let clock = clock();
    let there = clock.clone();
    let _ = clock.run(async move {
        there.sleep_until(START + ms(5)).await;
        std::future::pending::<()>().await;
    });
}

#[test]
#[should_panic = "later than anything should happen"]
fn a_test_that_never_ends_is_told_so() {
    let clock = VirtualClock::for_tests(Duration::from_secs(60));
    let there = clock.clone();
    let _ = clock.run(async move {
        loop {
            there.sleep_until(there.now() + Duration::from_secs(7)).await;
        }
    });
}

#[test]
#[should_panic = "as it happened"]
fn a_panic_of_the_future_comes_through() {
    let _ = clock().run(async { panic!("as it happened") });
}

#[test]
fn unwatched_it_parks_until_another_thread_wakes_it() {
    let told = Arc::new(StdMutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let clock = VirtualClock::watched(None, move |stuck| listener.lock().unwrap().push(stuck));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let other = std::thread::spawn({
        let told = Arc::clone(&told);
        move || {
            while told.lock().unwrap().is_empty() {
                std::thread::yield_now();
            }
            sender.send(42).unwrap();
        }
    });
    assert_eq!(clock.run(receiver).unwrap(), Ok(42));
    other.join().unwrap();
    assert_eq!(told.lock().unwrap()[0], Stuck::NothingToWaitFor { now: START });
}

#[test]
fn the_same_program_runs_the_same_way_twice() {
    fn story() -> Vec<String> {
        let (clock, diary) = (clock(), Diary::default());
        let (there, notes) = (clock.clone(), diary.clone());
        clock
            .run(async move {
                let tasks: Vec<_> = (0_u64..50)
                    .map(|number| {
                        let (clock, notes) = (there.clone(), notes.clone());
                        tokio::spawn(async move {
                            for turn in 0..20_u64 {
                                let wait = (number * 31 + turn * 17) % 13;
                                clock.sleep_until(clock.now() + ms(wait)).await;
                                notes.note(&clock, number);
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            })
            .unwrap();
        diary.take()
    }
    assert_eq!(story(), story());
}

#[test]
fn time_goes_on_when_a_timer_wakes_nobody() {
    let clock = clock();
    let there = clock.clone();
    let passed = clock
        .run(async move {
            let mut side_by_side = futures_util::stream::FuturesUnordered::new();
            side_by_side.push(there.sleep_until(START + ms(10)));
            side_by_side.push(there.sleep_until(START + ms(20)));
            assert!(futures_util::StreamExt::next(&mut side_by_side).now_or_never().is_none());
            // The task waits for something else while both come due; whoever polls them next was not woken by them.
            let mut polled_by_another = side_by_side;
            let other = tokio::spawn(async move {
                assert!(futures_util::StreamExt::next(&mut polled_by_another).now_or_never().is_none());
                polled_by_another
            });
            let kept = other.await.unwrap();
            there.sleep_until(START + ms(30)).await;
            drop(kept);
            there.now().since(START)
        })
        .unwrap();
    assert_eq!(passed, ms(30));
}
