//! DELETE /tenant with runs under way

use kiln_e2e_api::WAITS;
use kiln_test_support::{PASSWORD, eventually};
use reqwest::Method;
use serde_json::json;

use super::{REVOKED_WITHIN, SOON, visit};

#[tokio::test]
async fn runs_end_and_everything_is_gone() {
    let (_kiln, tenant) = visit().await;
    let ended = tenant.run("open('f', 'w').write('x')\nprint('kept')").await;
    let key = tenant.key(&["executions:read", "executions:write"]).await;
    let live = tenant.submit(json!({"code": WAITS})).await;
    tenant.printed(&live, SOON).await;
    let mut events = tenant.events(&live).await;

    let slug = &tenant.signup["tenant"]["slug"];
    tenant.call(Method::DELETE, "/tenant").json(&json!({"confirm": slug})).await.expect(204);
    for caller in [&key, &tenant.with_bearer(tenant.access_token())] {
        for path in ["/tenant".to_owned(), "/executions".to_owned(), format!("/executions/{}", ended["id"].as_str().unwrap())] {
            let refused = async || (caller.get(&path).await.status == 401).then_some(());
            eventually(REVOKED_WITHIN, "nobody comes in any more", refused).await;
        }
    }
    // The stream that was open ends: with the run, or because its reader has no right to it any more.
    let rest = events.rest(SOON).await;
    if let Some(last) = rest.iter().find(|event| event.kind == "end") {
        assert_eq!(last.data["reason"]["code"], "tenant_deleted");
    }
    // Who signs in again has an empty tenant.
    let login = json!({"email": tenant.email, "password": PASSWORD});
    let again = tenant.anonymous().post("/auth/login", &login).await.expect(200).json();
    let fresh = tenant.with_bearer(again["access_token"].as_str().unwrap());
    assert_eq!(fresh.get("/executions").await.expect(200).json()["data"], json!([]));
    fresh.get(&format!("/executions/{live}")).await.problem(404);
}
