//! Operations on recordings.

use axum::http::Method;

use crate::api::operation::{Answer, Operation, Place, schema, text};
use crate::api::recordings;
use crate::model::Scope;

const fn sound(code: u16, about: &'static str) -> Answer {
    Answer { code, about, schema: schema::<String>, media: "audio/wav", links: &[] }
}

/// All of them.
pub(super) static OPERATIONS: &[Operation] = &[Operation {
    id: "getRecording",
    method: Method::GET,
    path: "/v1/recordings/{recordingId}",
    scope: Scope::Supervise,
    summary: "What was recorded of a call",
    description: "A WAV file, once the call, or the attempt that was recorded, is over; its name stands in the call's \
                  `recordings`. One range of bytes may be asked for.",
    parameters: &[
        text(
            "recordingId",
            Place::Path,
            r"^[0-9a-f]{20}-(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$",
            "The recording, as the call names it.",
        ),
        text("Range", Place::Header, "^[ -~]{1,100}$", "Which bytes, such as `bytes=0-1023`; any other range is none."),
        text("If-Range", Place::Header, "^[ -~]{1,100}$", "The `ETag` of the recording of which a part is known."),
    ],
    body: None,
    answers: &[sound(200, "The recording."), sound(206, "The bytes that were asked for.")],
    refusals: &[404, 416],
    handler: |api, asked| Box::pin(recordings::download(api, asked)),
}];
