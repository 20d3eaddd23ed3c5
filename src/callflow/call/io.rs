//! What goes into a call and what comes out of it.

use std::time::Duration;

use crate::callflow::program::{Digit, MessageIndex, Target};
use crate::model::{AnsweredBy, Disposition, Happening, LegId, Phone};
use crate::policy::disposition::LegEnd;

/// What happened, as far as one attempt is concerned.
#[derive(Clone, Debug, PartialEq)]
pub enum CallInput {
    /// The callee's phone rings.
    Ringing,
    /// The callee's leg is up.
    Answered,
    /// The callee pressed a key.
    Digit(Digit),
    /// A playback came to its end: by itself, because it was stopped, or because it could not be played.
    PlaybackFinished {
        /// Which one.
        playback: u32,
        /// False when it could not be played.
        played: bool,
    },
    /// Machine detection has an answer.
    PartyDetected(AnsweredBy),
    /// The answering machine's beep is over.
    BeepHeard,
    /// The slot that was asked for is held now.
    SlotGranted {
        /// The leg it is for.
        leg: LegId,
    },
    /// The number is on the do-not-call list now.
    OptOutRecorded,
    /// The other leg was answered.
    LegAnswered {
        /// Which one.
        leg: LegId,
    },
    /// The other leg is gone, or never came about.
    LegEnded {
        /// Which one.
        leg: LegId,
        /// What the backend said of it.
        end: LegEnd,
    },
    /// The callee's leg is gone. [`CallCommand::Finish`] follows as soon as nothing else is outstanding: a second leg
    /// that must be gone first, because its slot is held until then, or a number on its way to the do-not-call list.
    Ended(LegEnd),
    /// Somebody wants the call to end.
    HangUpRequested,
    /// Another worker has taken the call over: its commands may not have been carried out. To be handed in first
    /// after [`resume`](super::CallMachine::resume).
    Adopted,
}

/// What is to be done next, in order.
///
/// After an adoption any command but [`DialLeg`](CallCommand::DialLeg) and
/// [`BlindTransfer`](CallCommand::BlindTransfer) may come again although it was carried out before; carrying it out
/// twice must do no more than once.
#[derive(Clone, Debug, PartialEq)]
pub enum CallCommand {
    /// Write down that this happened, together with the state, before carrying out what follows.
    Record(Happening),
    /// Play a message to the callee; [`CallInput::PlaybackFinished`] follows.
    Play {
        /// A number for this playback, never used before in the attempt.
        playback: u32,
        /// What to play.
        message: MessageIndex,
        /// Whether the message asks for a key.
        expects_key: bool,
    },
    /// Stop a playback.
    StopPlayback {
        /// Which one.
        playback: u32,
    },
    /// Find out who picked up; [`CallInput::PartyDetected`] follows, and [`CallInput::BeepHeard`] if asked for.
    DetectMachine {
        /// Whether to wait for the beep of a machine.
        wait_for_beep: bool,
    },
    /// Record the callee's leg from now on.
    StartRecording,
    /// Leave out what comes now: something sensitive is keyed in.
    PauseRecording,
    /// Go on recording.
    ResumeRecording,
    /// Record no more: what comes now, or at all if nothing is being recorded.
    StopRecording,
    /// Ask for a slot for a leg other than the callee's until [`CallInput::SlotGranted`] comes or it is released.
    AcquireSlot {
        /// The leg it is for.
        leg: LegId,
    },
    /// Give back, or stop waiting for, a slot: storing the state does, which does not name the leg
    /// any more.
    ReleaseSlot {
        /// The leg it was for.
        leg: LegId,
    },
    /// Dial a second leg, or a third party's, once; [`CallInput::LegAnswered`] or [`CallInput::LegEnded`] follows.
    DialLeg {
        /// The leg.
        leg: LegId,
        /// Whom to dial.
        target: Target,
        /// The number to show, if not the one that the callee saw.
        caller: Option<Phone>,
        /// How long it may ring.
        ring_timeout: Duration,
    },
    /// Let a leg talk with the callee, and with whoever else does.
    Bridge {
        /// The leg.
        leg: LegId,
    },
    /// Let a leg hear the call, and be heard by one leg at most.
    ListenIn {
        /// The leg.
        leg: LegId,
        /// Who hears it.
        whispers_to: Option<LegId>,
    },
    /// Hang a leg other than the callee's up; [`CallInput::LegEnded`] follows, with [`LegEnd::lost`] if the backend does
    /// not know it. Comes again until then.
    HangUpLeg {
        /// The leg.
        leg: LegId,
    },
    /// Hand the callee's leg to the backend; [`CallInput::LegAnswered`] or [`CallInput::LegEnded`] tells of `leg`.
    BlindTransfer {
        /// The name under which the backend's answer comes.
        leg: LegId,
        /// Whom to hand it to.
        target: Target,
    },
    /// Write the callee's number on the do-not-call list durably; [`CallInput::OptOutRecorded`] follows. Comes again
    /// until then, even when the callee is gone.
    RecordOptOut,
    /// Hang the callee's leg up; [`CallInput::Ended`] follows, with [`LegEnd::lost`] if the backend does not know it.
    /// Comes again until then.
    HangUp,
    /// The attempt is over: settle it.
    Finish(Disposition),
}
