//! GET /tenant/usage

use serde_json::{Value, json};

use super::visit;

#[tokio::test]
async fn sums_are_those_of_the_runs_to_the_millisecond() {
    let (_kiln, tenant) = visit().await;
    let empty = tenant.get("/tenant/usage").await.expect(200).json();
    assert_eq!((&empty["data"], &empty["storage_bytes"]), (&json!([]), &json!(0)));
    let mut runs = Vec::new();
    for code in ["print(1)", "sum(range(2_000_000))", "raise SystemExit(3)"] {
        runs.push(tenant.run(code).await);
    }
    let sum = |name: &str| runs.iter().map(|run| run["usage"][name].as_u64().unwrap()).sum::<u64>();
    let memory: u64 = runs
        .iter()
        .map(|run| run["usage"]["memory_peak_bytes"].as_u64().unwrap() * run["usage"]["wall_ms"].as_u64().unwrap())
        .sum();
    let groups = [("day", None), ("user", tenant.signup["user"]["id"].as_str()), ("runtime", runs[0]["runtime"].as_str())];
    for (group_by, group) in groups {
        let usage = tenant.get("/tenant/usage").query("group_by", group_by).await.expect(200).json();
        let [row] = &usage["data"].as_array().unwrap()[..] else { panic!("{usage}") };
        assert_eq!(
            (&row["executions"], &row["cpu_ms"], &row["wall_ms"]),
            (&json!(3), &json!(sum("cpu_ms")), &json!(sum("wall_ms")))
        );
        assert_eq!(row["memory_byte_ms"], json!(memory));
        if let Some(group) = group {
            assert_eq!(row["group"], group);
        }
    }
    let used = tenant.get("/tenant/quota").await.expect(200).json();
    assert_eq!(used["used"]["cpu_ms_per_day"], json!(sum("cpu_ms")));
    // What is deleted has been used all the same.
    tenant.delete(&format!("/executions/{}", runs[0]["id"].as_str().unwrap())).await.expect(204);
    assert_eq!(tenant.get("/tenant/usage").await.expect(200).json()["data"][0]["executions"], 3);
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_refused() {
    let (_kiln, tenant) = visit().await;
    for query in ["group_by=hour", "from=yesterday", "from=2026-02-01&to=2026-01-01", "from=2020-01-01", "since=2026-01-01"] {
        tenant.get(&format!("/tenant/usage?{query}")).await.problem(400);
    }
    let before: Value = tenant.get("/tenant/usage?from=2025-01-01&to=2025-01-31T23:00:00Z").await.expect(200).json();
    assert_eq!((&before["from"], &before["to"], &before["data"]), (&json!("2025-01-01"), &json!("2025-01-31"), &json!([])));
}
