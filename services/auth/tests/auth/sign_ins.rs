//! Sign-ins: refresh, re-use, logout, switch, tickets.

use futures::future::join_all;
use kiln_bus::Bus;
use kiln_http::auth::Verifier;
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::client::{Answer, Client, PASSWORD};
use crate::installation::{bus_config, eventually, installation};

async fn refresh(client: &Client, token: &serde_json::Value) -> Answer {
    client.post("/auth/refresh", json!({"refresh_token": token})).await
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_copy_ends_the_family() {
    let (client, _, signup) = Client::signed_up().await;
    let second = refresh(&client, &signup["refresh_token"]).await.expect(200).body;
    let third = refresh(&client, &second["refresh_token"]).await.expect(200).body;
    client.with(&third["access_token"]).get("/auth/me").await.expect(200);
    refresh(&client, &signup["refresh_token"]).await.expect(401);
    refresh(&client, &third["refresh_token"]).await.expect(401);
    let stolen = client.with(&third["access_token"]);
    eventually("the family's access token is refused", async || (stolen.get("/auth/me").await.status == 401).then_some(())).await;
}

#[tokio::test]
async fn of_parallel_refreshes_one_wins() {
    let (client, _, signup) = Client::signed_up().await;
    let answers = join_all((0..8).map(|_| refresh(&client, &signup["refresh_token"]))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 7);
}

#[tokio::test]
async fn the_cookie_serves_the_own_origin_and_is_rotated() {
    let (client, email, _) = Client::signed_up().await;
    let login = client.post("/auth/login", json!({"email": email, "password": PASSWORD})).await.expect(200);
    let cookie = login.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("kiln_refresh=") && cookie.contains("; HttpOnly; SameSite=Strict; Path=/; Max-Age="), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let own = format!("http://{}", installation().address);
    let by_cookie = async |headers: &[(&str, &str)]| Client::new().call(Method::POST, "/auth/refresh", headers, None).await;
    by_cookie(&[("cookie", pair)]).await.expect(403);
    by_cookie(&[("cookie", pair), ("origin", "http://evil.example.org")]).await.expect(403);
    let answer = by_cookie(&[("cookie", pair), ("origin", &own)]).await.expect(200);
    assert!(answer.body.get("refresh_token").is_none());
    assert!(!answer.headers["set-cookie"].to_str().unwrap().starts_with(pair));
    by_cookie(&[]).await.expect(401);
}

#[tokio::test]
async fn logout_ends_this_sign_in_alone() {
    let (client, email, signup) = Client::signed_up().await;
    let other = client.post("/auth/login", json!({"email": email, "password": PASSWORD})).await.expect(200).body;
    let other = client.with(&other["access_token"]);
    assert_eq!(other.get("/auth/sessions").await.expect(200).body["data"].as_array().unwrap().len(), 2);
    client.post("/auth/logout", json!({})).await.expect(204);
    refresh(&client, &signup["refresh_token"]).await.expect(401);
    eventually("the access token is refused", async || (client.get("/auth/me").await.status == 401).then_some(())).await;
    let left = other.get("/auth/sessions").await.expect(200).body;
    assert_eq!((left["data"].as_array().unwrap().len(), &left["data"][0]["current"]), (1, &json!(true)));
}

#[tokio::test]
async fn one_ends_only_own_sign_ins() {
    let ((one, email, _), (other, _, _)) = tokio::join!(Client::signed_up(), Client::signed_up());
    let id = other.get("/auth/sessions").await.expect(200).body["data"][0]["id"].as_str().unwrap().to_owned();
    one.delete(&format!("/auth/sessions/{id}")).await.expect(404);
    one.delete("/auth/sessions/7").await.expect(404);
    other.get("/auth/me").await.expect(200);
    for _ in 0..3 {
        one.post("/auth/login", json!({"email": email, "password": PASSWORD})).await.expect(200);
    }
    let page = one.get("/auth/sessions?limit=3").await.expect(200).body;
    let rest =
        one.get(&format!("/auth/sessions?limit=3&cursor={}", page["next_cursor"].as_str().unwrap())).await.expect(200).body;
    assert_eq!((page["data"].as_array().unwrap().len(), rest["data"].as_array().unwrap().len()), (3, 1));
    one.delete("/auth/sessions").await.expect(204);
    assert_eq!(one.get("/auth/sessions").await.expect(200).body["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn switching_reaches_own_tenants_alone() {
    let ((one, _, signup), (_, _, other)) = tokio::join!(Client::signed_up(), Client::signed_up());
    let own = one.post("/auth/switch", json!({"tenant_id": signup["tenant"]["id"]})).await.expect(200).body;
    one.with(&own["access_token"]).get("/auth/me").await.expect(200);
    refresh(&one, &own["refresh_token"]).await.expect(200);
    refresh(&one, &signup["refresh_token"]).await.expect(200);
    one.post("/auth/switch", json!({"tenant_id": other["tenant"]["id"]})).await.expect(422).points_at("/tenant_id");
}

#[tokio::test]
async fn a_ticket_is_spent_by_its_first_use() {
    let (client, _, signup) = Client::signed_up().await;
    let answer = client.post("/auth/ticket", json!({})).await.expect(201).body;
    assert_eq!(answer["expires_in"], 30);
    let verifier = verifier().await;
    let ticket = answer["ticket"].as_str().unwrap();
    let caller = verifier.ticket(ticket).await.unwrap();
    assert_eq!(json!(caller.tenant_id), signup["tenant"]["id"]);
    assert!(verifier.ticket(ticket).await.is_err());
    assert!(verifier.ticket("").await.is_err());
    // The refresh token stands for its owner on a stream, and is not rotated by it.
    let token = signup["refresh_token"].as_str().unwrap();
    for _ in 0..2 {
        let again = verifier.refresh_token(token).await.unwrap();
        assert_eq!((again.tenant_id, again.user().unwrap().sign_in_id), (caller.tenant_id, caller.user().unwrap().sign_in_id));
    }
    assert!(verifier.bearer(token).await.is_err() && verifier.bearer(ticket).await.is_err());

    // A stream that is open hears of the revocation.
    let revoked = verifier.revoked(&caller);
    client.post("/auth/logout", json!({})).await.expect(204);
    tokio::time::timeout(std::time::Duration::from_secs(5), revoked).await.unwrap();
    assert!(verifier.refresh_token(token).await.is_err());
}

/// As another service has one.
async fn verifier() -> Verifier {
    let verifier = Verifier::new(Bus::connect(&bus_config(&installation().nats_url)).await.unwrap());
    tokio::spawn(verifier.clone().run(CancellationToken::new()));
    eventually("the keys", async || verifier.is_ready().then_some(())).await;
    verifier
}
