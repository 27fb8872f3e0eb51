//! POST /auth/refresh

use futures::future::join_all;
use kiln_test_support::{Answer, Api, PASSWORD, eventually};
use serde_json::json;

use super::{REVOKED_WITHIN, visit};

async fn refresh(api: &Api, token: &str) -> Answer {
    api.anonymous().post("/auth/refresh", &json!({"refresh_token": token})).await
}

fn token(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn gives_a_new_pair() {
    let (_kiln, tenant) = visit().await;
    let pair = refresh(&tenant, &tenant.refresh_token).await.expect(200);
    assert_ne!(token(&pair, "refresh_token"), tenant.refresh_token);
    tenant.with_bearer(&token(&pair, "access_token")).get("/auth/me").await.expect(200);
    refresh(&tenant, &token(&pair, "refresh_token")).await.expect(200);
}

#[tokio::test]
async fn a_used_token_revokes_the_whole_family() {
    let (_kiln, tenant) = visit().await;
    let pair = refresh(&tenant, &tenant.refresh_token).await.expect(200);
    refresh(&tenant, &tenant.refresh_token).await.problem(401);
    refresh(&tenant, &token(&pair, "refresh_token")).await.problem(401);
    let thief = tenant.with_bearer(&token(&pair, "access_token"));
    for path in ["/auth/me", "/executions", "/limits", "/executions/0199f0a0-0000-7000-8000-000000000000"] {
        let what = format!("{path} refuses the family's access tokens");
        eventually(REVOKED_WITHIN, &what, async || (thief.get(path).await.status == 401).then_some(())).await;
    }
}

#[tokio::test]
async fn of_parallel_refreshes_one_wins() {
    let (_kiln, tenant) = visit().await;
    let answers = join_all((0..8).map(|_| refresh(&tenant, &tenant.refresh_token))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 7, "{statuses:?}");
}

#[tokio::test]
async fn token_kinds_cannot_be_swapped() {
    let (_kiln, tenant) = visit().await;
    refresh(&tenant, tenant.access_token()).await.problem(401);
    refresh(&tenant, "nonsense").await.problem(401);
    tenant.with_bearer(&tenant.refresh_token).get("/auth/me").await.problem(401);
    tenant.anonymous().post("/auth/refresh", &json!({"refresh_token": 7})).await.problem(422).at("/refresh_token");
}

#[tokio::test]
async fn the_cookie_serves_the_own_origin_alone() {
    let (kiln, tenant) = visit().await;
    let answer = kiln.api().post("/auth/login", &json!({"email": tenant.email, "password": PASSWORD})).await.expect(200);
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie:?}");
    let pair = cookie.split(';').next().unwrap();
    let origin = kiln.addresses().auth.clone();
    let by_cookie =
        |origin: &str| kiln.api().call(reqwest::Method::POST, "/auth/refresh").header("cookie", pair).header("origin", origin);
    let foreign = by_cookie("https://example.org").await;
    assert!(foreign.status == 401 || foreign.status == 403, "{}", foreign.status);
    let answer = by_cookie(&origin).await.expect(200);
    assert_ne!(answer.header("set-cookie").split(';').next(), Some(pair));
}
