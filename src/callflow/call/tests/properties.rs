//! Whatever comes in, in whatever order, to whatever flow: the promises hold.

use proptest::collection::vec;
use proptest::prelude::*;

use super::hostile::World;
use super::*;

/// What a hostile world does to a call.
#[derive(Clone, Debug)]
pub(super) enum Op {
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
    /// The callee is to be transferred.
    Transfer(Target, TransferKind),
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

fn any_transfer() -> impl Strategy<Value = (Target, TransferKind)> {
    let target =
        proptest::sample::select(vec!["+6512345670", "2000"]).prop_map(|target| super::transfer(target).target);
    let kind = prop_oneof![2 => Just(TransferKind::Attended), 1 => Just(TransferKind::Blind)];
    (target, kind)
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
        3 => any_transfer().prop_map(|(target, kind)| Op::Transfer(target, kind)),
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
