//! Findings as a table: a line for each figure, a column for each world.

#![expect(clippy::cast_precision_loss, reason = "figures to be shown")]

use super::counted::IN_VAIN;
use super::mix::Size;
use super::world::{Findings, Phase};

/// Figures of several worlds.
#[derive(Debug, Default)]
pub struct Table {
    lines: Vec<(String, Vec<String>)>,
    worlds: usize,
}

impl Table {
    /// Notes what was found in a world, how many seconds that took, and how many megabytes.
    pub fn add(&mut self, size: &Size, findings: &Findings, seconds: f64, memory: Option<f64>) {
        let Findings { balance, legs, by_worker, .. } = findings;
        self.worlds += 1;
        self.line(
            "organisations / workers / nodes",
            format!("{} / {} / {}", size.organisations, size.workers, size.nodes),
        );
        self.line("slots; destinations", format!("{}; {}", findings.slots, findings.destinations));
        let rate = balance.dials as f64 / balance.seconds.max(1.0);
        self.line("calls dialled; a second, first to last", format!("{}; {}", balance.dials, short(rate)));
        self.line("slots used while work waits", format!("{:.3} %", balance.share));
        let of = |percent| at(&balance.shares, percent).copied().unwrap_or_default();
        let shares = format!("{:.2} / {:.2} / {:.2} %", of(0.0), of(1.0), of(50.0));
        self.line("an organisation's share of its slots: lowest / 1 in 100 / median", shares);
        let of = |percent| at(&balance.waits, percent).copied().unwrap_or_default();
        let waits = format!("{} / {} / {} ms", of(50.0), of(99.0), of(100.0));
        self.line("longest wait with a free slot: median / 99 in 100 / worst", waits);
        self.line("calls of a worker: fewest / most", ends(by_worker));
        let mut dialled = legs.dialled.clone();
        dialled.sort_unstable();
        self.line("calls of a node: fewest / most", ends(&dialled));
        let peak = legs.peak.iter().max().copied().unwrap_or_default();
        self.line("most legs of a node; its bound", format!("{peak}; {}", size.legs));
        self.line("over their limit / dialled too often", format!("{} / {}", balance.over_limit, balance.too_often));
        self.line("never dialled", balance.never.to_string());
        self.phase("idle", &findings.idle, size);
        self.phase("all wait for slots", &findings.waiting, size);
        self.phase("others hold all slots", &findings.held, size);
        self.phase("calling", &findings.calling, size);
        self.line("most claims in vain in one second", findings.most_in_vain.to_string());
        for (what, count) in &findings.calling.asked {
            let a_call = |number: u64| number as f64 / balance.dials.max(1) as f64;
            let each = format!("{:.3} / {:.3}", a_call(count.asked), a_call(count.commands));
            self.line(&format!("  {what}, a call: operations / commands"), each);
        }
        if let Some(over) = &findings.over {
            self.phase("all is over", over, size);
        }
        self.line(
            "real seconds; an hour of calls takes",
            format!("{}; {} s", short(seconds), short(seconds * 3_600.0 / findings.calling.seconds)),
        );
        self.line("most memory", memory.map_or("unknown".to_owned(), |memory| format!("{} MB", short(memory))));
    }

    fn phase(&mut self, name: &str, phase: &Phase, size: &Size) {
        let Phase { seconds, asked, server } = phase;
        let commands: u64 = asked.values().map(|count| count.commands).sum();
        let a_second = commands as f64 / seconds;
        let figure = format!("{} ({} a worker)", short(a_second), short(a_second / f64::from(size.workers)));
        self.line(&format!("{name}: commands of Redis a second"), figure);
        let vain = asked.get(IN_VAIN).map_or(0, |count| count.asked);
        self.line(&format!("{name}: claims in vain a second"), short(vain as f64 / seconds));
        if server.scripts > 0 {
            let figure =
                format!("{}; {} %", short(server.scripts as f64 / seconds), short(server.cpu * 100.0 / seconds));
            self.line(&format!("{name}: scripts a second as Redis counts them; its core"), figure);
        }
    }

    fn line(&mut self, what: &str, figure: String) {
        eprintln!("   {what}: {figure}");
        let place = self.lines.iter().position(|(known, _)| known == what).unwrap_or_else(|| {
            self.lines.push((what.to_owned(), Vec::new()));
            self.lines.len() - 1
        });
        let figures = &mut self.lines[place].1;
        // What no smaller world knew.
        figures.resize(self.worlds - 1, String::new());
        figures.push(figure);
    }

    /// Prints everything.
    pub fn print(&self) {
        let first = self.lines.iter().map(|(what, _)| what.chars().count()).max().unwrap_or(0);
        for (what, figures) in &self.lines {
            let figures: Vec<_> = figures.iter().map(|figure| format!("{figure:>26}")).collect();
            println!("{what:first$}  {}", figures.join("  "));
        }
    }
}

/// What so many in a hundred do not exceed, of figures in order.
fn at<T>(sorted: &[T], percent: f64) -> Option<&T> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
    let place = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1)))
}

fn ends(sorted: &[u64]) -> String {
    format!("{} / {}", sorted.first().copied().unwrap_or_default(), sorted.last().copied().unwrap_or_default())
}

fn short(figure: f64) -> String {
    match figure.abs() {
        0.0..10.0 => format!("{figure:.2}"),
        10.0..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}
