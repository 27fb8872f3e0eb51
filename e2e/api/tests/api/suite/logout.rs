//! POST /auth/logout

use kiln_test_support::{PASSWORD, eventually};
use reqwest::Method;
use serde_json::json;

use super::{REVOKED_WITHIN, visit};

#[tokio::test]
async fn ends_this_sign_in_and_no_other() {
    let (kiln, tenant) = visit().await;
    let other = kiln.api().post("/auth/login", &json!({"email": tenant.email, "password": PASSWORD})).await.expect(200).json();
    let other = kiln.api().with_bearer(other["access_token"].as_str().unwrap());

    tenant.call(Method::POST, "/auth/logout").await.expect(204);
    kiln.api().post("/auth/refresh", &json!({"refresh_token": tenant.refresh_token})).await.problem(401);
    for path in ["/auth/me", "/executions", "/runtimes"] {
        let what = format!("{path} refuses the access token");
        eventually(REVOKED_WITHIN, &what, async || (tenant.get(path).await.status == 401).then_some(())).await;
    }
    other.get("/auth/me").await.expect(200);
    other.get("/executions").await.expect(200);
}

#[tokio::test]
async fn needs_a_sign_in() {
    let (kiln, _tenant) = visit().await;
    kiln.api().call(Method::POST, "/auth/logout").await.problem(401);
}
