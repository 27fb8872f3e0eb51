//! `POST /auth/password`: a new password for whoever knows the present one.

use axum::extract::State;
use axum::http::StatusCode;
use kiln_http::auth::Caller;
use kiln_http::{ApiJson, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::sign_ins::{Because, Device};
use crate::{audit, login_throttle, password, session, users};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordRequest {
    current_password: String,
    /// At least 15 characters and at most 1024 bytes; none of the most common passwords.
    new_password: String,
}

/// Change my password
///
/// Ends all my other sign-ins.
#[utoipa::path(post, path = "/api/v1/auth/password", tag = "auth", security(("bearer" = [])), request_body = PasswordRequest, responses(
    (status = 204),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument, description = "API keys do not reach this."),
    (status = 422, body = ProblemDocument, description = "The present password is not right, or the new one is not acceptable."),
    (status = 429, body = ProblemDocument, description = "Too many wrong passwords."),
))]
pub async fn change_password(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiJson(request): ApiJson<PasswordRequest>,
) -> Result<StatusCode, Problem> {
    let user = caller.user()?;
    password::check(&request.new_password).map_err(|weakness| Problem::invalid_field("/new_password", weakness.to_string()))?;
    let turn = app.hasher.turn().await?;

    // Counted like a login, so that a stolen access token gives no more tries.
    let mut tx = app.database.system().await?;
    let account = users::find(&mut tx, user.user_id).await?.ok_or_else(Problem::not_found)?;
    let counted = login_throttle::begin(&mut tx, &app.config, &format!("change {}", account.id), device.address).await;
    let stored = users::password_hash(&mut tx, user.user_id).await?;
    tx.commit().await?;
    let attempt = counted?;

    let possible = request.current_password.len() <= password::MAX_BYTES;
    let current = password::bounded(request.current_password);
    let right = turn.verify(current, stored.clone()).await.map_err(Problem::internal)?;
    if !(right && possible) {
        return Err(attempt.standing.tell(Problem::invalid_field("/current_password", "is not right")));
    }
    let hash = app.hasher.turn().await?.hash(request.new_password).await.map_err(Problem::internal)?;

    let mut tx = app.database.system().await?;
    users::lock(&mut tx, &[user.user_id.0]).await?;
    if users::password_hash(&mut tx, user.user_id).await? != stored {
        return Err(Problem::conflict("password_changed", "The password was changed by another request meanwhile."));
    }
    attempt.succeeded(&mut tx).await?;
    users::set_password(&mut tx, user.user_id, &hash).await?;
    audit::Entry::by(&caller, device.address, "password.changed", &user.user_id).write(&mut tx).await?;
    let messages = session::end_others(&mut tx, &app, &user, Because::Password, &device).await?;
    tx.commit().await?;
    app.relay.send(messages);
    Ok(StatusCode::NO_CONTENT)
}
