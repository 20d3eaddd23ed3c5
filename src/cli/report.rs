//! What became of a campaign, in words and tables.

use std::time::Duration;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use super::flow::word;
use super::outcome::{Outcome, Stage};
use super::terminal::Paint;
use crate::model::status::RequestSummary;
use crate::model::{DispositionResult, RequestStatus};

/// The whole report.
pub fn in_words(summary: &RequestSummary, outcome: &Outcome, paint: Paint) -> String {
    let status = word(&summary.status);
    let status = if summary.status == RequestStatus::Completed { paint.green(&status) } else { paint.red(&status) };
    let calls = counted(u64::from(summary.total), "call");
    let mut text = format!("{} {status}: {calls}", paint.bold(summary.request_id.as_str()));
    if summary.duplicates > 0 {
        text.push_str(&format!(", {} left out", counted(u64::from(summary.duplicates), "duplicate")));
    }
    if outcome.dials > 0 {
        text.push_str(&format!(", {}", counted(outcome.dials, "dial")));
    }
    if let Some((first, last)) = outcome.span {
        text.push_str(&format!(" in {}", lasting(last.since(first))));
    }
    text.push_str(&format!("\n\n{}\n\n", outcomes(outcome).trim_fmt()));
    text.push_str(&details(outcome));
    if outcome.entered() > 0 {
        text.push_str(&format!("\n{}\n", funnel(outcome).trim_fmt()));
    }
    text
}

/// One line below the header, nothing else.
const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(RULED).set_header(header.iter().copied());
    table
}

fn right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn outcomes(outcome: &Outcome) -> Table {
    let mut table = table(&["outcome", "calls", "share"]);
    for result in DispositionResult::ALL {
        let count = outcome.count(result);
        if count > 0 {
            let name = match result {
                DispositionResult::Blocked => "blocked: a rule forbids the number".to_owned(),
                _ => word(&result),
            };
            table.add_row([name, count.to_string(), share(count, outcome.calls)]);
        }
    }
    let refused: u64 = outcome.refused.values().sum();
    if refused > 0 {
        table.add_row(["failed undialled".to_owned(), refused.to_string(), share(refused, outcome.calls)]);
        for (why, count) in &outcome.refused {
            table.add_row([format!("  {why}"), count.to_string(), share(*count, outcome.calls)]);
        }
    }
    if outcome.unfinished > 0 {
        table.add_row([
            "not ended".to_owned(),
            outcome.unfinished.to_string(),
            share(outcome.unfinished, outcome.calls),
        ]);
    }
    right(&mut table, 1..3);
    table
}

fn details(outcome: &Outcome) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!(" {name:<21}{value}\n"));
    if let Some(mean) = outcome.until_answer.get() {
        line("answered after", format!("{} on average", lasting(mean)));
    }
    if let Some(mean) = outcome.in_call.get() {
        line("calls lasted", format!("{} on average", lasting(mean)));
    }
    if outcome.machines > 0 {
        line("answering machines", outcome.machines.to_string());
    }
    if outcome.transfers.of > 0 {
        line("transfers answered", format!("{} of {}", outcome.transfers.some, outcome.transfers.of));
    }
    if outcome.opted_out > 0 {
        line("opted out", outcome.opted_out.to_string());
    }
    text
}

fn funnel(outcome: &Outcome) -> Table {
    let mut table = table(&["step", "reached", "share", "done", "dropped", "keys"]);
    let entered = outcome.entered();
    for stage in &outcome.funnel {
        table.add_row([
            format!("{}{}", "  ".repeat(stage.depth), title(stage)),
            stage.reached.to_string(),
            share(stage.reached, entered),
            stage.succeeded.to_string(),
            stage.dropped.to_string(),
            keys(stage),
        ]);
    }
    right(&mut table, 1..5);
    table
}

/// What a step is called here: its kind, and which keys lead to it.
fn title(stage: &Stage) -> String {
    match &stage.entry {
        Some(keys) => format!("{keys}: {}", stage.name),
        None => stage.name.to_owned(),
    }
}

fn keys(stage: &Stage) -> String {
    if stage.hides_keys {
        return "hidden".to_owned();
    }
    let mut words: Vec<String> = stage.keys.iter().map(|(key, count)| format!("{key}: {count}")).collect();
    if stage.no_key > 0 {
        words.push(format!("none: {}", stage.no_key));
    }
    words.extend(stage.transfers.iter().map(|(status, count)| format!("{status}: {count}")));
    words.join("  ")
}

fn share(some: u64, of: u64) -> String {
    if of == 0 {
        return String::new();
    }
    // Tenths of a percent, in whole numbers, so that it is the same everywhere.
    let tenths = (u128::from(some) * 2000 / u128::from(of)).div_ceil(2);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// So many of something.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A length of time, for people: the two largest units.
pub fn lasting(length: Duration) -> String {
    let seconds = length.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 100 => format!("{seconds}.{} s", length.subsec_millis() / 100),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_show_their_two_largest_units() {
        let shown = |millis| lasting(Duration::from_millis(millis));
        assert_eq!(shown(0), "0.0 s");
        assert_eq!(shown(12_340), "12.3 s");
        assert_eq!(shown(754_000), "12 min 34 s");
        assert_eq!(shown(7_500_000), "2 h 5 min");
        assert_eq!(shown(3 * 86_400_000 + 3_600_000), "3 d 1 h");
    }

    #[test]
    fn shares_are_rounded_to_tenths_of_a_percent() {
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(2, 3), "66.7 %");
        assert_eq!(share(3, 3), "100.0 %");
        assert_eq!(share(1, 0), "");
    }
}
