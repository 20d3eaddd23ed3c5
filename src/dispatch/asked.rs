//! What is asked of a live call from outside and answered by the call itself: to let others in, to let them go, to record.

use tokio::sync::oneshot;

use super::ledger::Fenced;
use super::live_call::{AGAIN, Heard, LiveCall};
use crate::callflow::call::{CallInput, Invitation, Refusal};
use crate::callflow::program::Target;
use crate::model::{Happening, LegId, LegRole, Phone, Timestamp};
use crate::policy::prefix;
use crate::ports::{Command, CommandKind, CommandReply, SessionName, TelephonyError};

/// How often a backend that does not answer is asked to record no more, or to let somebody listen in.
const TRIES: u32 = 10;

/// A command on its way to a call, and the way back.
#[derive(Debug)]
pub struct Asked {
    command: Command,
    /// Not to be carried out after this instant.
    not_after: Timestamp,
    answer: oneshot::Sender<CommandReply>,
}

/// Who is to listen in as soon as the backend lets them; the call goes on meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToListen {
    leg: LegId,
    whispers_to: Option<LegId>,
    /// How often it was tried.
    tries: u32,
    /// When to try again.
    pub at: Timestamp,
}

/// What a call will answer.
#[derive(Debug)]
pub(super) struct Answer {
    to: oneshot::Sender<CommandReply>,
    reply: CommandReply,
    /// Not before it is done: who is heard by fewer, or recorded no more, must be so when that is said.
    pub when_done: bool,
}

impl Asked {
    /// A command, and where its answer will be. Whoever drops it unread has not carried it out.
    pub fn new(command: Command, not_after: Timestamp) -> (Self, oneshot::Receiver<CommandReply>) {
        let (answer, reply) = oneshot::channel();
        (Self { command, not_after, answer }, reply)
    }
}

impl Answer {
    fn at_once(to: oneshot::Sender<CommandReply>, reply: CommandReply) {
        Self { to, reply, when_done: false }.give();
    }

    /// Whoever asked may have stopped waiting.
    pub fn give(self) {
        let _ = self.to.send(self.reply);
    }
}

