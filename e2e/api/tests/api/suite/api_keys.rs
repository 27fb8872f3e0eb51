//! GET, POST, DELETE /api-keys

use kiln_test_support::{Api, assert_like, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use super::{REVOKED_WITHIN, visit};

const ALL_SCOPES: [&str; 6] =
    ["executions:write", "executions:read", "files:write", "files:read", "sessions:write", "tenant:admin"];

async fn create(api: &Api, body: Value) -> Value {
    api.post("/api-keys", &body).await.expect(201).json()
}

#[tokio::test]
async fn a_key_is_shown_once() {
    let (_kiln, tenant) = visit().await;
    let made = create(&tenant, json!({"name": "ci", "scopes": ALL_SCOPES, "expires_at": "2099-01-01T00:00:00Z"})).await;
    assert_like(&made, json!({"id": "<uuid>", "key": "<string>", "prefix": "<string>", "name": "ci", "scopes": ALL_SCOPES}));
    let (key, prefix) = (made["key"].as_str().unwrap(), made["prefix"].as_str().unwrap());
    assert!(key.starts_with("kiln_") && key.starts_with(prefix) && prefix.len() * 2 < key.len(), "{key} {prefix}");

    let list = tenant.get("/api-keys").await.expect(200);
    assert!(!list.text().contains(key));
    assert_like(&list.json(), json!({"data": [{"id": made["id"], "prefix": prefix, "name": "ci"}], "next_cursor": null}));
    assert!(list.json()["data"][0].get("key").is_none());
}

#[tokio::test]
async fn a_key_reaches_what_its_scopes_say() {
    let (_kiln, tenant) = visit().await;
    let reader = tenant.key(&["executions:read"]).await;
    reader.get("/executions").await.expect(200);
    reader.post("/executions", &json!({"code": "print(1)"})).await.problem(403);
    let writer = tenant.key(&["executions:write", "executions:read"]).await;
    let run = writer.post("/executions", &json!({"code": "print(1)"})).query("wait_ms", 30_000).await.expect(200).json();
    let path = format!("/executions/{}", run["id"].as_str().unwrap());
    reader.get(&path).await.expect(200);
    reader.delete(&path).await.problem(403);
    let files = tenant.key(&["files:read"]).await;
    files.get("/executions").await.problem(403);
    files.get(&path).await.problem(403);
    writer.delete(&path).await.expect(204);
}

#[tokio::test]
async fn no_key_reaches_accounts_and_keys() {
    let (_kiln, tenant) = visit().await;
    let key = tenant.key(&ALL_SCOPES).await;
    for path in ["/auth/me", "/auth/sessions", "/api-keys"] {
        key.get(path).await.problem(403);
    }
    key.post("/api-keys", &json!({"name": "more", "scopes": ["executions:read"]})).await.problem(403);
    key.call(Method::POST, "/auth/ticket").await.problem(403);
    key.call(Method::POST, "/auth/logout").await.problem(403);
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    let (_kiln, tenant) = visit().await;
    let made = create(&tenant, json!({"name": "old", "scopes": ["executions:read"]})).await;
    let key = tenant.with_bearer(made["key"].as_str().unwrap());
    key.get("/executions").await.expect(200);
    tenant.delete(&format!("/api-keys/{}", made["id"].as_str().unwrap())).await.expect(204);
    for path in ["/executions", "/executions/0199f0a0-0000-7000-8000-000000000000"] {
        eventually(REVOKED_WITHIN, "revoked", async || (key.get(path).await.status == 401).then_some(())).await;
    }
}

#[tokio::test]
async fn a_changed_key_is_refused() {
    let (_kiln, tenant) = visit().await;
    let key = tenant.key(&["executions:read"]).await;
    let text = key.bearer().unwrap();
    let mut swapped = text.to_owned();
    let last = swapped.pop().unwrap();
    swapped.push(if last == 'A' { 'B' } else { 'A' });
    for wrong in [swapped.as_str(), &text[..text.len() - 1], "kiln_", "kiln_x", &text.to_uppercase()] {
        tenant.with_bearer(wrong).get("/executions").await.problem(401);
    }
}

#[tokio::test]
async fn keys_of_another_tenant_are_unknown() {
    let (kiln, tenant) = visit().await;
    let made = create(&tenant, json!({"name": "mine", "scopes": ["executions:read"]})).await;
    let path = format!("/api-keys/{}", made["id"].as_str().unwrap());
    let other = kiln.sign_up().await;
    other.delete(&path).await.problem(404);
    assert_like(&other.get("/api-keys").await.expect(200).json(), json!({"data": []}));
    tenant.delete("/api-keys/7").await.problem(404);
    tenant.delete(&format!("/api-keys/{}", uuid::Uuid::now_v7())).await.problem(404);
    tenant.with_bearer(made["key"].as_str().unwrap()).get("/executions").await.expect(200);
}

#[tokio::test]
async fn bodies_are_checked() {
    let (_kiln, tenant) = visit().await;
    let post = |body: Value| tenant.post("/api-keys", &body);
    post(json!({"scopes": ["executions:read"]})).await.problem(422).at("/name");
    post(json!({"name": "", "scopes": ["executions:read"]})).await.problem(422).at("/name");
    post(json!({"name": "x"})).await.problem(422).at("/scopes");
    post(json!({"name": "x", "scopes": []})).await.problem(422).at("/scopes");
    post(json!({"name": "x", "scopes": ["executions:read", "everything"]})).await.problem(422).at("/scopes/1");
    post(json!({"name": "x", "scopes": ["executions:read"], "expires_at": "2001-01-01T00:00:00Z"}))
        .await
        .problem(422)
        .at("/expires_at");
    post(json!({"name": "x", "scopes": ["executions:read"], "expires_at": "soon"})).await.problem(422).at("/expires_at");
    post(json!({"name": "x", "scopes": ["executions:read"], "role": "owner"})).await.problem(422).at("/role");
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_key() {
    let (_kiln, tenant) = visit().await;
    let post =
        || tenant.post("/api-keys", &json!({"name": "once", "scopes": ["executions:read"]})).header("idempotency-key", "k1");
    let (first, second) = (post().await.expect(201), post().await.expect(201));
    assert_eq!(first.json(), second.json());
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(tenant.get("/api-keys").await.json()["data"].as_array().unwrap().len(), 1);
}
