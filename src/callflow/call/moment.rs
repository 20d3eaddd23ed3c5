//! How an attempt goes from phase to phase.

use std::time::Duration;

use super::state::Phase;
use super::{CallCommand, CallInput, LegEnd, Turn};
use crate::callflow::program::{Action, StepIndex};
use crate::callflow::step::{After, Begun, OPT_OUT_AGAIN, Outcome, StepState};
use crate::model::{AnsweredBy, Happening, MachineDetection, StepStatus};
use crate::policy::disposition::{Asked, Seen, classify};

/// How long machine detection may take before nobody knows who picked up.
const DETECTION: Duration = Duration::from_secs(10);

/// How long a machine may talk before its beep.
const BEEP: Duration = Duration::from_secs(30);

/// How often a callee's leg that does not go is hung up again.
const HANG_UP_AGAIN: Duration = Duration::from_secs(10);

/// How long after the call's limit an opt-out is still tried once the callee is gone; then the slot goes first.
const OPT_OUT_PATIENCE: Duration = Duration::from_secs(60);

/// The backend ends a call at its limit by itself, and gives no reason; its clock is not ours.
const LIMIT_TOLERANCE: Duration = Duration::from_secs(2);

/// An attempt at the moment of one event.
pub(super) struct Moment<'a> {
    pub phase: &'a mut Phase,
    pub turn: Turn<'a>,
}

