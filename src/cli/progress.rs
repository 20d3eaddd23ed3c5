//! How far a run is: a bar on a terminal, now and then a line elsewhere.
//!
//! It looks at the store from a thread of its own, in real time, whatever time the run itself keeps.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Terminal;
use super::exit::say;
use crate::daemon::Glimpse;
use crate::model::status::{Counts, RequestSummary};
use crate::ports::store::SlotUse;
use crate::shutdown::Interrupts;

/// How often the bar is drawn.
const DRAWN: Duration = Duration::from_millis(100);

/// How often a line is written where there is no bar.
const WRITTEN: Duration = Duration::from_secs(5);

/// Shows how far a run is until it is dropped.
pub struct Progress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to show, if anything is to be `shown`.
    pub fn start(glimpse: Glimpse, interrupts: Interrupts, shown: bool, terminal: &Terminal) -> Self {
        if !shown {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = channel::<()>();
        let watched = terminal.watched;
        let show = move || {
            let mut view = if watched { View::bar() } else { View::Lines };
            let mut told = false;
            let every = if watched { DRAWN } else { WRITTEN };
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
                if interrupts.soft.is_cancelled() && !told {
                    told = true;
                    view.note("cancelled: live calls go on to their end; interrupt again to stop at once");
                }
                if let Some((summary, slots)) = glimpse.look() {
                    view.show(&summary, slots);
                }
            }
            view.close();
        };
        // Without a thread there is no bar, and the run goes on all the same.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show).ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

enum View {
    Bar(ProgressBar),
    Lines,
}

impl View {
    fn bar() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        let style =
            ProgressStyle::with_template("{bar:24.green/dim} {percent:>3}%  {pos}/{len}  {wide_msg} {eta} left");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self::Bar(bar)
    }

    fn show(&self, summary: &RequestSummary, slots: SlotUse) {
        let (ended, words) = (ended(&summary.counts), words(&summary.counts, slots));
        match self {
            View::Bar(bar) => {
                bar.set_length(u64::from(summary.total));
                bar.set_position(u64::from(ended));
                bar.set_message(words);
            }
            View::Lines => say(&format!("{ended} of {} ended: {words}\n", summary.total)),
        }
    }

    fn note(&self, text: &str) {
        match self {
            View::Bar(bar) => bar.suspend(|| say(&format!("{text}\n"))),
            View::Lines => say(&format!("{text}\n")),
        }
    }

    fn close(&mut self) {
        if let View::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn ended(counts: &Counts) -> u32 {
    counts.total() - counts.queued - counts.on_progress - counts.retry_scheduled
}

fn words(counts: &Counts, slots: SlotUse) -> String {
    let mut words = format!("answered {}  failed {}", counts.completed, counts.failed);
    for (name, count) in [
        ("to retry", counts.retry_scheduled),
        ("cancelled", counts.cancelled),
        ("expired", counts.expired),
        ("blocked", counts.blocked),
        ("unknown", counts.unknown),
    ] {
        if count > 0 {
            words.push_str(&format!("  {name} {count}"));
        }
    }
    let used = slots.leased + slots.external;
    words.push_str(&format!("  slots {used}/{}", slots.limit));
    words
}
