//! Rate, errors and duration of each service's routes, as metrics.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use metrics::{counter, gauge, histogram};
use utoipa_axum::router::OpenApiRouter;

/// Counts and times what `router` answers, under the service's name. The label `route` is the pattern, never the path. Of a
/// stream the time is that until it begins; of `POST …?wait_ms` it holds the wait.
pub fn measured(router: OpenApiRouter, service: &'static str) -> OpenApiRouter {
    router.layer(from_fn_with_state(service, measure))
}

async fn measure(State(service): State<&'static str>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = name(request.method());
    let begun = Instant::now();
    let in_flight = InFlight::enter(service);
    let response = next.run(request).await;
    drop(in_flight);
    histogram!("kiln_http_request_duration_seconds", "service" => service, "route" => route.clone(), "method" => method)
        .record(begun.elapsed());
    let status = response.status().as_u16().to_string();
    counter!("kiln_http_requests_total", "service" => service, "route" => route, "method" => method, "status" => status)
        .increment(1);
    response
}

/// A client may send any word as a method; a label must not take it.
fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// One request, for as long as it is answered or until its client goes away.
struct InFlight(&'static str);

impl InFlight {
    fn enter(service: &'static str) -> Self {
        gauge!("kiln_http_requests_in_flight", "service" => service).increment(1);
        Self(service)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!("kiln_http_requests_in_flight", "service" => self.0).decrement(1);
    }
}
