//! A driver of calls in a hostile world: it believes nothing, and checks every command.

use std::collections::BTreeSet;

use super::properties::Op;
use super::*;

/// A driver that believes nothing.
pub(super) struct World {
    program: Arc<Program>,
    terms: CallTerms,
    pub machine: CallMachine,
    pub now: Timestamp,
    /// What a store would have.
    stored: Vec<u8>,
    open_step: Option<u16>,
    finished: bool,
    rang: bool,
    answered: bool,
    paused: bool,
    /// Whether the call is to be recorded.
    wanted: bool,
    recorded: bool,
    joined: BTreeSet<LegId>,
    playbacks: BTreeSet<u32>,
    added: BTreeSet<LegId>,
    dialled: BTreeSet<LegId>,
    live: BTreeSet<LegId>,
    slots: BTreeSet<LegId>,
    opt_out: bool,
    /// Transfers asked for from outside.
    wished: BTreeSet<LegId>,
    /// Legs that were hung up.
    leaving: BTreeSet<LegId>,
    /// With whom the backend alone joins the callee.
    handed_over: Option<LegId>,
    pub hang_ups: Vec<CallInput>,
}

fn command(name: &str) -> Happening {
    Happening::CommandExecuted { command: name.into(), id: "c".into(), actor: None, digest: 0 }
}

