//! GET /limits, and the limits of a run

use kiln_test_support::assert_like;
use serde_json::{Value, json};

use super::visit;

const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn are_as_delivered() {
    let (kiln, tenant) = visit().await;
    let files = |mut limits: Value| {
        limits["code_bytes"] = json!(1_000_000);
        limits["file_bytes"] = json!(5 * MIB);
        limits["files_bytes"] = json!(50 * MIB);
        limits
    };
    let answer = tenant.get("/limits").await.expect(200).json();
    assert_like(
        &answer,
        json!({
            "default": {
                "timeout_ms": 30_000, "memory_bytes": 256 * MIB, "cpu_millis": 1_000, "pids": 64,
                "disk_bytes": 128 * MIB, "output_bytes": 8 * MIB,
            },
            "minimum": {
                "timeout_ms": 100, "memory_bytes": 64 * MIB, "cpu_millis": 100, "pids": 4, "disk_bytes": MIB, "output_bytes": 1024,
            },
            "maximum": files(json!({
                "timeout_ms": 300_000, "memory_bytes": 2048 * MIB, "cpu_millis": 2_000, "pids": 256,
                "disk_bytes": 1024 * MIB, "output_bytes": 64 * MIB,
            })),
        }),
    );
    kiln.api().get("/limits").await.problem(401);
}

#[tokio::test]
async fn each_given_one_replaces_its_default() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run_with(json!({"code": "print(1)", "limits": {"timeout_ms": 5_000, "pids": 4}})).await;
    assert_like(
        &run["limits"],
        json!({
            "timeout_ms": 5_000, "memory_bytes": 256 * MIB, "cpu_millis": 1_000, "pids": 4, "disk_bytes": 128 * MIB,
            "output_bytes": 8 * MIB,
        }),
    );
}

#[tokio::test]
async fn each_is_kept_within_its_range() {
    let (_kiln, tenant) = visit().await;
    let range = tenant.get("/limits").await.expect(200).json();
    for field in ["timeout_ms", "memory_bytes", "cpu_millis", "pids", "disk_bytes", "output_bytes"] {
        let below = range["minimum"][field].as_u64().unwrap() - 1;
        let above = range["maximum"][field].as_u64().unwrap() + 1;
        for wrong in [json!(below), json!(above), json!(0), json!(-1), json!(1.5), json!("1000"), json!(u64::MAX), json!(true)] {
            let body = json!({"code": "print(1)", "limits": {field: wrong}});
            tenant.post("/executions", &body).await.problem(422).at(&format!("/limits/{field}"));
        }
    }
    let body = json!({"code": "print(1)", "limits": {"timeout_ms": 1, "pids": 1}});
    tenant.post("/executions", &body).await.problem(422).at("/limits/timeout_ms").at("/limits/pids");
    let body = json!({"code": "print(1)", "limits": {"gpus": 1}});
    tenant.post("/executions", &body).await.problem(422).at("/limits/gpus");
}

#[tokio::test]
async fn the_smallest_and_the_largest_run() {
    let (_kiln, tenant) = visit().await;
    let range = tenant.get("/limits").await.expect(200).json();
    let only = |limits: &Value| {
        let names = ["memory_bytes", "cpu_millis", "pids", "disk_bytes", "output_bytes"];
        names.into_iter().map(|name| (name.to_owned(), limits[name].clone())).collect::<serde_json::Map<_, _>>()
    };
    for which in ["minimum", "maximum"] {
        let run = tenant.run_with(json!({"code": "print('ok')", "limits": only(&range[which])})).await;
        assert_like(&run, json!({"status": "succeeded", "stdout": "ok\n"}));
    }
}
