//! Operations on what people note about calls.

use axum::http::Method;

use super::{CALL_ID, ONCE, TRACE};
use crate::api::operation::{Link, Operation, answer, linked, small};
use crate::api::{disposition, notes};
use crate::model::Scope;
use crate::model::note::CustomerFlags;

/// Of a call-back.
const OF_CALLBACK: &[Link] = &[
    Link("getStatus", "requestId", "$response.body#/callback/requestId"),
    Link("getCall", "callId", "$response.body#/callback/callId"),
];

/// All of them.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "getCustomerFlag",
        method: Method::GET,
        path: "/v1/calls/{callId}/customer_flag",
        scope: Scope::Read,
        summary: "Whom a call was with",
        description: "As far as anybody has said; null is what nobody has.",
        parameters: &[CALL_ID],
        body: None,
        answers: &[answer::<CustomerFlags>(200, "What is known of them.")],
        refusals: &[404],
        handler: |api, asked| Box::pin(notes::customer(api, asked)),
    },
    Operation {
        id: "changeCustomerFlag",
        method: Method::PATCH,
        path: "/v1/calls/{callId}/customer_flag",
        scope: Scope::Supervise,
        summary: "Note whom a call was with",
        description: "What is not named, or null, stays. Live or ended, for as long as the call's request is kept.",
        parameters: &[CALL_ID, ONCE, TRACE],
        body: small::<notes::Change>(true),
        answers: &[answer::<CustomerFlags>(200, "What is known of them now.")],
        refusals: &[404, 409, 413, 415],
        handler: |api, asked| Box::pin(notes::note_customer(api, asked)),
    },
    Operation {
        id: "disposeCall",
        method: Method::POST,
        path: "/v1/calls/{callId}/disposition",
        scope: Scope::Supervise,
        summary: "Note how a call went, and call back",
        description: "What was noted before is forgotten. A call-back is a request of one to the same number with the same \
                      flow; asked for again at the same time it is the same one.",
        parameters: &[CALL_ID, ONCE, TRACE],
        body: small::<disposition::Body>(true),
        answers: &[
            answer::<disposition::Answer>(200, "It is noted."),
            linked::<disposition::Answer>(201, "It is noted, and somebody will be called back.", OF_CALLBACK),
        ],
        refusals: &[404, 409, 413, 415],
        handler: |api, asked| Box::pin(disposition::dispose(api, asked)),
    },
];
