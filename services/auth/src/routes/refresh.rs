//! `POST /auth/refresh`: a new pair for a refresh token, from the body or from the browser's cookie.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use kiln_http::auth::{RefreshCookie, check_origin};
use kiln_http::{Body, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::session::{Tokens, rotate};
use crate::sign_ins::Device;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// Left out by a browser, whose cookie holds it.
    #[serde(default)]
    refresh_token: Option<String>,
}

/// When a request came, before its body was read.
pub struct Arrived(Timestamp);

/// Refresh tokens
///
/// Each refresh token is good for one use. Presenting one that was used before revokes the whole sign-in.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "auth", request_body = Option<RefreshRequest>, responses(
    (status = 200, body = Tokens),
    (status = 401, body = ProblemDocument, description = "Not valid, expired, or used before."),
    (status = 403, body = ProblemDocument, description = "The cookie came from another site's page."),
))]
pub async fn refresh(
    Arrived(arrived_at): Arrived,
    State(app): State<App>,
    device: Device,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if let Some(token) = token_in(&headers, body)? {
        let session = rotate(&app, &token, arrived_at, &device).await?;
        return session.answer(&app, &headers, StatusCode::OK, session.tokens(&app)?);
    }
    let Some(token) = RefreshCookie::of(&headers).read(&headers) else {
        return Err(Problem::unauthorized("Send the refresh token in the body, or as the cookie that a login set."));
    };
    check_origin(&Method::POST, &headers)?;
    let session = rotate(&app, &token, arrived_at, &device).await?;
    let tokens = Tokens { refresh_token: None, ..session.tokens(&app)? };
    session.answer(&app, &headers, StatusCode::OK, tokens)
}

/// The body's token; a browser's request may have no body at all.
fn token_in(headers: &HeaderMap, body: Bytes) -> Result<Option<String>, Problem> {
    if body.is_empty() {
        return Ok(None);
    }
    Ok(Body::checked(headers, body)?.json::<RefreshRequest>()?.refresh_token)
}

impl<S: Send + Sync> FromRequestParts<S> for Arrived {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(Timestamp::now()))
    }
}
