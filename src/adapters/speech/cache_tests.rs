use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::conformance::ManualClock;

struct Scene {
    clock: Arc<ManualClock>,
    cache: Arc<Cache>,
    made: Arc<AtomicU32>,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new(name: &str, most: u64) -> Self {
        let folder = std::env::temp_dir().join(format!("robocall-cache-{}-{name}", std::process::id()));
        let _left_over = std::fs::remove_dir_all(&folder);
        let clock = Arc::new(ManualClock::default());
        let cache = cache(&clock, &folder, most);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { clock, cache, made: Arc::default(), runtime }
    }

    /// Asks for a prompt of so many samples.
    async fn ask(&self, number: u8, samples: usize) -> Made {
        let made = Arc::clone(&self.made);
        let make = move || {
            made.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(Sound { rate: 8_000, samples: vec![7; samples] })).boxed()
        };
        self.cache.get([number; 32], make).await
    }

    fn get(&self, number: u8, samples: usize) -> u32 {
        self.runtime.block_on(self.ask(number, samples)).unwrap()
    }

    fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }

    /// Another process that shares the folder, or this one after a restart.
    fn restarted(self) -> Self {
        Self { cache: cache(&self.clock, self.cache.folder(), self.cache.most), ..self }
    }

    fn end(self) {
        std::fs::remove_dir_all(self.cache.folder()).unwrap();
    }
}

fn cache(clock: &Arc<ManualClock>, folder: &Path, most: u64) -> Arc<Cache> {
    Arc::new(Cache::new(Arc::<ManualClock>::clone(clock), Files::open(folder).unwrap(), most))
}

#[test]
fn a_prompt_is_made_once_and_survives_a_restart() {
    let scene = Scene::new("once", 1 << 30);
    assert_eq!((scene.get(1, 80), scene.get(1, 80), scene.made()), (80, 80, 1));
    assert_eq!(scene.cache.at_hand(&[1; 32]), Some(80));
    let scene = scene.restarted();
    assert_eq!(scene.cache.at_hand(&[1; 32]), None, "nobody has looked");
    assert_eq!((scene.get(1, 80), scene.made()), (80, 1));
    scene.end();
}

#[test]
fn many_who_ask_at_once_have_it_made_once() {
    let scene = Scene::new("many", 1 << 30);
    let all = scene.runtime.block_on(futures_util::future::join_all((0..100).map(|_| scene.ask(1, 80))));
    assert!(all.into_iter().all(|made| made == Ok(80)));
    assert_eq!(scene.made(), 1);
    scene.end();
}

#[test]
fn a_failure_is_told_to_all_who_wait_and_to_nobody_later() {
    let scene = Scene::new("failure", 1 << 30);
    let away = SpeechError::Unavailable("away".to_owned());
    let told = away.clone();
    let failed = scene.cache.get([1; 32], move || std::future::ready(Err(told)).boxed());
    assert_eq!(scene.runtime.block_on(failed), Err(away));
    assert_eq!(scene.get(1, 80), 80);
    scene.end();
}

#[test]
fn a_file_that_is_gone_or_damaged_is_made_anew() {
    let scene = Scene::new("damaged", 1 << 30);
    scene.get(1, 80);
    let file = scene.cache.files().stem(&[1; 32]).with_extension("wav");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..100]).unwrap();
    // It is believed to be there for a while, without a look.
    assert_eq!((scene.get(1, 80), scene.made()), (80, 1));
    scene.clock.advance(REMEMBERED);
    assert_eq!(scene.cache.at_hand(&[1; 32]), None);
    assert_eq!((scene.get(1, 80), scene.made()), (80, 2));
    assert_eq!(std::fs::read(&file).unwrap(), whole);
    std::fs::remove_file(&file).unwrap();
    scene.clock.advance(REMEMBERED);
    assert_eq!((scene.get(1, 80), scene.made()), (80, 3));
    scene.end();
}

#[test]
fn there_is_no_more_than_may_be() {
    // Room for ten prompts of a piece each.
    let scene = Scene::new("bound", 10 * 4096);
    for number in 0..10 {
        scene.get(number, 1_000);
    }
    scene.clock.advance(Duration::from_secs(3 * 3600));
    // Used again, and believed in.
    assert_eq!((scene.get(0, 1_000), scene.made()), (1_000, 10));
    for number in 10..13 {
        scene.get(number, 1_000);
    }
    scene.cache.clear();
    // Cleared once in between, too, whenever that was.
    assert!(lock(&scene.cache.room).bytes <= 10 * 4096);
    assert!([0, 10, 11, 12].iter().all(|number| scene.cache.at_hand(&[*number; 32]).is_some()));
    let there = |number: &u8| scene.cache.files().stem(&[*number; 32]).with_extension("wav").exists();
    assert_eq!((1..10).find(there), (4..=5).find(there), "the oldest went first");
    assert!((1..=2).all(|gone| scene.cache.at_hand(&[gone; 32]).is_none()));
    scene.end();
}

#[test]
fn the_folder_is_looked_through_now_and_then() {
    let scene = Scene::new("due", 10_000);
    let at = Timestamp::VIRTUAL_START;
    assert!(scene.cache.is_to_be_cleared(1, at), "nobody knows what is there");
    assert!(!scene.cache.is_to_be_cleared(1, at), "somebody is at it");
    scene.cache.clear();
    assert!(!scene.cache.is_to_be_cleared(9_000, at));
    assert!(!scene.cache.is_to_be_cleared(9_000, at + Duration::from_secs(59)));
    assert!(scene.cache.is_to_be_cleared(1, at + CLEARED_EVERY), "there is too much");
    scene.cache.clear();
    assert!(!scene.cache.is_to_be_cleared(1, at + CLEARED_EVERY));
    assert!(scene.cache.is_to_be_cleared(1, at + COUNTED_EVERY), "others may have written");
    scene.end();
}

#[test]
fn a_folder_that_takes_nothing_is_no_answer_and_hands_nothing_out() {
    let scene = Scene::new("full", 1 << 30);
    // In the way of the prompt's own folder.
    std::fs::write(scene.cache.folder().join("01"), "").unwrap();
    let refused = scene.runtime.block_on(scene.ask(1, 80));
    assert!(
        matches!(&refused, Err(SpeechError::Unavailable(why)) if why.contains("nothing can be kept in")),
        "{refused:?}"
    );
    assert_eq!(scene.cache.at_hand(&[1; 32]), None);
    scene.end();
}
