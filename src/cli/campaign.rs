//! Running one request with everything in this process: what `run` and `demo` have in common.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use super::documents::not_over;
use super::exit::say;
use super::flow::FlowLibrary;
use super::numbers::NetworkArgs;
use super::outcome::Outcome;
use super::progress::{Progress, Shown};
use super::report;
use super::status_document::{self, Shared};
use super::{Exit, Failure, Terminal, values};
use crate::daemon::{Embedded, EmbeddedError, EmbeddedSettings, Ending, EventSink, InterfaceSettings, Pace};
use crate::model::status::RequestSummary;
use crate::model::{Organisation, OrganisationId, RequestStatus};
use crate::shutdown::Interrupts;

/// How a request is run.
#[derive(Debug, Args)]
pub struct CampaignArgs {
    /// The organisation that calls.
    #[arg(long, default_value = "default", value_parser = values::organisation)]
    pub org: OrganisationId,
    /// Slots of the organisation: its concurrent calls, those of other applications included.
    #[arg(long, allow_negative_numbers = true, default_value_t = 6, value_name = "SLOTS", value_parser = values::whole(1..=1_000_000_u32))]
    pub limit: u32,
    /// Slots that other applications hold all the time.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0, value_name = "SLOTS", value_parser = values::whole(0..=1_000_000_u32))]
    pub external: u32,
    /// New calls a second, at most.
    #[arg(long, allow_negative_numbers = true, value_name = "CALLS", value_parser = values::whole(1..=1_000_000_u32))]
    pub rate: Option<u32>,
    /// Workers that share the work.
    #[arg(long, allow_negative_numbers = true, default_value_t = 1, value_name = "N", value_parser = values::whole(1..=64_u32))]
    pub workers: u32,
    /// Let no time pass: virtual time jumps to whatever comes next, and begins on 2026-01-05 at 09:00 UTC.
    #[arg(long, conflicts_with = "speed")]
    pub instant: bool,
    /// Let time pass so many times as fast, 0.001 to 100000.
    #[arg(long, allow_negative_numbers = true, value_name = "TIMES", value_parser = values::number(0.001..=100_000.0))]
    pub speed: Option<f64>,
    /// Write every event as it is published, a CloudEvent a line; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    #[command(flatten)]
    pub flows: FlowLibrary,
    #[command(flatten)]
    pub network: NetworkArgs,
}

impl CampaignArgs {
    /// How fast time goes.
    pub fn pace(&self, default: Pace) -> Pace {
        match (self.instant, self.speed) {
            (true, _) => Pace::Instant,
            (false, Some(speed)) => Pace::Times(speed),
            (false, None) => default,
        }
    }

    fn settings(
        &self,
        pace: Pace,
        sinks: Vec<EventSink>,
        interface: Option<InterfaceSettings>,
    ) -> Result<EmbeddedSettings, Failure> {
        Ok(EmbeddedSettings {
            organisation: self.org.clone(),
            rules: Organisation { limit: self.limit, calls_per_second: self.rate, ..Organisation::default() },
            external: self.external,
            network: self.network.settings()?,
            pace,
            workers: self.workers,
            flows: self.flows.catalogue()?,
            sinks,
            interface,
        })
    }
}

/// A request and everything that it takes to run it.
pub struct Campaign {
    embedded: Embedded,
    log: Option<EventLog>,
    interrupts: Interrupts,
    pace: Pace,
    json: bool,
}

impl Campaign {
    /// Puts everything together; nothing runs yet.
    pub fn new(
        args: &CampaignArgs,
        pace: Pace,
        json: bool,
        interface: Option<InterfaceSettings>,
    ) -> Result<Self, Failure> {
        if args.external >= args.limit {
            return Err(Failure::usage(format!(
                "other applications hold {} of {} slots: no call would ever be made (see --limit and --external)",
                args.external, args.limit
            )));
        }
        if let (Some(events), Some(network)) = (args.events.as_deref(), args.network.file_read()) {
            not_over(events, network, "the network's settings")?;
        }
        let log = args.events.as_deref().map(|path| EventLog::create(path, json, pace != Pace::Instant)).transpose()?;
        let settings = args.settings(pace, log.iter().map(EventLog::sink).collect(), interface)?;
        let embedded = Embedded::new(settings).map_err(failure)?;
        let interrupts = Interrupts::listen();
        let interrupts = interrupts.map_err(|error| Failure::Internal(format!("signals cannot be heard: {error}")))?;
        Ok(Self { embedded, log, interrupts, pace, json })
    }

