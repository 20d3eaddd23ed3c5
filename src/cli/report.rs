//! What became of a campaign, in words and tables.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use super::amounts::{counted, lasting, share};
use super::flow::word;
use super::outcome::{Outcome, Stage};
use super::terminal::Paint;
use crate::model::status::RequestSummary;
use crate::model::{CallStatus, DispositionResult, RequestStatus};

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

/// A table that is ruled only below its header.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(RULED).set_header(header.iter().copied());
    table
}

/// Sets columns to the right.
pub fn right(table: &mut Table, columns: std::ops::Range<usize>) {
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
    let unfinished: u64 = outcome.unfinished.values().sum();
    if unfinished > 0 {
        table.add_row(["not ended".to_owned(), unfinished.to_string(), share(unfinished, outcome.calls)]);
        for (status, count) in &outcome.unfinished {
            let name = match status {
                CallStatus::OnProgress => "live".to_owned(),
                CallStatus::RetryScheduled => "to retry".to_owned(),
                status => word(status),
            };
            table.add_row([format!("  {name}"), count.to_string(), share(*count, outcome.calls)]);
        }
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
