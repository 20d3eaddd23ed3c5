//! Calls as transcripts: what came in and when, and below it what the call wanted done.

mod adoption;
mod company;
mod dialling;
mod diverting;
mod ending;
mod gathering;
mod handing_over;
mod hostile;
mod opting_out;
mod properties;
mod transferring;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::callflow::program::*;
use crate::callflow::template::Template;
use crate::model::status::StepLabel;
use crate::model::*;

/// A call and everything it said.
struct Call {
    program: Arc<Program>,
    terms: CallTerms,
    machine: CallMachine,
    now: Timestamp,
    lines: Vec<String>,
}

const TERMS: CallTerms = CallTerms {
    ring_timeout: Duration::from_secs(30),
    max_call_duration: Duration::from_secs(600),
    machine_detection: MachineDetection::Off,
    recording: false,
};

fn attempt() -> AttemptId {
    let call = CallId::new(&"bank".parse().unwrap(), &"r".parse().unwrap(), 123_456);
    AttemptId { call, claim: 1 }
}

fn leg(ordinal: u16) -> LegId {
    LegId::transfer(attempt(), ordinal)
}

fn digit(key: char) -> CallInput {
    CallInput::Digit(Digit::new(key).unwrap())
}

fn over(playback: u32) -> CallInput {
    CallInput::PlaybackFinished { playback, played: true }
}

fn unplayable(playback: u32) -> CallInput {
    CallInput::PlaybackFinished { playback, played: false }
}

fn end(cause: u8, sip: u16) -> LegEnd {
    LegEnd { cause: Some(cause), sip: (sip > 0).then_some(sip), ..LegEnd::default() }
}

const LOST: LegEnd = LegEnd { cause: None, sip: None, by: None, lost: true };

fn ended(cause: u8, sip: u16) -> CallInput {
    CallInput::Ended(end(cause, sip))
}

fn leg_ended(ordinal: u16, cause: u8, sip: u16) -> CallInput {
    CallInput::LegEnded { leg: leg(ordinal), end: end(cause, sip) }
}

fn program(steps: Vec<Step>) -> Program {
    let voice = Voice { language: "en".into(), gender: Gender::Female, pitch: 5, rate: 5 };
    let content = || Content::Text(Template { pieces: Vec::new() });
    let message = || Message::new("callFlow".into(), content(), voice.clone().into());
    let label = |n| StepLabel { name: "play", path: format!("callFlow.steps[{n}]").into(), shows_keys: false };
    Program { labels: (0..steps.len()).map(label).collect(), messages: (0..8).map(|_| message()).collect(), steps }
}

fn play(message: MessageIndex, next: Option<StepIndex>) -> Step {
    Step { action: Action::Play { message }, next }
}

/// Asks twice: 1 leads to `branch`.
fn gather(message: MessageIndex, branch: StepIndex) -> Gather {
    Gather {
        message,
        tries: 2,
        timeout: Duration::from_secs(5),
        branches: vec![(Digit::new('1').unwrap(), branch)],
        default: None,
        sensitive: false,
    }
}

fn transfer(target: &str) -> Transfer {
    let target = match target.strip_prefix('+') {
        Some(_) => Target::External(target.parse().unwrap()),
        None => Target::Extension(target.into()),
    };
    Transfer {
        target,
        alias: None,
        kind: TransferKind::Attended,
        ring_timeout: Duration::from_secs(20),
        message: None,
        on_failure: OnFailure::Hangup,
    }
}

impl Call {
    fn of(steps: Vec<Step>) -> Self {
        Self::on(steps, TERMS)
    }

    fn on(steps: Vec<Step>, terms: CallTerms) -> Self {
        let (program, now) = (Arc::new(program(steps)), Timestamp::VIRTUAL_START);
        let machine = CallMachine::start(Arc::clone(&program), terms, attempt(), now);
        Self { program, terms, machine, now, lines: Vec::new() }
    }

    /// A call that was answered at once; the transcript begins after that.
    fn answered(steps: Vec<Step>) -> Self {
        Self::answered_on(steps, TERMS)
    }

    fn answered_on(steps: Vec<Step>, terms: CallTerms) -> Self {
        let mut call = Self::on(steps, terms);
        call.after(0.0, CallInput::Answered);
        call.lines.clear();
        call
    }

    fn after(&mut self, seconds: f64, input: CallInput) -> &mut Self {
        self.now = self.now + Duration::from_secs_f64(seconds);
        self.say(&describe(&input));
        self.machine.handle(self.now, input);
        self.drain()
    }

    /// Lets time pass until the call's deadline.
    fn expire(&mut self) -> &mut Self {
        self.now = self.machine.next_timeout().expect("a deadline").max(self.now);
        self.say("deadline");
        self.machine.handle_timeout(self.now);
        self.drain()
    }

    /// Another worker reads the stored state.
    fn adopted_after(&mut self, seconds: f64) -> &mut Self {
        let stored = postcard::to_allocvec(self.machine.state()).unwrap();
        let state = postcard::from_bytes(&stored).unwrap();
        let later = self.now + Duration::from_secs_f64(seconds);
        self.machine = CallMachine::resume(Arc::clone(&self.program), self.terms, state, later);
        self.after(seconds, CallInput::Adopted)
    }

    fn say(&mut self, what: &str) {
        let seconds = self.now.since(Timestamp::VIRTUAL_START).as_secs_f64();
        self.lines.push(format!("{seconds}s {what}"));
    }

    fn drain(&mut self) -> &mut Self {
        while let Some(command) = self.machine.next_command() {
            self.lines.push(describe_command(&command));
        }
        assert_eq!(self.machine.next_timeout().is_none(), self.machine.is_finished(), "a deadline unless finished");
        self
    }

