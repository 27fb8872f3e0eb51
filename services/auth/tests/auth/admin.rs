//! `/admin/tenants`: plans, quotas, suspension.

use serde_json::{Value, json};

use crate::client::Client;
use crate::operator::platform_admin;

fn path(signup: &Value) -> String {
    format!("/admin/tenants/{}", signup["tenant"]["id"].as_str().unwrap())
}

#[tokio::test]
async fn nobody_else_learns_that_the_routes_are_there() {
    let (owner, _, signup) = Client::signed_up().await;
    owner.get("/admin/tenants").await.expect(404);
    owner.get(&path(&signup)).await.expect(404);
    owner.patch(&path(&signup), json!({"plan": "unlimited"})).await.expect(404);
    let key = owner.post("/api-keys", json!({"name": "k", "scopes": ["tenant:admin"]})).await.expect(201).body;
    owner.with(&key["key"]).get("/admin/tenants").await.expect(403);
}

#[tokio::test]
async fn a_plan_and_limits_of_its_own_are_in_force() {
    let (admin, (owner, _, signup)) = tokio::join!(platform_admin(), Client::signed_up());
    let limits = async || owner.get("/tenant/quota").await.expect(200).body["limits"].clone();
    assert_eq!(limits().await["max_concurrent"], 32);
    let changed = admin.patch(&path(&signup), json!({"plan": "free"})).await.expect(200).body;
    assert_eq!((&changed["plan"], &changed["limits"]["max_concurrent"]), (&json!("free"), &json!(4)));
    assert_eq!(limits().await["max_timeout_ms"], 60_000);
    admin.patch(&path(&signup), json!({"quota": {"max_concurrent": 7}})).await.expect(200);
    assert_eq!(limits().await["max_concurrent"], 7);
    // Given back to the plan, and the plan to the installation.
    admin.patch(&path(&signup), json!({"quota": {"max_concurrent": null}})).await.expect(200);
    assert_eq!(limits().await["max_concurrent"], 4);
    admin.patch(&path(&signup), json!({"plan": null})).await.expect(200);
    assert_eq!(limits().await["max_concurrent"], 32);
    let log = owner.get("/tenant/audit-log").await.expect(200).body;
    assert_eq!(
        (&log["data"][0]["action"], &log["data"][0]["before"]["plan"]),
        (&json!("tenant.changed_by_operator"), &json!("free"))
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let (admin, (_, _, signup)) = tokio::join!(platform_admin(), Client::signed_up());
    for (body, pointer) in [
        (json!({"quota": {"max_concurrent": 0}}), "/quota/max_concurrent"),
        (json!({"quota": {"max_concurrent": "many"}}), "/quota/max_concurrent"),
        (json!({"quota": {"unknown": 1}}), "/quota/unknown"),
        (json!({"plan": "golden"}), "/plan"),
        (json!({"slug": "mine"}), "/slug"),
        (json!({"suspended": "yes"}), "/suspended"),
    ] {
        admin.patch(&path(&signup), body).await.expect(422).points_at(pointer);
    }
    admin.patch("/admin/tenants/nothing", json!({})).await.expect(404);
    admin.get(&format!("/admin/tenants/{}", uuid::Uuid::now_v7())).await.expect(404);
}

#[tokio::test]
async fn suspension_shows_and_is_lifted() {
    let (admin, (owner, _, signup)) = tokio::join!(platform_admin(), Client::signed_up());
    let suspended = async || owner.get("/tenant").await.expect(200).body["suspended"].clone();
    admin.patch(&path(&signup), json!({"suspended": true})).await.expect(200);
    assert_eq!(suspended().await, true);
    admin.patch(&path(&signup), json!({"suspended": false})).await.expect(200);
    assert_eq!(suspended().await, false);
    let listed = admin.get("/admin/tenants?limit=200").await.expect(200).body;
    assert!(listed["data"].as_array().unwrap().iter().any(|row| row["id"] == signup["tenant"]["id"]));
}

#[tokio::test]
async fn nothing_of_a_suspended_tenant_is_changed() {
    let (admin, (owner, _, signup)) = tokio::join!(platform_admin(), Client::signed_up());
    let (member, member_id, _) = owner.joined_by("member").await;
    let key = owner.post("/api-keys", json!({"name": "k", "scopes": ["tenant:admin"]})).await.expect(201).body;
    admin.patch(&path(&signup), json!({"suspended": true})).await.expect(200);
    let (guest, guest_email, _) = Client::signed_up().await;
    let refused = |answer: crate::client::Answer| assert_eq!(answer.expect(403).body["code"], "tenant_suspended");
    refused(owner.post("/api-keys", json!({"name": "k", "scopes": ["files:read"]})).await);
    refused(owner.post("/tenant/invitations", json!({"email": guest_email})).await);
    refused(owner.put("/tenant/secrets/A", json!({"value": "x"})).await);
    refused(owner.with(&key["key"]).patch("/tenant", json!({"name": "x"})).await);
    refused(owner.patch(&format!("/tenant/members/{member_id}"), json!({"role": "admin"})).await);
    // What takes rights away is not held up, and everything can be read.
    owner.delete(&format!("/api-keys/{}", key["id"].as_str().unwrap())).await.expect(204);
    member.get("/tenant/quota").await.expect(200);
    owner.delete(&format!("/tenant/members/{member_id}")).await.expect(204);
    admin.patch(&path(&signup), json!({"suspended": false})).await.expect(200);
    owner.post("/tenant/invitations", json!({"email": guest_email})).await.expect(201);
    drop(guest);
}
