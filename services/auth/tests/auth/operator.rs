//! What the operator says over the bus.

use kiln_bus::Bus;
use kiln_events::{Administer, AdministerReply, subject};
use serde_json::json;

use crate::client::{Client, PASSWORD};
use crate::installation::{bus_config, eventually, installation};

pub async fn administer(request: Administer) -> AdministerReply {
    let bus = Bus::connect(&bus_config(&installation().nats_url)).await.unwrap();
    bus.request(&subject::control("auth", "admin"), &request, std::time::Duration::from_secs(5)).await.unwrap()
}

/// A platform admin, signed in.
pub async fn platform_admin() -> Client {
    let (client, email, signup) = Client::signed_up().await;
    let reply = administer(Administer::SetAdmin { email: email.to_uppercase(), admin: true }).await;
    assert!(matches!(reply, AdministerReply::Done(_)), "{reply:?}");
    client.refreshed(signup["refresh_token"].as_str().unwrap()).await
}

#[tokio::test]
async fn an_admin_is_made_and_unmade() {
    let (client, email, signup) = Client::signed_up().await;
    client.get("/admin/tenants").await.expect(404);
    administer(Administer::SetAdmin { email: email.clone(), admin: true }).await;
    client.is_refused("/auth/me").await;
    let tokens = client.post("/auth/refresh", json!({"refresh_token": signup["refresh_token"]})).await.expect(200).body;
    let admin = client.with(&tokens["access_token"]);
    assert_eq!(admin.get("/auth/me").await.expect(200).body["user"]["platform_admin"], true);
    admin.get("/admin/tenants").await.expect(200);
    administer(Administer::SetAdmin { email, admin: false }).await;
    admin.is_refused("/admin/tenants").await;
    let nobody = administer(Administer::SetAdmin { email: "nobody@example.org".to_owned(), admin: true }).await;
    assert!(matches!(nobody, AdministerReply::Refused(_)), "{nobody:?}");
}

#[tokio::test]
async fn a_closed_account_is_out_and_may_come_back() {
    let (client, email, signup) = Client::signed_up().await;
    let key = client.post("/api-keys", json!({"name": "k", "scopes": ["tenant:admin"]})).await.expect(201).body;
    let program = client.with(&key["key"]);
    program.get("/tenant").await.expect(200);
    administer(Administer::SetDisabled { email: email.clone(), disabled: true }).await;
    client.is_refused("/auth/me").await;
    program.is_refused("/tenant").await;
    client.post("/auth/refresh", json!({"refresh_token": signup["refresh_token"]})).await.expect(401);
    let login = async || client.post("/auth/login", json!({"email": email, "password": PASSWORD})).await;
    login().await.expect(401);
    administer(Administer::SetDisabled { email: email.clone(), disabled: false }).await;
    login().await.expect(200);
}

#[tokio::test]
async fn keys_turn_over_without_a_token_failing() {
    let (client, _, _) = Client::signed_up().await;
    let published = async || client.get("/.well-known/jwks.json").await.expect(200).body["keys"].as_array().unwrap().len();
    administer(Administer::RotateKeys { now: false }).await;
    assert_eq!(published().await, 2);
    // Asked for again it is the same rotation.
    administer(Administer::RotateKeys { now: false }).await;
    assert_eq!(published().await, 2);
    client.get("/auth/me").await.expect(200);
    eventually("a new token is good", async || {
        let (fresh, _, _) = Client::signed_up().await;
        (fresh.get("/auth/me").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_the_operator_does_is_recorded() {
    let (_, email, signup) = Client::signed_up().await;
    for disabled in [true, false] {
        administer(Administer::SetDisabled { email: email.clone(), disabled }).await;
    }
    administer(Administer::RotateSecretKeys { to: None }).await;
    let unknown = administer(Administer::RotateSecretKeys { to: Some("another".to_owned()) }).await;
    assert!(matches!(unknown, AdministerReply::Refused(_)), "{unknown:?}");
    let mut owner = <sqlx::PgConnection as sqlx::Connection>::connect(&installation().owner_url).await.unwrap();
    let told: Vec<(String, String, serde_json::Value, serde_json::Value)> = sqlx::query_as(
        "SELECT action, actor_email, before, after FROM auth.audit_log WHERE object = $1 AND actor_email = 'operator' ORDER BY id",
    )
    .bind(signup["user"]["id"].as_str().unwrap())
    .fetch_all(&mut owner)
    .await
    .unwrap();
    let (open, closed) = (json!({"disabled": false}), json!({"disabled": true}));
    let by = |action: &str, before: &serde_json::Value, after: &serde_json::Value| {
        (action.to_owned(), "operator".to_owned(), before.clone(), after.clone())
    };
    assert_eq!(told, [by("account.disabled", &open, &closed), by("account.enabled", &closed, &open)]);
}
