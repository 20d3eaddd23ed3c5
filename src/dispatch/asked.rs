//! What is asked of a live call from outside and answered by the call itself: to end, to let others in, to let them go, to
//! transfer the callee, to record.

use tokio::sync::oneshot;
use tracing::Span;

use super::commands::tell_of;
use super::ledger::{Fenced, Ledger};
use super::live_call::{AGAIN, Heard, LiveCall};
use super::obeyed::{self, target_of};
use crate::callflow::call::{CallInput, Refusal};
use crate::callflow::program::Target;
use crate::command::{Command, CommandKind, CommandReply, SessionName, Standing};
use crate::model::status::LiveState;
use crate::model::{Fact, Happening, LegId, LegRole, Phone, Timestamp};
use crate::policy::prefix;
use crate::ports::TelephonyError;
use crate::ports::store::Held;
use crate::telemetry::spans;

/// How often a backend that does not answer is asked to let somebody listen in; then they are hung up.
const TRIES: u32 = 10;

/// How often a backend is asked to pause what is recorded, while the callee hears nothing; then they are hung up.
const PAUSE_TRIES: u32 = 2;

/// Most by which the pauses between two tries grow.
const LONGEST_PAUSE: u32 = 30;

/// What is answered when a call has carried out as many commands as it may.
const TOO_MANY: CommandReply = CommandReply::Refused(Refusal::TooManyCommands);

/// A command on its way to a call, and the way back.
#[derive(Debug)]
pub struct Asked {
    command: Command,
    /// Not to be carried out after this instant.
    not_after: Timestamp,
    /// The command's own: it is carried out in the call's.
    span: Span,
    /// Whether that says of which request it is.
    is_named: bool,
    answer: oneshot::Sender<CommandReply>,
}

/// What the backend has not done yet; the call goes on meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Undone {
    what: Wanted,
    /// How often it was tried.
    tries: u32,
    /// When to try again.
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// Somebody is to listen in.
    ListenIn { leg: LegId, whispers_to: Option<LegId> },
    /// The call is to be recorded, or not.
    Record(bool),
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
    /// The command that the span around is about, and where its answer will be. Whoever drops it unread has not carried it out.
    /// `is_named`: the span says of which request it is.
    pub fn new(command: Command, not_after: Timestamp, is_named: bool) -> (Self, oneshot::Receiver<CommandReply>) {
        let (answer, reply) = oneshot::channel();
        (Self { command, not_after, span: Span::current(), is_named, answer }, reply)
    }

    /// Whether the call is to end.
    pub const fn is_hang_up(&self) -> bool {
        matches!(self.command.kind, CommandKind::HangUp(_))
    }

    /// What is answered if the call does not stand as whoever asks expects.
    fn unmet(&self, history: &[Fact]) -> Option<CommandReply> {
        let expected = self.command.expect?;
        let (found, _) = LiveState::of(history)?;
        let found = Standing::Call(found);
        (found != expected).then_some(CommandReply::Unmet { expected, found })
    }

    /// Written down once, and answered when that is stored: the call ends, and nothing else could be done. Whether it was to
    /// end as it stands.
    pub(super) fn done_by_the_end(self, at: Timestamp, ledger: &mut Ledger<'_>) -> bool {
        let known = obeyed::reply_to(&self.command, ledger.history());
        let reply = if at > self.not_after {
            CommandReply::Adopting
        } else {
            known.or_else(|| self.unmet(ledger.history())).unwrap_or(CommandReply::Done)
        };
        if reply != CommandReply::Done {
            Answer::at_once(self.answer, reply);
            return false;
        }
        if known.is_none() {
            self.span.in_scope(|| tell_of_call(&self.command, &ledger.held, self.is_named));
            ledger.note(at, self.command.executed());
        }
        ledger.answers.push(Answer { to: self.answer, reply, when_done: false });
        true
    }
}

impl Answer {
    fn at_once(to: oneshot::Sender<CommandReply>, reply: CommandReply) {
        Self { to, reply, when_done: false }.give();
    }

    /// Whoever asked may have stopped waiting.
    pub(super) fn give(self) {
        let _ = self.to.send(self.reply);
    }
}

