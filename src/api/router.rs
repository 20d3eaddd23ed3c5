//! Routes, made from the table of operations; and what every question goes through before it is answered.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use futures_util::FutureExt as _;

use super::answer::Refusal;
use super::asked::{Asked, Query, is_json, trace_of};
use super::operation::Operation;
use super::origin::origin;
use super::server::Peer;
use super::{Api, openapi, operations, page};
use crate::telemetry::deployment as telemetry;
use crate::telemetry::servers::Stopwatch;
use crate::telemetry::spans;
use tracing::Instrument as _;

/// The routes of all operations, and of their document.
pub(super) fn router(api: &Arc<Api>) -> Router {
    let mut paths: BTreeMap<&str, MethodRouter> = BTreeMap::new();
    for operation in operations::all() {
        // Every method of the table is one of those that a router knows.
        let Ok(filter) = MethodFilter::try_from(operation.method.clone()) else { continue };
        let api = Arc::clone(api);
        let handler = move |path: Result<RawPathParams, RawPathParamsRejection>, request: Request| {
            serve(api, operation, path, request)
        };
        let routes = paths.remove(operation.path).unwrap_or_default();
        paths.insert(operation.path, routes.on(filter, handler));
    }
    let mut router = Router::new();
    for (path, routes) in paths {
        router = router.route(path, routes);
    }
    router
        .route("/v1/openapi.json", on(MethodFilter::GET, openapi::serve))
        .route("/v1/openapi.html", on(MethodFilter::GET, page::serve))
        .method_not_allowed_fallback(async || Refusal::no_such_method().respond())
        .fallback(async |uri: Uri| Refusal::not_found(format!("there is nothing at {}", uri.path())).respond())
}

async fn serve(
    api: Arc<Api>,
    operation: &'static Operation,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let asked = Stopwatch::start();
    let answering = async {
        let answered = AssertUnwindSafe(answered(api, operation, path, request)).catch_unwind().await;
        // What went wrong has been written where panics are written.
        let answered = answered.unwrap_or_else(|_| Err(Refusal::unavailable("this cannot be answered")));
        let answer = answered.unwrap_or_else(Refusal::respond);
        telemetry::answered(asked, answer.status().as_u16());
        answer
    };
    answering.instrument(spans::question(operation.id)).await
}

async fn answered(
    api: Arc<Api>,
    operation: &'static Operation,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().cloned();
    let Peer { address, connection } = peer.unwrap_or_default();
    let from = origin(address, &parts.headers, &api.settings.trusted_proxies);
    let (key, caller) = api.let_in(&parts.headers, from, operation.scope).await?;
    let path = path.map_err(|_| Refusal::wrong("", "what the path stands for is not UTF-8"))?;
    let path: Vec<_> = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    spans::asked_by(&caller.organisation, trace_of(&parts.headers), &path);
    let held = Arc::clone(&api);
    let (body, _room) = match &operation.body {
        Some(expected) => {
            let (body, room) = held.read_body(&caller.organisation, &parts.headers, body, expected.most).await?;
            if !body.is_empty() && !is_json(&parts.headers) {
                return Err(Refusal::no_json());
            }
            if body.is_empty() && expected.required {
                return Err(Refusal::wrong("", "a body is needed"));
            }
            (body, room)
        }
        None => Default::default(),
    };
    let query = Query::of(parts.uri.query());
    let asked = Asked { caller, key, path, query, headers: parts.headers, body, connection };
    (operation.handler)(api, asked).await
}