impl World {
    pub fn new(steps: Vec<Step>, terms: CallTerms) -> Self {
        let (program, now) = (Arc::new(program(steps)), Timestamp::VIRTUAL_START);
        let machine = CallMachine::start(Arc::clone(&program), terms, attempt(), now);
        let stored = postcard::to_allocvec(machine.state()).unwrap();
        World {
            program,
            terms,
            machine,
            now,
            stored,
            open_step: None,
            finished: false,
            rang: false,
            answered: false,
            paused: false,
            wanted: terms.recording,
            recorded: false,
            joined: BTreeSet::new(),
            opt_out: false,
            wished: BTreeSet::new(),
            leaving: BTreeSet::new(),
            handed_over: None,
            playbacks: BTreeSet::new(),
            added: BTreeSet::new(),
            dialled: BTreeSet::new(),
            live: BTreeSet::new(),
            slots: BTreeSet::new(),
            hang_ups: Vec::new(),
        }
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Input(input) => self.input(input.clone()),
            Op::LastPlayback { played } => {
                if let Some(playback) = self.playbacks.last() {
                    self.input(CallInput::PlaybackFinished { playback: *playback, played: *played });
                }
            }
            Op::Comply => {
                for input in std::mem::take(&mut self.hang_ups) {
                    self.input(input);
                }
            }
            Op::Deadline => {
                if let Some(deadline) = self.machine.next_timeout() {
                    self.now = self.now.max(deadline);
                    self.machine.handle_timeout(self.now);
                    self.drain();
                    let again = self.machine.next_timeout();
                    assert!(
                        again.is_none_or(|again| again > deadline || again > self.now),
                        "a deadline passed moves on"
                    );
                }
            }
            Op::Wait { millis } => self.now = Timestamp::from_millis(self.now.as_millis() + millis),
            Op::Crash { after_secs } => {
                self.now = self.now + Duration::from_secs(*after_secs);
                let state = postcard::from_bytes(&self.stored).unwrap();
                self.machine = CallMachine::resume(Arc::clone(&self.program), self.terms, state, self.now);
                assert_eq!(self.machine.next_command(), None, "nothing is due before the adoption");
                // A dead worker may not have settled what it finished.
                self.finished = false;
                self.input(CallInput::Adopted);
                self.stored = postcard::to_allocvec(self.machine.state()).unwrap();
            }
            Op::Invite(invitation) => {
                // As it is before: the last who talked may be asked to listen only, and with that the call ends.
                let under_way = self.open_step.is_some() || self.machine.phase_name() == "handedOver";
                let invited = self.machine.invite(self.now, invitation.clone());
                assert!(invited.is_err() || under_way, "{invited:?}");
                if invited.is_ok() {
                    // What was obeyed is stored.
                    self.machine.note_command(command("supervise"));
                }
                self.drain();
            }
            Op::Transfer(target, kind) => {
                let under_way = self.open_step.is_some() || self.machine.phase_name() == "handedOver";
                let rings = |leg: &LegId| leg.role == LegRole::Transfer && !self.joined.contains(leg);
                let rings = self.live.iter().any(|leg| rings(leg) && !self.leaving.contains(leg));
                let transferred = self.machine.transfer(self.now, target.clone(), *kind);
                if let Ok(leg) = transferred {
                    assert!(under_way && !rings && self.handed_over.is_none(), "{leg} beside {:?}", self.live);
                    assert!(self.wished.insert(leg), "{leg} is another's name");
                    self.machine.note_command(command("transfer"));
                }
                self.drain();
            }
            Op::Dismiss(leg) => {
                self.machine.dismiss(self.now, |theirs, _| theirs == *leg);
                self.drain();
            }
            Op::Record(on) => {
                if self.machine.set_recording(self.now, *on).is_ok() {
                    self.wanted = *on;
                    self.machine.note_command(command("record"));
                }
                self.drain();
            }
            Op::Reread => {
                let stored = postcard::to_allocvec(self.machine.state()).unwrap();
                let state = postcard::from_bytes(&stored).unwrap();
                self.machine = CallMachine::resume(Arc::clone(&self.program), self.terms, state, self.now);
                self.drain();
            }
        }
    }

    fn input(&mut self, input: CallInput) {
        if let CallInput::LegEnded { leg, .. } = input {
            self.live.remove(&leg);
            self.handed_over.take_if(|other| *other == leg);
        }
        self.machine.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let (mut count, mut store) = (0, false);
        while let Some(command) = self.machine.next_command() {
            assert!(!self.finished, "nothing after the end: {command:?}");
            store |=
                matches!(command, CallCommand::Record(_) | CallCommand::AcquireSlot { .. } | CallCommand::Finish(_));
            self.check(&command);
            count += 1;
        }
        assert!(count <= 40, "{count} commands at once");
        assert_eq!(self.machine.next_timeout().is_none(), self.machine.is_finished());
        if store {
            self.stored = postcard::to_allocvec(self.machine.state()).unwrap();
        }
    }

    fn check(&mut self, command: &CallCommand) {
        match command {
            CallCommand::Record(what) => self.check_fact(what),
            CallCommand::Play { playback, expects_key, message } => {
                assert!(self.playbacks.insert(*playback), "#{playback} twice");
                assert!(usize::from(*message) < self.program.messages.len());
                let step = self.open_step.and_then(|step| self.program.steps.get(usize::from(step))).unwrap();
                let sensitive = matches!(&step.action, Action::Gather(gather) if gather.sensitive);
                assert_eq!(*expects_key, matches!(step.action, Action::Gather(_)));
                assert!(!(sensitive && self.recorded && !self.paused), "a secret is recorded");
                assert!(sensitive || self.wanted == (self.recorded && !self.paused), "what is recorded");
            }
            CallCommand::StartRecording | CallCommand::ResumeRecording => {
                (self.recorded, self.paused) = (true, false);
            }
            CallCommand::PauseRecording => self.paused = true,
            CallCommand::StopRecording => self.recorded = false,
            CallCommand::AcquireSlot { leg } => {
                self.slots.insert(*leg);
            }
            CallCommand::ReleaseSlot { leg } => {
                assert!(!self.live.contains(leg), "{leg} still holds its slot");
                assert!(self.slots.remove(leg), "{leg} released twice");
            }
            CallCommand::DialLeg { leg, target, .. } | CallCommand::BlindTransfer { leg, target } => {
                assert!(self.added.contains(leg), "{leg} was not written down");
                assert!(self.dialled.insert(*leg), "{leg} dialled twice");
                assert!(!target.needs_slot(leg.role) || self.slots.contains(leg), "{leg} without a slot");
                self.live.insert(*leg);
                if let CallCommand::BlindTransfer { .. } = command {
                    self.handed_over = Some(*leg);
                    let stays = |other: &&LegId| other.role == LegRole::Transfer && *other != leg;
                    let stays = self.live.iter().filter(stays).find(|other| !self.leaving.contains(other));
                    assert_eq!(stays, None, "the callee is handed over to {leg}");
                }
            }
            CallCommand::HangUpLeg { leg } => {
                self.leaving.insert(*leg);
                self.handed_over.take_if(|other| other == leg);
                self.hang_ups.push(CallInput::LegEnded { leg: *leg, end: LOST });
            }
            CallCommand::RecordOptOut => {
                self.opt_out = true;
                self.hang_ups.push(CallInput::OptOutRecorded);
            }
            CallCommand::HangUp => self.hang_ups.push(CallInput::Ended(LOST)),
            CallCommand::Finish(disposition) => {
                self.finished = true;
                assert_eq!(self.open_step, None, "a step is still open");
                assert_eq!(disposition.result == DispositionResult::Answered, self.answered);
                assert!(self.slots.is_empty() && self.live.is_empty(), "a leg is left behind");
            }
            CallCommand::Bridge { leg } | CallCommand::ListenIn { leg, whispers_to: None } => {
                assert!(self.joined.contains(leg), "{leg} was not answered");
                if leg.role == LegRole::Transfer {
                    assert_eq!(self.talks_with(*leg), None, "beside {leg}");
                }
            }
            CallCommand::ListenIn { leg, whispers_to: Some(to) } => {
                assert!(self.joined.contains(leg) && self.joined.contains(to), "{leg} whispers to {to}");
                assert!(to.role != LegRole::Supervisor && leg.role.is_third_party(), "{leg} whispers to {to}");
            }
            CallCommand::StopPlayback { .. } | CallCommand::DetectMachine { .. } => {}
        }
    }

    fn check_fact(&mut self, what: &Happening) {
        match what {
            Happening::Ringing => assert!(!std::mem::replace(&mut self.rang, true) && !self.answered),
            Happening::Answered => assert!(!std::mem::replace(&mut self.answered, true)),
            Happening::StepStarted { step } => assert_eq!(self.open_step.replace(*step), None),
            Happening::StepFinished { step, keys, .. } => {
                assert_eq!(self.open_step.take(), Some(*step));
                let action = &self.program.steps[usize::from(*step)].action;
                assert_eq!(keys.is_some(), matches!(action, Action::Gather(gather) if !gather.sensitive));
            }
            Happening::LegAdded { leg, .. } => assert!(self.added.insert(*leg)),
            Happening::LegAnswered { leg } => assert!(self.added.contains(leg) && self.joined.insert(*leg)),
            Happening::LegFailed { leg, .. } => {
                let beside = leg.role.is_third_party() || self.wished.contains(leg);
                assert!(self.added.contains(leg) || beside);
            }
            Happening::LegRemoved { leg } => assert!(self.added.contains(leg)),
            Happening::OptedOut => assert!(std::mem::take(&mut self.opt_out)),
            _ => {}
        }
    }

    /// Whom the callee was transferred to besides this one, and who was not told to leave.
    fn talks_with(&self, leg: LegId) -> Option<LegId> {
        let stays = |other: &&LegId| self.joined.contains(other) && !self.leaving.contains(other);
        let targets = self.live.iter().filter(|other| other.role == LegRole::Transfer && **other != leg);
        targets.copied().find(|other| stays(&other))
    }

    /// The backend does as it is told from now on: the call must come to its end.
    pub fn run_out(&mut self) {
        self.apply(&Op::Input(CallInput::HangUpRequested));
        for _ in 0..4 {
            self.apply(&Op::Deadline);
            self.apply(&Op::Comply);
        }
        assert!(self.machine.is_finished() && self.finished, "{}", self.machine.phase_name());
    }
}
