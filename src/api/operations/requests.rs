//! Operations on requests.

use axum::http::Method;

use super::{DONE, ONCE, TRACE};
use crate::api::asked::ONCE_HEADER;
use crate::api::operation::{
    Answer, Body, Kind, Link, Operation, Parameter, Place, answer, linked, schema, small, text,
};
use crate::api::{call_out, commands, requests, status, submit};
use crate::command;
use crate::model::{RequestId, Scope};
use crate::request::CallRequestDocument;

const REQUEST_ID: Parameter =
    text("requestId", Place::Path, RequestId::PATTERN, "The request, as its submitter named it.");
const COMMAND: &[Parameter] = &[REQUEST_ID, ONCE, TRACE];
const STATUS: &[Answer] = &[linked::<status::StatusDocument>(200, "The request as it is now.", OF_CALLS)];

/// Of an answer that names a request.
const OF_REQUEST: &[Link] = &[
    Link("getStatus", "requestId", "$response.body#/requestId"),
    Link("pauseRequest", "requestId", "$response.body#/requestId"),
    Link("resumeRequest", "requestId", "$response.body#/requestId"),
    Link("cancelRequest", "requestId", "$response.body#/requestId"),
];

/// Of the answer to a call out.
const OF_CALL_OUT: &[Link] =
    &[Link("getStatus", "requestId", "$response.body#/requestId"), Link("getCall", "callId", "$response.body#/callId")];

/// Of a page of a request's calls.
const OF_CALLS: &[Link] = &[Link("getCall", "callId", "$response.body#/details/0/callId")];

/// All of them.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "submitRequest",
        method: Method::POST,
        path: "/v1/call",
        scope: Scope::Submit,
        summary: "Hand a call request in",
        description: "Answered once the request is durably queued. The same request again is known and changes nothing.",
        parameters: &[
            Parameter {
                name: "validate",
                place: Place::Query,
                about: "Only say what is wrong with it; nothing is queued.",
                kind: Kind::Words(&["true", "false"]),
            },
            TRACE,
        ],
        body: Some(Body { schema: schema::<CallRequestDocument>, required: true, most: submit::MOST_BYTES }),
        answers: &[linked::<submit::Submitted>(
            200,
            "It is queued, or known already; or, with `validate`, it could be.",
            OF_REQUEST,
        )],
        refusals: &[409, 413, 415],
        handler: |api, asked| Box::pin(submit::submit(api, asked)),
    },
    Operation {
        id: "callOut",
        method: Method::POST,
        path: "/v1/call/call-out",
        scope: Scope::Submit,
        summary: "Call one person and tell them something",
        description: "A request of one. Asked again with the same `requestId` or the same `Idempotency-Key` it is the same \
                      request: nobody is called twice.",
        parameters: &[
            text(
                ONCE_HEADER,
                Place::Header,
                "^[!-~]{1,128}$",
                "From which the request's name is made, if it is not given: the same key is the same request.",
            ),
            TRACE,
        ],
        body: small::<call_out::Body>(true),
        answers: &[linked::<call_out::Answer>(200, "It is queued, or known already.", OF_CALL_OUT)],
        refusals: &[409, 413, 415],
        handler: |api, asked| Box::pin(call_out::call_out(api, asked)),
    },
    Operation {
        id: "getStatus",
        method: Method::GET,
        path: "/v1/status/{requestId}",
        scope: Scope::Read,
        summary: "How far a request and its calls are",
        description: "A page of its calls in the request's order, one entry a destination, and how many have which status.",
        parameters: &[
            REQUEST_ID,
            Parameter {
                name: "limit",
                place: Place::Query,
                about: "Most calls on the page. Default: 1000.",
                kind: Kind::Whole(1, status::PAGE),
            },
            Parameter {
                name: "cursor",
                place: Place::Query,
                about: "Where the page begins: `nextCursor` of the page before.",
                kind: Kind::Whole(0, u32::MAX),
            },
        ],
        body: None,
        answers: STATUS,
        refusals: &[404],
        handler: |api, asked| Box::pin(status::status(api, asked)),
    },
    Operation {
        id: "listRequests",
        method: Method::GET,
        path: "/v1/requests",
        scope: Scope::Read,
        summary: "The organisation's requests",
        description: "The newest first. What comes meanwhile changes no page but the first.",
        parameters: &[
            text(
                "status",
                Place::Query,
                "^(submitted|scheduled|onProgress|paused|completed|cancelled|expired|failed)(,(submitted|scheduled|onProgress|paused|completed|cancelled|expired|failed))*$",
                "Only those with one of these statuses.",
            ),
            Parameter {
                name: "limit",
                place: Place::Query,
                about: "Most requests on the page. Default: 100.",
                kind: Kind::Whole(1, requests::MOST_ROWS),
            },
            text("cursor", Place::Query, "^[0-9a-f]{32}$", "Where the page begins: `nextCursor` of the page before."),
        ],
        body: None,
        answers: &[answer::<requests::RequestList>(200, "The requests of the page.")],
        refusals: &[],
        handler: |api, asked| Box::pin(requests::list(api, asked)),
    },
    Operation {
        id: "pauseRequest",
        method: Method::POST,
        path: "/v1/requests/{requestId}/pause",
        scope: Scope::Submit,
        summary: "Dial nothing more of a request until it is resumed",
        description: "Live calls go on. In force over all workers when it is answered.",
        parameters: COMMAND,
        body: small::<command::RequestBody>(false),
        answers: DONE,
        refusals: &[404, 409, 413, 415, 504],
        handler: |api, asked| Box::pin(commands::to_request(api, asked, "pause")),
    },
    Operation {
        id: "resumeRequest",
        method: Method::POST,
        path: "/v1/requests/{requestId}/resume",
        scope: Scope::Submit,
        summary: "Go on with a paused request",
        description: "",
        parameters: COMMAND,
        body: small::<command::RequestBody>(false),
        answers: DONE,
        refusals: &[404, 409, 413, 415, 504],
        handler: |api, asked| Box::pin(commands::to_request(api, asked, "resume")),
    },
    Operation {
        id: "cancelRequest",
        method: Method::POST,
        path: "/v1/requests/{requestId}/cancel",
        scope: Scope::Submit,
        summary: "Dial nothing more of a request, ever",
        description: "Live calls go on to their end, or are hung up with `mode` `hangup`.",
        parameters: COMMAND,
        body: small::<command::CancelBody>(false),
        answers: DONE,
        refusals: &[404, 409, 413, 415, 504],
        handler: |api, asked| Box::pin(commands::to_request(api, asked, "cancel")),
    },
];
