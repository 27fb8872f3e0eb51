//! `/auth/password-reset`: a new password for whoever reads the account's mail.

use axum::extract::State;
use axum::http::StatusCode;
use kiln_domain::TenantId;
use kiln_http::auth::ClientAddress;
use kiln_http::{ApiJson, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::email::Email;
use crate::mail_tokens::{self, Purpose};
use crate::sign_ins::{self, Because, Device};
use crate::{audit, password, users};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
    email: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetConfirmation {
    /// From the link in the mail; good for an hour and for one use.
    token: String,
    /// At least 15 characters and at most 1024 bytes; none of the most common passwords.
    new_password: String,
}

/// Ask for a new password
///
/// The answer is the same whether or not the address has an account.
#[utoipa::path(post, path = "/api/v1/auth/password-reset", tag = "auth", request_body = ResetRequest, responses(
    (status = 202),
    (status = 422, body = ProblemDocument),
    (status = 429, body = ProblemDocument, description = "Too many mails asked for from this address."),
))]
pub async fn request_reset(
    State(app): State<App>,
    address: ClientAddress,
    ApiJson(request): ApiJson<ResetRequest>,
) -> Result<StatusCode, Problem> {
    app.take_mail(address)?;
    if let Ok(email) = Email::parse(&request.email) {
        app.mailer.send_reset(email.folded().to_owned());
    }
    Ok(StatusCode::ACCEPTED)
}

/// Choose a new password
///
/// Ends all sign-ins of the account.
#[utoipa::path(post, path = "/api/v1/auth/password-reset/confirm", tag = "auth", request_body = ResetConfirmation, responses(
    (status = 204),
    (status = 422, body = ProblemDocument, description = "The token is not good, or the password is not acceptable."),
))]
pub async fn confirm_reset(
    State(app): State<App>,
    device: Device,
    ApiJson(request): ApiJson<ResetConfirmation>,
) -> Result<StatusCode, Problem> {
    password::check(&request.new_password).map_err(|weakness| Problem::invalid_field("/new_password", weakness.to_string()))?;
    // Looked at first, so that a guess costs no hash.
    let mut tx = app.database.system().await?;
    let good = mail_tokens::is_good(&mut tx, &request.token, Purpose::PasswordReset).await?;
    tx.commit().await?;
    if !good {
        return Err(mail_tokens::refused());
    }
    let hash = app.hasher.turn().await?.hash(request.new_password).await.map_err(Problem::internal)?;

    let mut tx = app.database.system().await?;
    let user = mail_tokens::spend(&mut tx, &request.token, Purpose::PasswordReset).await?.ok_or_else(mail_tokens::refused)?;
    users::lock(&mut tx, &[user.0]).await?;
    users::set_password(&mut tx, user, &hash).await?;
    users::set_verified(&mut tx, user).await?;
    let memberships = users::memberships(&mut tx, user).await?;
    // The event's envelope names some tenant of theirs; the event itself is about the person.
    let tenant = memberships.first().map_or(TenantId(Uuid::nil()), |membership| membership.id);
    let (ended, messages) = sign_ins::revoke_all(&mut tx, &app.relay, user, tenant, None, Because::Password).await?;
    let entry = audit::Entry {
        tenant_id: memberships.first().map(|membership| membership.id),
        user_id: Some(user.0),
        address: Some(device.address),
        action: "password.reset",
        object: user.to_string(),
        after: Some(serde_json::json!({"sign_ins_ended": ended.len()})),
        ..audit::Entry::default()
    };
    entry.write(&mut tx).await?;
    tx.commit().await?;
    app.relay.send(messages);
    Ok(StatusCode::NO_CONTENT)
}
