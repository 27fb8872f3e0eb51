//! GET /.well-known/jwks.json

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kiln_test_support::assert_like;
use serde_json::{Value, json};

use super::visit;

#[tokio::test]
async fn publishes_the_keys_of_the_tokens_and_nothing_secret() {
    let (kiln, tenant) = visit().await;
    let answer = kiln.api().get("/.well-known/jwks.json").await.expect(200).json();
    let keys = answer["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        assert_like(
            key,
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "<string>", "x": "<string>"}),
        );
        assert!(key.get("d").is_none(), "the private key is published");
    }
    let decode =
        |part: Option<&str>| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.unwrap()).unwrap()).unwrap() };
    let mut parts = tenant.access_token().split('.');
    let (header, claims) = (decode(parts.next()), decode(parts.next()));
    assert_eq!(header["alg"], "EdDSA");
    assert!(keys.iter().any(|key| key["kid"] == header["kid"]), "{header} is none of {keys:?}");
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!(life <= 15 * 60, "{life} s");
}
