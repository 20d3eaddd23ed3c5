//! Operations on events.

use axum::http::Method;

use crate::api::events;
use crate::api::operation::{Answer, Operation, Place, schema, text};
use crate::model::{CallId, RequestId, Scope};

/// All of them.
pub(super) static OPERATIONS: &[Operation] = &[Operation {
    id: "streamEvents",
    method: Method::GET,
    path: "/v1/events",
    scope: Scope::Read,
    summary: "Events as they are published",
    description: "Server-sent events: `id` is a place in the log of events, `event` the type, `data` the CloudEvent. It goes \
                  on until somebody hangs up; whoever does not keep up is cut off and goes on with `Last-Event-ID`.",
    parameters: &[
        text("requestId", Place::Query, RequestId::PATTERN, "Of this request and its calls only."),
        text("callId", Place::Query, CallId::PATTERN, "Of this call only."),
        text(
            "types",
            Place::Query,
            "^[A-Za-z.]+(,[A-Za-z.]+)*$",
            "Of these types only; `call` is every type that begins so.",
        ),
        text("Last-Event-ID", Place::Header, "^[0-9]{1,19}$", "The last event that was seen: it goes on behind it."),
    ],
    body: None,
    answers: &[Answer {
        code: 200,
        about: "Events, for as long as somebody listens.",
        schema: schema::<String>,
        media: "text/event-stream",
        links: &[],
    }],
    refusals: &[],
    handler: |api, asked| Box::pin(events::tell(api, asked)),
}];
