//! The outermost layers: a request id, problem documents for every refusal, panics as 500, and common headers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use kiln_domain::RequestId;
use tower::{ServiceExt as _, service_fn};
use tower_http::catch_panic::CatchPanicLayer;

use crate::Problem;
use crate::auth::{Access, access};
use crate::edge::{Edge, RequestContext};

/// Largest body of a route that does not say otherwise.
const MAX_BODY: usize = 1 << 20;
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Asked by machines at short intervals; not counted.
const UNCOUNTED: [&str; 2] = ["/livez", "/readyz"];

/// Wraps the whole router of a process. The server must pass on its peers' addresses (`ConnectInfo`).
pub fn layers(router: Router, edge: Edge) -> Router {
    let router = router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This address does not offer that method.")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::custom(|_| Problem::internal("a handler panicked").into_response()));
    let counted = edge.govern(router.clone());
    let either = service_fn(move |request: Request| {
        let chosen = if is_counted_by_address(&request) { &counted } else { &router };
        chosen.clone().oneshot(request)
    });
    Router::new().fallback_service(either).layer(from_fn_with_state(Arc::new(edge), write_problems))
}

/// A request that names a caller is counted once that caller is known. Where nobody will ask who calls, a header that
/// names somebody changes nothing.
fn is_counted_by_address(request: &Request) -> bool {
    let path = request.uri().path();
    let names_nobody = RequestContext::of(request.extensions()).is_ok_and(|context| !context.names_a_caller);
    let nobody_asks = !path.starts_with("/api/v1/") || access(request.method().as_str(), path) == Some(Access::Public);
    (names_nobody || nobody_asks) && !UNCOUNTED.contains(&path)
}

async fn write_problems(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let context = match RequestContext::new(edge, request.extensions(), request.headers()) {
        Ok(context) => context,
        Err(problem) => return problem_response(problem.into_response(), RequestId::generate()),
    };
    let id = context.id;
    request.extensions_mut().insert(context.clone());
    let mut response = next.run(request).await;
    context.governed(&mut response);
    if response.status().is_client_error() || response.status().is_server_error() {
        response = problem_response(response, id);
    }
    let headers = response.headers_mut();
    // A handler that counts by a limit of its own has told that one.
    if !headers.contains_key("ratelimit") {
        headers.extend(context.headers());
    }
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;
    use axum::routing::{get, post};

    use super::*;
    use crate::EdgeConfig;

    /// How many of five requests are let through where three a minute are.
    async fn let_through(method: &str, path: &str, authorization: Option<&str>) -> usize {
        let edge = Edge::new(&EdgeConfig { anonymous_per_minute: 3.try_into().unwrap(), ..EdgeConfig::default() });
        let routes = Router::new().route("/api/v1/auth/login", post(|| async {})).route("/", get(|| async {}));
        let router = layers(routes.route("/api/v1/executions", get(|| async {})).route("/livez", get(|| async {})), edge);
        let mut passed = 0;
        for _ in 0..5 {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(value) = authorization {
                request = request.header(header::AUTHORIZATION, value);
            }
            let mut request = request.body(Body::empty()).unwrap();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 7))));
            let status = router.clone().oneshot(request).await.unwrap().status();
            passed += usize::from(status == StatusCode::OK);
        }
        passed
    }

    #[tokio::test]
    async fn a_header_that_nobody_reads_evades_no_limit() {
        for authorization in [None, Some("Bearer nonsense"), Some("x")] {
            assert_eq!(let_through("POST", "/api/v1/auth/login", authorization).await, 3, "{authorization:?}");
            assert_eq!(let_through("GET", "/", authorization).await, 3, "{authorization:?}");
        }
        assert_eq!(let_through("GET", "/livez", None).await, 5);
        // Counted by who it turns out to be.
        assert_eq!(let_through("GET", "/api/v1/executions", Some("Bearer nonsense")).await, 5);
        assert_eq!(let_through("GET", "/api/v1/executions", None).await, 3);
    }
}
