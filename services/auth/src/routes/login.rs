//! `POST /auth/login`: tokens for an e-mail address and its password. Unknown addresses and wrong passwords get the same
//! answer for the same work.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use kiln_http::auth::UserIdentity;
use kiln_http::{ApiJson, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::email::Email;
use crate::session::{Session, SignedIn};
use crate::sign_ins::{self, Device};
use crate::users::{self, Credentials};
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
    let right = turn.verify(bounded(request.password), stored).await.map_err(Problem::internal)?;
    let standing = attempt.standing;
    let Some(Credentials { user, .. }) = usable.filter(|_| right) else {
        record_failure(&app, account, &device).await?;
        let problem = Problem::unauthorized("The e-mail address or the password is not right.");
        return Err(standing.tell(problem));
    };

    let mut tx = app.database.system().await?;
    attempt.succeeded(&mut tx).await?;
    let memberships = users::memberships(&mut tx, user.id).await?;
    let Some(first) = memberships.first() else {
        return Err(Problem::forbidden("This account belongs to no tenant."));
    };
    let tenant = tenants::find(&mut tx, first.id).await?.ok_or_else(|| Problem::internal("a member's tenant is not there"))?;
    let sign_in_id = sign_ins::start(&mut tx, &app.config, user.id, &device).await?;
    let identity = UserIdentity {
        user_id: user.id,
        tenant_id: tenant.id,
        role: first.role,
        sign_in_id,
        platform_admin: user.platform_admin,
    };
    let session = Session::begin(&mut tx, &app, identity).await?;
    let mut entry = audit::Entry::by(&identity.into(), device.address, "sign_in.started", &sign_in_id);
    entry.email = Some(user.email.clone());
    entry.write(&mut tx).await?;
    tx.commit().await?;
    let body = SignedIn { user, tenant, tokens: session.tokens(&app)? };
    session.answer(&app, &headers, StatusCode::OK, body)
}

/// No account has a longer password, so its first bytes are as wrong as the whole.
fn bounded(mut password: String) -> String {
    if password.len() > password::MAX_BYTES {
        password.truncate(password.floor_char_boundary(password::MAX_BYTES));
    }
    password
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
