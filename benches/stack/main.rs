//! What the program costs on real servers, against a floor: `./dev bench`, or `cargo bench --bench stack -- SECTION…`.
//!
//! Sections: `floor`, `slots`, `waiting`, `loading`, `fairness`, `memory`, `calls`, `api`, `commands`, `watched`. Each
//! starts a private RabbitMQ and Redis, and runs workers and a phone network as processes of their own. Figures that depend
//! on the machine are ratios within one run; processor time is what the kernel counted. The table at the end says what was
//! wanted and what was found.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on fails, and measures real time"
)]

mod api;
#[path = "../../tests/support/asterisk/mod.rs"]
mod asterisk;
mod calls;
mod commands;
mod floor;
mod http;
mod loads;
mod measure;
mod product;
mod queues;
#[path = "../../tests/support/rabbitmq.rs"]
mod rabbitmq;
#[path = "../../tests/support/redis.rs"]
#[expect(dead_code, reason = "each program uses what it needs")]
mod redis_server;
mod slots;
mod sniffer;
#[path = "../../tests/support/sound.rs"]
mod sound;
mod throughput;
mod watched;

use measure::Table;

/// As the program has it.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A section's name, and what it does.
type Section = (&'static str, fn(&mut Table));

const SECTIONS: &[Section] = &[
    ("floor", throughput::measure),
    ("slots", slots::measure),
    ("waiting", loads::waiting),
    ("loading", loads::loading),
    ("fairness", loads::fairness),
    ("memory", loads::memory),
    ("calls", calls::measure),
    ("api", api::measure),
    ("commands", commands::measure),
    ("watched", watched::measure),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [word, broker, database, calls] = arguments.as_slice()
        && word == floor::WORD
    {
        return floor::work(broker, database, calls.parse().unwrap());
    }
    for name in &arguments {
        assert!(SECTIONS.iter().any(|(known, _)| known == name), "no such section: {name}");
    }
    let mut table = Table::default();
    for (name, section) in SECTIONS {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            eprintln!("== {name}");
            section(&mut table);
        }
    }
    table.print();
}
