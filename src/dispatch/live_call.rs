//! A dialled call: carries out what its state machine asks for, and tells the machine what comes of it.

use std::sync::Arc;
use std::time::Duration;

use super::ahead::Ahead;
use super::alarm::Alarm;
use super::asked::Undone;
use super::ledger::{Fenced, Ledger};
use super::legs::{denied_leg, lost_leg};
use super::playing::Playing;
use super::roster::{Mail, Seat};
use super::shared::Shared;
use crate::callflow::Utterances;
use crate::callflow::call::{CallCommand, CallInput, CallMachine};
use crate::model::{Disposition, Happening, LegId, Phone, Timestamp, WorkerId};
use crate::ports::{Listener, TelephonyError};
use crate::telemetry::dispatch as telemetry;

/// How long to wait before asking again what was not answered.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// A dialled call.
pub struct LiveCall<'s> {
    pub(super) shared: &'s Arc<Shared>,
    pub(super) seat: Seat,
    pub(super) ledger: Ledger<'s>,
    pub(super) machine: CallMachine,
    pub(super) utterances: Utterances,
    /// Under whose name the backend reports on its legs.
    pub(super) app: WorkerId,
    pub(super) caller: Option<Phone>,
    pub(super) leg: LegId,
    commands: Vec<CallCommand>,
    /// What the backend has not done yet.
    pub(super) undone: Vec<Undone>,
    pub(super) waiting: Option<Waiting>,
    pub(super) grant: Option<Grant>,
    pub(super) playing: Option<Playing>,
    pub(super) ahead: Ahead,
    /// When to ask the backend whether the callee's leg is still there.
    doubt: Option<Timestamp>,
    alarm: Alarm,
}

/// Legs that wait for slots.
pub(super) struct Waiting {
    /// Each, and until when.
    pub legs: Vec<(LegId, Timestamp)>,
    /// When to ask again.
    pub ask_at: Timestamp,
    /// Rings when a slot may have become free.
    pub wakeups: Listener,
}

/// A slot that was granted, and when it was asked for.
#[derive(Clone, Copy)]
pub(super) struct Grant {
    pub leg: LegId,
    pub asked_at: Timestamp,
}

/// Whether a command was taken; a leg that has just gone counts as having taken it.
pub(super) enum Heard {
    Yes,
    No,
}

impl<'s> LiveCall<'s> {
    /// A call whose machine was just started or resumed.
    pub fn new(
        shared: &'s Arc<Shared>,
        seat: Seat,
        ledger: Ledger<'s>,
        machine: CallMachine,
        utterances: Utterances,
        app: WorkerId,
        caller: Option<Phone>,
    ) -> Self {
        let leg = LegId::callee(ledger.held.attempt);
        Self {
            shared,
            seat,
            ledger,
            machine,
            utterances,
            app,
            caller,
            leg,
            commands: Vec::new(),
            undone: Vec::new(),
            waiting: None,
            grant: None,
            playing: None,
            ahead: Ahead::default(),
            doubt: None,
            alarm: Alarm::default(),
        }
    }

    /// Tells the machine something before, or while, it is followed.
    pub fn tell(&mut self, input: CallInput) {
        self.note_played(&input);
        self.machine.handle(self.shared.ports.clock.now(), input);
    }

