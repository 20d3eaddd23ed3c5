//! Operations on the organisation, and its do-not-call list.

use axum::http::Method;

use super::TRACE;
use crate::api::asked::ONCE_HEADER;
use crate::api::operation::{Operation, Parameter, Place, answer, small, text};
use crate::api::{numbers, organisation};
use crate::model::{Organisation, Scope, phone};

const PHONE: Parameter = text("phone", Place::Path, phone::PATTERN, "The number, with its country code.");

/// Such a command says what is to be: given again it changes nothing, whatever its id.
const COMMAND_ID: Parameter = text(
    ONCE_HEADER,
    Place::Header,
    "^[!-~]{1,128}$",
    "The command's id, as the event `command.executed` tells it. Default: one that no other has.",
);

/// All of them.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "getOrganisation",
        method: Method::GET,
        path: "/v1/organisation",
        scope: Scope::Read,
        summary: "What the organisation may do, and its slots",
        description: "",
        parameters: &[],
        body: None,
        answers: &[answer::<organisation::Answer>(200, "The organisation.")],
        refusals: &[],
        handler: |api, asked| Box::pin(organisation::show(api, asked)),
    },
    Operation {
        id: "changeOrganisation",
        method: Method::PATCH,
        path: "/v1/organisation",
        scope: Scope::Admin,
        summary: "Change what the organisation may do",
        description: "What is not named stays. In force over all workers within a second. What was changed is told as \
                      `command.executed`, without its values.",
        parameters: &[COMMAND_ID, TRACE],
        body: small::<Organisation>(true),
        answers: &[answer::<organisation::Answer>(200, "The organisation as it is now.")],
        refusals: &[413, 415],
        handler: |api, asked| Box::pin(organisation::change(api, asked)),
    },
    Operation {
        id: "getDoNotCall",
        method: Method::GET,
        path: "/v1/do-not-call/{phone}",
        scope: Scope::Read,
        summary: "Whether a number is never called",
        description: "",
        parameters: &[PHONE],
        body: None,
        answers: &[answer::<numbers::Answer>(200, "It is on the list.")],
        refusals: &[404],
        handler: |api, asked| Box::pin(numbers::show(api, asked)),
    },
    Operation {
        id: "putDoNotCall",
        method: Method::PUT,
        path: "/v1/do-not-call/{phone}",
        scope: Scope::Admin,
        summary: "Never call a number",
        description: "In force at once, for destinations that wait, too. Told as `command.executed`, without the number.",
        parameters: &[PHONE, COMMAND_ID, TRACE],
        body: None,
        answers: &[answer::<numbers::Answer>(200, "It is on the list.")],
        refusals: &[],
        handler: |api, asked| Box::pin(numbers::block(api, asked)),
    },
    Operation {
        id: "deleteDoNotCall",
        method: Method::DELETE,
        path: "/v1/do-not-call/{phone}",
        scope: Scope::Admin,
        summary: "Let a number be called again",
        description: "Told as `command.executed`, without the number.",
        parameters: &[PHONE, COMMAND_ID, TRACE],
        body: None,
        answers: &[answer::<numbers::Answer>(200, "It is on the list no more.")],
        refusals: &[404],
        handler: |api, asked| Box::pin(numbers::unblock(api, asked)),
    },
];
