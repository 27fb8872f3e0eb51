//! `/.well-known/jwks.json`: the public keys of access tokens (RFC 7517, RFC 8037).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use kiln_http::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::signing::public_keys;

#[derive(Serialize, ToSchema)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Serialize, ToSchema)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    kid: String,
    x: String,
}

/// Public keys of access tokens
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "auth", responses((status = 200, body = Jwks)))]
pub async fn jwks(State(app): State<App>) -> Result<([(HeaderName, HeaderValue); 1], Json<Jwks>), Problem> {
    let mut tx = app.database.system().await?;
    let keys = public_keys(&mut tx).await?;
    tx.commit().await?;
    let keys = keys.into_iter().map(|key| Jwk { kty: "OKP", crv: "Ed25519", alg: "EdDSA", usage: "sig", kid: key.kid, x: key.x });
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(([cache], Json(Jwks { keys: keys.collect() })))
}
