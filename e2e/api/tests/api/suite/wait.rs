//! POST /executions?wait_ms

use std::time::{Duration, Instant};

use kiln_e2e_api::WAITS;
use kiln_test_support::assert_like;
use serde_json::json;

use super::{SOON, visit, visit_alone};

#[tokio::test]
async fn answers_200_with_the_result_once_it_has_ended() {
    let (_kiln, tenant) = visit().await;
    let answer = tenant.post("/executions", &json!({"code": "print(1)"})).query("wait_ms", 60_000).await.expect(200);
    assert_like(&answer.json(), json!({"status": "succeeded", "stdout": "1\n", "exit_code": 0, "finished_at": "<time>"}));
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(tenant.execution(&id).await, answer.json(), "the answer equals GET");
}

#[tokio::test]
async fn answers_202_when_it_has_not_ended_in_time() {
    let (_kiln, tenant) = visit().await;
    let begun = Instant::now();
    let answer = tenant.post("/executions", &json!({"code": WAITS})).query("wait_ms", 700).await.expect(202);
    let waited = begun.elapsed();
    assert!((Duration::from_millis(700)..Duration::from_secs(3)).contains(&waited), "{waited:?}");
    assert_like(&answer.json(), json!({"id": "<uuid>", "exit_code": null, "finished_at": null}));
    assert!(!answer.header("location").is_empty());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    tenant.cancel(&id).await.expect(202);
    tenant.ended(&id, SOON).await;
}

#[tokio::test]
async fn answers_when_the_run_ends_and_not_at_some_next_look() {
    let (_kiln, tenant) = visit_alone().await;
    tenant.run("print(1)").await;
    let mut overheads = Vec::new();
    for _ in 0..10 {
        let begun = Instant::now();
        let run = tenant.run("print(1)").await;
        let wall = Duration::from_millis(run["usage"]["wall_ms"].as_u64().unwrap());
        overheads.push(begun.elapsed().saturating_sub(wall));
    }
    overheads.sort();
    assert!(overheads[5] < Duration::from_millis(150), "the answer comes {overheads:?} after the program's own time");
}

#[tokio::test]
async fn is_at_most_a_minute() {
    let (_kiln, tenant) = visit().await;
    for wrong in ["60001", "-1", "x", "1.5", ""] {
        let answer = tenant.post("/executions", &json!({"code": "print(1)"})).query("wait_ms", wrong).await;
        let status = answer.status;
        assert!(status == 400 || status == 422, "wait_ms={wrong}: {status}");
        answer.problem(status);
    }
    let listed = tenant.get("/executions").await.expect(200).json();
    assert_like(&listed, json!({"data": []}));
}