    /// Where the interface over HTTP is, if there is one.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.embedded.address()
    }

    /// Runs a request to its end and tells what became of it.
    pub fn run(&mut self, request: &Path, name: &str, terminal: &Terminal) -> Result<Exit, Failure> {
        let shown = if self.json { Shown::Notes } else { Shown::Progress };
        let progress = Progress::start(self.embedded.glimpse(), self.interrupts.clone(), self.pace, shown, terminal);
        let ending = self.embedded.run(request, &self.interrupts);
        drop(progress);
        let log_closed = self.log.take().map_or(Ok(()), EventLog::close);
        let summary = match ending.map_err(failure)? {
            Ending::Stopped => {
                let summary = self.embedded.glimpse().look().map(|(summary, _)| summary);
                say(&format!("{}\n", stopped(summary)));
                return Ok(Exit::Interrupted);
            }
            Ending::Refused(summary) => return Err(Failure::rejected(name, summary)),
            Ending::AtRest(summary) => summary,
        };
        log_closed?;
        tell(&self.embedded, &summary, self.json, terminal)?;
        Ok(exit_of(summary.status))
    }

    /// Goes on for those who ask over HTTP, if there is an interface, until interrupted.
    pub fn stay(&mut self) -> Result<(), Failure> {
        if self.address().is_some() && !self.json && !self.interrupts.soft.is_cancelled() {
            say("\nThe interface goes on until Ctrl-C.\n");
        }
        self.embedded.stay(&self.interrupts).map_err(failure)
    }
}

/// What a request's last status answers.
pub fn exit_of(status: RequestStatus) -> Exit {
    match status {
        RequestStatus::Completed => Exit::Completed,
        RequestStatus::Submitted
        | RequestStatus::Scheduled
        | RequestStatus::OnProgress
        | RequestStatus::Paused
        | RequestStatus::Cancelled
        | RequestStatus::Expired
        | RequestStatus::Failed => Exit::EndedOtherwise,
    }
}

/// What is left of a request that was stopped at once.
fn stopped(summary: Option<RequestSummary>) -> String {
    let Some(RequestSummary { counts, total, .. }) = summary else {
        return "interrupted before the request was accepted: nothing was dialled".to_owned();
    };
    let waiting = counts.queued + counts.retry_scheduled;
    let (live, ended) = (counts.on_progress, total.saturating_sub(counts.on_progress + waiting));
    let cancelled = match counts.cancelled {
        0 => String::new(),
        cancelled => format!(" ({cancelled} of them cancelled undialled)"),
    };
    let cut = if live == 1 { "1 live call was cut off".to_owned() } else { format!("{live} live calls were cut off") };
    format!(
        "interrupted again: ended at once; of {total} calls {ended} had ended{cancelled}, {cut}, {waiting} still waited"
    )
}

fn tell(embedded: &Embedded, summary: &RequestSummary, json: bool, terminal: &Terminal) -> Result<(), Failure> {
    let accepted = embedded.accepted().map_err(failure)?;
    let Some(campaign) = accepted else { return Err(Failure::Internal("the request is gone".to_owned())) };
    if json {
        let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
        let steps = Arc::clone(&campaign.program.labels);
        let shared = Shared { header: campaign.header, steps, queued_at: campaign.queued_at };
        return status_document::write(&mut out, summary, Some(&shared), embedded.pages(), None);
    }
    let mut outcome = Outcome::of(&campaign.program);
    for page in embedded.pages() {
        for call in page.map_err(|error| Failure::Internal(error.to_string()))? {
            outcome.add(&call);
        }
    }
    io::stdout().lock().write_all(report::in_words(summary, &outcome, terminal.on_stdout).as_bytes())?;
    Ok(())
}

fn failure(error: EmbeddedError) -> Failure {
    match error {
        EmbeddedError::Speed(error) => Failure::usage(format!("--speed: {error}")),
        EmbeddedError::Interface(error) => Failure::usage(format!("--listen: {error}")),
        other => Failure::Internal(other.to_string()),
    }
}

/// Every event, a line each.
struct EventLog {
    shown: String,
    out: Arc<Mutex<Pen>>,
}

/// What writes, and the first thing that went wrong with it.
struct Pen {
    out: BufWriter<Box<dyn Write + Send>>,
    line: Vec<u8>,
    broken: Option<io::Error>,
    /// Somebody may read along: nothing is kept back.
    live: bool,
}

impl EventLog {
    fn create(path: &Path, json: bool, live: bool) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let to_stdout = path.as_os_str() == "-";
        let shown = if to_stdout { "stdout".to_owned() } else { shown };
        if to_stdout && json {
            return Err(Failure::usage("--events - and --json both write to stdout: give the events a file"));
        }
        let out: Box<dyn Write + Send> = if to_stdout {
            Box::new(io::stdout())
        } else {
            Box::new(File::create(path).map_err(|error| Failure::unwritable(&shown, &error))?)
        };
        let pen = Pen { out: BufWriter::with_capacity(1 << 20, out), line: Vec::new(), broken: None, live };
        Ok(Self { shown, out: Arc::new(Mutex::new(pen)) })
    }

    fn sink(&self) -> EventSink {
        let out = Arc::clone(&self.out);
        Arc::new(move |event| {
            let mut pen = out.lock().unwrap_or_else(PoisonError::into_inner);
            let Pen { out, line, broken, live } = &mut *pen;
            if broken.is_some() {
                return;
            }
            line.clear();
            let written = serde_json::to_writer(&mut *line, event).map_err(io::Error::from);
            line.push(b'\n');
            let written = written.and_then(|()| out.write_all(line));
            *broken = written.and_then(|()| if *live { out.flush() } else { Ok(()) }).err();
        })
    }

    /// Lets the last of it out.
    fn close(self) -> Result<(), Failure> {
        let mut pen = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = match pen.broken.take() {
            Some(error) => Err(error),
            None => pen.out.flush(),
        };
        ended.map_err(|error| Failure::unwritten(&self.shown, &error))
    }
}
