//! `/auth/email-verification`: proof that an account's address is its owner's, by a link sent to it.

use axum::extract::State;
use axum::http::StatusCode;
use kiln_domain::UserId;
use kiln_http::auth::{Caller, ClientAddress};
use kiln_http::{ApiJson, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::mail_tokens::{self, Purpose};
use crate::sign_ins::Device;
use crate::{audit, users};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerificationConfirmation {
    /// From the link in the mail; good for a day and for one use.
    token: String,
}

/// Send the link again
#[utoipa::path(post, path = "/api/v1/auth/email-verification", tag = "auth", security(("bearer" = [])), responses(
    (status = 202, description = "A mail is on its way, unless the address is proven or the last mail was a minute ago."),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument, description = "API keys do not reach this."),
    (status = 429, body = ProblemDocument, description = "Too many mails asked for from this address."),
))]
pub async fn request_verification(State(app): State<App>, caller: Caller, address: ClientAddress) -> Result<StatusCode, Problem> {
    app.take_mail(address)?;
    let mut tx = app.database.system().await?;
    let user = users::find(&mut tx, caller.user()?.user_id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    if !user.email_verified {
        app.mailer.send_verification(&user);
    }
    Ok(StatusCode::ACCEPTED)
}

/// Prove an address
#[utoipa::path(post, path = "/api/v1/auth/signup/confirm", tag = "auth", request_body = VerificationConfirmation, responses(
    (status = 204),
    (status = 422, body = ProblemDocument, description = "The token is not good."),
))]
pub async fn confirm_verification(
    State(app): State<App>,
    device: Device,
    ApiJson(request): ApiJson<VerificationConfirmation>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.database.system().await?;
    let spent = mail_tokens::spend(&mut tx, &request.token, Purpose::EmailVerification).await?;
    let user: UserId = spent.ok_or_else(mail_tokens::refused)?;
    users::set_verified(&mut tx, user).await?;
    let entry = audit::Entry {
        user_id: Some(user.0),
        address: Some(device.address),
        action: "email.verified",
        object: user.to_string(),
        ..audit::Entry::default()
    };
    entry.write(&mut tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
