//! `POST /auth/login`: tokens for an e-mail address and its password. Unknown addresses and wrong passwords get the same
//! answer for the same work.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use kiln_domain::Role;
use kiln_http::auth::UserIdentity;
use kiln_http::{ApiJson, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::email::Email;
use crate::session::{Session, SignedIn};
use crate::sign_ins::{self, Device};
use crate::users;
use crate::{audit, login_throttle, password, tenants};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    email: String,
    password: String,
}

/// Log in
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "auth", request_body = LoginRequest, responses(
    (status = 200, body = SignedIn),
    (status = 401, body = ProblemDocument, description = "Unknown address or wrong password."),
    (status = 403, body = ProblemDocument, description = "The address must be confirmed first."),
    (status = 429, body = ProblemDocument, description = "Too many failed logins of this account from this address."),
))]
pub async fn login(
    State(app): State<App>,
    device: Device,
    headers: HeaderMap,
    ApiJson(request): ApiJson<LoginRequest>,
) -> Result<Response, Problem> {
    // What is no address cannot have an account; it is looked up all the same.
    let folded = Email::parse(&request.email).map(|email| email.folded().to_owned()).unwrap_or_default();
    let account = if folded.is_empty() { &request.email } else { &folded };
    let turn = app.hasher.turn().await?;

    let mut tx = app.database.system().await?;
    let counted = login_throttle::begin(&mut tx, &app.config, account, device.address).await;
    let known = users::credentials(&mut tx, &folded).await?;
    tx.commit().await?;
    let attempt = counted?;

    let usable = known.filter(|known| !known.disabled && request.password.len() <= password::MAX_BYTES);
    let stored = usable.as_ref().and_then(|known| known.password_hash.clone());
    let right = turn.verify(password::bounded(request.password), stored.clone()).await.map_err(Problem::internal)?;
    let wrong = || attempt.standing.tell(Problem::unauthorized("The e-mail address or the password is not right."));
    let Some(user_id) = usable.filter(|_| right).map(|known| known.user.id) else {
        record_failure(&app, account, &device).await?;
        return Err(wrong());
    };

    let mut tx = app.database.system().await?;
    let known_at = users::hold(&mut tx, user_id).await?;
    // Read again: the password may have been changed, or the account closed, while this one was checked.
    let now = users::credentials(&mut tx, &folded).await?.filter(|now| now.password_hash == stored && !now.disabled);
    let user = now.ok_or_else(wrong)?.user;
    if app.mailer.verifies() && !user.email_verified {
        app.mailer.send_verification(&user);
        let detail = "This address is not confirmed yet; follow the link that was sent to it.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "email_not_verified", detail));
    }
    attempt.succeeded(&mut tx).await?;
    let memberships = users::memberships(&mut tx, user.id).await?;
    let (tenant, role, made) = if let Some(first) = memberships.first() {
        let tenant = tenants::find(&mut tx, first.id).await?;
        (tenant.ok_or_else(|| Problem::internal("a member's tenant is not there"))?, first.role, Vec::new())
    } else {
        // Their last tenant was deleted, or they had to leave it: they get one of their own, as at sign-up.
        let (tenant, messages) = tenants::create(&mut tx, &app.relay, &user.name, user.id).await?;
        (tenant, Role::Owner, messages)
    };
    let sign_in_id = sign_ins::start(&mut tx, &app.config, user.id, &device).await?;
    let identity =
        UserIdentity { user_id: user.id, tenant_id: tenant.id, role, sign_in_id, platform_admin: user.platform_admin, known_at };
    let session = Session::begin(&mut tx, &app, identity).await?;
    if !made.is_empty() {
        let mut entry = audit::Entry::by(&identity.into(), device.address, "tenant.created", &tenant.id);
        entry.after = Some(serde_json::json!({"name": tenant.name, "slug": tenant.slug}));
        entry.write(&mut tx).await?;
    }
    let mut entry = audit::Entry::by(&identity.into(), device.address, "sign_in.started", &sign_in_id);
    entry.email = Some(user.email.clone());
    entry.write(&mut tx).await?;
    tx.commit().await?;
    app.relay.send(made);
    let body = SignedIn { user, tenant, tokens: session.tokens(&app)? };
    session.answer(&app, &headers, StatusCode::OK, body)
}

/// The same row for known and unknown accounts, which it names by their hash only.
async fn record_failure(app: &App, account: &str, device: &Device) -> Result<(), Problem> {
    let mut tx = app.database.system().await?;
    let entry = audit::Entry {
        address: Some(device.address),
        action: "sign_in.failed",
        object: hex::encode(crate::refresh::digest(account)),
        ..audit::Entry::default()
    };
    entry.write(&mut tx).await?;
    Ok(tx.commit().await?)
}
