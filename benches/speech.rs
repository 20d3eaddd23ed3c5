//! What a prompt costs: one that was made before, and a new one of 200 characters against the engine's own time.
//!
//! `cargo bench --bench speech`. Needs espeak-ng. The engine alone and the whole way are measured in turns, so that
//! whatever else the machine does is the same for both; figures are medians.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "what is measured is the time on the wall")]

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use robocall::adapters::clock::SystemClock;
use robocall::adapters::speech::{Engine, EngineSpeech, Place, Runner};
use robocall::callflow::program::{Gender, Utterance, Voice};
use robocall::ports::{Clock, Speech as _};

/// New prompts that are made, besides a few that are not counted.
const ROUNDS: usize = 61;

/// Rounds before anything is counted.
const WARM_UP: usize = 5;

/// How often a prompt that is there is asked for.
const CACHED: usize = 20_000;

/// What a new prompt may take, in the engine's own time.
const BOUND: f64 = 1.3;

fn main() {
    let folder = std::env::temp_dir().join(format!("robocall-bench-speech-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let engine = Engine::espeak(Runner::new(Arc::clone(&clock), 2, Duration::from_secs(10))).await;
        let engine = engine.expect("espeak-ng is needed: ./dev bench installs it");
        let place = Place { folder: folder.clone(), most_bytes: 1 << 30, media: None, url: None };
        let speech = EngineSpeech::new(clock, engine, place).unwrap();
        new_prompts(&speech).await;
        cached_prompts(&speech).await;
    });
    std::fs::remove_dir_all(folder).unwrap();
}

/// A text of 200 characters that nobody has said before.
fn text(number: usize) -> String {
    let text = format!(
        "Dear customer number {number:04}, the amount of 200.00 will be due on August 20th. Please press 1 to confirm \
         the payment, press 2 to hear this message again, or press 0 in order to talk to one of our colleagues now."
    );
    assert!(text.len() >= 200);
    text[..200].to_owned()
}

fn utterance(number: usize) -> Utterance {
    let voice = Voice { language: "en".into(), gender: Gender::Female, pitch: 5, rate: 5 };
    Utterance::Text { text: text(number).into(), voice: Arc::new(voice) }
}

/// The engine, started and listened to, and nothing else.
fn engine_alone(text: &str) -> Duration {
    let begun = Instant::now();
    let mut child = Command::new("espeak-ng")
        .args(["-b", "1", "-v", "gmw/en+f3", "-p", "50", "-s", "175", "--stdin", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let mut sound = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut sound).unwrap();
    assert!(child.wait().unwrap().success() && sound.len() > 100_000);
    begun.elapsed()
}

async fn new_prompts(speech: &EngineSpeech) {
    let (mut alone, mut whole, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let utterance = utterance(round);
        let mut engine = Duration::ZERO;
        // Each goes first as often as the other.
        if round % 2 == 0 {
            engine = engine_alone(&text(round));
        }
        let begun = Instant::now();
        speech.prepare(&utterance).await.unwrap();
        let prepared = begun.elapsed();
        if round % 2 == 1 {
            engine = engine_alone(&text(round));
        }
        if round >= WARM_UP {
            alone.push(engine.as_secs_f64() * 1e3);
            whole.push(prepared.as_secs_f64() * 1e3);
            ratios.push(prepared.as_secs_f64() / engine.as_secs_f64());
        }
    }
    let (alone, whole, each) = (median(&mut alone), median(&mut whole), median(&mut ratios));
    let ratio = whole / alone;
    println!("a new prompt of 200 characters, {ROUNDS} of them in turns with the engine alone");
    println!("  espeak-ng alone        {alone:8.2} ms");
    println!("  made, resampled, kept  {whole:8.2} ms");
    println!("  ratio of the medians   {ratio:8.2}      median of the ratios {each:.2}; at most {BOUND} is wanted");
}

async fn cached_prompts(speech: &EngineSpeech) {
    let utterance = utterance(0);
    let mut times = Vec::with_capacity(CACHED);
    for _ in 0..CACHED {
        let begun = Instant::now();
        speech.prepare(&utterance).await.unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    let middle = median(&mut times);
    let (late, longest) = (times[CACHED * 999 / 1000], times[CACHED - 1]);
    println!("a prompt that was made before, {CACHED} times");
    println!("  median {middle:.1} µs, 99.9 % within {late:.1} µs, longest {longest:.1} µs; at most 1000 are wanted");
}

/// Sorts, and takes the one in the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
