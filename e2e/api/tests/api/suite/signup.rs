//! POST /auth/signup

use kiln_test_support::{PASSWORD, Visit, assert_like, unique_email};
use serde_json::{Value, json};

use super::visit;

#[tokio::test]
async fn makes_the_user_a_tenant_and_a_session() {
    let kiln = Visit::beside(crate::MODE).await;
    let email = unique_email();
    let body = json!({"email": email, "password": PASSWORD, "name": "Ann", "tenant_name": "Ann's kiln"});
    let answer = kiln.api().post("/auth/signup", &body).await.expect(201);
    assert_like(
        &answer.json(),
        json!({
            "user": {"id": "<uuid>", "email": email, "name": "Ann", "platform_admin": "<boolean>"},
            "tenant": {"id": "<uuid>", "name": "Ann's kiln", "slug": "<string>"},
            "access_token": "<string>", "refresh_token": "<string>", "token_type": "Bearer", "expires_in": "<integer>",
        }),
    );
    assert!(answer.json()["expires_in"].as_u64().unwrap() <= 15 * 60);
    assert!(!answer.text().contains(PASSWORD));
    assert!(!answer.header("ratelimit").is_empty() && !answer.header("ratelimit-policy").is_empty(), "{:?}", answer.headers);
}

#[tokio::test]
async fn an_address_can_sign_up_once_however_it_is_spelt() {
    let kiln = Visit::beside(crate::MODE).await;
    let email = unique_email();
    let api = kiln.api();
    let signup = |email: String| api.post("/auth/signup", &json!({"email": email, "password": PASSWORD}));
    signup(email.clone()).await.expect(201);
    signup(email.clone()).await.problem(409);
    signup(email.to_uppercase()).await.problem(409);
    // é as one character and as e with a combining accent.
    signup(format!("\u{e9}{email}")).await.expect(201);
    signup(format!("e\u{301}{email}")).await.problem(409);
}

#[tokio::test]
async fn two_tenants_of_one_name_are_two() {
    let kiln = Visit::beside(crate::MODE).await;
    let mut slugs = Vec::new();
    for _ in 0..2 {
        let body = json!({"email": unique_email(), "password": PASSWORD, "tenant_name": "The Same"});
        slugs.push(kiln.api().post("/auth/signup", &body).await.expect(201).json()["tenant"]["slug"].clone());
    }
    assert_ne!(slugs[0], slugs[1]);
}

async fn refused(body: Value) -> kiln_test_support::Problem {
    let kiln = Visit::beside(crate::MODE).await;
    kiln.api().post("/auth/signup", &body).await.problem(422)
}

#[tokio::test]
async fn weak_passwords_are_refused() {
    for password in ["", "fourteen chars", "123456789012345", "passwordpassword"] {
        refused(json!({"email": unique_email(), "password": password})).await.at("/password");
    }
}

#[tokio::test]
async fn a_password_may_have_1024_bytes_and_every_one_counts() {
    let kiln = Visit::beside(crate::MODE).await;
    let (email, long) = (unique_email(), "0123456789abcdef".repeat(64));
    kiln.api().post("/auth/signup", &json!({"email": email, "password": long})).await.expect(201);
    for cut in [72, 1023] {
        kiln.api().post("/auth/login", &json!({"email": email, "password": long[..cut]})).await.problem(401);
    }
    kiln.api().post("/auth/login", &json!({"email": email, "password": long})).await.expect(200);
    refused(json!({"email": unique_email(), "password": format!("{long}x")})).await.at("/password");
}

/// Refused wherever a password is taken, also when it begins with the right one.
#[tokio::test]
async fn a_megabyte_of_password_is_no_password() {
    let kiln = Visit::beside(crate::MODE).await;
    let (email, right) = (unique_email(), "0123456789abcdef".repeat(64));
    let body = json!({"email": email, "password": right});
    let tokens = kiln.api().post("/auth/signup", &body).await.expect(201).json();
    let api = kiln.api().with_bearer(tokens["access_token"].as_str().unwrap());
    let huge = format!("{right}{}", "x".repeat(1 << 20));
    refused(json!({"email": unique_email(), "password": huge})).await.at("/password");
    kiln.api().post("/auth/login", &json!({"email": email, "password": huge})).await.problem(401);
    let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    api.post("/auth/password", &change(&huge, PASSWORD)).await.problem(422).at("/current_password");
    api.post("/auth/password", &change(&right, &huge)).await.problem(422).at("/new_password");
    let reset = json!({"token": "kml_none", "new_password": huge});
    kiln.api().post("/auth/password-reset/confirm", &reset).await.problem(422).at("/new_password");
    kiln.api().post("/auth/login", &body).await.expect(200);
}

#[tokio::test]
async fn no_composition_rule_applies() {
    let kiln = Visit::beside(crate::MODE).await;
    for password in ["qmzvkwpxjbtrfhd", "пятнадцать-букв-и-ещё", "  spaces are letters too  "] {
        kiln.api().post("/auth/signup", &json!({"email": unique_email(), "password": password})).await.expect(201);
    }
}

#[tokio::test]
async fn each_wrong_field_is_pointed_at() {
    for email in ["", "nobody", "@example.org", "a@", "a b@example.org", "a@example.org\r\nBcc: b@example.org"] {
        refused(json!({"email": email, "password": PASSWORD})).await.at("/email");
    }
    let email = unique_email;
    refused(json!({"password": PASSWORD})).await.at("/email");
    refused(json!({"email": email()})).await.at("/password");
    refused(json!({"email": 7, "password": PASSWORD})).await.at("/email");
    refused(json!({"email": email(), "password": PASSWORD, "name": "x".repeat(10_000)})).await.at("/name");
    refused(json!({"email": email(), "password": PASSWORD, "tenant_name": "x".repeat(10_000)})).await.at("/tenant_name");
}

#[tokio::test]
async fn nobody_can_give_themselves_more() {
    for (field, value) in [("role", json!("owner")), ("platform_admin", json!(true)), ("tenant_id", json!(uuid::Uuid::now_v7()))]
    {
        let mut body = json!({"email": unique_email(), "password": PASSWORD});
        body[field] = value;
        refused(body).await.at(&format!("/{field}"));
    }
    let (_kiln, tenant) = visit().await;
    assert_eq!(tenant.signup["user"]["platform_admin"], false);
}

#[tokio::test]
async fn an_address_gets_60_a_minute() {
    let kiln = Visit::beside(crate::MODE).await;
    // Refused bodies count too and cost no password hash.
    let api = kiln.api();
    let mut allowed = 0;
    let refusal = loop {
        let answer = api.post("/auth/signup", &json!({"email": "x", "password": "x"})).await;
        if answer.status != 422 {
            break answer.problem(429);
        }
        allowed += 1;
        assert!(allowed < 130, "130 sign-ups within a minute");
    };
    let wait: u64 = refusal.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(allowed >= 60, "refused after {allowed}");
    kiln.api_from_elsewhere().post("/auth/signup", &json!({"email": "x", "password": "x"})).await.problem(422);
}
