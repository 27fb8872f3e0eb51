//! GET /auth/me, and what counts as a credential

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kiln_test_support::assert_like;
use serde_json::{Value, json};

use super::visit;

#[tokio::test]
async fn says_who_one_is() {
    let (_kiln, tenant) = visit().await;
    let me = tenant.get("/auth/me").await.expect(200).json();
    let slug = &tenant.signup["tenant"]["slug"];
    assert_like(
        &me,
        json!({
            "user": {"id": tenant.signup["user"]["id"], "email": tenant.email, "name": "<any>", "platform_admin": false},
            "tenant": {"id": tenant.tenant_id(), "name": "<string>", "slug": slug},
            "role": "owner",
            "tenants": [{"id": tenant.tenant_id(), "name": "<string>", "slug": slug, "role": "owner"}],
        }),
    );
}

#[tokio::test]
async fn asks_for_a_credential() {
    let (kiln, tenant) = visit().await;
    let problem = kiln.api().get("/auth/me").await.problem(401);
    assert!(problem.header("www-authenticate").starts_with("Bearer"), "{:?}", problem.headers);
    for wrong in ["Basic YTpi", "Bearer", "Bearer  ", "Bearer nonsense", "bearer a.b.c"] {
        kiln.api().get("/auth/me").header("authorization", wrong).await.problem(401);
    }
    tenant.with_bearer(&format!("{}x", tenant.access_token())).get("/auth/me").await.problem(401);
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let (_kiln, tenant) = visit().await;
    let parts: Vec<&str> = tenant.access_token().split('.').collect();
    let decode = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (header, claims) = (decode(parts[0]), decode(parts[1]));
    let with = |value: &Value, field: &str, new: Value| {
        let mut changed = value.clone();
        changed[field] = new;
        changed
    };
    let signature = parts[2];
    for forged in [
        format!("{}.{}.", encode(&with(&header, "alg", json!("none"))), parts[1]),
        format!("{}.{}.{signature}", encode(&with(&header, "alg", json!("none"))), parts[1]),
        format!("{}.{}.{signature}", encode(&with(&header, "alg", json!("HS256"))), parts[1]),
        format!("{}.{}.{signature}", encode(&with(&header, "kid", json!("foreign"))), parts[1]),
        format!("{}.{}.{signature}", encode(&with(&header, "jku", json!("http://127.0.0.1:1/jwks.json"))), parts[1]),
        format!("{}.{}.{signature}", parts[0], encode(&with(&claims, "role", json!("admin")))),
        format!("{}.{}.{signature}", parts[0], encode(&with(&claims, "exp", json!(4_102_444_800_u64)))),
        format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 64])),
    ] {
        let forger = tenant.with_bearer(&forged);
        for path in ["/auth/me", "/executions", "/executions/0199f0a0-0000-7000-8000-000000000000"] {
            forger.get(path).await.problem(401);
        }
    }
}
