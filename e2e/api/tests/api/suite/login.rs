//! POST /auth/login

use std::time::{Duration, Instant};

use futures::future::join_all;
use kiln_test_support::{PASSWORD, assert_like, unique_email};
use serde_json::json;

use super::{SOON, visit, visit_alone};

#[tokio::test]
async fn gives_tokens_that_work() {
    let (kiln, tenant) = visit().await;
    let answer = kiln.api().post("/auth/login", &json!({"email": tenant.email, "password": PASSWORD})).await.expect(200).json();
    let tokens =
        json!({"access_token": "<string>", "refresh_token": "<string>", "token_type": "Bearer", "expires_in": "<integer>"});
    assert_like(&answer, tokens);
    let api = kiln.api().with_bearer(answer["access_token"].as_str().unwrap());
    let me = api.get("/auth/me").await.expect(200).json();
    assert_like(&me, json!({"user": {"email": tenant.email}, "tenant": {"id": tenant.tenant_id()}}));
    kiln.api().post("/auth/login", &json!({"email": tenant.email.to_uppercase(), "password": PASSWORD})).await.expect(200);
}

#[tokio::test]
async fn unknown_user_and_wrong_password_look_the_same_and_take_as_long() {
    let (kiln, tenant) = visit().await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let mut bodies = Vec::new();
    for _ in 0..5 {
        for (email, times) in [(tenant.email.clone(), &mut known), (unique_email(), &mut unknown)] {
            let begun = Instant::now();
            let answer = kiln.api().post("/auth/login", &json!({"email": email, "password": "not that one, is it"})).await;
            times.push(begun.elapsed());
            bodies.push(answer.problem(401).without_request_id());
        }
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let ratio = median(&mut known) / median(&mut unknown);
    // Without a hash for an unknown user it would be tens; other tests run meanwhile.
    assert!((0.33..3.0).contains(&ratio), "known {known:?}, unknown {unknown:?}");
}

#[tokio::test]
async fn ten_failures_close_an_account_to_that_address_alone() {
    let (kiln, tenant) = visit().await;
    let attacker = kiln.api();
    let login = |password: &str| json!({"email": tenant.email, "password": password});
    for _ in 0..10 {
        attacker.post("/auth/login", &login("wrong wrong wrong wrong")).await.problem(401);
    }
    let refused = attacker.post("/auth/login", &login(PASSWORD)).await.problem(429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=300).contains(&wait), "{wait}");
    kiln.api_from_elsewhere().post("/auth/login", &login(PASSWORD)).await.expect(200);
}

#[tokio::test]
async fn bodies_are_checked() {
    let (kiln, tenant) = visit().await;
    let login = |body| kiln.api().post("/auth/login", &body);
    login(json!({"email": tenant.email})).await.problem(422).at("/password");
    login(json!({"email": tenant.email, "password": PASSWORD, "role": "owner"})).await.problem(422).at("/role");
}

#[tokio::test]
async fn two_hundred_at_once_leave_the_rest_answering() {
    let (kiln, tenant) = visit_alone().await;
    let body = json!({"email": tenant.email, "password": PASSWORD});
    let logins = join_all((0..200).map(async |_| kiln.api().post("/auth/login", &body).await.status));
    let watch = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..40 {
            let begun = Instant::now();
            kiln.api().get("/livez").await.expect(200);
            tenant.get("/tenant").await.expect(200);
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let (statuses, slowest) = tokio::join!(tokio::time::timeout(4 * SOON, logins), watch);
    let statuses = statuses.expect("all are answered");
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}