impl LiveCall<'_> {
    /// Does what is asked, and answers once that is stored, and done where that matters.
    pub(super) async fn obey(&mut self, asked: Asked) {
        let Some(asked) = self.not_known(asked) else { return };
        let there = self.machine.state().other_legs();
        let reply = self.carry_command_out(&asked.command.kind, asked.not_after).await;
        self.note_outcome(asked, reply, &there);
    }

    /// The same, in the middle of something else: what cannot be done without waiting was not heard, and is asked again.
    pub(super) fn obey_at_once(&mut self, asked: Asked) {
        // How it stands is not known before what happened meanwhile is written down.
        if asked.is_hang_up()
            && asked.command.expect.is_none()
            && let Some(asked) = self.not_known(asked)
        {
            self.tell(CallInput::HangUpRequested);
            self.note_outcome(asked, CommandReply::Done, &[]);
        }
    }

    /// What is asked, unless it comes too late, is answered as it was before, or expects another state of the call.
    fn not_known(&mut self, asked: Asked) -> Option<Asked> {
        if self.shared.ports.clock.now() > asked.not_after {
            // It was meant for an earlier state of the world.
            Answer::at_once(asked.answer, CommandReply::Adopting);
            return None;
        }
        // What the machine has not handed out yet is not in the books.
        let handed_out_next = self.machine.to_be_recorded().find_map(|what| obeyed::is_known(&asked.command, what));
        let known = match handed_out_next {
            Some(true) => Some(CommandReply::Done),
            Some(false) => Some(CommandReply::Refused(Refusal::IdTaken)),
            None => obeyed::reply_to(&asked.command, self.ledger.history()),
        };
        let Some(reply) = known else {
            let history = self.ledger.history();
            let full = || (!obeyed::has_room_for(&asked.command.kind, history)).then_some(TOO_MANY);
            let Some(refused) = asked.unmet(history).or_else(full) else { return Some(asked) };
            Answer::at_once(asked.answer, refused);
            return None;
        };
        let reply = match (reply, target_of(&asked.command.kind)) {
            // They may wait for a slot, of which the history says nothing.
            (CommandReply::Done | CommandReply::Invited(_), Some((role, target))) => {
                self.machine.state().third_party(role, target).map_or(reply, CommandReply::Invited)
            }
            (reply, _) => reply,
        };
        let when_done = matches!(asked.command.kind, CommandKind::Record { .. });
        self.ledger.answers.push(Answer { to: asked.answer, reply, when_done });
        None
    }

    /// Answers when what has come of it is stored. `there`: who was in the call before.
    fn note_outcome(&mut self, asked: Asked, reply: CommandReply, there: &[LegId]) {
        let Asked { command, answer: to, span, is_named, .. } = asked;
        if !matches!(reply, CommandReply::Done | CommandReply::Invited(_)) {
            // Nothing has come of it that could be lost.
            return Answer::at_once(to, reply);
        }
        let when_done = match reply {
            CommandReply::Invited(leg) => there.contains(&leg),
            _ => matches!(command.kind, CommandKind::Record { .. }),
        };
        span.in_scope(|| tell_of_call(&command, &self.ledger.held, is_named));
        self.machine.note_command(command.executed());
        self.ledger.answers.push(Answer { to, reply, when_done });
    }

    async fn carry_command_out(&mut self, kind: &CommandKind, not_after: Timestamp) -> CommandReply {
        let now = self.shared.ports.clock.now();
        match kind {
            CommandKind::Invite { invitation, .. } => {
                match self.may_call(&invitation.target, invitation.caller, not_after).await {
                    Ok(now) => called(self.machine.invite(now, invitation.clone())),
                    Err(refused) => refused,
                }
            }
            CommandKind::Transfer { target, kind, .. } => match self.may_call(target, None, not_after).await {
                Ok(now) => called(self.machine.transfer(now, target.clone(), *kind)),
                Err(refused) => refused,
            },
            CommandKind::EndSession { session, .. } => {
                let dismissed = self.machine.dismiss(now, |leg, target| session.means(leg, target));
                dismissed.map_or(CommandReply::NotFound, |_| CommandReply::Done)
            }
            CommandKind::Record { on, .. } => {
                self.machine.set_recording(now, *on).map_or_else(CommandReply::Refused, |()| CommandReply::Done)
            }
            CommandKind::HangUp(_) => {
                self.tell(CallInput::HangUpRequested);
                CommandReply::Done
            }
            // None of them comes this way.
            CommandKind::Pause(_) | CommandKind::Resume(_) | CommandKind::Cancel { .. } => CommandReply::NotFound,
        }
    }

    /// Gives the answers whose time has come: what was asked is stored and, where that matters, done. `executed`: nothing
    /// that the machine wants is left to be tried for the first time.
    pub(super) fn give_answers(&mut self, executed: bool) {
        // What the machine has not handed out yet is not even in the books.
        if !self.ledger.is_behind() && !self.machine.has_commands() {
            let done = executed && self.undone.is_empty();
            self.ledger.answers.extract_if(.., |answer| done || !answer.when_done).for_each(Answer::give);
        }
    }

    /// When it is known whether the organisation's rules let somebody be called, with this number shown: they do. It is
    /// looked at once more before the dial.
    async fn may_call(
        &mut self,
        target: &Target,
        caller: Option<Phone>,
        not_after: Timestamp,
    ) -> Result<Timestamp, CommandReply> {
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
        let now = self.shared.ports.clock.now();
        // The rules may have taken their time.
        if now > not_after { Err(CommandReply::Adopting) } else { Ok(now) }
    }

    /// Lets a leg hear the call, now or as soon as it can be.
    pub(super) async fn listen_in(&mut self, leg: LegId, whispers_to: Option<LegId>) -> Result<(), Fenced> {
        self.listens_no_more(leg);
        self.want(Wanted::ListenIn { leg, whispers_to }).await
    }

    /// Whoever was to listen in is to do something else.
    pub(super) fn listens_no_more(&mut self, leg: LegId) {
        self.undone.retain(|undone| !matches!(undone.what, Wanted::ListenIn { leg: other, .. } if other == leg));
    }

    /// Records the call, or records it no more, now or as soon as it can be.
    pub(super) async fn set_recording(&mut self, on: bool) -> Result<(), Fenced> {
        self.undone.retain(|undone| !matches!(undone.what, Wanted::Record(_)));
        self.want(Wanted::Record(on)).await
    }

    /// Leaves out what comes now. Rather no call than a recorded secret.
    pub(super) async fn pause_recording(&mut self) -> Result<(), Fenced> {
        self.undone.retain(|undone| !matches!(undone.what, Wanted::Record(true)));
        for tries in 1.. {
            if let (Heard::Yes, _) = self.record(false).await? {
                break;
            }
            if tries == PAUSE_TRIES {
                tracing::warn!(leg = %self.leg, "what is recorded cannot be paused for something secret: hung up");
                self.tell(CallInput::HangUpRequested);
                break;
            }
            self.pause().await;
        }
        Ok(())
    }

    async fn want(&mut self, what: Wanted) -> Result<(), Fenced> {
        let at = self.shared.ports.clock.now();
        self.attempt(Undone { what, tries: 0, at }).await
    }

    /// Tries again what it is time for.
    pub(super) async fn do_undone(&mut self, now: Timestamp) -> Result<(), Fenced> {
        while let Some(place) = self.undone.iter().position(|undone| undone.at <= now) {
            let undone = self.undone.swap_remove(place);
            self.attempt(undone).await?;
        }
        Ok(())
    }

    async fn attempt(&mut self, undone: Undone) -> Result<(), Fenced> {
        let tries = undone.tries + 1;
        let is_done = match undone.what {
            Wanted::ListenIn { leg, whispers_to } => {
                let until = self.authority().await?;
                match self.shared.ports.telephony.listen_in(self.leg, leg, whispers_to, until).await {
                    Err(TelephonyError::TooLate | TelephonyError::Unavailable(_)) if tries < TRIES => false,
                    Err(TelephonyError::TooLate | TelephonyError::Unavailable(_)) => {
                        self.send_away(leg);
                        true
                    }
                    // Whichever of them is gone, its end is in the mail.
                    sent => {
                        self.heard(sent);
                        true
                    }
                }
            }
            Wanted::Record(on) => match self.record(on).await? {
                (Heard::Yes, place) => {
                    self.note_recording(on, place);
                    true
                }
                (Heard::No, _) => false,
            },
        };
        if !is_done {
            // Somebody waits for the first of them; after that, the backend is spared.
            let pause = AGAIN * tries.saturating_sub(TRIES).clamp(1, LONGEST_PAUSE);
            let at = self.shared.ports.clock.now() + pause;
            self.undone.push(Undone { tries, at, ..undone });
        }
        Ok(())
    }

    fn note_recording(&mut self, on: bool, place: Option<Box<str>>) {
        let now = self.shared.ports.clock.now();
        match (on, self.ledger.recording()) {
            (true, None) => {
                let recording = place.unwrap_or_else(|| self.leg.to_string().into());
                self.ledger.note(now, Happening::RecordingStarted { recording });
            }
            (false, Some(url)) => self.ledger.note(now, Happening::RecordingStopped { url }),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// Hangs somebody up whom the backend does not let in.
    pub(super) fn send_away(&mut self, leg: LegId) {
        tracing::warn!(%leg, "cannot be let in: hung up");
        self.machine.dismiss(self.shared.ports.clock.now(), |theirs, _| theirs == leg);
    }
}

/// Tells the log that a call carried a command out, and of which request it is.
fn tell_of_call(command: &Command, held: &Held, is_named: bool) {
    if !is_named {
        spans::names_request(&held.request);
    }
    tell_of(command);
}

fn called(leg: Result<LegId, Refusal>) -> CommandReply {
    leg.map_or_else(CommandReply::Refused, CommandReply::Invited)
}

impl SessionName {
    /// Whether it is the name of this third party.
    pub fn means(&self, leg: LegId, target: &Target) -> bool {
        match self {
            SessionName::Leg(named) => *named == leg && leg.role.is_third_party(),
            SessionName::Target(named) => named == target && leg.role == LegRole::Supervisor,
        }
    }
}