    /// Follows the flow to its end.
    ///
    /// # Errors
    /// When the call is somebody else's.
    pub async fn follow(mut self: Box<Self>) -> Result<(Ledger<'s>, Disposition), Fenced> {
        loop {
            // Boxed, as everything that is not waiting: a call mostly waits.
            if let Some(disposition) = Box::pin(self.carry_out()).await? {
                return Ok((self.ledger, disposition));
            }
            let clock = &self.shared.ports.clock;
            let deadline = self.deadline(clock.now());
            let wakeup = async {
                match &mut self.waiting {
                    Some(waiting) => {
                        waiting.wakeups.rung().await;
                        waiting.ask_at = Timestamp::default();
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                mail = self.seat.mail() => match mail {
                    Mail::Input(input) => self.tell(input),
                    Mail::SayAgain => {
                        Box::pin(self.ledger.say_again()).await?;
                    }
                    Mail::Asked(asked) => Box::pin(self.obey(*asked)).await,
                    Mail::LetGo => return Box::pin(self.let_go()).await,
                    Mail::Fenced => {
                        telemetry::fenced();
                        return Err(Fenced);
                    }
                },
                () = wakeup => {}
                () = self.alarm.rings(&**clock, deadline) => {}
            }
            Box::pin(self.on_time()).await?;
        }
    }

    /// Leaves the call to another worker, which goes on from what is stored.
    async fn let_go<T>(mut self: Box<Self>) -> Result<T, Fenced> {
        while self.ledger.is_behind() && !self.ledger.store(self.machine.state()).await? {
            self.pause().await;
        }
        Err(Fenced)
    }

    fn deadline(&self, now: Timestamp) -> Timestamp {
        let own = [
            self.machine.next_timeout(),
            self.doubt,
            self.playing.map(|playing| playing.over_at),
            self.waiting.as_ref().map(|waiting| waiting.ask_at),
            self.undone.iter().map(|undone| undone.at).min(),
            self.ledger.is_behind().then_some(now + AGAIN),
            // Past it, with the next thing that is due.
            self.surely_over_at().filter(|at| *at > now),
        ];
        own.into_iter().flatten().min().unwrap_or(now + AGAIN)
    }

    /// Tells the machine what time it is, if it waits for that.
    pub(super) fn do_overdue(&mut self) {
        let now = self.shared.ports.clock.now();
        if self.machine.next_timeout().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
        }
    }

    /// Does what is due by now.
    async fn on_time(&mut self) -> Result<(), Fenced> {
        self.hear_of_answers().await;
        self.do_overdue();
        let now = self.shared.ports.clock.now();
        self.miss_no_end(now);
        self.end_what_is_surely_over(now).await;
        if self.doubt.is_some_and(|at| at <= now) {
            self.doubt = match self.shared.ports.telephony.inspect(self.leg).await {
                Ok(None) => {
                    self.tell(CallInput::Ended(lost_leg()));
                    None
                }
                Ok(Some(_)) => None,
                Err(_) => Some(now + AGAIN),
            };
        }
        if self.waiting.as_ref().is_some_and(|waiting| waiting.ask_at <= now) {
            self.ask_for_slots().await?;
        }
        self.do_undone(now).await
    }

    /// Carries out everything the machine asks for; answers with the disposition when the attempt is over.
    async fn carry_out(&mut self) -> Result<Option<Disposition>, Fenced> {
        // Once a turn: an unanswering store is not asked without a pause. Never before the machine's commands are taken
        // out, for its state would be stored ahead of what led to it.
        let mut late = self.ledger.is_behind();
        loop {
            let mut commands = std::mem::take(&mut self.commands);
            let now = self.shared.ports.clock.now();
            let (mut fresh, mut over, mut binding) = (false, None, false);
            while let Some(command) = self.machine.next_command() {
                match command {
                    CallCommand::Record(what) => {
                        self.ledger.note(now, what);
                        fresh = true;
                        continue;
                    }
                    CallCommand::Finish(disposition) => over = Some(disposition),
                    // An adopter must know that a leg waits in line; what waits no longer leaves it by what is stored.
                    CallCommand::AcquireSlot { .. } | CallCommand::ReleaseSlot { .. } => fresh = true,
                    // For whoever is called in beside the flow nobody waits.
                    CallCommand::DialLeg { leg, .. } => binding |= self.machine.state().waits_for(leg),
                    CallCommand::BlindTransfer { .. } => binding = true,
                    _ => {}
                }
                commands.push(command);
            }
            if commands.is_empty() && !fresh && !late {
                self.give_answers(true);
                self.commands = commands;
                return Ok(None);
            }
            if let (Some(_), Some(url)) = (&over, self.ledger.recording()) {
                self.ledger.note(now, Happening::RecordingStopped { url });
            }
            // What ends the attempt is stored with its end, in one write.
            if (std::mem::take(&mut late) || fresh) && over.is_none() {
                while !self.ledger.store(self.machine.state()).await? && binding {
                    let clock = &self.shared.ports.clock;
                    clock.sleep_until(clock.now() + AGAIN).await;
                }
            }
            let is_stored = !self.ledger.is_behind();
            self.give_answers(false);
            for command in commands.drain(..) {
                match command {
                    // Whoever is not written down is not dialled.
                    CallCommand::DialLeg { leg, .. } if !is_stored && !self.machine.state().waits_for(leg) => {
                        self.tell(CallInput::LegEnded { leg, end: denied_leg() });
                    }
                    command => self.execute(command).await?,
                }
            }
            self.give_answers(true);
            self.commands = commands;
            if over.is_some() {
                return Ok(over);
            }
        }
    }

    async fn execute(&mut self, command: CallCommand) -> Result<(), Fenced> {
        let shared = self.shared;
        let (telephony, leg) = (&shared.ports.telephony, self.leg);
        match command {
            CallCommand::Record(_) | CallCommand::Finish(_) => {}
            CallCommand::Play { playback, message, expects_key } => {
                let played = self.play(playback, message, expects_key).await?;
                if let Heard::No = played {
                    self.tell(CallInput::PlaybackFinished { playback, played: false });
                }
            }
            CallCommand::StopPlayback { playback } => {
                self.playing = None;
                let sent = telephony.stop_playback(leg, playback, self.authority().await?).await;
                self.heard(sent);
            }
            CallCommand::DetectMachine { wait_for_beep } => {
                let sent = telephony.detect_machine(leg, wait_for_beep, self.authority().await?).await;
                self.heard(sent);
            }
            CallCommand::StartRecording | CallCommand::ResumeRecording => self.set_recording(true).await?,
            CallCommand::StopRecording => self.set_recording(false).await?,
            CallCommand::PauseRecording => self.pause_recording().await?,
            CallCommand::AcquireSlot { leg } => self.acquire_slot(leg).await?,
            // The state that was stored before this does not name the leg.
            CallCommand::ReleaseSlot { leg } => self.waits_no_more(leg),
            CallCommand::DialLeg { leg, target, caller, ring_timeout } => {
                self.dial_leg(leg, target, caller, ring_timeout).await?
            }
            CallCommand::Bridge { leg: other } => self.bridge(other).await?,
            CallCommand::ListenIn { leg, whispers_to } => self.listen_in(leg, whispers_to).await?,
            CallCommand::HangUpLeg { leg } => {
                self.listens_no_more(leg);
                let sent = telephony.hang_up(leg, self.authority().await?).await;
                if sent == Err(TelephonyError::NoSuchLeg) {
                    self.tell(CallInput::LegEnded { leg, end: lost_leg() });
                }
            }
            CallCommand::BlindTransfer { leg, target } => self.blind_transfer(leg, &target).await?,
            CallCommand::RecordOptOut => self.opt_out().await,
            CallCommand::HangUp => {
                let sent = telephony.hang_up(leg, self.authority().await?).await;
                self.heard(sent);
            }
        }
        Ok(())
    }

    /// Until when commands may be given: as a rule at once.
    pub(super) async fn authority(&mut self) -> Result<Timestamp, Fenced> {
        let until = self.seat.authority(&self.shared.fence, &*self.shared.ports.clock).await;
        if self.seat.is_lost() { Err(Fenced) } else { Ok(until) }
    }

    pub(super) fn heard(&mut self, sent: Result<(), TelephonyError>) -> Heard {
        match sent {
            Ok(()) => Heard::Yes,
            Err(TelephonyError::NoSuchLeg) => {
                // Its end is in the mail as a rule, and the machine learns of it there; if not, the backend knows.
                self.doubt = Some(self.shared.ports.clock.now() + AGAIN);
                Heard::Yes
            }
            Err(error) => {
                tracing::debug!(leg = %self.leg, %error, "a command was not carried out");
                Heard::No
            }
        }
    }

    /// Tells the machine what is in the mail already; whether something of this kind was.
    pub(super) fn read_mail(&mut self, looked_for: impl Fn(&CallInput) -> bool) -> Result<bool, Fenced> {
        let mut found = false;
        while let Some(mail) = self.seat.mail_at_hand() {
            match mail {
                Mail::Input(input) => {
                    found |= looked_for(&input);
                    self.tell(input);
                }
                // The next checkpoint or renewal finds out again.
                Mail::SayAgain => {}
                Mail::Asked(asked) => self.obey_at_once(*asked),
                Mail::LetGo | Mail::Fenced => return Err(Fenced),
            }
        }
        Ok(found)
    }

    pub(super) async fn pause(&mut self) {
        let clock = &self.shared.ports.clock;
        clock.sleep_until(clock.now() + AGAIN).await;
    }

    /// Whether recording was turned on or off, and where it is kept.
    pub(super) async fn record(&mut self, on: bool) -> Result<(Heard, Option<Box<str>>), Fenced> {
        loop {
            let until = self.authority().await?;
            let sent = self.shared.ports.telephony.record(self.leg, &self.leg.to_string(), on, until).await;
            if sent != Err(TelephonyError::TooLate) {
                let place = sent.as_ref().ok().cloned().flatten();
                return Ok((self.heard(sent.map(drop)), place));
            }
        }
    }

    async fn opt_out(&mut self) {
        let Some(phone) = self.ledger.context.destination.number.phone() else { return };
        let ports = &self.shared.ports;
        let organisation = &self.ledger.held.organisation;
        // The call itself tells of it. Unanswered, the machine asks again.
        if ports.store.block_number(organisation, phone, None).await.is_ok() {
            self.tell(CallInput::OptOutRecorded);
        }
    }
}
