//! GET /executions/{id}

use kiln_e2e_api::WAITS;
use kiln_test_support::assert_like;
use serde_json::json;

use super::{SOON, visit};

#[tokio::test]
async fn an_ended_run_has_all_its_fields() {
    let (_kiln, tenant) = visit().await;
    let body = json!({"code": "import sys\nprint('out')\nprint('err', file=sys.stderr)", "labels": {"a": "b"}});
    let id = tenant.run_with(body).await["id"].as_str().unwrap().to_owned();
    let run = tenant.execution(&id).await;
    assert_like(
        &run,
        json!({
            "id": id, "status": "succeeded", "reason": null, "exit_code": 0, "signal": null, "runtime": "<string>",
            "stdout": "out\n", "stderr": "err\n", "stdout_truncated": false, "stderr_truncated": false,
            "outputs": [], "files": [], "usage": {"wall_ms": "<integer>", "cpu_ms": "<integer>", "memory_peak_bytes": "<integer>"},
            "limits": {"timeout_ms": 30_000}, "session_id": null, "workspace_id": null, "attempt": 1, "created_by": "<string>",
            "labels": {"a": "b"}, "created_at": "<time>", "started_at": "<time>", "finished_at": "<time>",
        }),
    );
    let times = ["created_at", "started_at", "finished_at"].map(|name| run[name].as_str().unwrap().to_owned());
    assert!(times.is_sorted(), "{times:?}");
    assert!(run["usage"]["memory_peak_bytes"].as_u64().unwrap() > 1024 * 1024, "{run}");
    assert!(run["usage"]["wall_ms"].as_u64().unwrap() < 20_000, "{run}");
}

#[tokio::test]
async fn a_live_run_has_nulls_and_what_it_has_printed() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": WAITS})).await;
    let live = tenant.printed(&id, SOON).await;
    assert_like(
        &live,
        json!({
            "status": "running", "reason": null, "exit_code": null, "signal": null, "usage": null, "finished_at": null,
            "started_at": "<time>", "stdout": "waiting\n", "stderr": "",
        }),
    );
    tenant.cancel(&id).await.expect(202);
    tenant.ended(&id, SOON).await;
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let (_kiln, tenant) = visit().await;
    for id in ["7", "x", "0199f0a0-0000-7000-8000-000000000000", &uuid::Uuid::now_v7().to_string(), "%00", "..%2f..%2fetc"] {
        tenant.get(&format!("/executions/{id}")).await.problem(404);
    }
}
