//! `/v1/do-not-call`: numbers that are never called.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::answer::{Refusal, json};
use super::asked::Asked;
use crate::model::Phone;

/// A number, and whether it is never called.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DoNotCall")]
pub(super) struct Answer {
    /// The number.
    phone: Phone,
    /// Whether it is on the list.
    blocked: bool,
}

fn answer(phone: Phone, blocked: bool) -> Result<Response, Refusal> {
    Ok(json(StatusCode::OK, &Answer { phone, blocked }))
}

fn phone(asked: &mut Asked) -> Result<Phone, Refusal> {
    std::mem::take(&mut asked.query).finish()?;
    asked.path("phone")
}

/// Whether a number is on the list.
pub(super) async fn show(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    let phone = phone(&mut asked)?;
    let listed = api.ask(api.ports.store.is_blocked(asked.organisation(), phone)).await?;
    if listed { answer(phone, true) } else { Err(Refusal::not_found(format!("{phone} is not on the list"))) }
}

/// What is told of it names no number.
fn log(asked: &Asked, phone: Phone, blocked: bool) {
    let (organisation, actor) = (asked.organisation(), asked.caller.label.as_str());
    tracing::info!(%organisation, actor, phone = phone.masked(), blocked, "the do-not-call list was changed");
}

/// Puts a number on the list.
pub(super) async fn block(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    let phone = phone(&mut asked)?;
    let given = api.given(&asked)?;
    if api.ask(api.ports.store.block_number(asked.organisation(), phone, Some(&given))).await? {
        log(&asked, phone, true);
    }
    answer(phone, true)
}

/// Takes a number off the list.
pub(super) async fn unblock(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    let phone = phone(&mut asked)?;
    let given = api.given(&asked)?;
    if api.ask(api.ports.store.unblock_number(asked.organisation(), phone, Some(&given))).await? {
        log(&asked, phone, false);
        answer(phone, false)
    } else {
        Err(Refusal::not_found(format!("{phone} is not on the list")))
    }
}
