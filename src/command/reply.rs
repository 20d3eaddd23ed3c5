//! What is answered to a command, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CommandReply, Standing};
use crate::callflow::call::Refusal;

/// What became of a command.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Reply", rename = "Reply")]
pub struct ReplyBody {
    /// In a word.
    status: ReplyStatus,
    /// In words, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Who is called in: the leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// Why it cannot be done as things stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Refusal>,
    /// How the request or call must have stood, if it does not stand so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<Standing>,
    /// How it stands instead; of a command that is `done`, how the request had ended before, so that nothing was left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<Standing>,
}

/// What became of a command, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum ReplyStatus {
    /// It is carried out.
    Done,
    /// Somebody is called in, or was there already; events tell what comes of it.
    Dialling,
    /// It cannot be done as things stand.
    Conflict,
    /// There is no such request, live call or session.
    NotFound,
    /// The call is just beginning or changing hands: ask again under the same id.
    Adopting,
    /// A server does not answer: ask again.
    Unavailable,
    /// It is no command.
    Invalid,
}

impl ReplyBody {
    /// What became of a command.
    pub fn of(reply: CommandReply) -> Self {
        let status = match reply {
            CommandReply::Done => ReplyStatus::Done,
            // Whoever reads no further goes on to hear that it is done.
            CommandReply::Ended(status) => {
                return Self { found: Some(Standing::Request(status)), ..Self::bare(ReplyStatus::Done) };
            }
            CommandReply::Invited(leg) => {
                return Self { session_id: Some(leg.to_string()), ..Self::bare(ReplyStatus::Dialling) };
            }
            CommandReply::Refused(reason) => {
                let message = Some(reason.to_string());
                return Self { message, reason: Some(reason), ..Self::bare(ReplyStatus::Conflict) };
            }
            CommandReply::Unmet { expected, found } => {
                let unmet = Self::of(CommandReply::Refused(Refusal::Unexpected));
                let message = Some(format!("it is {found}, not {expected}"));
                return Self { message, expected: Some(expected), found: Some(found), ..unmet };
            }
            CommandReply::NotFound => ReplyStatus::NotFound,
            CommandReply::Adopting => ReplyStatus::Adopting,
            CommandReply::Unavailable => ReplyStatus::Unavailable,
        };
        Self::bare(status)
    }

    const fn bare(status: ReplyStatus) -> Self {
        Self { status, message: None, session_id: None, reason: None, expected: None, found: None }
    }

    /// Why it is no command.
    pub fn invalid(why: &impl std::fmt::Display) -> Self {
        Self { message: Some(why.to_string()), ..Self::bare(ReplyStatus::Invalid) }
    }

    /// What became of it, as it was written.
    ///
    /// # Errors
    /// What is wrong with the command, or with the answer.
    pub fn read(body: &[u8]) -> Result<CommandReply, String> {
        let Self { status, message, session_id, reason, expected, found } =
            serde_json::from_slice(body).map_err(|error| error.to_string())?;
        match status {
            ReplyStatus::Done => {
                let ended = found.and_then(Standing::of_request);
                Ok(ended.map_or(CommandReply::Done, CommandReply::Ended))
            }
            ReplyStatus::Dialling => {
                let leg = session_id.as_deref().and_then(|leg| leg.parse().ok());
                leg.map(CommandReply::Invited).ok_or_else(|| "an answer without a session".to_owned())
            }
            ReplyStatus::Conflict => {
                if let (Some(expected), Some(found)) = (expected, found) {
                    return Ok(CommandReply::Unmet { expected, found });
                }
                reason.map(CommandReply::Refused).ok_or_else(|| "a refusal without a reason".to_owned())
            }
            ReplyStatus::NotFound => Ok(CommandReply::NotFound),
            ReplyStatus::Adopting => Ok(CommandReply::Adopting),
            ReplyStatus::Unavailable => Ok(CommandReply::Unavailable),
            ReplyStatus::Invalid => Err(message.unwrap_or_else(|| "it is invalid".to_owned())),
        }
    }
}
