//! GET /tenant and GET /tenant/quota

use std::time::Duration;

use kiln_e2e_api::WAITS;
use kiln_test_support::{assert_like, eventually};
use serde_json::json;

use super::{SOON, visit};

#[tokio::test]
async fn the_tenant_is_shown() {
    let (_kiln, tenant) = visit().await;
    let answer = tenant.get("/tenant").await.expect(200).json();
    assert_like(&answer, json!({"id": tenant.tenant_id(), "name": "<string>", "slug": tenant.signup["tenant"]["slug"]}));
}

#[tokio::test]
async fn limits_are_as_delivered_and_use_returns_to_zero() {
    let (_kiln, tenant) = visit().await;
    let quota = async || tenant.get("/tenant/quota").await.expect(200).json();
    let fields = |number: &str| {
        json!({
            "max_concurrent": number, "max_queued": number, "executions_per_minute": number, "cpu_ms_per_day": "<any>",
            "max_sessions": number, "storage_bytes": number,
        })
    };
    let before = quota().await;
    assert_like(&before, json!({"limits": fields("<integer>"), "used": fields("<integer>")}));
    assert_like(
        &before["limits"],
        json!({
            "max_concurrent": 32, "max_queued": 10_000, "executions_per_minute": 60_000, "max_sessions": 8,
            "storage_bytes": 10_737_418_240_u64, "max_timeout_ms": 300_000, "max_memory_bytes": 2_147_483_648_u64, "max_cpu_millis": 2_000,
        }),
    );
    assert_eq!(before["used"]["max_concurrent"], 0);

    let id = tenant.submit(json!({"code": WAITS})).await;
    tenant.printed(&id, SOON).await;
    assert_eq!(quota().await["used"]["max_concurrent"], 1);
    tenant.cancel(&id).await.expect(202);
    tenant.ended(&id, SOON).await;
    let at_rest = async || (quota().await["used"]["max_concurrent"] == 0).then_some(());
    eventually(Duration::from_secs(5), "the reservation is released", at_rest).await;
}
