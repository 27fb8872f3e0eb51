//! Signing up and in.

use futures::future::join_all;
use serde_json::json;

use crate::client::{Client, PASSWORD, unique_email};
use crate::installation::eventually;

#[tokio::test]
async fn a_signup_makes_a_user_with_a_tenant() {
    let (client, email, signup) = Client::signed_up().await;
    assert_eq!(signup["token_type"], "Bearer");
    assert_eq!(signup["expires_in"], 900);
    let me = client.get("/auth/me").await.expect(200).body;
    assert_eq!(me["user"]["email"], json!(email));
    assert_eq!(me["role"], "owner");
    assert_eq!(me["tenant"]["id"], signup["tenant"]["id"]);
    assert_eq!(me["tenants"][0]["slug"], signup["tenant"]["slug"]);
    let tenant = client.get("/tenant").await.expect(200).body;
    assert_eq!(tenant["id"], signup["tenant"]["id"]);
    let quota = client.get("/tenant/quota").await.expect(200).body;
    assert_eq!((&quota["limits"]["max_concurrent"], &quota["used"]["max_concurrent"]), (&json!(32), &json!(1)));
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let answer =
        Client::new().post("/auth/signup", json!({"email": "x", "password": "x", "name": "", "tenant_name": "\n"})).await;
    let answer = answer.expect(422).points_at("/email").points_at("/password").points_at("/name").points_at("/tenant_name");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert!(answer.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn two_at_once_with_one_address_make_one_account() {
    let (client, email) = (Client::new(), unique_email());
    let answers = join_all((0..4).map(|_| client.post("/auth/signup", json!({"email": email, "password": PASSWORD})))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

#[tokio::test]
async fn unknown_user_and_wrong_password_look_the_same() {
    let (client, email, _) = Client::signed_up().await;
    let mut bodies = Vec::new();
    for email in [email.as_str(), &unique_email(), "no address"] {
        let mut answer = client.post("/auth/login", json!({"email": email, "password": "not that one at all"})).await.expect(401);
        answer.body["request_id"] = json!("");
        bodies.push(answer.body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    client.post("/auth/login", json!({"email": email.to_uppercase(), "password": PASSWORD})).await.expect(200);
}

#[tokio::test]
async fn parallel_guesses_gain_nothing_and_lock_nobody_else_out() {
    let (victim, email, _) = Client::signed_up().await;
    let attacker = Client::new();
    let guess = || attacker.post("/auth/login", json!({"email": email, "password": "not that one at all"}));
    let statuses: Vec<_> = join_all((0..30).map(|_| guess())).await.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 20, "{statuses:?}");
    let right = json!({"email": email, "password": PASSWORD});
    let refused = attacker.post("/auth/login", right.clone()).await.expect(429);
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=300).contains(&wait), "{wait}");
    victim.post("/auth/login", right).await.expect(200);
}

#[tokio::test]
async fn many_right_logins_at_once_are_all_let_in() {
    let (client, email, _) = Client::signed_up().await;
    let login = || client.post("/auth/login", json!({"email": email, "password": PASSWORD}));
    for answer in join_all((0..40).map(|_| login())).await {
        answer.expect(200);
    }
    // Four at once with 19 MiB each: the allocator must give that back, or an idle service is fat for ever.
    eventually("the memory of the hashes is given back", async || (resident_mib() < 150).then_some(())).await;
}

/// Of this process, in which the service runs.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn an_address_signs_up_60_times_a_minute() {
    let client = Client::new();
    let mut allowed = 0;
    let refused = loop {
        let answer = client.post("/auth/signup", json!({"email": "x", "password": "x"})).await;
        if answer.status != 422 {
            break answer.expect(429);
        }
        allowed += 1;
        assert!(allowed < 100, "no limit");
    };
    assert!(allowed >= 60, "{allowed}");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.headers["ratelimit-policy"], "\"signup\";q=60;w=60");
    Client::new().post("/auth/signup", json!({"email": "x", "password": "x"})).await.expect(422);
}
