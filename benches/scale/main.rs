//! How it grows: worlds of organisations, workers and telephony nodes in virtual time, each ten times as large as the one
//! before: `./dev bench scale`, or `cargo bench --bench scale`. Numbers: these worlds only, from 1. `redis`: the same in real
//! time, ten minutes of each, on a private Redis.
//!
//! In virtual time no server is needed: what is asked of the store is counted, and reckoned in commands of Redis; all figures
//! but the last two are the same whatever machine it runs on. What they mean is in `docs/scale.md`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on fails, and measures real time, too"
)]

mod books;
mod counted;
mod figures;
#[path = "../stack/measure.rs"]
#[expect(dead_code, reason = "each program uses what it needs")]
mod measure;
mod mix;
mod nodes;
mod real;
#[path = "../../tests/support/redis.rs"]
#[expect(dead_code, reason = "each program uses what it needs")]
mod redis_server;
mod world;

use std::time::Instant;

use figures::Table;
use mix::Size;

/// As the program has it.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Worlds, the smallest first.
const SIZES: [Size; 3] = [size(100, 1, 1), size(1_000, 10, 2), size(10_000, 100, 20)];

/// A world with so many of each, and room for all of its slots.
const fn size(organisations: u32, workers: u32, nodes: u32) -> Size {
    Size { organisations, workers, capacity: 300, nodes, legs: 1_500, rounds: 8 }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let is_real = arguments.iter().any(|argument| argument == "redis");
    let chosen: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let mut table = Table::default();
    for (number, size) in SIZES.into_iter().enumerate() {
        if !chosen.is_empty() && !chosen.contains(&(number + 1)) {
            continue;
        }
        eprintln!("== {size:?}");
        // Only Linux tells, and forgets, what a process had at most.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let begun = Instant::now();
        let findings = if is_real { real::play(size) } else { world::play(size) };
        table.add(&size, &findings, begun.elapsed().as_secs_f64(), most_memory());
    }
    table.print();
}

/// The most memory the process had, in megabytes; none where the kernel does not tell.
fn most_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1_024.0)
}
