//! DELETE /executions/{id}

use kiln_e2e_api::WAITS;
use kiln_test_support::assert_like;
use serde_json::json;

use super::{SOON, visit};

#[tokio::test]
async fn an_ended_run_is_gone_from_every_route() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("open('f', 'w').write('x')\nprint(1)").await;
    let path = format!("/executions/{}", run["id"].as_str().unwrap());
    tenant.delete(&path).await.expect(204);
    for rest in ["", "/stdout", "/stderr", "/events", "/files/f", "/why"] {
        tenant.get(&format!("{path}{rest}")).await.problem(404);
    }
    tenant.delete(&path).await.problem(404);
    assert_like(&tenant.get("/executions").await.expect(200).json(), json!({"data": []}));
}

#[tokio::test]
async fn a_live_run_is_a_conflict() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": WAITS})).await;
    tenant.delete(&format!("/executions/{id}")).await.problem(409);
    tenant.cancel(&id).await.expect(202);
    tenant.ended(&id, SOON).await;
    tenant.delete(&format!("/executions/{id}")).await.expect(204);
}
