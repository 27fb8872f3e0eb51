//! The services of one process, behind one HTTP address.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::join_all;
use kiln_http::Edge;
use kiln_runtime::{Ready, Service};
use serde_json::json;
use tower_http::timeout::RequestBodyTimeoutLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::api_document;

/// Longest that one service may take to say whether it is ready.
const READY_WITHIN: Duration = Duration::from_secs(2);
/// A body may be long, but something of it must come within this time.
const BODY_STALL: Duration = Duration::from_secs(30);

/// Whether each service of the process can serve.
#[derive(Clone)]
pub struct Readiness(Arc<Vec<(&'static str, Ready)>>);

impl Readiness {
    pub fn of(services: &[Service]) -> Self {
        Self(Arc::new(services.iter().map(|service| (service.name, Arc::clone(&service.ready))).collect()))
    }

    /// What each service says, in order.
    pub async fn ask(&self) -> Vec<(&'static str, Result<(), String>)> {
        join_all(self.0.iter().map(async |(name, ready)| {
            let answer = tokio::time::timeout(READY_WITHIN, ready()).await;
            (*name, answer.unwrap_or_else(|_| Err(format!("no answer within {READY_WITHIN:?}"))))
        }))
        .await
    }
}

/// Everything that the process serves on its public address, and what it says of itself.
pub fn router(routes: impl IntoIterator<Item = OpenApiRouter>, readiness: Readiness, edge: Edge) -> Router {
    let merged = routes.into_iter().fold(OpenApiRouter::new(), OpenApiRouter::merge);
    let (router, document) = merged.split_for_parts();
    let document = api_document::complete(document);
    let router = router.merge(documentation(&document)).merge(health(readiness));
    kiln_http::layers(router, edge).layer(RequestBodyTimeoutLayer::new(BODY_STALL))
}

fn documentation(document: &OpenApi) -> Router {
    let pages = utoipa_swagger_ui::SwaggerUi::new("/docs").url(api_document::PATH, document.clone());
    Router::new().merge(pages)
}

fn health(readiness: Readiness) -> Router {
    Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(readyz)).with_state(readiness)
}

/// 200 only when every service is ready; `?verbose` names each.
async fn readyz(State(readiness): State<Readiness>, RawQuery(query): RawQuery) -> Response {
    let answers = readiness.ask().await;
    let ready = answers.iter().all(|(_, answer)| answer.is_ok());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let verbose = query.is_some_and(|query| query.split('&').any(|pair| pair == "verbose" || pair.starts_with("verbose=")));
    if verbose && ready {
        let services: serde_json::Map<_, _> = answers.into_iter().map(|(name, _)| (name.to_owned(), json!("ready"))).collect();
        return (status, axum::Json(json!({ "ready": true, "services": services }))).into_response();
    }
    for (service, answer) in &answers {
        if let Err(reason) = answer {
            tracing::warn!(service, reason, "not ready");
        }
    }
    if ready {
        return (status, "ok\n").into_response();
    }
    let waiting: Vec<_> = answers.iter().filter(|(_, answer)| answer.is_err()).map(|(name, _)| *name).collect();
    kiln_http::Problem::new(status, "not_ready", format!("Not ready: {}.", waiting.join(", "))).into_response()
}
