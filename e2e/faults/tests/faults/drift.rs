//! Reservations that do not equal what there is

use std::time::Duration;

use kiln_test_support::Tenant;
use serde_json::json;

use crate::{SOON, database, holds, reserved, shared};

/// The reservations are counted each half minute.
const MENDED_WITHIN: Duration = Duration::from_secs(75);

#[tokio::test]
async fn drift_is_found_and_mended_and_what_runs_is_left_alone() {
    let kiln = shared();
    let tenant = Tenant::sign_up(&kiln.api()).await;
    let id: uuid::Uuid = tenant.tenant_id().parse().unwrap();
    let live = tenant
        .submit(json!({"code": "import time\nprint('here', flush=True)\ntime.sleep(280)", "limits": {"timeout_ms": 300_000}}))
        .await;
    tenant.printed(&live, SOON).await;
    let mut database = database(kiln).await;
    assert_eq!(reserved(&mut database, id).await, (1, 0));
    let drift = sqlx::query("UPDATE scheduler.tenant SET active = active + 3, queued = queued + 5 WHERE tenant_id = $1").bind(id);
    drift.execute(&mut database).await.unwrap();
    let used = tenant.get("/tenant/quota").await.expect(200).json()["used"].clone();
    assert_eq!((&used["max_concurrent"], &used["max_queued"]), (&json!(4), &json!(5)), "the drift shows");
    let mended = "SELECT active = 1 AND queued = 0 FROM scheduler.tenant WHERE tenant_id = $1";
    holds(kiln, "the reservations equal what runs", MENDED_WITHIN, id, mended).await;
    assert_eq!(tenant.execution(&live).await["status"], "running");
    tenant.cancel(&live).await.expect(202);
    tenant.ended(&live, SOON).await;
    assert_eq!(reserved(&mut database, id).await, (0, 0));
}
