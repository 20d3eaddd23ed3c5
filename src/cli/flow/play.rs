//! `robocall flow play`: be the callee, without a telephone and without waiting.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures_util::FutureExt as _;
use serde::Serialize;

use super::transcript::Line;
use super::{Properties, prepared};
use crate::callflow::call::{CallCommand, CallInput, CallMachine, CallTerms, LegEnd};
use crate::callflow::program::{Action, Digit, Utterance};
use crate::callflow::{Program, Utterances};
use crate::cli::documents::Input;
use crate::cli::exit::say;
use crate::cli::{Exit, Failure, Terminal};
use crate::daemon;
use crate::model::{AnsweredBy, AttemptId, CallId, Disposition, Happening, LegId, MachineDetection, Party, Timestamp};
use crate::ports::Speech;

/// Be the callee: hear what is said, press keys.
///
/// Without --keys, it asks for each key: a digit, * or #; nothing lets the time pass; h hangs up.
#[derive(Debug, Args)]
pub struct PlayArgs {
    /// A flow, or a whole request; `-` is stdin.
    file: String,
    /// What the callee does each time a key is asked for, such as `1,timeout,0,hangup`; then nothing more is pressed.
    #[arg(long, value_delimiter = ',', value_name = "KEY,…")]
    keys: Option<Vec<Reply>>,
    #[command(flatten)]
    properties: Properties,
    /// What becomes of transfers.
    #[arg(long, value_enum, default_value_t = TransferEnd::Answered)]
    transfer: TransferEnd,
    /// Play what an answering machine gets to hear.
    #[arg(long)]
    machine: bool,
}

/// What becomes of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TransferEnd {
    /// Somebody picks up, and talks for a minute.
    Answered,
    /// The line is engaged.
    Busy,
    /// Nobody picks up.
    Unanswered,
}

/// What the callee does when a key is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Presses it.
    Key(Digit),
    /// Nothing.
    Timeout,
    /// Hangs up.
    HangUp,
}

impl std::str::FromStr for Reply {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut characters = text.chars();
        match (text, characters.next().and_then(Digit::new), characters.next()) {
            ("timeout" | "t" | "", _, _) => Ok(Self::Timeout),
            ("hangup" | "h", _, _) => Ok(Self::HangUp),
            (_, Some(digit), None) => Ok(Self::Key(digit)),
            _ => Err("must be 0-9, *, #, timeout or hangup".to_owned()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Played<'a> {
    transcript: &'a [Line],
    disposition: Option<Disposition>,
}

/// How long people talk once they are joined.
const TALK: Duration = Duration::from_secs(60);

/// No flow of 256 steps with ten tries each takes more.
const MOST_TURNS: u32 = 100_000;

/// Plays a call.
pub fn run(args: PlayArgs, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    let input = Input::open(&args.file)?;
    let (program, utterances, header) = prepared(&input, &args.properties)?;
    let terms = header.as_ref().map_or(
        CallTerms {
            ring_timeout: Duration::from_secs(30),
            max_call_duration: Duration::from_secs(600),
            machine_detection: if args.machine { MachineDetection::Continue } else { MachineDetection::Off },
            recording: false,
        },
        CallTerms::from,
    );
    let replies = match args.keys {
        Some(keys) => Replies::Scripted(keys.into()),
        None if input.is_stdin() => Replies::Scripted(VecDeque::new()),
        None => Replies::Asked { prompt: io::stdin().is_terminal() && terminal.watched },
    };
    // Told as it happens only to somebody who takes part.
    let live = !json;
    let mut player = Player::new(program, terms, utterances, replies, args.transfer, args.machine, live)?;
    player.play()?;
    if json {
        let disposition = player.ended;
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &Played { transcript: &player.lines, disposition })?;
        out.write_all(b"\n")?;
    }
    Ok(Exit::Completed)
}

enum Replies {
    Scripted(VecDeque<Reply>),
    Asked { prompt: bool },
}

impl Replies {
    fn next(&mut self) -> Result<Reply, Failure> {
        match self {
            Replies::Scripted(keys) => Ok(keys.pop_front().unwrap_or(Reply::Timeout)),
            Replies::Asked { prompt } => loop {
                if *prompt {
                    say("    your key (0-9 * #, nothing to wait, h to hang up): ");
                }
                let mut line = String::new();
                let read = io::stdin().lock().read_line(&mut line);
                if read.map_err(|error| Failure::unreadable("stdin", &error))? == 0 {
                    return Ok(Reply::HangUp);
                }
                match line.trim().parse() {
                    Ok(reply) => return Ok(reply),
                    Err(wrong) => say(&format!("    {wrong}\n")),
                }
            },
        }
    }
}

struct Player {
    machine: CallMachine,
    program: Arc<Program>,
    utterances: Utterances,
    speech: Arc<dyn Speech>,
    replies: Replies,
    transfer: TransferEnd,
    is_machine: bool,
    now: Timestamp,
    answered_at: Timestamp,
    /// What happens next, after so long.
    pending: VecDeque<(Duration, CallInput)>,
    step: usize,
    live: bool,
    lines: Vec<Line>,
    ended: Option<Disposition>,
}

impl Player {
    fn new(
        program: Arc<Program>,
        terms: CallTerms,
        utterances: Utterances,
        replies: Replies,
        transfer: TransferEnd,
        is_machine: bool,
        live: bool,
    ) -> Result<Self, Failure> {
        let name = |error: crate::model::IdError| Failure::Internal(error.to_string());
        let call = CallId::new(&"default".parse().map_err(name)?, &"play".parse().map_err(name)?, 0);
        let now = Timestamp::VIRTUAL_START;
        let machine = CallMachine::start(Arc::clone(&program), terms, AttemptId { call, claim: 1 }, now);
        let ring = (Duration::from_secs(1), CallInput::Ringing);
        let answer = (Duration::from_secs(5), CallInput::Answered);
        Ok(Self {
            machine,
            program,
            utterances,
            speech: daemon::silent_speech(),
            replies,
            transfer,
            is_machine,
            now,
            answered_at: now,
            pending: [ring, answer].into(),
            step: 0,
            live,
            lines: Vec::new(),
            ended: None,
        })
    }

