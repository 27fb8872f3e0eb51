//! Access tokens that are not ours, or not for this.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::client::Client;

#[tokio::test]
async fn the_published_key_is_the_one_that_signs() {
    let (_, _, signup) = Client::signed_up().await;
    let token = signup["access_token"].as_str().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    let answer = Client::new().get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(answer.headers["cache-control"], "public, max-age=300");
    let key = answer.body["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap().clone();
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"), &json!("sig"))
    );
    assert!(key.get("d").is_none());
}

#[tokio::test]
async fn forged_and_foreign_credentials_are_refused() {
    let (client, _, signup) = Client::signed_up().await;
    let token = signup["access_token"].as_str().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let edit = |part: &str, name: &str, value: Value| {
        let mut decoded: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        decoded[name] = value;
        URL_SAFE_NO_PAD.encode(decoded.to_string())
    };
    let [header, claims, signature] = parts[..] else { panic!("{token}") };
    for forged in [
        format!("{}.{claims}.", edit(header, "alg", json!("none"))),
        format!("{}.{claims}.{signature}", edit(header, "alg", json!("HS256"))),
        format!("{}.{claims}.{signature}", edit(header, "kid", json!("foreign"))),
        format!("{}.{claims}.{signature}", edit(header, "typ", json!("JWT"))),
        format!("{header}.{}.{signature}", edit(claims, "platform_admin", json!(true))),
        format!("{header}.{}.{signature}", edit(claims, "exp", json!(4_102_444_800_u64))),
        format!("{header}.{claims}."),
        "a.b.c".to_owned(),
        "kiln_".to_owned(),
        "x".repeat(7000),
    ] {
        let refused = client.with(&json!(forged)).get("/auth/me").await.expect(401);
        assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    }
    Client::new().get(&format!("/auth/me?access_token={token}")).await.expect(401);
    client.get("/auth/me").await.expect(200);
}