    /// Compares the transcript so far, indentation aside, and begins a new one.
    fn reads(&mut self, expected: &str) -> &mut Self {
        let wanted: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let got = std::mem::take(&mut self.lines);
        assert!(got == wanted, "expected:\n{}\n\ngot:\n{}\n", wanted.join("\n"), got.join("\n"));
        self
    }
}

/// `callee`, `t1`, `p1`, `s1`.
fn leg_name(leg: &LegId) -> String {
    if leg.role == LegRole::Callee {
        return "callee".to_owned();
    }
    let text = leg.to_string();
    text.rsplit_once('.').map(|(_, name)| name.to_owned()).unwrap_or_default()
}

fn describe(input: &CallInput) -> String {
    match input {
        CallInput::Ringing => "ringing".into(),
        CallInput::Answered => "answered".into(),
        CallInput::Digit(key) => format!("key {key:?}"),
        CallInput::PlaybackFinished { playback, played: true } => format!("#{playback} over"),
        CallInput::PlaybackFinished { playback, played: false } => format!("#{playback} failed"),
        CallInput::PartyDetected(party) => format!("{party:?}").to_lowercase(),
        CallInput::BeepHeard => "beep".into(),
        CallInput::SlotGranted { leg } => format!("slot for {}", leg_name(leg)),
        CallInput::OptOutRecorded => "on the list".into(),
        CallInput::LegAnswered { leg } => format!("{} answered", leg_name(leg)),
        CallInput::LegEnded { leg, end } => format!("{} ended {}", leg_name(leg), describe_end(*end)),
        CallInput::Ended(end) => format!("ended {}", describe_end(*end)),
        CallInput::HangUpRequested => "hang up!".into(),
        CallInput::Adopted => "adopted".into(),
    }
}

fn describe_end(end: LegEnd) -> String {
    match (end.lost, end.cause, end.sip) {
        (true, ..) => "lost".into(),
        (false, cause, None) => cause.unwrap_or_default().to_string(),
        (false, cause, Some(sip)) => format!("{}/{sip}", cause.unwrap_or_default()),
    }
}

fn describe_command(command: &CallCommand) -> String {
    match command {
        CallCommand::Record(what) => format!("record {}", describe_fact(what)),
        CallCommand::Play { playback, message, expects_key } => {
            format!("play #{playback} message {message}{}", if *expects_key { " for a key" } else { "" })
        }
        CallCommand::StopPlayback { playback } => format!("stop #{playback}"),
        CallCommand::DetectMachine { wait_for_beep } => {
            format!("detect machine{}", if *wait_for_beep { " and beep" } else { "" })
        }
        CallCommand::StartRecording => "start recording".into(),
        CallCommand::PauseRecording => "pause recording".into(),
        CallCommand::ResumeRecording => "resume recording".into(),
        CallCommand::StopRecording => "stop recording".into(),
        CallCommand::AcquireSlot { leg } => format!("acquire slot for {}", leg_name(leg)),
        CallCommand::ReleaseSlot { leg } => format!("release slot of {}", leg_name(leg)),
        CallCommand::DialLeg { leg, target, caller: _, ring_timeout } => {
            format!("dial {} {} for {}s", leg_name(leg), target.as_dialled(), ring_timeout.as_secs())
        }
        CallCommand::Bridge { leg } => format!("bridge {}", leg_name(leg)),
        CallCommand::ListenIn { leg, whispers_to: None } => format!("{} listens in", leg_name(leg)),
        CallCommand::ListenIn { leg, whispers_to: Some(to) } => {
            format!("{} listens in and whispers to {}", leg_name(leg), leg_name(to))
        }
        CallCommand::HangUpLeg { leg } => format!("hang up {}", leg_name(leg)),
        CallCommand::BlindTransfer { leg, target } => format!("hand over to {} {}", leg_name(leg), target.as_dialled()),
        CallCommand::RecordOptOut => "put on the list".into(),
        CallCommand::HangUp => "hang up".into(),
        CallCommand::Finish(disposition) => format!("finish {}", describe_disposition(*disposition)),
    }
}

fn describe_disposition(disposition: Disposition) -> String {
    let by = disposition.by.map_or("nobody knows whom".to_owned(), |party| format!("{party:?}").to_lowercase());
    format!("{:?} by {by}", disposition.result).to_lowercase()
}

fn describe_fact(what: &Happening) -> String {
    match what {
        Happening::StepStarted { step } => format!("step {step} begins"),
        Happening::StepFinished { step, status, keys, transfer } => {
            let mut text = format!("step {step} ");
            let status = serde_json::to_string(status).unwrap();
            let _ = write!(text, "{}", status.trim_matches('"'));
            if let Some(keys) = keys {
                let _ = write!(text, " keys {keys:?}");
            }
            if let Some(transfer) = transfer {
                let _ = write!(text, " transfer {}", format!("{transfer:?}").to_lowercase());
            }
            text
        }
        Happening::LegAdded { leg, dest } => format!("{} added {dest}", leg_name(leg)),
        Happening::LegAnswered { leg } => format!("{} answered", leg_name(leg)),
        Happening::LegFailed { leg, disposition } => {
            format!("{} failed {}", leg_name(leg), describe_disposition(*disposition))
        }
        Happening::LegRemoved { leg } => format!("{} removed", leg_name(leg)),
        Happening::PartyDetected(party) => format!("{party:?}").to_lowercase(),
        other => format!("{other:?}").to_lowercase(),
    }
}
