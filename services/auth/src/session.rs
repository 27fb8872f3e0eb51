//! A signed-in person's tokens: made at sign-up and login, renewed by refresh and switch, sent with the browser's cookie.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use kiln_domain::SignInId;
use kiln_http::Problem;
use kiln_http::auth::{ClientAddress, MAX_ACCESS_TOKEN_S, RefreshCookie, UserIdentity};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::app::App;
use crate::refresh::{RefreshToken, Verdict, judge};
use crate::sign_ins::{self, Because, Device};
use crate::tenants::Tenant;
use crate::users::User;

const MAX_USER_AGENT: usize = 400;

/// A fresh pair. Beside it the answer sets the browser's refresh cookie.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tokens {
    pub access_token: String,
    /// Single use. Left out when the request came with the cookie, which alone then holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub refresh_token: Option<String>,
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Life of the access token in seconds.
    pub expires_in: u64,
}

/// A fresh pair, with whom it is for.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedIn {
    pub user: User,
    pub tenant: Tenant,
    #[serde(flatten)]
    pub tokens: Tokens,
}

/// A person with a refresh token not yet handed out.
pub struct Session {
    pub user: UserIdentity,
    refresh: RefreshToken,
}

impl Session {
    /// Adds a token to the family; commit before it is handed out.
    pub async fn begin(connection: &mut PgConnection, app: &App, user: UserIdentity) -> Result<Self, Problem> {
        let refresh = RefreshToken::generate().map_err(Problem::internal)?;
        sign_ins::add_token(connection, &app.config, user.sign_in_id, user.tenant_id, &refresh).await?;
        Ok(Self { user, refresh })
    }

    /// The pair as the body shows it.
    pub fn tokens(&self, app: &App) -> Result<Tokens, Problem> {
        let now_s = u64::try_from(Timestamp::now().as_second()).map_err(Problem::internal)?;
        let expires_in = app.config.access_token_s.min(MAX_ACCESS_TOKEN_S);
        let access_token = app.signing.sign(&self.user, now_s, expires_in).map_err(Problem::internal)?;
        Ok(Tokens { access_token, refresh_token: Some(self.refresh.expose().to_owned()), token_type: "Bearer", expires_in })
    }

    /// An answer with this body that also sets the browser's cookie.
    pub fn answer(&self, app: &App, request: &HeaderMap, status: StatusCode, body: impl Serialize) -> Result<Response, Problem> {
        let cookie = RefreshCookie::of(request).set(self.refresh.expose(), app.config.sign_in_idle_s);
        let cookie = HeaderValue::try_from(cookie).map_err(Problem::internal)?;
        Ok((status, [(header::SET_COOKIE, cookie)], Json(body)).into_response())
    }
}

/// Spends a refresh token for a new session, or refuses. `arrived_at` is when the request came, before any wait.
pub async fn rotate(app: &App, presented: &str, arrived_at: Timestamp, device: &Device) -> Result<Session, Problem> {
    let refused = || Problem::unauthorized("The refresh token is not valid, has expired, or was used before.");
    let sha256 = crate::refresh::digest(presented);
    let mut tx = app.database.system().await?;
    let (stored, user) = sign_ins::lock_token(&mut tx, &sha256).await?.ok_or_else(refused)?;
    match judge(&stored, arrived_at, Timestamp::now()) {
        Verdict::Rotate => {
            let session = Session::begin(&mut tx, app, user).await?;
            sign_ins::spend(&mut tx, &sha256, user.sign_in_id, device).await?;
            tx.commit().await?;
            Ok(session)
        }
        Verdict::Dead | Verdict::LostRace => Err(refused()),
        Verdict::Reused => {
            let messages = end(&mut tx, app, &user, user.sign_in_id, Because::Reuse, device).await?;
            tx.commit().await?;
            app.relay.send(messages.unwrap_or_default());
            tracing::warn!(sign_in_id = %user.sign_in_id, "a spent refresh token was presented; its sign-in is revoked");
            Err(refused())
        }
    }
}

/// Revokes a sign-in and records it; none when it had ended already.
pub async fn end(
    connection: &mut PgConnection,
    app: &App,
    user: &UserIdentity,
    sign_in: SignInId,
    because: Because,
    device: &Device,
) -> Result<Option<Vec<kiln_db::Outgoing>>, Problem> {
    let Some(messages) = sign_ins::revoke(connection, &app.relay, user, sign_in, because).await? else { return Ok(None) };
    let action = match because {
        Because::Logout => "sign_in.ended",
        Because::Reuse => "sign_in.revoked_for_reuse",
        Because::ByUser | Because::Password | Because::Disabled => "sign_in.revoked",
    };
    crate::audit::Entry::by(&(*user).into(), device.address, action, &sign_in).write(connection).await?;
    Ok(Some(messages))
}

/// Revokes all of a person's sign-ins but the one they are using, and records each.
pub async fn end_others(
    connection: &mut PgConnection,
    app: &App,
    user: &UserIdentity,
    because: Because,
    device: &Device,
) -> Result<Vec<kiln_db::Outgoing>, Problem> {
    let except = Some(user.sign_in_id);
    let (ended, messages) = sign_ins::revoke_all(connection, &app.relay, user.user_id, user.tenant_id, except, because).await?;
    for sign_in in ended {
        crate::audit::Entry::by(&(*user).into(), device.address, "sign_in.revoked", &sign_in).write(connection).await?;
    }
    Ok(messages)
}

impl<S: Send + Sync> FromRequestParts<S> for Device {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        let user_agent = parts.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
        let user_agent =
            String::from_utf8_lossy(user_agent).chars().filter(|letter| !letter.is_control()).take(MAX_USER_AGENT).collect();
        Ok(Self { address, user_agent })
    }
}
