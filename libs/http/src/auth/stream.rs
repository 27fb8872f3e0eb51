//! The caller of a stream: a browser's `EventSource` and `WebSocket` cannot set headers, so a ticket or the refresh
//! cookie does as well.

use axum::extract::{FromRef, FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Deserialize;

use super::caller::bearer;
use super::cookie::{RefreshCookie, check_origin};
use super::{Caller, Verifier, operations};
use crate::{Problem, RequestContext};

/// As [`Caller`], from `Authorization: Bearer`, else `?ticket=`, else the refresh cookie with an `Origin` check.
/// A ticket is spent by this; the cookie is not rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCaller(pub Caller);

#[derive(Debug, Deserialize)]
struct Credentials {
    ticket: Option<String>,
    access_token: Option<String>,
    token: Option<String>,
    api_key: Option<String>,
}

impl<S> FromRequestParts<S> for StreamCaller
where
    S: Send + Sync,
    Verifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = verified(parts, &Verifier::from_ref(state)).await;
        let caller = RequestContext::of(&parts.extensions)?.counted(caller)?;
        operations::check(&caller, parts)?;
        Ok(Self(caller))
    }
}

async fn verified(parts: &Parts, verifier: &Verifier) -> Result<Caller, Problem> {
    let Query(query) = Query::<Credentials>::try_from_uri(&parts.uri)
        .map_err(|_| Problem::bad_request("A query parameter is given twice or cannot be read."))?;
    if query.access_token.is_some() || query.token.is_some() || query.api_key.is_some() {
        return Err(Problem::unauthorized("Access tokens and API keys are not accepted in a URL; use a ticket."));
    }
    if let Some(token) = bearer(&parts.headers)? {
        return Ok(verifier.bearer(token).await?);
    }
    if let Some(ticket) = query.ticket {
        return Ok(verifier.ticket(&ticket).await?);
    }
    let Some(token) = RefreshCookie::of(&parts.headers).read(&parts.headers) else {
        return Err(Problem::unauthorized("Send Authorization: Bearer …, or a ticket from POST /api/v1/auth/ticket as ?ticket="));
    };
    check_origin(&parts.method, &parts.headers)?;
    Ok(verifier.refresh_token(&token).await?)
}
