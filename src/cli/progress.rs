//! How far a run is: a bar on a terminal, now and then a line elsewhere.
//!
//! It looks at the store from a thread of its own, in real time, whatever time the run itself keeps, and so says at once
//! that an interrupt was heard.

use std::convert::Infallible;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::amounts::lasting;
use super::exit::say;
use super::waiting::Watch;
use super::{Terminal, untimely};
use crate::daemon::{Glimpse, Pace};
use crate::model::status::{Counts, RequestSummary};
use crate::ports::store::SlotUse;
use crate::shutdown::Interrupts;

/// How often it is looked.
pub const LOOKED: Duration = Duration::from_millis(100);

/// After how many looks a line is written where there is no bar.
const LINE_EVERY: u32 = 50;

/// What is said, besides what must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// How far the run is.
    Progress,
    /// Only that it waits, or is interrupted: somebody reads an answer for programs.
    Notes,
}

/// Shows how far a run is until it is dropped.
pub struct Progress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to show.
    pub fn start(glimpse: Glimpse, interrupts: Interrupts, pace: Pace, shown: Shown, terminal: &Terminal) -> Self {
        let (stop, stopped) = channel::<()>();
        let view = View::of(shown, terminal);
        let mut told = Told {
            glimpse,
            interrupts,
            pace,
            view,
            watch: Watch::default(),
            waiting: None,
            warned: false,
            interrupted: false,
        };
        let show = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOKED) {
                told.look();
            }
            told.warn();
            told.interrupted();
            told.view.close();
        };
        // Without a thread there is no bar, and the run goes on all the same.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show).ok();
        Self { stop: Some(stop), thread }
    }
}

/// What was told so far.
struct Told {
    glimpse: Glimpse,
    interrupts: Interrupts,
    pace: Pace,
    view: View,
    watch: Watch,
    /// What is waited for, up to the comma: what follows counts down.
    waiting: Option<String>,
    /// The request was looked at for hours that leave no time to call.
    warned: bool,
    interrupted: bool,
}

impl Told {
    fn look(&mut self) {
        self.interrupted();
        let Some((summary, slots)) = self.glimpse.look() else { return };
        self.warn();
        let waiting = self.watch.look(&self.glimpse, &summary, slots, self.pace);
        let what = waiting.as_deref().map(|words| words.split(", in ").next().unwrap_or(words).to_owned());
        if let Some(words) = waiting.as_deref().filter(|_| what != self.waiting) {
            self.view.wait(words);
        }
        self.waiting = what;
        self.view.show(&summary, slots, waiting.as_deref());
    }

    /// Says that there is no time to call, once: when the request is accepted, or at the end of a run shorter than a look.
    fn warn(&mut self) {
        if self.warned {
            return;
        }
        let (Some(header), Some(at)) = (self.glimpse.header(), self.glimpse.accepted_at()) else { return };
        self.warned = true;
        let people = self.glimpse.pages().flatten().map(|call| Ok::<_, Infallible>(call.destination));
        if let Ok(Some(untimely)) = untimely::look(&header, at, people) {
            self.view.note(&untimely.to_string());
        }
    }

    /// Says that an interrupt was heard, once.
    fn interrupted(&mut self) {
        if self.interrupted || !self.interrupts.soft.is_cancelled() {
            return;
        }
        self.interrupted = true;
        // Before the request is accepted, an interrupt ends it at once; that is said by whoever ends.
        if let Some((summary, _)) = self.glimpse.look() {
            let live = match summary.counts.on_progress {
                0 => "no call is live".to_owned(),
                1 => "1 live call goes on to its end".to_owned(),
                live => format!("{live} live calls go on to their end"),
            };
            self.view.note(&format!("interrupted: nothing new is dialled, {live}; interrupt again to end at once"));
        }
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

/// Where it is shown.
pub enum View {
    /// On a terminal.
    Bar(ProgressBar),
    /// Elsewhere: a line now and then.
    Lines {
        /// Looks since the last one.
        looks: u32,
    },
    /// Nowhere: only notes.
    Notes,
}

impl View {
    /// As it suits whoever watches.
    pub fn of(shown: Shown, terminal: &Terminal) -> Self {
        match (shown, terminal.watched) {
            (Shown::Progress, true) => View::bar(),
            (Shown::Progress, false) => View::Lines { looks: 0 },
            (Shown::Notes, _) => View::Notes,
        }
    }

    fn bar() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{bar:24.green/dim} {percent:>3}%  {pos}/{len}  {wide_msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self::Bar(bar)
    }

    /// Shows how far the request is.
    pub fn show(&mut self, summary: &RequestSummary, slots: SlotUse, waiting: Option<&str>) {
        let ended = summary.counts.ended();
        match self {
            View::Bar(bar) => {
                bar.set_length(u64::from(summary.total));
                bar.set_position(u64::from(ended));
                let left = bar.eta().as_secs();
                bar.set_message(match waiting {
                    Some(waiting) => waiting.to_owned(),
                    None if left > 0 => {
                        format!("{}  about {} left", words(&summary.counts, slots), lasting(bar.eta()))
                    }
                    None => words(&summary.counts, slots),
                });
            }
            View::Lines { looks } => {
                *looks += 1;
                if *looks >= LINE_EVERY {
                    *looks = 0;
                    // What is waited for was said when the wait began.
                    if waiting.is_none() {
                        say(&format!("{ended} of {} ended: {}\n", summary.total, words(&summary.counts, slots)));
                    }
                }
            }
            View::Notes => {}
        }
    }

    /// Says what is waited for where no bar says so all the time.
    fn wait(&self, words: &str) {
        match self {
            View::Bar(_) => {}
            View::Lines { .. } | View::Notes => self.note(words),
        }
    }

    /// Says something, whatever is shown.
    pub fn note(&self, text: &str) {
        match self {
            View::Bar(bar) => bar.suspend(|| say(&format!("{text}\n"))),
            View::Lines { .. } | View::Notes => say(&format!("{text}\n")),
        }
    }

    /// Takes the bar away.
    pub fn close(&mut self) {
        if let View::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn words(counts: &Counts, slots: SlotUse) -> String {
    let mut words = format!("answered {}  failed {}  live {}", counts.completed, counts.failed, counts.on_progress);
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
