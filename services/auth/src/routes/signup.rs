//! `POST /auth/signup`: an account, and a tenant of its own.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use kiln_domain::Role;
use kiln_http::auth::{ClientAddress, UserIdentity};
use kiln_http::{ApiJson, FieldError, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::audit;
use crate::email::Email;
use crate::names::parse_name;
use crate::password;
use crate::session::{Session, SignedIn};
use crate::sign_ins::{self, Device};
use crate::tenants;
use crate::users;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignupRequest {
    email: String,
    /// At least 15 characters and at most 1024 bytes; none of the most common passwords.
    password: String,
    /// The local part of the address unless given.
    #[serde(default)]
    name: Option<String>,
    /// Name of the tenant that the account gets; the account's name unless given.
    #[serde(default)]
    tenant_name: Option<String>,
}

/// A request whose every field is acceptable.
struct Signup {
    email: Email,
    password: String,
    name: String,
    tenant_name: String,
}

/// Sign up
#[utoipa::path(post, path = "/api/v1/auth/signup", tag = "auth", request_body = SignupRequest, responses(
    (status = 201, body = SignedIn),
    (status = 409, body = ProblemDocument, description = "The e-mail address has an account."),
    (status = 422, body = ProblemDocument, description = "A field is not acceptable."),
    (status = 429, body = ProblemDocument, description = "Too many sign-ups from this address."),
))]
pub async fn signup(
    State(app): State<App>,
    address: ClientAddress,
    device: Device,
    headers: HeaderMap,
    ApiJson(request): ApiJson<SignupRequest>,
) -> Result<Response, Problem> {
    let limit = app
        .signups
        .take(&address.network())
        .map_err(|refused| refused.refusal("rate_limited", "Too many sign-ups from this address; wait and try again."))?;
    let signup = Signup::try_from(request)?;
    let turn = app.hasher.turn().await?;
    let hash = turn.hash(signup.password).await.map_err(Problem::internal)?;

    let mut tx = app.database.system().await?;
    let user = users::create(&mut tx, &signup.email, &signup.name, &hash).await?;
    let (tenant, messages) = tenants::create(&mut tx, &app.relay, &signup.tenant_name, user.id).await?;
    let sign_in_id = sign_ins::start(&mut tx, &app.config, user.id, &device).await?;
    let identity = UserIdentity {
        user_id: user.id,
        tenant_id: tenant.id,
        role: Role::Owner,
        sign_in_id,
        platform_admin: user.platform_admin,
        known_at: Timestamp::now(),
    };
    let session = Session::begin(&mut tx, &app, identity).await?;
    let mut entry = audit::Entry::by(&identity.into(), device.address, "account.created", &user.id);
    entry.email = Some(user.email.clone());
    entry.write(&mut tx).await?;
    tx.commit().await?;
    app.relay.send(messages);
    if app.mailer.verifies() {
        app.mailer.send_verification(&user);
    }

    let body = SignedIn { user, tenant, tokens: session.tokens(&app)? };
    let mut response = session.answer(&app, &headers, StatusCode::CREATED, body)?;
    response.headers_mut().extend(limit.headers());
    Ok(response)
}

impl TryFrom<SignupRequest> for Signup {
    type Error = Problem;

    fn try_from(request: SignupRequest) -> Result<Self, Problem> {
        let mut errors = Vec::new();
        let email = Email::parse(&request.email).map_err(|error| errors.push(FieldError::new("/email", error.to_string()))).ok();
        if let Err(weakness) = password::check(&request.password) {
            errors.push(FieldError::new("/password", weakness.to_string()));
        }
        let mut name = |pointer: &str, given: Option<String>| match given.as_deref().map(parse_name) {
            None => None,
            Some(Ok(name)) => Some(name),
            Some(Err(error)) => {
                errors.push(FieldError::new(pointer, error.to_string()));
                None
            }
        };
        let (own, tenant) = (name("/name", request.name), name("/tenant_name", request.tenant_name));
        match email {
            Some(email) if errors.is_empty() => {
                let name = own.unwrap_or_else(|| email.local_part().to_owned());
                Ok(Self { tenant_name: tenant.unwrap_or_else(|| name.clone()), name, email, password: request.password })
            }
            _ => Err(Problem::invalid(errors)),
        }
    }
}

impl From<password::Busy> for Problem {
    fn from(_: password::Busy) -> Self {
        Problem::unavailable("Too many passwords are being checked; try again.")
    }
}