impl LiveCall<'_> {
    /// Does what is asked, and answers once that is stored, and done where that matters.
    pub(super) async fn obey(&mut self, asked: Asked) {
        let Asked { command, not_after, answer: to } = asked;
        if self.shared.ports.clock.now() > not_after {
            // It was meant for an earlier state of the world.
            return Answer::at_once(to, CommandReply::Adopting);
        }
        if self.has_obeyed(&command.id) {
            return Answer::at_once(to, self.outcome_of(&command.kind));
        }
        let there = self.machine.state().other_legs();
        let reply = self.carry_command_out(&command.kind, not_after).await;
        if !matches!(reply, CommandReply::Done | CommandReply::Invited(_)) {
            // Nothing has come of it that could be lost.
            return Answer::at_once(to, reply);
        }
        let when_done = match reply {
            CommandReply::Invited(leg) => there.contains(&leg),
            _ => matches!(command.kind, CommandKind::Record { .. }),
        };
        self.machine.note_command(command.kind.name(), &command.id);
        self.answers.push(Answer { to, reply, when_done });
    }

    async fn carry_command_out(&mut self, kind: &CommandKind, not_after: Timestamp) -> CommandReply {
        let now = self.shared.ports.clock.now();
        match kind {
            CommandKind::HangUp(_) => {
                self.tell(CallInput::HangUpRequested);
                CommandReply::Done
            }
            CommandKind::Invite { invitation, .. } => {
                if let Err(refused) = self.is_allowed(&invitation.target, invitation.caller).await {
                    return refused;
                }
                let now = self.shared.ports.clock.now();
                if now > not_after {
                    // The rules took their time.
                    return CommandReply::Adopting;
                }
                self.machine.invite(now, invitation.clone()).map_or_else(CommandReply::Refused, CommandReply::Invited)
            }
            CommandKind::EndSession { session, .. } => {
                let dismissed = self.machine.dismiss(now, |leg, target| session.means(leg, target));
                dismissed.map_or(CommandReply::NotFound, |_| CommandReply::Done)
            }
            CommandKind::Record { on, .. } => {
                self.machine.set_recording(now, *on).map_or_else(CommandReply::Refused, |()| CommandReply::Done)
            }
            CommandKind::Pause(_) | CommandKind::Resume(_) | CommandKind::Cancel { .. } => CommandReply::NotFound,
        }
    }

    /// Whether a command was carried out in this attempt, by whichever worker.
    fn has_obeyed(&self, id: &str) -> bool {
        self.ledger
            .history()
            .iter()
            .any(|fact| matches!(&fact.what, Happening::CommandExecuted { id: known, .. } if **known == *id))
    }

    /// What a command came to that was carried out before.
    fn outcome_of(&self, kind: &CommandKind) -> CommandReply {
        let CommandKind::Invite { invitation: Invitation { role, target, .. }, .. } = kind else {
            return CommandReply::Done;
        };
        if let Some(leg) = self.machine.state().third_party(*role, target) {
            return CommandReply::Invited(leg);
        }
        let invited = self.ledger.history().iter().rev().find_map(|fact| match &fact.what {
            Happening::LegAdded { leg, dest } if leg.role == *role && **dest == *target.as_dialled() => Some(*leg),
            _ => None,
        });
        invited.map_or(CommandReply::Done, CommandReply::Invited)
    }

    /// Whether the organisation's rules let somebody be called, with this number shown. It is looked at once more before
    /// the dial.
    async fn is_allowed(&mut self, target: &Target, caller: Option<Phone>) -> Result<(), CommandReply> {
        let organisation = &self.ledger.held.organisation;
        let Ok(rules) = self.shared.organisations.of(&self.shared.ports, organisation).await else {
            return Err(CommandReply::Unavailable);
        };
        let denied = |phone: Phone| prefix::denied_by(phone, &rules.denied_prefixes).is_some();
        if matches!(target, Target::External(phone) if denied(*phone)) {
            return Err(CommandReply::Refused(Refusal::Forbidden));
        }
        let may_show = |caller| rules.caller_ids.is_empty() || rules.caller_ids.contains(&caller);
        if caller.is_some_and(|caller| !may_show(caller)) {
            return Err(CommandReply::Refused(Refusal::CallerIdInvalid));
        }
        Ok(())
    }

    /// Lets a leg hear the call, now or as soon as it can be.
    pub(super) async fn listen_in(&mut self, leg: LegId, whispers_to: Option<LegId>) -> Result<(), Fenced> {
        self.listens_no_more(leg);
        let at = self.shared.ports.clock.now();
        self.try_to_listen(ToListen { leg, whispers_to, tries: 0, at }).await
    }

    /// Tries again for whom it is time.
    pub(super) async fn let_them_listen(&mut self, now: Timestamp) -> Result<(), Fenced> {
        while let Some(place) = self.to_listen.iter().position(|wish| wish.at <= now) {
            let wish = self.to_listen.swap_remove(place);
            self.try_to_listen(wish).await?;
        }
        Ok(())
    }

    /// Whoever was to listen in is to do something else.
    pub(super) fn listens_no_more(&mut self, leg: LegId) {
        self.to_listen.retain(|wish| wish.leg != leg);
    }

    async fn try_to_listen(&mut self, wish: ToListen) -> Result<(), Fenced> {
        let ToListen { leg, whispers_to, tries, .. } = wish;
        let until = self.authority().await?;
        match self.shared.ports.telephony.listen_in(self.leg, leg, whispers_to, until).await {
            Err(TelephonyError::TooLate | TelephonyError::Unavailable(_)) if tries + 1 < TRIES => {
                let at = self.shared.ports.clock.now() + AGAIN;
                self.to_listen.push(ToListen { tries: tries + 1, at, ..wish });
            }
            Err(TelephonyError::TooLate | TelephonyError::Unavailable(_)) => self.send_away(leg),
            // Whichever of them is gone, its end is in the mail.
            sent => drop(self.heard(sent)),
        }
        Ok(())
    }

    /// Hangs a third party up that the backend does not let in.
    pub(super) fn send_away(&mut self, leg: LegId) {
        tracing::warn!(%leg, "cannot be let in: hung up");
        self.machine.dismiss(self.shared.ports.clock.now(), |theirs, _| theirs == leg);
    }

    /// Records from now on, if that can be done.
    pub(super) async fn start_recording(&mut self) -> Result<(), Fenced> {
        if let (Heard::Yes, place) = self.record(true).await?
            && self.ledger.recording().is_none()
        {
            let recording = place.unwrap_or_else(|| self.leg.to_string().into());
            self.ledger.note(self.shared.ports.clock.now(), Happening::RecordingStarted { recording });
        }
        Ok(())
    }

    /// Records no more.
    pub(super) async fn stop_recording(&mut self) -> Result<(), Fenced> {
        for _ in 0..TRIES {
            if let (Heard::Yes, _) = self.record(false).await? {
                break;
            }
            self.pause().await;
        }
        if let Some(url) = self.ledger.recording() {
            self.ledger.note(self.shared.ports.clock.now(), Happening::RecordingStopped { url });
        }
        Ok(())
    }
}

impl SessionName {
    /// Whether it is the name of this third party.
    pub fn means(&self, leg: LegId, target: &Target) -> bool {
        match self {
            SessionName::Leg(named) => *named == leg,
            SessionName::Target(named) => named == target && leg.role == LegRole::Supervisor,
        }
    }
}
