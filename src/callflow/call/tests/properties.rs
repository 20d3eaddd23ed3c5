//! Whatever comes in, in whatever order, to whatever flow: the promises hold.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What a hostile world does to a call.
#[derive(Clone, Debug)]
enum Op {
    Input(CallInput),
    /// The playback begun last ends.
    LastPlayback {
        played: bool,
    },
    /// The backend does what the last hang-ups asked for.
    Comply,
    /// The machine is woken at its deadline.
    Deadline,
    /// Time passes, or a clock is put back.
    Wait {
        millis: i64,
    },
    /// The worker dies, with or without having carried out its last commands; another takes over.
    Crash {
        after_secs: u64,
    },
    /// The state is stored and read back, nothing else.
    Reread,
    /// Somebody is called in.
    Invite(Invitation),
    /// Whoever came under this name is sent away.
    Dismiss(LegId),
    Record(bool),
}

fn any_leg() -> impl Strategy<Value = LegId> {
    (0..4_u16, 0..3_usize).prop_map(|(ordinal, role)| {
        let role = [LegRole::Transfer, LegRole::Participant, LegRole::Supervisor][role];
        LegId { attempt: attempt(), role, ordinal }
    })
}

fn any_invitation() -> impl Strategy<Value = Invitation> {
    let session = proptest::sample::select(vec![SessionType::Monitor, SessionType::Coaching, SessionType::BargeIn]);
    let target = proptest::sample::select(vec!["+6512345670", "2000", "2001"]);
    (any::<bool>(), target, session).prop_map(|(supervises, target, session)| Invitation {
        role: if supervises { LegRole::Supervisor } else { LegRole::Participant },
        target: super::transfer(target).target,
        caller: None,
        session,
    })
}

fn any_end() -> impl Strategy<Value = LegEnd> {
    let code =
        prop_oneof![Just((0, 0)), Just((16, 0)), Just((17, 486)), Just((19, 480)), Just((21, 603)), Just((1, 404))];
    (code, any::<bool>()).prop_map(|((cause, sip), lost)| if lost { LOST } else { end(cause, sip) })
}

fn any_key() -> impl Strategy<Value = CallInput> {
    proptest::sample::select(vec!['1', '2', '9', '#']).prop_map(digit)
}

fn any_op() -> impl Strategy<Value = Op> {
    let party = proptest::sample::select(vec![AnsweredBy::Human, AnsweredBy::Machine, AnsweredBy::Unknown]);
    let rare = prop_oneof![
        Just(CallInput::Ringing),
        Just(CallInput::BeepHeard),
        party.prop_map(CallInput::PartyDetected),
        (0..9_u32, any::<bool>()).prop_map(|(playback, played)| CallInput::PlaybackFinished { playback, played }),
        any_end().prop_map(CallInput::Ended),
        Just(CallInput::HangUpRequested),
    ];
    prop_oneof![
        2 => rare.prop_map(Op::Input),
        2 => Just(Op::Input(CallInput::Answered)),
        4 => any_key().prop_map(Op::Input),
        2 => any_leg().prop_map(|leg| Op::Input(CallInput::SlotGranted { leg })),
        2 => any_leg().prop_map(|leg| Op::Input(CallInput::LegAnswered { leg })),
        2 => (any_leg(), any_end()).prop_map(|(leg, end)| Op::Input(CallInput::LegEnded { leg, end })),
        1 => Just(Op::Input(CallInput::OptOutRecorded)),
        8 => prop::bool::weighted(0.9).prop_map(|played| Op::LastPlayback { played }),
        1 => Just(Op::Comply),
        3 => Just(Op::Deadline),
        2 => (-500..20_000_i64).prop_map(|millis| Op::Wait { millis }),
        1 => (0..90_u64).prop_map(|after_secs| Op::Crash { after_secs }),
        1 => Just(Op::Reread),
        3 => any_invitation().prop_map(Op::Invite),
        1 => any_leg().prop_map(Op::Dismiss),
        1 => any::<bool>().prop_map(Op::Record),
    ]
}

/// Any step, its successors anywhere, even where there is none.
fn any_step() -> impl Strategy<Value = Step> {
    let step = || 0..7_u16;
    let gather = (1..4_u32, step(), proptest::option::of(step()), any::<bool>()).prop_map(
        |(tries, branch, default, sensitive)| {
            Action::Gather(Gather { tries, default, sensitive, ..super::gather(1, branch) })
        },
    );
    let target = proptest::sample::select(vec!["+6512345678", "1000"]);
    let transfer = (target, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(target, blind, told, goes_on)| {
        Action::Transfer(Transfer {
            kind: if blind { TransferKind::Blind } else { TransferKind::Attended },
            message: told.then_some(2),
            on_failure: if goes_on { OnFailure::Continue } else { OnFailure::Hangup },
            ..super::transfer(target)
        })
    });
    let action = prop_oneof![
        3 => Just(Action::Play { message: 0 }),
        3 => gather,
        3 => transfer,
        1 => Just(Action::Hangup),
        1 => proptest::option::of(Just(3)).prop_map(|message| Action::OptOut { message }),
    ];
    (action, proptest::option::weighted(0.8, step())).prop_map(|(action, next)| Step { action, next })
}

