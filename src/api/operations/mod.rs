//! Every operation there is, by what it is on.

mod calls;
mod events;
mod notes;
mod organisation;
mod recordings;
mod requests;

use super::asked::{ONCE_HEADER, TRACE_HEADER};
use super::commands;
use super::operation::{Answer, Kind, Operation, Parameter, Place, answer, text};

/// Under which a command is known again.
const ONCE: Parameter = text(
    ONCE_HEADER,
    Place::Header,
    "^[!-~]{1,128}$",
    "The command's id: given again within a day, it is not carried out again.",
);

/// What whoever asks watches it as a part of.
const TRACE: Parameter = Parameter {
    name: TRACE_HEADER,
    place: Place::Header,
    about: "The trace that it is a part of (W3C Trace Context): `00-`, the trace's id (32 hexadecimal digits in lower case), `-`, \
            the parent's (16), `-`, flags (2). One that cannot be read is none.",
    kind: Kind::Like("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
};

const CALL_ID: Parameter = text("callId", Place::Path, "^[0-9a-f]{20}-(0|[1-9][0-9]{0,8})$", "The call.");

/// What is answered to a command that calls nobody in.
const DONE: &[Answer] = &[answer::<commands::Answer>(200, "It is done.")];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Operation> {
    let all = [
        requests::OPERATIONS,
        calls::OPERATIONS,
        notes::OPERATIONS,
        recordings::OPERATIONS,
        events::OPERATIONS,
        organisation::OPERATIONS,
    ];
    all.into_iter().flatten()
}