    fn play(&mut self) -> Result<(), Failure> {
        for _ in 0..MOST_TURNS {
            match self.pending.pop_front() {
                Some((after, input)) => {
                    // What would come after the machine's own deadline comes too late.
                    let at = self.now + after;
                    match self.machine.next_timeout().filter(|deadline| *deadline <= at && !after.is_zero()) {
                        Some(deadline) if !matches!(input, CallInput::Ended(_)) => {
                            self.now = self.now.max(deadline);
                            self.pending.push_front((at.since(self.now), input));
                            self.machine.handle_timeout(self.now);
                        }
                        _ => {
                            self.now = at;
                            self.machine.handle(self.now, input);
                        }
                    }
                }
                None => {
                    let Some(deadline) = self.machine.next_timeout() else { return Ok(()) };
                    self.now = self.now.max(deadline);
                    self.machine.handle_timeout(self.now);
                }
            }
            while let Some(command) = self.machine.next_command() {
                self.obey(command)?;
            }
            if self.ended.is_some() {
                return Ok(());
            }
        }
        Err(Failure::Internal("the call does not come to an end".to_owned()))
    }

    fn line(&mut self, line: Line) -> Result<(), Failure> {
        if self.live {
            let mut out = io::stdout().lock();
            writeln!(out, "{line}")?;
            out.flush()?;
        }
        self.lines.push(line);
        Ok(())
    }

    fn soon(&mut self, input: CallInput) {
        self.pending.push_back((Duration::ZERO, input));
    }

    fn obey(&mut self, command: CallCommand) -> Result<(), Failure> {
        match command {
            CallCommand::Record(happening) => self.record(happening)?,
            CallCommand::Play { playback, message, expects_key } => {
                self.pending.clear();
                let utterance = self.utterances.get(message).cloned();
                let length = utterance.as_ref().map_or(Duration::ZERO, |utterance| self.length_of(utterance));
                match utterance {
                    Some(Utterance::Text { text, .. }) => self.line(Line::Says { text: (&*text).into() })?,
                    Some(Utterance::Media(media)) => self.line(Line::Plays { media: (&*media).into() })?,
                    None => {}
                }
                let heard = (length, CallInput::PlaybackFinished { playback, played: true });
                if expects_key { self.reply(heard)? } else { self.pending.push_back(heard) }
            }
            CallCommand::StopPlayback { playback } => self.soon(CallInput::PlaybackFinished { playback, played: true }),
            CallCommand::DetectMachine { wait_for_beep } => {
                let found = if self.is_machine { AnsweredBy::Machine } else { AnsweredBy::Human };
                self.soon(CallInput::PartyDetected(found));
                if wait_for_beep && self.is_machine {
                    self.pending.push_back((Duration::from_secs(6), CallInput::BeepHeard));
                }
            }
            CallCommand::StartRecording | CallCommand::ResumeRecording => self.line(Line::Recording { on: true })?,
            CallCommand::PauseRecording | CallCommand::StopRecording => self.line(Line::Recording { on: false })?,
            CallCommand::AcquireSlot { leg } => self.soon(CallInput::SlotGranted { leg }),
            CallCommand::ReleaseSlot { .. } => {}
            CallCommand::DialLeg { leg, .. } | CallCommand::BlindTransfer { leg, .. } => self.dial(leg),
            CallCommand::Bridge { .. } | CallCommand::ListenIn { .. } => {}
            CallCommand::HangUpLeg { leg } => self.soon(CallInput::LegEnded { leg, end: gone(Party::Us, 16, None) }),
            CallCommand::RecordOptOut => self.soon(CallInput::OptOutRecorded),
            CallCommand::HangUp => {
                self.pending.clear();
                self.soon(CallInput::Ended(gone(Party::Us, 16, None)));
            }
            CallCommand::Finish(disposition) => {
                self.ended = Some(disposition);
                let seconds = self.now.since(self.answered_at).as_secs();
                self.line(Line::Ended { disposition, seconds })?;
            }
        }
        Ok(())
    }

