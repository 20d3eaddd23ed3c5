//! Operations on live calls, and one call in full.

use axum::http::Method;

use super::{CALL_ID, DONE, ONCE, TRACE};
use crate::api::asked::ONCE_HEADER;
use crate::api::operation::{Answer, Kind, Link, Operation, Parameter, Place, answer, linked, small, text};
use crate::api::{calls, commands, schedule};
use crate::command;
use crate::model::Scope;
use crate::model::status::CallDetail;

/// A leg of a call, or a destination.
const SESSION: &str = concat!(
    r"^([0-9a-f]{20}-(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(\.[ps](0|[1-9][0-9]{0,3}))?|\+[1-9][0-9]{1,14}",
    r"|Ext:[A-Za-z0-9*#._-]{1,32}|Queue:[A-Za-z0-9._-]{1,64}|sip:[A-Za-z0-9+*#._-]{1,64}@[A-Za-z0-9.-]{1,63})$",
);

const COMMAND: &[Parameter] = &[CALL_ID, ONCE, TRACE];
const DIALLING: &[Answer] = &[
    answer::<commands::Answer>(200, "It is done."),
    answer::<commands::Answer>(202, "Somebody is called in; `leg.added` or `leg.failed` tells what comes of it."),
];

/// Of a list of live calls.
const OF_LIVE: &[Link] = &[
    Link("getCall", "callId", "$response.body#/0/uii"),
    Link("hangUpCall", "callId", "$response.body#/0/uii"),
    Link("superviseCall", "callId", "$response.body#/0/uii"),
    Link("addParticipant", "callId", "$response.body#/0/uii"),
    Link("transferCall", "callId", "$response.body#/0/uii"),
    Link("recordCall", "callId", "$response.body#/0/uii"),
    Link("disposeCall", "callId", "$response.body#/0/uii"),
    Link("getCustomerFlag", "callId", "$response.body#/0/uii"),
    Link("changeCustomerFlag", "callId", "$response.body#/0/uii"),
];

/// Of a call that will be made.
const OF_SCHEDULED: &[Link] =
    &[Link("getCall", "callId", "$response.body#/id"), Link("getStatus", "requestId", "$response.body#/request_id")];

