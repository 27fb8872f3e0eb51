//! /scripts: programs that are kept, with what they were before

use kiln_test_support::assert_like;
use reqwest::Method;
use serde_json::json;

use super::visit;

#[tokio::test]
async fn they_are_made_read_changed_and_deleted() {
    let (kiln, tenant) = visit().await;
    let body = json!({"name": "hello", "description": "says so", "runtime": "node", "code": "console.log('hi')"});
    let answer = tenant.post("/scripts", &body).await.expect(201);
    let made = answer.json();
    assert_like(&made, body);
    assert_like(&made, json!({"id": "<uuid>", "revision": 1, "version": 1, "created_by": "<uuid>", "created_at": "<time>"}));
    let path = format!("/scripts/{}", made["id"].as_str().unwrap());
    assert_eq!((answer.header("location"), answer.header("etag")), (format!("/api/v1{path}").as_str(), "\"1\""));
    assert_eq!(tenant.get(&path).await.expect(200).json(), made);
    tenant.get(&path).header("if-none-match", "\"1\"").await.expect(304);

    let put = json!({"name": "bye", "description": "", "runtime": "python", "code": "print('bye')"});
    tenant.call(Method::PUT, &path).json(&put).await.problem(428);
    let answer = tenant.call(Method::PUT, &path).header("if-match", "\"1\"").json(&put).await.expect(200);
    assert_like(&answer.json(), put.clone());
    tenant.call(Method::PUT, &path).header("if-match", "\"1\"").json(&put).await.problem(412);
    let patched = tenant.call(Method::PATCH, &path).json(&json!({"name": "again"})).await.expect(200).json();
    assert_like(&patched, json!({"name": "again", "code": "print('bye')", "revision": 3}));

    assert_like(&tenant.get("/scripts").query("name", "AGAIN").await.expect(200).json(), json!({"data": [{"name": "again"}]}));
    assert_like(&tenant.get("/scripts").query("name", "hello").await.expect(200).json(), json!({"data": []}));
    assert_like(&tenant.get("/notebooks").await.expect(200).json(), json!({"data": []}));
    kiln.sign_up().await.get(&path).await.problem(404);
    tenant.get(&path.replace("scripts", "notebooks")).await.problem(404);
    tenant.delete(&path).await.expect(204);
    tenant.get(&path).await.problem(404);
}

#[tokio::test]
async fn versions_are_listed_compared_and_restored() {
    let (_kiln, tenant) = visit().await;
    let made = tenant.post("/scripts", &json!({"name": "s", "code": "a\nb\n"})).await.expect(201).json();
    let path = format!("/scripts/{}", made["id"].as_str().unwrap());
    tenant.call(Method::PUT, &path).header("if-match", "\"1\"").json(&json!({"code": "a\nc\n"})).await.expect(200);
    let list = tenant.get(&format!("{path}/versions")).await.expect(200).json();
    assert_like(&list, json!({"data": [{"number": 2, "cause": "saved", "current": true}, {"number": 1, "cause": "created"}]}));
    assert_like(&tenant.get(&format!("{path}/versions/1")).await.expect(200).json(), json!({"number": 1, "code": "a\nb\n"}));
    let diff = tenant.get(&format!("{path}/versions/2/diff")).await.expect(200).json();
    assert_like(&diff, json!({"from": 1, "to": 2}));
    assert!(diff["code"].as_str().unwrap().contains("-b\n+c\n"), "{diff}");
    let restored = tenant.call(Method::POST, &format!("{path}/versions/1/restore")).await.expect(200).json();
    assert_like(&restored, json!({"version": 3, "code": "a\nb\n"}));
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let (_kiln, tenant) = visit().await;
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!({"name": ""}), "/name"),
        (json!({"name": "s", "code": 7}), "/code"),
        (json!({"name": "s", "code": "x".repeat(1_000_001)}), "/code"),
        (json!({"name": "s", "description": "x".repeat(10_001)}), "/description"),
        (json!({"name": "s", "runtime": "cobol"}), "/runtime"),
        (json!({"name": "s", "content": {}}), "/content"),
    ] {
        let problem = tenant.post("/scripts", &body).await.problem(422);
        assert!(problem.body["errors"].to_string().contains(pointer), "{}", problem.body);
    }
    let make = || tenant.post("/scripts", &json!({"name": "once"})).header("idempotency-key", "k");
    let first = make().await.expect(201).json();
    assert_eq!(make().await.expect(201).json(), first);
}