    fn length_of(&self, utterance: &Utterance) -> Duration {
        // Silence is ready at once; what could not be spoken was refused before the call began.
        let audio = self.speech.prepare(utterance).now_or_never();
        audio.and_then(Result::ok).map_or(Duration::ZERO, |audio| audio.length)
    }

    fn reply(&mut self, heard: (Duration, CallInput)) -> Result<(), Failure> {
        let hidden = matches!(self.program.steps.get(self.step).map(|step| &step.action), Some(Action::Gather(gather)) if gather.sensitive);
        match if self.is_machine { Reply::Timeout } else { self.replies.next()? } {
            Reply::Key(digit) => {
                self.line(Line::Key { key: if hidden { '*' } else { digit.as_char() } })?;
                self.pending.push_back(heard);
                self.pending.push_back((Duration::from_secs(1), CallInput::Digit(digit)));
            }
            Reply::Timeout => {
                self.line(Line::NoKey)?;
                self.pending.push_back(heard);
            }
            Reply::HangUp => {
                self.line(Line::CalleeHangsUp)?;
                self.pending.push_back((Duration::from_secs(1), CallInput::Ended(gone(Party::Callee, 16, None))));
            }
        }
        Ok(())
    }

    fn dial(&mut self, leg: LegId) {
        let after = Duration::from_secs(3);
        match self.transfer {
            TransferEnd::Answered => {
                self.pending.push_back((after, CallInput::LegAnswered { leg }));
                self.pending.push_back((TALK, CallInput::LegEnded { leg, end: gone(Party::Callee, 16, None) }));
            }
            TransferEnd::Busy => {
                self.pending.push_back((after, CallInput::LegEnded { leg, end: gone(Party::Callee, 17, Some(486)) }));
            }
            // It rings until the flow gives up, or for a blind transfer the backend does.
            TransferEnd::Unanswered => {
                let end = gone(Party::Network, 19, Some(480));
                self.pending.push_back((Duration::from_secs(121), CallInput::LegEnded { leg, end }));
            }
        }
    }

    fn record(&mut self, happening: Happening) -> Result<(), Failure> {
        match happening {
            Happening::Answered => {
                self.answered_at = self.now;
                self.line(Line::Answered)
            }
            Happening::StepStarted { step } => {
                self.step = usize::from(step);
                let label = self.program.labels.get(self.step).cloned();
                label.map_or(Ok(()), |label| self.line(Line::Step { name: label.name, path: label.path }))
            }
            Happening::StepFinished { status, .. } => self.line(Line::Done { status }),
            Happening::LegAdded { dest, .. } => self.line(Line::Dials { dest: (*dest).into() }),
            Happening::LegAnswered { .. } => self.line(Line::Joined),
            Happening::LegFailed { disposition, .. } => self.line(Line::NotReached { result: disposition.result }),
            Happening::OptedOut => self.line(Line::OptedOut),
            Happening::Dialing { .. }
            | Happening::Ringing
            | Happening::PartyDetected(_)
            | Happening::LegRemoved { .. }
            | Happening::RecordingStarted { .. }
            | Happening::RecordingStopped { .. }
            | Happening::Adopted { .. }
            | Happening::CommandExecuted { .. }
            | Happening::RetryScheduled { .. }
            | Happening::Ended { .. } => Ok(()),
        }
    }
}

const fn gone(by: Party, cause: u8, sip: Option<u16>) -> LegEnd {
    LegEnd { cause: Some(cause), sip, by: Some(by), lost: false }
}
