//! `POST /auth/logout`: ends the sign-in that the request was made with.

use axum::extract::{FromRef as _, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kiln_http::auth::{Caller, RefreshCookie, Verifier, check_origin};
use kiln_http::{Problem, ProblemDocument, RequestContext};

use crate::app::App;
use crate::session;
use crate::sign_ins::{Because, Device};

/// Log out
///
/// Revokes the whole sign-in: its refresh tokens at once, its access tokens within five seconds everywhere.
/// A browser may send its cookie in place of an access token.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "auth", security(("bearer" = [])), responses(
    (status = 204),
    (status = 401, body = ProblemDocument),
))]
pub async fn logout(
    State(app): State<App>,
    context: RequestContext,
    device: Device,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cookie = RefreshCookie::of(&headers);
    let user = context.counted(caller(&app, &headers, cookie).await)?.user()?;
    let mut tx = app.database.system().await?;
    let messages = session::end(&mut tx, &app, &user, user.sign_in_id, Because::Logout, &device).await?;
    tx.commit().await?;
    app.relay.send(messages.unwrap_or_default());
    let forget = HeaderValue::try_from(cookie.clear()).map_err(Problem::internal)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, forget)]).into_response())
}

async fn caller(app: &App, headers: &HeaderMap, cookie: RefreshCookie) -> Result<Caller, Problem> {
    let verifier = Verifier::from_ref(app);
    match cookie.read(headers) {
        Some(token) if !headers.contains_key(header::AUTHORIZATION) => {
            check_origin(&Method::POST, headers)?;
            Ok(verifier.refresh_token(&token).await?)
        }
        _ => verifier.from_headers(headers).await,
    }
}