/// All of them.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "scheduleCall",
        method: Method::POST,
        path: "/v1/calls",
        scope: Scope::Submit,
        summary: "Have somebody called at a time, in the older form",
        description: "A request of one, with the flow of a menu or of an earlier call. Asked again with the same \
                      `Idempotency-Key` it is the same request: nobody is called twice.",
        parameters: &[
            text(
                ONCE_HEADER,
                Place::Header,
                "^[!-~]{1,128}$",
                "From which the request's name is made: the same key is the same request.",
            ),
            TRACE,
        ],
        body: small::<schedule::Body>(true),
        answers: &[linked::<schedule::Answer>(201, "It will be made.", OF_SCHEDULED)],
        refusals: &[404, 409, 413, 415],
        handler: |api, asked| Box::pin(schedule::schedule(api, asked)),
    },
    Operation {
        id: "listActiveCalls",
        method: Method::GET,
        path: "/v1/calls",
        scope: Scope::Read,
        summary: "Live calls",
        description: "Those that are dialled and have not ended, by request and place in it.",
        parameters: &[
            Parameter {
                name: "state",
                place: Place::Query,
                about: "Only live calls are listed.",
                kind: Kind::Words(&["active"]),
            },
            Parameter {
                name: "product",
                place: Place::Query,
                about: "By what they are listed: the organisation (default), a request, a flow's hash, a callee's number.",
                kind: Kind::Words(&["ACCOUNT", "OUTBOUND", "VISUAL_IVR", "DNIS"]),
            },
            text(
                "productId",
                Place::Query,
                "^.{1,128}$",
                "Which; without it, and with ACCOUNT, the key's organisation.",
            ),
            Parameter {
                name: "page",
                place: Place::Query,
                about: "Which page, from 1.",
                kind: Kind::Whole(1, u32::MAX),
            },
            Parameter {
                name: "maxRows",
                place: Place::Query,
                about: "Most calls on a page. Default: 100.",
                kind: Kind::Whole(1, calls::MOST_ROWS),
            },
        ],
        body: None,
        answers: &[linked::<Vec<calls::ActiveCall>>(200, "The live calls of the page.", OF_LIVE)],
        refusals: &[404],
        handler: |api, asked| Box::pin(calls::list(api, asked)),
    },
    Operation {
        id: "getCall",
        method: Method::GET,
        path: "/v1/calls/{callId}",
        scope: Scope::Read,
        summary: "One call in full",
        description: "Live or ended, for as long as its request is kept.",
        parameters: &[CALL_ID],
        body: None,
        answers: &[answer::<CallDetail<'static>>(200, "The call.")],
        refusals: &[404],
        handler: |api, asked| Box::pin(calls::show(api, asked)),
    },
    Operation {
        id: "hangUpCall",
        method: Method::POST,
        path: "/v1/calls/{callId}/hangup",
        scope: Scope::Supervise,
        summary: "Hang a live call up",
        description: "",
        parameters: COMMAND,
        body: small::<command::CallBody>(false),
        answers: DONE,
        refusals: &[404, 409, 413, 415, 504],
        handler: |api, asked| Box::pin(commands::to_call(api, asked, "hangup")),
    },
    Operation {
        id: "addParticipant",
        method: Method::POST,
        path: "/v1/calls/{callId}/participants",
        scope: Scope::Supervise,
        summary: "Call somebody else into a live call",
        description: "They talk to all, or only listen if `spyCall` is set.",
        parameters: COMMAND,
        body: small::<command::AddParticipantBody>(true),
        answers: DIALLING,
        refusals: &[404, 409, 413, 415, 504],
        handler: |api, asked| Box::pin(commands::to_call(api, asked, "addParticipant")),
    },
    Operation {
        id: "transferCall",
        method: Method::POST,
        path: "/v1/calls/{callId}/transfer",
        scope: Scope::Supervise,
        summary: "Transfer the callee of a live call",
        description: "Attended: the flow goes on until the other answers, and then they talk. Blind: the flow ends at once.",
        parameters: COMMAND,
        body: small::<command::TransferBody>(true),
        answers: DIALLING,
        refusals: &[404, 409, 413, 415, 504],
        handler: |api, asked| Box::pin(commands::to_call(api, asked, "transfer")),
    },
    Operation {
        id: "superviseCall",
        method: Method::POST,
        path: "/v1/calls/{callId}/sessions",
        scope: Scope::Supervise,
        summary: "Let a supervisor listen, coach or barge in",
        description: "Whoever is there already, with another session, changes to this one.",
        parameters: COMMAND,
        body: small::<command::SuperviseBody>(true),
        answers: DIALLING,
        refusals: &[404, 409, 413, 415, 504],
        handler: |api, asked| Box::pin(commands::to_call(api, asked, "supervise")),
    },
    Operation {
        id: "endSession",
        method: Method::DELETE,
        path: "/v1/calls/{callId}/sessions/{session}",
        scope: Scope::Supervise,
        summary: "End somebody's session in a live call, and nothing else",
        description: "",
        parameters: &[
            CALL_ID,
            text("session", Place::Path, SESSION, "The session's id, or the supervisor's phone as it was given."),
            Parameter {
                name: "expect",
                place: Place::Query,
                about: "How far the call must be for it to be done; otherwise it is a conflict.",
                kind: Kind::Words(&["dialing", "ringing", "answered", "transferring", "transferred"]),
            },
            ONCE,
            TRACE,
        ],
        body: None,
        answers: DONE,
        refusals: &[404, 409, 504],
        handler: |api, asked| Box::pin(commands::end_session(api, asked)),
    },
    Operation {
        id: "recordCall",
        method: Method::POST,
        path: "/v1/calls/{callId}/recording",
        scope: Scope::Supervise,
        summary: "Record a live call, or record it no more",
        description: "",
        parameters: COMMAND,
        body: small::<command::RecordBody>(true),
        answers: DONE,
        refusals: &[404, 409, 413, 415, 504],
        handler: |api, asked| Box::pin(commands::to_call(api, asked, "record")),
    },
];
