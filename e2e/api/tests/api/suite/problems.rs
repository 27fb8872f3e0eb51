//! Requests that are wrong before any route looks at them

use kiln_test_support::Visit;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{SOON, visit};

const JSON: &str = "application/json";

#[tokio::test]
async fn malformed_json_is_400() {
    let (_kiln, tenant) = visit().await;
    for body in ["", "{", "{\"code\":}", "{\"code\":\"x\"}}", "\u{feff}{}", "nonsense", "{\"code\":\"\\ud800\"}"] {
        tenant.call(Method::POST, "/executions").body(JSON, body).await.problem(400);
    }
    tenant.call(Method::POST, "/executions").body(JSON, b"{\"code\":\"\xff\"}".to_vec()).await.problem(400);
    tenant.anonymous().call(Method::POST, "/auth/login").body(JSON, "{").await.problem(400);
    tenant.call(Method::POST, "/api-keys").body(JSON, "{").await.problem(400);
}

#[tokio::test]
async fn json_of_another_shape_is_422() {
    let (_kiln, tenant) = visit().await;
    for body in ["[]", "[\"python\",\"print(1)\"]", "[\"print(1)\"]", "null", "7", "\"x\"", "{\"code\":\"a\",\"code\":\"b\"}"] {
        tenant.call(Method::POST, "/executions").body(JSON, body).await.problem(422);
    }
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let (_kiln, tenant) = visit().await;
    for body in ["[".repeat(100_000), format!("{{\"labels\":{}", "{\"a\":".repeat(100_000))] {
        let answer = tenant.call(Method::POST, "/executions").body(JSON, body).await;
        assert!(answer.status == 400 || answer.status == 422, "{}", answer.status);
    }
    tenant.get("/limits").await.expect(200);
}

#[tokio::test]
async fn another_content_type_is_415() {
    let (_kiln, tenant) = visit().await;
    let body = json!({"code": "print(1)"}).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data; boundary=x"] {
        tenant.call(Method::POST, "/executions").body(kind, body.clone()).await.problem(415);
    }
    tenant.call(Method::POST, "/executions").body("application/json; charset=utf-8", body.clone()).await.expect(202);
    // A simple form post from a foreign page must not count as JSON either.
    tenant.anonymous().call(Method::POST, "/auth/login").body("text/plain", "{}").await.problem(415);
}

#[tokio::test]
async fn unknown_routes_are_404_and_other_methods_405() {
    let (_kiln, tenant) = visit().await;
    for path in ["/nope", "/executions/", "/auth", "/executions/0199f0a0-0000-7000-8000-000000000000/nope", "/../metrics"] {
        tenant.get(path).await.problem(404);
    }
    for (method, path) in
        [(Method::PUT, "/executions"), (Method::POST, "/runtimes"), (Method::GET, "/auth/login"), (Method::PATCH, "/limits")]
    {
        let problem = tenant.call(method, path).await.problem(405);
        assert!(!problem.header("allow").is_empty(), "{:?}", problem.headers);
    }
}

#[tokio::test]
async fn every_answer_has_its_request_id() {
    let (_kiln, tenant) = visit().await;
    let (first, second) = (tenant.get("/nope").await.problem(404), tenant.get("/nope").await.problem(404));
    assert_ne!(first.body["request_id"], second.body["request_id"]);
}

/// Sends the head of a request and then a body that never ends, in a steady stream, until the server answers or stops reading.
async fn pour(kiln: &Visit, head: &str, most: usize) -> (String, usize) {
    let address = kiln.addresses().scheduler.trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    stream.write_all(head.replace("HOST", &address).as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut answer = vec![0; 4096];
    let chunk = vec![b'x'; 65_536];
    let mut sent = 0;
    let work = async {
        loop {
            tokio::select! {
                biased;
                got = read.read(&mut answer) => return got.unwrap_or(0),
                wrote = write.write(&chunk), if sent < most => match wrote {
                    Ok(bytes) => sent += bytes,
                    Err(_) => return read.read(&mut answer).await.unwrap_or(0),
                },
            }
        }
    };
    let length = tokio::time::timeout(SOON, work).await.unwrap_or_else(|_| panic!("no answer to {head:?}"));
    (String::from_utf8_lossy(&answer[..length]).into_owned(), sent)
}

#[tokio::test]
async fn an_oversized_body_is_413_without_being_read() {
    let (kiln, tenant) = visit().await;
    let declared = 81 * 1024 * 1024;
    let head = format!(
        "POST /api/v1/executions HTTP/1.1\r\nhost: HOST\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {declared}\r\n\r\n",
        tenant.access_token()
    );
    let (answer, sent) = pour(&kiln, &head, declared).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(sent < 16 * 1024 * 1024, "it took {sent} bytes before it refused");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn a_stranger_cannot_make_the_server_take_a_large_body() {
    let kiln = Visit::beside(crate::MODE).await;
    let head =
        "POST /api/v1/executions HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ncontent-length: 73400320\r\n\r\n";
    let (answer, sent) = pour(&kiln, head, 73_400_320).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(sent < 16 * 1024 * 1024, "it took {sent} bytes before it refused");
}

#[tokio::test]
async fn a_password_of_a_megabyte_is_refused_cheaply() {
    let kiln = Visit::beside(crate::MODE).await;
    let body = json!({"email": "a@example.org", "password": "x".repeat(1024 * 1024)});
    let answer = kiln.api().post("/auth/login", &body).await;
    assert!([401, 413, 422].contains(&answer.status), "{}", answer.status);
}

#[tokio::test]
async fn nothing_of_a_request_is_echoed_as_markup() {
    let (_kiln, tenant) = visit().await;
    let body = json!({"code": "print(1)", "runtime": "<script>alert(1)</script>"});
    let problem = tenant.post("/executions", &body).await.problem(422).at("/runtime");
    assert!(!problem.body.to_string().contains("<script>"), "{}", problem.body);
    assert_eq!(problem.header("x-content-type-options"), "nosniff");
}
