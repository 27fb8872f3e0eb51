//! POST /executions/{id}/cancel

use std::time::{Duration, Instant};

use kiln_e2e_api::WAITS;
use kiln_test_support::{Marker, assert_like, eventually};
use serde_json::json;

use super::{SOON, visit, visit_alone};

#[tokio::test]
async fn ends_the_whole_tree_within_a_second() {
    let (_kiln, tenant) = visit_alone().await;
    let marker = Marker::default();
    // A child, a grandchild in a session of its own, and nobody heeds signals.
    let code = "
import os, signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    os.fork()
    time.sleep(120)
time.sleep(0.2)
print('before', flush=True)
time.sleep(120)
";
    let id = tenant.submit(json!({"code": marker.mark(code)})).await;
    tenant.printed(&id, SOON).await;
    assert!(marker.processes().len() >= 3, "three processes run");

    let begun = Instant::now();
    tenant.cancel(&id).await.expect(202);
    eventually(Duration::from_secs(1), "every process is gone", async || marker.processes().is_empty().then_some(())).await;
    let ended = tenant.ended(&id, SOON).await;
    assert!(begun.elapsed() < Duration::from_millis(1_200), "ended after {:?}", begun.elapsed());
    assert_like(
        &ended,
        json!({
            "status": "cancelled", "reason": {"code": "cancelled_by_user", "message": "<string>"}, "exit_code": null,
            "signal": "SIGKILL", "stdout": "before\n", "usage": {"wall_ms": "<integer>"}, "finished_at": "<time>",
        }),
    );
}

#[tokio::test]
async fn the_answer_is_the_execution() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": WAITS})).await;
    let answer = tenant.cancel(&id).await.expect(202).json();
    assert_eq!(answer["id"], id);
    assert_eq!(tenant.ended(&id, SOON).await["status"], "cancelled");
}

#[tokio::test]
async fn an_ended_run_cannot_be_cancelled_and_stays_as_it_was() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("print(1)").await;
    let id = run["id"].as_str().unwrap();
    tenant.cancel(id).await.problem(409);
    assert_eq!(tenant.execution(id).await, run);
    tenant.cancel(&uuid::Uuid::now_v7().to_string()).await.problem(404);
    tenant.cancel("7").await.problem(404);
}

#[tokio::test]
async fn racing_the_start_or_the_end_leaves_one_terminal_state() {
    let (_kiln, tenant) = visit().await;
    for round in 0..20 {
        let id = tenant.submit(json!({"code": "print('done')"})).await;
        // From at once to about when it ends.
        let pause = Duration::from_millis(round * 4);
        tokio::time::sleep(pause).await;
        let status = tenant.cancel(&id).await.status;
        assert!(status == 202 || status == 409, "{status}");
        let ended = tenant.ended(&id, SOON).await;
        match ended["status"].as_str().unwrap() {
            "cancelled" => assert_like(&ended, json!({"reason": {"code": "cancelled_by_user"}, "exit_code": null})),
            "succeeded" => assert_like(&ended, json!({"reason": null, "exit_code": 0, "stdout": "done\n"})),
            other => panic!("{other} after {pause:?}"),
        }
        assert_eq!(tenant.execution(&id).await, ended);
    }
}
