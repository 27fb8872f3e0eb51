//! Idempotency-Key on POST /executions

use std::time::Duration;

use kiln_test_support::{Call, Tenant, assert_like, eventually};
use serde_json::{Value, json};

use super::{SOON, visit};

fn post(tenant: &Tenant, key: &str, body: &Value) -> Call {
    tenant.post("/executions", body).header("idempotency-key", key)
}

async fn count(tenant: &Tenant) -> usize {
    tenant.get("/executions").await.expect(200).json()["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_first_answer_is_replayed() {
    let (_kiln, tenant) = visit().await;
    let body = json!({"code": "print(1)"});
    let first = post(&tenant, "a", &body).await.expect(202);
    assert_eq!(first.header("idempotency-replayed"), "");
    let second = post(&tenant, "a", &body).await.expect(202);
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(first.json(), second.json());
    assert_eq!(first.header("location"), second.header("location"));
    assert_eq!(count(&tenant).await, 1);
    post(&tenant, "b", &body).await.expect(202);
    assert_eq!(count(&tenant).await, 2);
}

#[tokio::test]
async fn another_body_or_query_is_refused() {
    let (_kiln, tenant) = visit().await;
    let body = json!({"code": "print(1)"});
    post(&tenant, "a", &body).await.expect(202);
    post(&tenant, "a", &json!({"code": "print(2)"})).await.problem(422);
    post(&tenant, "a", &body).query("wait_ms", 100).await.problem(422);
    assert_eq!(count(&tenant).await, 1);
}

#[tokio::test]
async fn a_key_belongs_to_its_tenant() {
    let (kiln, tenant) = visit().await;
    let other = kiln.sign_up().await;
    let first = post(&tenant, "same", &json!({"code": "print(1)"})).await.expect(202).json();
    let second = post(&other, "same", &json!({"code": "print(2)"})).await.expect(202);
    assert_eq!(second.header("idempotency-replayed"), "");
    assert_ne!(first["id"], second.json()["id"]);
}

#[tokio::test]
async fn a_request_that_still_runs_is_a_conflict() {
    let (_kiln, tenant) = visit().await;
    let body = json!({"code": "import time\nprint('x', flush=True)\ntime.sleep(3)"});
    let first = tokio::spawn(post(&tenant, "a", &body).query("wait_ms", 30_000).attempt());
    eventually(SOON, "it runs", async || (count(&tenant).await == 1).then_some(())).await;
    post(&tenant, "a", &body).query("wait_ms", 30_000).await.problem(409);
    let first = tokio::time::timeout(SOON, first).await.unwrap().unwrap().unwrap().expect(200);
    let replay = post(&tenant, "a", &body).query("wait_ms", 30_000).timeout(Duration::from_secs(10)).await.expect(200);
    assert_eq!(first.json(), replay.json());
    assert_eq!(count(&tenant).await, 1);
}

#[tokio::test]
async fn many_at_once_make_one() {
    let (_kiln, tenant) = visit().await;
    let body = json!({"code": "print(1)"});
    let answers = futures::future::join_all((0..16).map(|_| post(&tenant, "a", &body).attempt())).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().status).collect();
    assert!(statuses.contains(&202) && statuses.iter().all(|status| [202, 409].contains(status)), "{statuses:?}");
    assert_eq!(count(&tenant).await, 1);
}

#[tokio::test]
async fn a_refused_body_does_not_make_anything_and_strange_keys_are_refused() {
    let (_kiln, tenant) = visit().await;
    post(&tenant, "a", &json!({"code": ""})).await.problem(422);
    for key in ["", &"k".repeat(10_000)] {
        let status = post(&tenant, key, &json!({"code": "print(1)"})).await.status;
        assert!((400..500).contains(&status), "{status} for a key of {} bytes", key.len());
    }
    assert_like(&tenant.get("/executions").await.expect(200).json(), json!({"data": []}));
}
