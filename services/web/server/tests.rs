use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http_body_util::BodyExt as _;
use kiln_http::{Edge, EdgeConfig};
use tower::ServiceExt as _;

use super::*;

async fn send(method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
    let peer = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9)));
    let mut request = axum::http::Request::builder().method(method).uri(path).extension(peer);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let router = kiln_http::layers(router(), Edge::new(&EdgeConfig::default()));
    let (parts, body) = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn every_page_is_the_app_with_its_policy() {
    for path in ["/", "/login", "/runs/0199"] {
        let (status, headers, body) = send("GET", path, &[]).await;
        assert_eq!((status, headers["cache-control"].to_str().unwrap()), (StatusCode::OK, "no-cache"), "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert!(body.starts_with(b"<!doctype html>"), "{path}");
    }
}

#[tokio::test]
async fn the_page_for_programs_html_has_no_origin_and_no_network() {
    let (status, headers, _) = send("GET", "/frame.html", &[]).await;
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(policy.starts_with("sandbox allow-scripts; default-src 'none'") && !policy.contains("allow-same-origin"), "{policy}");
}

#[tokio::test]
async fn unknown_addresses_are_problems_to_programs_and_the_app_to_people() {
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    for (path, headers) in [("/api/v1/nope", &browser[..]), ("/metrics", &browser), ("/nope", &[]), ("/assets/nope.js", &[])] {
        let (status, headers, _) = send("GET", path, headers).await;
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::NOT_FOUND, "application/problem+json"));
    }
    let (status, headers, _) = send("GET", "/nope", &browser).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::NOT_FOUND, "text/html; charset=utf-8"));
    assert_eq!(send("POST", "/api/v1/nope", &browser).await.0, StatusCode::NOT_FOUND);
    assert_eq!(send("POST", "/login", &browser).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn files_are_compressed_cached_and_not_sent_twice() {
    let (_, _, body) = send("GET", "/", &[]).await;
    let page = String::from_utf8(body).unwrap();
    let script = page.split('"').find(|part| part.starts_with("/assets/index-")).unwrap();
    let (status, headers, packed) = send("GET", script, &[("accept-encoding", "br, gzip;q=0.8")]).await;
    assert_eq!((status, headers["content-encoding"].to_str().unwrap()), (StatusCode::OK, "gzip"));
    assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(headers["content-type"], "text/javascript; charset=utf-8");
    let (_, plain, whole) = send("GET", script, &[("accept-encoding", "gzip;q=0")]).await;
    assert!(!plain.contains_key("content-encoding") && whole.len() > packed.len());
    let (status, _, body) = send("GET", script, &[("if-none-match", headers["etag"].to_str().unwrap())]).await;
    assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
}
