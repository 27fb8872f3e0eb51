//! Secrets over HTTP: written, listed, never read back; and as the database holds them.

use serde_json::json;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::client::Client;
use crate::installation::installation;

#[tokio::test]
async fn a_secret_is_written_and_never_shown() {
    let (client, _, signup) = Client::signed_up().await;
    let value = "correct-horse-7f3a";
    client.put("/tenant/secrets/API_TOKEN", json!({"value": value})).await.expect(204);
    client.put("/tenant/secrets/API_TOKEN", json!({"value": value})).await.expect(204);
    let listed = client.get("/tenant/secrets").await.expect(200);
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(listed.body["data"][0]["name"], "API_TOKEN");
    let one = client.get("/tenant/secrets/API_TOKEN").await.expect(200);
    let log = client.get("/tenant/audit-log").await.expect(200);
    assert_eq!(log.body["data"][0]["action"], "secret.changed");
    for answer in [&listed, &one, &log] {
        assert!(!answer.body.to_string().contains(value), "{answer:?}");
    }

    let mut owner = PgConnection::connect(&installation().owner_url).await.unwrap();
    let tenant: uuid::Uuid = signup["tenant"]["id"].as_str().unwrap().parse().unwrap();
    let row = sqlx::query("SELECT value, wrapped_key FROM auth.secrets WHERE tenant_id = $1").bind(tenant);
    let row = row.fetch_one(&mut owner).await.unwrap();
    let stored = [row.get::<Vec<u8>, _>(0), row.get::<Vec<u8>, _>(1)].concat();
    assert!(!stored.windows(value.len()).any(|part| part == value.as_bytes()));

    client.delete("/tenant/secrets/API_TOKEN").await.expect(204);
    client.delete("/tenant/secrets/API_TOKEN").await.expect(404);
    client.get("/tenant/secrets/API_TOKEN").await.expect(404);
}

#[tokio::test]
async fn secrets_are_a_tenants_own_and_for_those_who_administer() {
    let ((one, _, _), (other, _, _)) = tokio::join!(Client::signed_up(), Client::signed_up());
    one.put("/tenant/secrets/MINE", json!({"value": "x"})).await.expect(204);
    other.get("/tenant/secrets/MINE").await.expect(404);
    other.delete("/tenant/secrets/MINE").await.expect(404);
    let (member, _, _) = one.joined_by("member").await;
    member.get("/tenant/secrets").await.expect(403);
    member.put("/tenant/secrets/MINE", json!({"value": "y"})).await.expect(403);
}

#[tokio::test]
async fn names_and_values_that_no_environment_takes_are_refused() {
    let (client, _, _) = Client::signed_up().await;
    for name in ["1A", "A-B", "A%20B", "%C3%89", &"A".repeat(129)] {
        client.put(&format!("/tenant/secrets/{name}"), json!({"value": "x"})).await.expect(422).points_at("/name");
    }
    for value in ["x".repeat(32 * 1024 + 1), "a\0b".to_owned()] {
        client.put("/tenant/secrets/A", json!({"value": value})).await.expect(422).points_at("/value");
    }
    client.put("/tenant/secrets/A", json!({"value": "x", "other": 1})).await.expect(422).points_at("/other");
}
