//! The machine as its driver sees it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::invitation::{Invitation, Refusal};
use super::leg::RING_MARGIN;
use super::moment::Moment;
use super::state::{Ledger, Phase};
use super::third_party::ThirdParties;
use super::turn::Turn;
use super::{CallCommand, CallInput, CallState};
use crate::callflow::program::{MessageIndex, Program, StepIndex, Target, TransferKind};
use crate::model::{AttemptId, Happening, LegId, MachineDetection, RequestHeader, Timestamp};

/// What a request lays down for each of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTerms {
    /// How long the callee's phone may ring.
    pub ring_timeout: Duration,
    /// How long the call may last from its answer, bridges included.
    pub max_call_duration: Duration,
    /// What to do about answering machines.
    pub machine_detection: MachineDetection,
    /// Whether the call is recorded from the answer on.
    pub recording: bool,
}

impl From<&RequestHeader> for CallTerms {
    fn from(header: &RequestHeader) -> Self {
        Self {
            ring_timeout: header.ring_timeout,
            max_call_duration: header.max_call_duration,
            machine_detection: header.machine_detection,
            recording: header.recording,
        }
    }
}

/// One attempt.
///
/// After each [`handle`](Self::handle), [`handle_timeout`](Self::handle_timeout), [`start`](Self::start) and
/// [`resume`](Self::resume) the driver takes commands out until there are none; only then does
/// [`state`](Self::state) mean anything. The state has to be stored where a command is
/// [`Record`](CallCommand::Record), [`AcquireSlot`](CallCommand::AcquireSlot),
/// [`ReleaseSlot`](CallCommand::ReleaseSlot) or [`Finish`](CallCommand::Finish), and after an
/// [`Adopted`](CallInput::Adopted), before any of these commands is carried out; what happens between two such states
/// costs at most a repeated prompt when it is lost.
#[derive(Debug)]
pub struct CallMachine {
    program: Arc<Program>,
    terms: CallTerms,
    state: CallState,
    commands: VecDeque<CallCommand>,
}

impl CallMachine {
    /// An attempt whose dial was committed to just now; that it was is written down elsewhere.
    pub fn start(program: Arc<Program>, terms: CallTerms, attempt: AttemptId, now: Timestamp) -> Self {
        let ledger = Ledger {
            attempt,
            rang: false,
            asked: None,
            limit: None,
            deadline: now + terms.ring_timeout + RING_MARGIN,
            playback: 0,
            legs: 0,
            leg: None,
            opt_out: false,
        };
        let state = CallState {
            ledger,
            phase: Phase::Dialing,
            third_parties: ThirdParties::default(),
            recording: None,
            blind: None,
        };
        Self { program, terms, state, commands: VecDeque::new() }
    }

    /// An attempt that was stored before. If another worker owned it, [`CallInput::Adopted`] comes next, before any
    /// time-out. A state that does not belong to the program ends the call.
    pub fn resume(program: Arc<Program>, terms: CallTerms, state: CallState, now: Timestamp) -> Self {
        let mut machine = Self { program, terms, state, commands: VecDeque::new() };
        machine.at(now).check();
        machine
    }

    /// Something happened.
    pub fn handle(&mut self, now: Timestamp, input: CallInput) {
        self.at(now).handle(input);
    }

    /// Calls somebody into the call, or gives whoever is there another session: answers with their leg.
    /// [`Record`](CallCommand::Record) follows, as with everything that was asked for from outside.
    ///
    /// # Errors
    /// When that cannot be now.
    pub fn invite(&mut self, now: Timestamp, invitation: Invitation) -> Result<LegId, Refusal> {
        self.at(now).invite(invitation)
    }

    /// Transfers the callee to somebody, beside whatever the flow does until they answer; a blind transfer ends the flow as
    /// soon as it begins. Answers with their leg.
    ///
    /// # Errors
    /// When that cannot be now.
    pub fn transfer(&mut self, now: Timestamp, target: Target, kind: TransferKind) -> Result<LegId, Refusal> {
        self.at(now).transfer(target, kind)
    }

    /// Ends a third party's session, and nothing else: answers with their leg, if there is one that is meant.
    pub fn dismiss(&mut self, now: Timestamp, is_meant: impl Fn(LegId, &Target) -> bool) -> Option<LegId> {
        self.at(now).dismiss(is_meant)
    }

    /// Turns recording on or off.
    ///
    /// # Errors
    /// When that cannot be now.
    pub fn set_recording(&mut self, now: Timestamp, on: bool) -> Result<(), Refusal> {
        self.at(now).set_recording(on)
    }

    /// Writes down that a command from outside was carried out: [`Happening::CommandExecuted`].
    pub fn note_command(&mut self, command: Happening) {
        self.commands.push_back(CallCommand::Record(command));
    }

    /// Time has passed. Does nothing before [`next_timeout`](Self::next_timeout).
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.at(now).handle_timeout();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest; none once the call is finished,
    /// and only then.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let Ledger { deadline, limit, .. } = &self.state.ledger;
        let own = match &self.state.phase {
            Phase::Finished(_) => None,
            Phase::Ending { .. } => Some(*deadline),
            Phase::Dialing | Phase::Detecting | Phase::AwaitingBeep | Phase::Step(..) | Phase::HandedOver => {
                Some(limit.map_or(*deadline, |limit| limit.min(*deadline)))
            }
        };
        own.map(|own| self.state.third_parties.deadline().map_or(own, |theirs| own.min(theirs)))
    }

    /// Whether something is to be done.
    pub fn has_commands(&self) -> bool {
        !self.commands.is_empty()
    }

    /// What is to be recorded, of what is to be done.
    pub fn to_be_recorded(&self) -> impl Iterator<Item = &Happening> {
        self.commands.iter().filter_map(|command| match command {
            CallCommand::Record(what) => Some(what),
            _ => None,
        })
    }

    /// What is to be done next, in order.
    pub fn next_command(&mut self) -> Option<CallCommand> {
        self.commands.pop_front()
    }

    /// The state to be stored, once all commands have been taken out.
    pub const fn state(&self) -> &CallState {
        &self.state
    }

    /// Whether [`CallCommand::Finish`] has been given out, or will be once the commands are taken out.
    pub const fn is_finished(&self) -> bool {
        matches!(self.state.phase, Phase::Finished(_))
    }

    /// The step that is going on, if one is.
    pub const fn step(&self) -> Option<StepIndex> {
        match self.state.phase {
            Phase::Step(step, _) => Some(step),
            _ => None,
        }
    }

    /// The messages that may be heard after the step that is going on.
    pub fn next_messages(&self) -> Vec<MessageIndex> {
        self.step().map(|step| self.program.next_messages(step)).unwrap_or_default()
    }

    /// What the attempt is doing, for logs.
    pub fn phase_name(&self) -> &'static str {
        self.state.phase_name()
    }

    fn at(&mut self, now: Timestamp) -> Moment<'_> {
        Moment {
            phase: &mut self.state.phase,
            turn: Turn {
                now,
                program: &self.program,
                terms: &self.terms,
                ledger: &mut self.state.ledger,
                third_parties: &mut self.state.third_parties,
                recording: &mut self.state.recording,
                blind: &mut self.state.blind,
                commands: &mut self.commands,
            },
        }
    }
}
