//! API keys over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, unique_email};
use crate::installation::{eventually, installation};

const SCOPES: [&str; 2] = ["tenant:admin", "executions:read"];

async fn key(client: &Client) -> Value {
    client.post("/api-keys", json!({"name": "ci", "scopes": SCOPES})).await.expect(201).body
}

#[tokio::test]
async fn a_key_works_until_it_is_revoked() {
    let (client, _, signup) = Client::signed_up().await;
    let made = key(&client).await;
    assert_eq!(made["scopes"], json!(SCOPES));
    assert!(made["key"].as_str().unwrap().starts_with(made["prefix"].as_str().unwrap()));
    let program = client.with(&made["key"]);
    assert_eq!(program.get("/tenant").await.expect(200).body["id"], signup["tenant"]["id"]);
    let path = format!("/api-keys/{}", made["id"].as_str().unwrap());
    assert!(client.get(&path).await.expect(200).body["last_used_at"].is_string());
    assert!(client.get("/api-keys").await.expect(200).body["data"][0].get("key").is_none());
    client.delete(&path).await.expect(204);
    client.delete(&path).await.expect(404);
    eventually("the key is refused", async || (program.get("/tenant").await.status == 401).then_some(())).await;
}

#[tokio::test]
async fn no_key_reaches_accounts_or_keys() {
    let (client, _, _) = Client::signed_up().await;
    let program = client.with(&key(&client).await["key"]);
    for path in ["/auth/me", "/auth/sessions", "/api-keys"] {
        program.get(path).await.expect(403);
    }
    for path in ["/auth/ticket", "/auth/logout"] {
        program.post(path, json!({})).await.expect(403);
    }
}

#[tokio::test]
async fn another_tenants_key_is_not_there() {
    let ((one, _, _), (other, _, _)) = tokio::join!(Client::signed_up(), Client::signed_up());
    let made = key(&one).await;
    let path = format!("/api-keys/{}", made["id"].as_str().unwrap());
    other.get(&path).await.expect(404);
    other.delete(&path).await.expect(404);
    assert_eq!(other.get("/api-keys").await.expect(200).body["data"], json!([]));
    one.get(&path).await.expect(200);
}

#[tokio::test]
async fn a_repeat_gets_the_same_key_which_the_database_does_not_hold() {
    let (client, _, _) = Client::signed_up().await;
    let idempotency = unique_email();
    let post = async |body: Value| client.call(Method::POST, "/api-keys", &[("idempotency-key", &idempotency)], Some(body)).await;
    let body = json!({"name": "once", "scopes": ["executions:read"]});
    let (first, second) = (post(body.clone()).await.expect(201), post(body).await.expect(201));
    assert_eq!(first.body, second.body);
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(second.headers["location"], first.headers["location"]);
    post(json!({"name": "twice", "scopes": ["executions:read"]})).await.expect(422);
    assert_eq!(client.get("/api-keys").await.body["data"].as_array().unwrap().len(), 1);

    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&installation().owner_url).await.unwrap();
    let kept: Vec<(Vec<u8>,)> =
        sqlx::query_as("SELECT body FROM auth.idempotency WHERE body IS NOT NULL").fetch_all(&mut connection).await.unwrap();
    let secret = first.body["key"].as_str().unwrap().as_bytes();
    assert!(!kept.is_empty() && kept.iter().all(|(body,)| !body.windows(secret.len()).any(|part| part == secret)));
}

#[tokio::test]
async fn bodies_are_checked() {
    let (client, _, _) = Client::signed_up().await;
    let post = |body| client.post("/api-keys", body);
    post(json!({"name": "", "scopes": []})).await.expect(422).points_at("/name").points_at("/scopes");
    post(json!({"scopes": ["executions:read"]})).await.expect(422).points_at("/name");
    post(json!({"name": "x", "scopes": ["executions:read", "all"]})).await.expect(422).points_at("/scopes/1");
    let past = json!({"name": "x", "scopes": ["executions:read"], "expires_at": "2001-01-01T00:00:00Z"});
    post(past).await.expect(422).points_at("/expires_at");
    post(json!({"name": "x", "scopes": ["executions:read"], "tenant_id": "x"})).await.expect(422).points_at("/tenant_id");
}
