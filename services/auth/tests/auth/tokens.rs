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

/// Tokens that are signed well, but by a key that came with them or with the public key taken for a shared secret.
#[tokio::test]
async fn no_key_of_the_tokens_own_choice_is_believed() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use jsonwebtoken::{Algorithm, EncodingKey, Header};

    let (client, _, signup) = Client::signed_up().await;
    let parts: Vec<&str> = signup["access_token"].as_str().unwrap().split('.').collect();
    let decoded = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (header, mut claims) = (decoded(parts[0]), decoded(parts[1]));
    claims["platform_admin"] = json!(true);
    let kid = header["kid"].as_str().unwrap().to_owned();
    let keys = client.get("/.well-known/jwks.json").await.expect(200).body["keys"].clone();
    let public =
        keys.as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str()).unwrap()["x"].as_str().unwrap().to_owned();

    let mut tokens = Vec::new();
    for secret in [URL_SAFE_NO_PAD.decode(&public).unwrap(), public.clone().into_bytes()] {
        let header = Header { typ: Some("at+jwt".to_owned()), kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
        tokens.push(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap());
    }
    let own = Ed25519KeyPair::generate().unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": URL_SAFE_NO_PAD.encode(own.public_key().as_ref())});
    for named in [json!(kid), json!("foreign"), json!("../../../dev/null"), json!("' OR 1=1 --"), Value::Null] {
        let mut header =
            json!({"alg": "EdDSA", "typ": "at+jwt", "kid": named, "jku": "https://evil.example/jwks.json", "jwk": jwk});
        if named.is_null() {
            header.as_object_mut().unwrap().remove("kid");
        }
        let signed = [header, claims.clone()].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = URL_SAFE_NO_PAD.encode(own.sign(signed.as_bytes()).as_ref());
        tokens.push(format!("{signed}.{signature}"));
    }
    for token in tokens {
        client.with(&json!(token)).get("/auth/me").await.expect(401);
    }
}
