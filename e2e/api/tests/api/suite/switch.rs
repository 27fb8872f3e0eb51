//! POST /auth/switch

use serde_json::json;

use super::visit;

#[tokio::test]
async fn reaches_own_tenants_alone() {
    let (kiln, tenant) = visit().await;
    let other = kiln.sign_up().await;
    let own = tenant.post("/auth/switch", &json!({"tenant_id": tenant.tenant_id()})).await.expect(200).json();
    let me = tenant.with_bearer(own["access_token"].as_str().unwrap()).get("/auth/me").await.expect(200).json();
    assert_eq!(me["tenant"]["id"], tenant.tenant_id());
    for id in [json!(other.tenant_id()), json!(uuid::Uuid::now_v7()), json!("7"), json!(null)] {
        tenant.post("/auth/switch", &json!({"tenant_id": id})).await.problem(422).at("/tenant_id");
    }
}
