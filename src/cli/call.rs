//! `robocall call …`: what is asked of one live call.

use clap::{Args, Subcommand, ValueEnum};

use super::command::{Teller, tell};
use super::{Exit, Failure, values};
use crate::callflow::call::Invitation;
use crate::callflow::program::{Target, TransferKind};
use crate::command::{CommandKind, SessionName, Standing};
use crate::model::status::LiveState;
use crate::model::{CallId, LegRole, Phone, SessionType};

/// What can be done with a call.
#[derive(Debug, Subcommand)]
pub enum CallCommand {
    /// Hang a live call up.
    Hangup(HangupArgs),
    /// Let a supervisor listen, coach or barge in.
    ///
    /// Who is there already, with another session, changes to this one.
    Supervise(SuperviseArgs),
    /// Call somebody else into a call.
    Add(AddArgs),
    /// Transfer the callee to somebody else.
    Transfer(TransferArgs),
    /// End a supervisor's or participant's session, and nothing else.
    EndSession(EndSessionArgs),
    /// Record a call from now on, or no more.
    Record(RecordArgs),
}

/// A call to be hung up.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct HangupArgs {
    #[command(flatten)]
    call: ToCall,
}

/// A supervisor.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct SuperviseArgs {
    #[command(flatten)]
    call: ToCall,
    /// The supervisor's phone: +6591234567, Ext:1000, Queue:desk or sip:user@host.
    #[arg(long, value_name = "DESTINATION")]
    to: Target,
    /// What they hear, and who hears them.
    #[arg(long, value_name = "SESSION", default_value = "monitor", ignore_case = true)]
    session: Session,
}

/// What a supervisor does.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Session {
    /// Hears everybody, and is heard by nobody.
    Monitor,
    /// Hears everybody, and is heard by our side's person only.
    Coaching,
    /// Hears everybody, and is heard by everybody.
    Bargein,
}

/// Somebody else.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct AddArgs {
    #[command(flatten)]
    call: ToCall,
    /// Whom to call in: +6591234567, Ext:1000, Queue:sales or sip:user@host.
    #[arg(long, value_name = "DESTINATION")]
    to: Target,
    /// The number to show, one of the organisation's; without it the one that the callee saw.
    #[arg(long, value_name = "NUMBER")]
    from: Option<Phone>,
    /// They hear everybody, and are heard by nobody.
    #[arg(long)]
    spy: bool,
}

/// To whom the callee is to be transferred.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct TransferArgs {
    #[command(flatten)]
    call: ToCall,
    /// To whom: +6591234567, Ext:1000, Queue:sales or sip:user@host.
    #[arg(long, value_name = "DESTINATION")]
    to: Target,
    /// The flow ends at once, and the backend connects them by itself; without it the callee hears on until they answer.
    #[arg(long)]
    blind: bool,
}

/// A session to be ended.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct EndSessionArgs {
    #[command(flatten)]
    call: ToCall,
    /// The session, as `supervise` and `add` have answered it, or a supervisor's phone.
    #[arg(value_name = "SESSION", value_parser = crate::command::session_name)]
    session: SessionName,
}

/// Whether a call is to be recorded.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct RecordArgs {
    #[command(flatten)]
    call: ToCall,
    /// Record, or record no more.
    #[arg(value_name = "on|off")]
    record: Switch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// A live call, and how its worker is told.
#[derive(Debug, Args)]
struct ToCall {
    /// The call, as `robocall calls` shows it.
    #[arg(value_name = "CALLID")]
    call: CallId,
    /// How far the call must be: otherwise nothing is done.
    #[arg(long, value_name = "STATE", value_parser = values::live_state)]
    expect: Option<LiveState>,
    #[command(flatten)]
    teller: Teller,
}

const HELP: &str = "\
Exit codes:
  0    a worker has done it, or dials whom it was told to call in
  2    there is no such live call or session, or it cannot be done as things stand: the message says why
  4    the broker does not answer
  5    no worker has answered in time, or the call is just changing hands: ask again

Examples:
  robocall call hangup 1f2e3d4c5b6a79880102-7
  robocall call hangup 1f2e3d4c5b6a79880102-7 --expect ringing
  robocall call supervise 1f2e3d4c5b6a79880102-7 --to Ext:1000 --session coaching
  robocall call add 1f2e3d4c5b6a79880102-7 --to +6591234567 --org bank
  robocall call transfer 1f2e3d4c5b6a79880102-7 --to Queue:sales
  robocall call end-session 1f2e3d4c5b6a79880102-7 Ext:1000
  robocall call record 1f2e3d4c5b6a79880102-7 off";

/// Does something with a call.
pub fn run(command: CallCommand, json: bool) -> Result<Exit, Failure> {
    let (to, kind, done) = match command {
        CallCommand::Hangup(HangupArgs { call }) => {
            let kind = CommandKind::HangUp(call.call);
            (call, kind, "hung up")
        }
        CallCommand::Supervise(SuperviseArgs { call: to, to: target, session }) => {
            let session = match session {
                Session::Monitor => SessionType::Monitor,
                Session::Coaching => SessionType::Coaching,
                Session::Bargein => SessionType::BargeIn,
            };
            let invitation = Invitation { role: LegRole::Supervisor, target, caller: None, session };
            let kind = CommandKind::Invite { call: to.call, invitation };
            (to, kind, "supervisor called in, or there already")
        }
        CallCommand::Add(AddArgs { call: to, to: target, from: caller, spy }) => {
            let session = if spy { SessionType::Monitor } else { SessionType::BargeIn };
            let invitation = Invitation { role: LegRole::Participant, target, caller, session };
            let kind = CommandKind::Invite { call: to.call, invitation };
            (to, kind, "participant called in, or there already")
        }
        CallCommand::Transfer(TransferArgs { call: to, to: target, blind }) => {
            let kind = if blind { TransferKind::Blind } else { TransferKind::Attended };
            let kind = CommandKind::Transfer { call: to.call, target, kind };
            (to, kind, "transfer begun")
        }
        CallCommand::EndSession(EndSessionArgs { call: to, session }) => {
            let kind = CommandKind::EndSession { call: to.call, session };
            (to, kind, "session ended")
        }
        CallCommand::Record(RecordArgs { call: to, record }) => {
            let on = record == Switch::On;
            let kind = CommandKind::Record { call: to.call, on };
            (to, kind, if on { "recorded from now on" } else { "recorded no more" })
        }
    };
    tell(&to.teller, (&kind, to.expect.map(Standing::Call)), done, &format!("call {}", to.call), json)
}
