//! POST /executions/{id}/retry

use kiln_e2e_api::WAITS;
use kiln_test_support::assert_like;
use reqwest::Method;
use serde_json::json;

use super::{SOON, visit};

#[tokio::test]
async fn runs_the_same_as_a_new_execution() {
    let (_kiln, tenant) = visit().await;
    let body = json!({
        "code": "import sys\nprint(sys.argv[1], input(), open('f').read())\nraise SystemExit(3)", "args": ["a"], "stdin": "b\n",
        "files": [{"path": "f", "content": "Yw=="}], "labels": {"k": "v"}, "limits": {"timeout_ms": 9_000},
    });
    let first = tenant.run_with(body).await;
    assert_like(&first, json!({"status": "failed", "exit_code": 3, "stdout": "a b c\n"}));
    let id = first["id"].as_str().unwrap();

    let answer = tenant.call(Method::POST, &format!("/executions/{id}/retry")).await.expect(202);
    let second = answer.json()["id"].as_str().unwrap().to_owned();
    assert_ne!(second, id);
    assert!(answer.header("location").ends_with(&second));
    assert_like(
        &tenant.ended(&second, SOON).await,
        json!({
            "status": "failed", "exit_code": 3, "stdout": "a b c\n", "labels": {"k": "v"}, "limits": {"timeout_ms": 9_000}, "attempt": 1,
            "runtime": first["runtime"],
        }),
    );
    assert_eq!(tenant.execution(id).await, first);
}

#[tokio::test]
async fn a_live_run_is_a_conflict_and_an_unknown_one_404() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": WAITS})).await;
    tenant.call(Method::POST, &format!("/executions/{id}/retry")).await.problem(409);
    tenant.cancel(&id).await.expect(202);
    tenant.ended(&id, SOON).await;
    tenant.call(Method::POST, &format!("/executions/{}/retry", uuid::Uuid::now_v7())).await.problem(404);
}

#[tokio::test]
async fn a_repeated_request_makes_one_execution() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("print(1)").await;
    let path = format!("/executions/{}/retry", run["id"].as_str().unwrap());
    let retry = || tenant.call(Method::POST, &path).header("idempotency-key", "again");
    let (first, second) = (retry().await.expect(202), retry().await.expect(202));
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(second.header("idempotency-replayed"), "true");
    let listed = tenant.get("/executions").await.expect(200).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
}
