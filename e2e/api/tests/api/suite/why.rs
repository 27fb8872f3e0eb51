//! GET /executions/{id}/why, and the order in which runs wait

use std::time::Duration;

use kiln_e2e_api::WAITS;
use kiln_test_support::assert_like;
use serde_json::{Value, json};

use super::{SOON, visit, visit_alone};

#[tokio::test]
async fn a_run_that_does_not_wait_has_no_position() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("print(1)").await;
    let why = tenant.get(&format!("/executions/{}/why", run["id"].as_str().unwrap())).await.expect(200).json();
    assert_like(&why, json!({"state": "succeeded", "position": null, "waiting_for": null, "estimate_ms": null}));
}

#[tokio::test]
async fn a_waiting_run_says_what_for_and_can_be_cancelled() {
    let (kiln, tenant) = visit_alone().await;
    // One more than a tenant may run at once, so that the last waits whatever the machine's capacity is.
    let body = json!({"code": WAITS, "limits": {"memory_bytes": 67_108_864}});
    let mut ids = Vec::new();
    for _ in 0..34 {
        ids.push(tenant.submit(body.clone()).await);
    }
    let (last, earlier) = ids.split_last().unwrap();
    tenant.printed(&ids[0], SOON).await;
    let why = tenant.get(&format!("/executions/{last}/why")).await.expect(200).json();
    assert_like(&why, json!({"state": "queued", "position": "<integer>", "waiting_for": "<string>", "estimate_ms": "<any>"}));
    let waits_for = why["waiting_for"].as_str().unwrap();
    assert!(["capacity", "tenant_concurrency"].contains(&waits_for), "{why}");

    tenant.cancel(last).await.expect(202);
    let cancelled = tenant.ended(last, Duration::from_secs(2)).await;
    assert_like(
        &cancelled,
        json!({
            "status": "cancelled", "reason": {"code": "cancelled_by_user"}, "exit_code": null, "started_at": null, "stdout": "",
            "finished_at": "<time>",
        }),
    );
    let live = |status: &Value| status == "running";
    let mut running = 0;
    for id in earlier {
        running += usize::from(live(&tenant.execution(id).await["status"]));
    }
    assert!((1..=32).contains(&running), "{running} run at once");

    // Another tenant's run comes in its turn: of the two next places one is its.
    let other = kiln.sign_up().await;
    let single = other.submit(json!({"code": "print('mine')"})).await;
    for id in &ids[..2] {
        tenant.cancel(id).await.expect(202);
    }
    let mine = other.ended(&single, SOON).await;
    assert_like(&mine, json!({"status": "succeeded", "stdout": "mine\n"}));
    for id in earlier.iter().skip(2) {
        tenant.cancel(id).await.expect(202);
    }
    for id in earlier {
        assert_eq!(tenant.ended(id, SOON).await["status"], "cancelled");
    }
}

#[tokio::test]
async fn an_unknown_run_is_404() {
    let (_kiln, tenant) = visit().await;
    tenant.get(&format!("/executions/{}/why", uuid::Uuid::now_v7())).await.problem(404);
}
