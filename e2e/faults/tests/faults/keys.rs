//! Keys that turn over while everything runs

use std::time::Duration;

use kiln_test_support::{Split, Tenant, eventually};
use reqwest::Method;
use serde_json::json;

/// A revocation is in force this soon everywhere, by the contract, and a second for the machine.
const REVOKED_WITHIN: Duration = Duration::from_secs(6);
/// Answered by auth, the scheduler and result.
const EACH_SERVICE: [&str; 3] = ["/auth/me", "/limits", "/executions/0199f0a0-0000-7000-8000-000000000000"];

#[tokio::test]
async fn signing_keys_turn_over_in_every_service_without_a_restart() {
    let kiln = Split::start();
    let tenant = Tenant::sign_up(&kiln.api()).await;
    let published = async || {
        let keys = kiln.api().get("/.well-known/jwks.json").await.expect(200).json()["keys"].clone();
        keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = published().await;
    let said = kiln.operate(&["keys", "rotate"]).await;
    assert!(said.contains("published") && said.contains("secret"), "{said}");
    let both = published().await;
    assert!(both.len() == 2 && both.starts_with(&first), "{both:?}");
    // The old token is good in every service, and so is one made now.
    let again = tenant.post("/auth/refresh", &json!({"refresh_token": tenant.refresh_token})).await.expect(200).json();
    let fresh = tenant.with_bearer(again["access_token"].as_str().unwrap());
    for path in EACH_SERVICE {
        assert_ne!(tenant.get(path).await.status, 401, "{path}");
        assert_ne!(fresh.get(path).await.status, 401, "{path}");
    }

    // A key that has leaked: nothing that it has signed is good any more.
    kiln.operate(&["keys", "rotate", "--now"]).await;
    let only = published().await;
    assert!(only.len() == 1 && !both.contains(&only[0]), "{only:?}");
    for path in EACH_SERVICE {
        let refused = async || (fresh.get(path).await.status == 401).then_some(());
        eventually(REVOKED_WITHIN, "the old key is dropped", refused).await;
    }
    let again = tenant.post("/auth/refresh", &json!({"refresh_token": again["refresh_token"]})).await.expect(200).json();
    let fresh = tenant.with_bearer(again["access_token"].as_str().unwrap());
    for path in EACH_SERVICE {
        let taken = async || (fresh.get(path).await.status != 401).then_some(());
        eventually(REVOKED_WITHIN, "the new key is known", taken).await;
    }
    // Secrets are still opened for runs.
    fresh.call(Method::PUT, "/tenant/secrets/TOKEN").json(&json!({"value": "of the kiln"})).await.expect(204);
    let body = json!({"code": "import os\nprint(os.environ['TOKEN'])", "secrets": ["TOKEN"]});
    let run = fresh.post("/executions", &body).query("wait_ms", 30_000).await.expect(200).json();
    assert_eq!(run["stdout"], "of the kiln\n", "{run}");
}
