//! Tenants over HTTP: made, renamed, deleted, and what the audit log says of it.

use serde_json::{Value, json};

use crate::client::{Client, PASSWORD};

async fn actions(client: &Client) -> Vec<Value> {
    client.get("/tenant/audit-log?limit=200").await.expect(200).body["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_further_tenant_is_switched_to() {
    let (client, _, _) = Client::signed_up().await;
    let made = client.post("/tenants", json!({"name": "Second Class"})).await.expect(201).body;
    assert!(made["slug"].as_str().unwrap().starts_with("second-class"));
    let tokens = client.post("/auth/switch", json!({"tenant_id": made["id"]})).await.expect(200).body;
    let there = client.with(&tokens["access_token"]);
    let me = there.get("/auth/me").await.expect(200).body;
    assert_eq!((&me["tenant"]["id"], &me["role"]), (&made["id"], &json!("owner")));
    assert_eq!(actions(&there).await.len(), 2, "made, and switched to");
    client.post("/tenants", json!({"name": ""})).await.expect(422).points_at("/name");
    client.post("/tenants", json!({"name": "x", "plan": "unlimited"})).await.expect(422).points_at("/plan");
}

#[tokio::test]
async fn a_rename_is_recorded_with_before_and_after() {
    let (client, email, signup) = Client::signed_up().await;
    let renamed = client.patch("/tenant", json!({"name": "  Glazers "})).await.expect(200).body;
    assert_eq!((&renamed["name"], &renamed["slug"]), (&json!("Glazers"), &signup["tenant"]["slug"]));
    for field in ["slug", "suspended", "plan", "id"] {
        client.patch("/tenant", json!({field: "x"})).await.expect(422).points_at(&format!("/{field}"));
    }
    let log = actions(&client).await;
    assert_eq!(log[0]["action"], "tenant.renamed");
    assert_eq!(log[0]["actor"], json!({"user_id": signup["user"]["id"], "api_key_id": null, "email": email}));
    assert_eq!((&log[0]["before"], &log[0]["after"]), (&json!({"name": signup["tenant"]["name"]}), &json!({"name": "Glazers"})));
    assert!(log[0]["address"].as_str().unwrap().starts_with("127."));
    assert_eq!(log.last().unwrap()["action"], "account.created");
}

#[tokio::test]
async fn what_a_key_does_is_recorded_as_the_keys() {
    let (client, _, _) = Client::signed_up().await;
    let key = client.post("/api-keys", json!({"name": "k", "scopes": ["tenant:admin"]})).await.expect(201).body;
    client.with(&key["key"]).patch("/tenant", json!({"name": "By a key"})).await.expect(200);
    let entry = &actions(&client).await[0];
    assert_eq!((&entry["actor"]["api_key_id"], &entry["actor"]["user_id"]), (&key["id"], &Value::Null));
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_for_everybody() {
    let (owner, email, signup) = Client::signed_up().await;
    let (admin, _, admin_refresh) = owner.joined_by("admin").await;
    let key = owner.post("/api-keys", json!({"name": "k", "scopes": ["tenant:admin"]})).await.expect(201).body;
    let delete = async |client: &Client, confirm: &Value| {
        client.call(reqwest::Method::DELETE, "/tenant", &[], Some(json!({"confirm": confirm}))).await
    };
    let slug = &signup["tenant"]["slug"];
    delete(&admin, slug).await.expect(403);
    delete(&owner.with(&key["key"]), slug).await.expect(403);
    delete(&owner, &json!("another")).await.expect(422).points_at("/confirm");
    delete(&owner, slug).await.expect(204);
    for client in [&owner, &admin, &owner.with(&key["key"])] {
        client.is_refused("/tenant").await;
    }
    owner.post("/auth/refresh", json!({"refresh_token": signup["refresh_token"]})).await.expect(401);
    owner.post("/auth/refresh", json!({"refresh_token": admin_refresh})).await.expect(401);
    // The account lives on, with a new tenant of its own.
    let again = owner.post("/auth/login", json!({"email": email, "password": PASSWORD})).await.expect(200).body;
    assert_ne!(again["tenant"]["id"], signup["tenant"]["id"]);
}

/// Each act that administers says who, from where, what was before and what is after.
#[tokio::test]
async fn administrative_acts_are_recorded_with_before_and_after() {
    let (owner, _, _) = Client::signed_up().await;
    let key = owner.post("/api-keys", json!({"name": "k", "scopes": ["files:read"]})).await.expect(201).body;
    owner.delete(&format!("/api-keys/{}", key["id"].as_str().unwrap())).await.expect(204);
    for masked in [false, true] {
        owner.put("/tenant/secrets/A", json!({"value": "long enough for it", "masked": masked})).await.expect(204);
    }
    owner.delete("/tenant/secrets/A").await.expect(204);
    let log = actions(&owner).await;
    let told = |action: &str| {
        let entry = log.iter().find(|entry| entry["action"] == action).unwrap_or_else(|| panic!("no {action} in {log:?}"));
        assert!(!entry["actor"]["user_id"].is_null() && !entry["address"].is_null(), "{entry}");
        (entry["before"].clone(), entry["after"].clone())
    };
    let made = json!({"name": "k", "scopes": ["files:read"], "expires_at": null});
    assert_eq!(told("api_key.created"), (Value::Null, made.clone()));
    assert_eq!(told("api_key.revoked"), (made, Value::Null));
    assert_eq!(told("secret.created"), (Value::Null, json!({"masked": false})));
    assert_eq!((told("secret.changed").0["masked"].clone(), told("secret.changed").1), (json!(false), json!({"masked": true})));
    assert_eq!(told("secret.deleted").0["masked"], true);
}

/// Of many at once that each would be the last allowed, no more than allowed are made.
#[tokio::test]
async fn a_bound_holds_against_many_at_once() {
    let (owner, _, _) = Client::signed_up().await;
    for batch in 0..11 {
        let make = async |n: usize| {
            let body = json!({"name": format!("{batch}-{n}"), "scopes": ["files:read"]});
            owner.post("/api-keys", body).await.status.as_u16()
        };
        let statuses = futures::future::join_all((0..10).map(make)).await;
        let expected = if batch < 10 { 201 } else { 409 };
        assert!(statuses.iter().all(|status| *status == expected), "{batch}: {statuses:?}");
    }
}
