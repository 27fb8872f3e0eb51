//! The web app as a service: the files of `dist/`, built into the program, and nothing else.

mod assets;
mod policy;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use kiln_http::Problem;
use kiln_runtime::{Ready, Service};
use utoipa_axum::router::OpenApiRouter;

/// First parts of the app's addresses. Its router reads the same file.
static PAGES: LazyLock<Vec<String>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../src/router/pages.json")).expect("pages.json is a list of words"));
/// What is never a page, so that a person's mistake there is answered as a program's is.
const NOT_PAGES: [&str; 6] = ["api", "docs", "livez", "readyz", "metrics", ".well-known"];

/// The service. It needs no database and no bus, and is always ready.
pub fn service() -> Service {
    let ready: Ready = Arc::new(|| Box::pin(async { Ok(()) }));
    Service { name: "web", routes: OpenApiRouter::from(router()), tasks: Vec::new(), ready }
}

fn router() -> Router {
    Router::new().route("/", any(serve)).route("/{*path}", any(serve))
}

/// A file of the app; for the address of a page the app itself; else 404, to a person as the app's own page.
async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    let page = PAGES.iter().any(|page| page == first);
    let file = assets::find(path).filter(|file| file.path != assets::INDEX);
    if !page && file.is_none() && (NOT_PAGES.contains(&first) || !is_navigation(&request)) {
        return Problem::not_found().into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This address only takes GET.");
        return problem.into_response();
    }
    match file {
        Some(file) => file.answer(StatusCode::OK, request.headers()),
        None => assets::index().answer(if page { StatusCode::OK } else { StatusCode::NOT_FOUND }, request.headers()),
    }
}

/// Whether a browser asks for a page to show.
fn is_navigation(request: &Request) -> bool {
    request.method() == Method::GET && accepts(request.headers(), &header::ACCEPT, "text/html")
}

/// Whether a list header names the word, in whatever order and weight.
fn accepts(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(',').any(|part| {
        let mut part = part.split(';').map(str::trim);
        part.next() == Some(word) && part.all(|parameter| parameter != "q=0")
    })
}

#[cfg(test)]
mod tests;