impl Moment<'_> {
    pub fn handle(&mut self, input: CallInput) {
        match input {
            CallInput::Ringing => self.ringing(),
            CallInput::Answered => self.answered(),
            CallInput::PartyDetected(party) => self.detected(party),
            CallInput::BeepHeard => self.beep_heard(),
            CallInput::Ended(end) => self.ended(end),
            CallInput::HangUpRequested => self.hang_up(Asked::Requested),
            CallInput::Adopted => self.adopted(),
            CallInput::SlotGranted { leg } | CallInput::LegAnswered { leg } if self.turn.third_parties.has(leg) => {
                self.third_party_comes(&input, leg);
            }
            CallInput::LegEnded { leg, end } if self.turn.third_parties.has(leg) => self.third_party_ended(leg, end),
            CallInput::LegEnded { leg, end } if !matches!(self.phase, Phase::Step(..)) => {
                if self.turn.leg_ended(leg, end).is_some() {
                    // A blind transfer's conversation is over, or the last of an ending call is gone.
                    self.flow_is_over();
                    self.settle();
                }
            }
            CallInput::OptOutRecorded if matches!(self.phase, Phase::HandedOver | Phase::Ending { .. }) => {
                if std::mem::take(&mut self.turn.ledger.opt_out) {
                    self.turn.record(Happening::OptedOut);
                    self.settle();
                }
            }
            CallInput::Digit(_)
            | CallInput::PlaybackFinished { .. }
            | CallInput::SlotGranted { .. }
            | CallInput::OptOutRecorded
            | CallInput::LegAnswered { .. }
            | CallInput::LegEnded { .. } => {
                self.in_step(|state, turn, action| state.handle(turn, action, &input));
            }
        }
    }

    pub fn handle_timeout(&mut self) {
        let now = self.turn.now;
        if self.turn.third_parties_overdue() {
            self.end_if_nobody_talks();
        }
        match self.phase {
            Phase::Finished(_) => return,
            Phase::Ending { gone } => {
                if now < self.turn.ledger.deadline {
                    return;
                }
                let given_up = self.turn.ledger.limit.is_none_or(|limit| now >= limit + OPT_OUT_PATIENCE);
                if gone.is_some() && given_up {
                    self.turn.ledger.opt_out = false;
                }
                self.ask_again();
                return self.settle();
            }
            Phase::Dialing | Phase::Detecting | Phase::AwaitingBeep | Phase::Step(..) | Phase::HandedOver => {}
        }
        if self.turn.ledger.limit.is_some_and(|limit| now >= limit) {
            return self.hang_up(Asked::Limit);
        }
        if now < self.turn.ledger.deadline {
            return;
        }
        match self.phase {
            Phase::Dialing => self.hang_up(Asked::RingTimeout),
            Phase::Detecting => self.detected(AnsweredBy::Unknown),
            Phase::AwaitingBeep => self.enter(0),
            Phase::Step(..) => self.in_step(StepState::handle_timeout),
            Phase::HandedOver if self.has_loose_ends() => self.ask_again(),
            // From now on bounded by the call's limit alone.
            Phase::HandedOver if self.is_answered() => self.stay(),
            Phase::HandedOver => self.hang_up(Asked::Limit),
            Phase::Ending { .. } | Phase::Finished(_) => {}
        }
    }

    /// Ends the call if its stored state does not belong to the program.
    pub fn check(&mut self) {
        if let Phase::Step(index, state) = &*self.phase {
            let step = self.turn.program.steps.get(usize::from(*index));
            if !step.is_some_and(|step| state.belongs_to(&step.action)) {
                let index = *index;
                self.leave(index, Outcome::end(StepStatus::ErrorInternal));
            }
        }
    }

    fn is_answered(&self) -> bool {
        self.turn.ledger.limit.is_some()
    }

    /// Whether the callee's leg may still tell us something.
    fn is_up(&self) -> bool {
        !matches!(self.phase, Phase::Ending { gone: Some(_) } | Phase::Finished(_))
    }

    fn ringing(&mut self) {
        if self.is_up() && !self.is_answered() && !self.turn.ledger.rang {
            self.turn.ledger.rang = true;
            self.turn.record(Happening::Ringing);
        }
    }

    fn answered(&mut self) {
        if !self.is_up() || self.is_answered() {
            return;
        }
        let terms = self.turn.terms;
        self.turn.ledger.limit = Some(self.turn.now + terms.max_call_duration);
        self.turn.record(Happening::Answered);
        if let Phase::Ending { .. } = self.phase {
            // Picked up while we were hanging up: they were reached, and that is all.
            return;
        }
        if self.turn.records() {
            self.turn.push(CallCommand::StartRecording);
        }
        if terms.machine_detection == MachineDetection::Off {
            self.enter(0);
        } else {
            *self.phase = Phase::Detecting;
            self.detect();
            self.turn.wait(DETECTION);
        }
    }

    fn detect(&mut self) {
        let wait_for_beep = self.turn.terms.machine_detection == MachineDetection::WaitForBeep;
        self.turn.push(CallCommand::DetectMachine { wait_for_beep });
    }

    fn detected(&mut self, party: AnsweredBy) {
        if !matches!(self.phase, Phase::Detecting) {
            return;
        }
        self.turn.record(Happening::PartyDetected(party));
        match (party, self.turn.terms.machine_detection) {
            (AnsweredBy::Machine, MachineDetection::Hangup) => self.hang_up(Asked::Flow),
            (AnsweredBy::Machine, MachineDetection::WaitForBeep) => {
                *self.phase = Phase::AwaitingBeep;
                self.turn.wait(BEEP);
            }
            (AnsweredBy::Machine, MachineDetection::Off | MachineDetection::Continue)
            | (AnsweredBy::Human | AnsweredBy::Unknown, _) => self.enter(0),
        }
    }

    fn beep_heard(&mut self) {
        match self.phase {
            Phase::AwaitingBeep => self.enter(0),
            // The beep came before the verdict, and is one.
            Phase::Detecting => {
                self.detected(AnsweredBy::Machine);
                if let Phase::AwaitingBeep = self.phase {
                    self.enter(0);
                }
            }
            Phase::Dialing | Phase::Step(..) | Phase::HandedOver | Phase::Ending { .. } | Phase::Finished(_) => {}
        }
    }

    /// Begins a step; a step that is over at once leads on to the next. The end of the flow ends the call.
    fn enter(&mut self, first: StepIndex) {
        let mut next = Some(first);
        while let Some(index) = next {
            let Some(step) = self.turn.program.steps.get(usize::from(index)) else { break };
            self.turn.record(Happening::StepStarted { step: index });
            match StepState::begin(&mut self.turn, &step.action) {
                Begun::Waits(state) => {
                    *self.phase = Phase::Step(index, state);
                    return;
                }
                Begun::Over(outcome) => next = self.finish_step(index, outcome).next(step.next),
            }
        }
        self.flow_is_over();
    }

    /// Lets the step that is going on do something, and goes on if it is over then.
    fn in_step(&mut self, act: impl FnOnce(&mut StepState, &mut Turn<'_>, &Action) -> Option<Outcome>) {
        let Phase::Step(index, state) = &mut *self.phase else { return };
        let Some(step) = self.turn.program.steps.get(usize::from(*index)) else { return };
        if let Some(outcome) = act(state, &mut self.turn, &step.action) {
            let index = *index;
            self.leave(index, outcome);
        }
    }

    fn leave(&mut self, index: StepIndex, outcome: Outcome) {
        let follows = self.turn.program.steps.get(usize::from(index)).and_then(|step| step.next);
        let after = self.finish_step(index, outcome);
        match (after, after.next(follows)) {
            (After::HandOver, _) => *self.phase = Phase::HandedOver,
            (_, Some(next)) => self.enter(next),
            (_, None) => self.flow_is_over(),
        }
    }

    fn finish_step(&mut self, step: StepIndex, outcome: Outcome) -> After {
        let Outcome { status, keys, transfer, after } = outcome;
        self.turn.record(Happening::StepFinished { step, status, keys, transfer });
        after
    }

    /// Ends the step that is going on from outside.
    pub(super) fn interrupt(&mut self) {
        if let Phase::Step(index, state) = &mut *self.phase {
            let (index, outcome) = (*index, state.interrupt(&self.turn));
            self.finish_step(index, outcome);
        }
    }

    fn hang_up(&mut self, asked: Asked) {
        if let Phase::Ending { .. } | Phase::Finished(_) = self.phase {
            return;
        }
        self.interrupt();
        self.end(asked);
    }

    /// Ends the call; the step that was going on is over.
    pub(super) fn end(&mut self, asked: Asked) {
        self.close_others();
        self.turn.ledger.asked = Some(asked);
        *self.phase = Phase::Ending { gone: None };
        self.turn.push(CallCommand::HangUp);
        self.bound_ending();
    }

    fn ended(&mut self, end: LegEnd) {
        if !self.is_up() {
            return;
        }
        self.interrupt();
        self.close_others();
        let ledger = &self.turn.ledger;
        let limit_reached = ledger.limit.is_some_and(|limit| self.turn.now + LIMIT_TOLERANCE >= limit);
        let by_limit = (limit_reached && end.by.is_none()).then_some(Asked::Limit);
        let seen = Seen { rang: ledger.rang, answered: ledger.limit.is_some(), asked: ledger.asked.or(by_limit) };
        *self.phase = Phase::Ending { gone: Some(classify(seen, end)) };
        self.bound_ending();
        self.settle();
    }

    /// Finishes an ending call once nothing is outstanding.
    pub(super) fn settle(&mut self) {
        if let Phase::Ending { gone: Some(disposition) } = *self.phase
            && self.turn.ledger.leg.is_none()
            && self.turn.third_parties.is_empty()
            && !self.turn.ledger.opt_out
        {
            *self.phase = Phase::Finished(disposition);
            self.turn.push(CallCommand::Finish(disposition));
        }
    }

    pub(super) fn bound_ending(&mut self) {
        self.turn.wait(if self.turn.ledger.opt_out { OPT_OUT_AGAIN } else { HANG_UP_AGAIN });
    }

    /// Asks once more for everything that an ending call, or one whose flow is over, still waits for.
    fn ask_again(&mut self) {
        if let Phase::Ending { gone: None } = self.phase {
            self.turn.push(CallCommand::HangUp);
        }
        self.turn.hang_up_leg();
        if self.turn.ledger.opt_out {
            self.turn.push(CallCommand::RecordOptOut);
        }
        self.bound_ending();
    }

    /// Another worker owns the call now: whatever the phase needs is asked for again.
    fn adopted(&mut self) {
        let played = self.turn.skip_playbacks();
        let ending = matches!(self.phase, Phase::Ending { .. } | Phase::Finished(_));
        if !ending && self.turn.ledger.limit.is_some_and(|limit| self.turn.now >= limit) {
            // Its time ran out while nobody owned it: no prompt is worth beginning.
            return self.hang_up(Asked::Limit);
        }
        self.turn.resume_third_parties();
        match self.phase {
            Phase::Finished(disposition) => self.turn.push(CallCommand::Finish(*disposition)),
            Phase::Ending { .. } => {
                self.ask_again();
                self.settle();
            }
            Phase::Dialing => self.turn.wait_on(),
            Phase::Detecting => {
                self.resume_recording();
                self.detect();
                self.turn.wait(DETECTION);
            }
            Phase::AwaitingBeep => {
                self.resume_recording();
                self.detect();
                self.turn.wait_on();
            }
            Phase::HandedOver => {
                self.resume_recording();
                if let Some(playback) = played {
                    // The flow may have been cut short, and what it played go on.
                    self.turn.push(CallCommand::StopPlayback { playback });
                }
                if self.has_loose_ends() {
                    self.ask_again();
                }
            }
            Phase::Step(..) => {
                self.resume_recording();
                self.in_step(|state, turn, action| {
                    state.resume(turn, action);
                    None
                });
            }
        }
    }

    /// The last owner may have died between the state and the commands about the recording.
    fn resume_recording(&mut self) {
        if !self.turn.records() {
            if *self.turn.recording == Some(false) {
                self.turn.push(CallCommand::StopRecording);
                if self.is_secret() {
                    self.turn.push(CallCommand::PauseRecording);
                }
            }
            return;
        }
        let paused = self.is_secret();
        self.turn.push(CallCommand::StartRecording);
        self.turn.push(if paused { CallCommand::PauseRecording } else { CallCommand::ResumeRecording });
    }

    /// Whether something is keyed in now that nobody may keep.
    pub(super) fn is_secret(&self) -> bool {
        match &*self.phase {
            Phase::Step(index, state) => {
                let step = self.turn.program.steps.get(usize::from(*index));
                step.is_some_and(|step| state.is_sensitive(&step.action))
            }
            Phase::Dialing
            | Phase::Detecting
            | Phase::AwaitingBeep
            | Phase::HandedOver
            | Phase::Ending { .. }
            | Phase::Finished(_) => false,
        }
    }
}