fn any_terms() -> impl Strategy<Value = CallTerms> {
    let modes = [
        MachineDetection::Off,
        MachineDetection::Off,
        MachineDetection::Hangup,
        MachineDetection::Continue,
        MachineDetection::WaitForBeep,
    ];
    (proptest::sample::select(modes.to_vec()), any::<bool>(), 20..600_u64).prop_map(
        |(machine_detection, recording, secs)| CallTerms {
            machine_detection,
            recording,
            max_call_duration: Duration::from_secs(secs),
            ..TERMS
        },
    )
}

/// A driver that believes nothing.
struct World {
    program: Arc<Program>,
    terms: CallTerms,
    machine: CallMachine,
    now: Timestamp,
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
    hang_ups: Vec<CallInput>,
}

impl World {
    fn new(steps: Vec<Step>, terms: CallTerms) -> Self {
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
            playbacks: BTreeSet::new(),
            added: BTreeSet::new(),
            dialled: BTreeSet::new(),
            live: BTreeSet::new(),
            slots: BTreeSet::new(),
            hang_ups: Vec::new(),
        }
    }

    fn apply(&mut self, op: &Op) {
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
                let invited = self.machine.invite(self.now, invitation.clone());
                let under_way = self.open_step.is_some() || self.machine.phase_name() == "handedOver";
                assert!(invited.is_err() || under_way, "{invited:?}");
                if invited.is_ok() {
                    // What was obeyed is stored.
                    self.machine.note_command("supervise", "c");
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
                    self.machine.note_command("record", "c");
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
            }
            CallCommand::HangUpLeg { leg } => self.hang_ups.push(CallInput::LegEnded { leg: *leg, end: LOST }),
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
            Happening::LegFailed { leg, .. } => assert!(self.added.contains(leg) || leg.role.is_third_party()),
            Happening::LegRemoved { leg } => assert!(self.added.contains(leg)),
            Happening::OptedOut => assert!(std::mem::take(&mut self.opt_out)),
            _ => {}
        }
    }

    /// The backend does as it is told from now on: the call must come to its end.
    fn run_out(&mut self) {
        self.apply(&Op::Input(CallInput::HangUpRequested));
        for _ in 0..4 {
            self.apply(&Op::Deadline);
            self.apply(&Op::Comply);
        }
        assert!(self.machine.is_finished() && self.finished, "{}", self.machine.phase_name());
    }
}

/// Calls that are answered early, so that most of them get somewhere.
fn any_ops() -> impl Strategy<Value = Vec<Op>> {
    (any::<bool>(), vec(any_op(), 0..60)).prop_map(|(soon, mut ops)| {
        if soon {
            ops.insert(0, Op::Input(CallInput::Answered));
        }
        ops
    })
}

proptest! {
    #[test]
    fn every_promise_holds_in_a_hostile_world(
        steps in vec(any_step(), 1..6), terms in any_terms(), ops in any_ops(),
    ) {
        let mut world = World::new(steps, terms);
        for op in &ops {
            world.apply(op);
        }
        world.run_out();
    }

    #[test]
    fn storing_and_reading_the_state_changes_nothing(
        steps in vec(any_step(), 1..6), terms in any_terms(), ops in any_ops(),
    ) {
        let (mut plain, mut reread) = (World::new(steps.clone(), terms), World::new(steps, terms));
        for op in &ops {
            plain.apply(op);
            reread.apply(&Op::Reread);
            reread.apply(op);
            prop_assert_eq!(plain.machine.state(), reread.machine.state());
            prop_assert_eq!(&plain.hang_ups, &reread.hang_ups);
        }
    }

    #[test]
    fn states_from_elsewhere_do_no_harm(
        mine in vec(any_step(), 0..4), theirs in vec(any_step(), 1..6), terms in any_terms(), ops in any_ops(),
        more in any_ops(),
    ) {
        let mut world = World::new(theirs, terms);
        for op in &ops {
            world.apply(op);
        }
        let state = world.machine.state().clone();
        let mut stranger = CallMachine::resume(Arc::new(program(mine)), terms, state, world.now);
        for op in &more {
            if let Op::Input(input) = op {
                stranger.handle(world.now, input.clone());
            }
            if let Some(deadline) = stranger.next_timeout() {
                world.now = world.now.max(deadline);
                stranger.handle_timeout(world.now);
            }
            while stranger.next_command().is_some() {}
            prop_assert_eq!(stranger.next_timeout().is_none(), stranger.is_finished());
        }
    }
}
