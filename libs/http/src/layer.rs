//! The outermost layers: a request id, problem documents for every refusal, panics as 500, and common headers.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use kiln_domain::RequestId;
use tower_http::catch_panic::CatchPanicLayer;

use crate::Problem;

/// Largest body of a route that does not say otherwise.
const MAX_BODY: usize = 1 << 20;
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known of a request before any handler runs.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext {
    pub id: RequestId,
}

/// Wraps the whole router of a process.
pub fn layers(router: Router) -> Router {
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This address does not offer that method.")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::custom(|_| Problem::internal("a handler panicked").into_response()))
        .layer(from_fn(write_problems))
}

async fn write_problems(mut request: Request, next: Next) -> Response {
    let id = RequestId::generate();
    request.extensions_mut().insert(RequestContext { id });
    let mut response = next.run(request).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        response = problem_response(response, id);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn problem_response(response: Response, id: RequestId) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    if kind == PROBLEM_JSON.as_bytes() || kind.starts_with(b"text/html") {
        return response; // the replay of a first answer, which keeps its own request id; or a page for a person
    }
    let (mut parts, _) = response.into_parts();
    let problem = parts.extensions.remove::<Problem>().unwrap_or_else(|| unnamed(parts.status));
    let body = serde_json::to_vec(&problem.document(&id.to_string())).unwrap_or_default();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

/// A refusal by a library (body limit, upgrade, time-out) that has no words of its own.
fn unnamed(status: StatusCode) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large("The body is larger than this route accepts."),
        StatusCode::NOT_FOUND => Problem::not_found(),
        StatusCode::TOO_MANY_REQUESTS => Problem::new(status, "rate_limited", "Too many requests; wait and try again."),
        _ if status.is_server_error() => Problem::new(status, "internal", "Something failed on our side; it has been logged."),
        _ => Problem::new(status, "bad_request", "The request cannot be accepted as it is."),
    }
}
