//! `/tenant/secrets`: values that runs get by name as environment variables; written here, never read back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kiln_http::auth::Caller;
use kiln_http::{ApiJson, ApiPath, ApiQuery, Page, PageQuery, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::secrets::{self, NewSecret, Secret};
use crate::sign_ins::Device;
use crate::{audit, tenants};

/// A shorter value would blacken what has nothing to do with it.
const MIN_MASKED_BYTES: usize = 8;
/// What the environment of a run has room for.
const MAX_VALUE_BYTES: usize = 32 * 1024;
const MAX_NAME_BYTES: usize = 128;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretValue {
    /// At most 32 KiB, without NUL.
    value: String,
    /// Write asterisks in its place where a run that was given it prints it; for values of at least 8 bytes. What a program
    /// encodes, or prints in pieces with pauses between them, is not recognised.
    #[serde(default)]
    masked: bool,
}

/// List secrets
#[utoipa::path(get, path = "/api/v1/tenant/secrets", tag = "tenant", security(("bearer" = [])), params(PageQuery), responses(
    (status = 200, body = Page<Secret>),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
))]
pub async fn list_secrets(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Secret>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    let rows = secrets::list(&mut tx, None, after, limit + 1).await?;
    tx.commit().await?;
    Ok(Json(Page::from_rows(rows, limit, |row| row.id)))
}

/// One secret, without its value
#[utoipa::path(get, path = "/api/v1/tenant/secrets/{name}", tag = "tenant", security(("bearer" = [])),
    params(("name" = String, Path)), responses(
    (status = 200, body = Secret),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 404, body = ProblemDocument),
))]
pub async fn get_secret(State(app): State<App>, caller: Caller, ApiPath(name): ApiPath<String>) -> Result<Json<Secret>, Problem> {
    if !is_name(&name) {
        return Err(Problem::not_found());
    }
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    let found = secrets::list(&mut tx, Some(&name), None, 1).await?.pop();
    tx.commit().await?;
    found.map(Json).ok_or_else(Problem::not_found)
}

/// Set a secret
#[utoipa::path(put, path = "/api/v1/tenant/secrets/{name}", tag = "tenant", security(("bearer" = [])),
    params(("name" = String, Path)), request_body = SecretValue, responses(
    (status = 204),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 409, body = ProblemDocument, description = "The tenant has too many."),
    (status = 422, body = ProblemDocument),
    (status = 503, body = ProblemDocument, description = "The operator has given no key to encrypt with."),
))]
pub async fn put_secret(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiPath(name): ApiPath<String>,
    ApiJson(request): ApiJson<SecretValue>,
) -> Result<StatusCode, Problem> {
    if !is_name(&name) {
        return Err(Problem::invalid_field("/name", "must be a name for an environment variable of at most 128 letters"));
    }
    if request.value.len() > MAX_VALUE_BYTES || request.value.contains('\0') {
        return Err(Problem::invalid_field("/value", format!("must be at most {MAX_VALUE_BYTES} bytes, without NUL")));
    }
    if request.masked && request.value.trim().len() < MIN_MASKED_BYTES {
        return Err(Problem::invalid_field("/masked", format!("needs a value of at least {MIN_MASKED_BYTES} bytes")));
    }
    if app.keyring.present().is_none() {
        return Err(Problem::unavailable("The operator of this installation has given no key to encrypt secrets with."));
    }
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    tenants::hold(&mut tx, caller.tenant_id).await?;
    let before = secrets::list(&mut tx, Some(&name), None, 1).await?.pop();
    let secret = NewSecret { name: &name, value: &request.value, masked: request.masked, by: caller.actor() };
    let new = secrets::put(&mut tx, &app.keyring, secret).await?;
    let action = if new { "secret.created" } else { "secret.changed" };
    let mut entry = audit::Entry::by(&caller, device.address, action, &name);
    entry.before = before.map(|before| before.told());
    entry.after = Some(serde_json::json!({"masked": request.masked}));
    entry.write(&mut tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a secret
#[utoipa::path(delete, path = "/api/v1/tenant/secrets/{name}", tag = "tenant", security(("bearer" = [])),
    params(("name" = String, Path)), responses(
    (status = 204),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 404, body = ProblemDocument),
))]
pub async fn delete_secret(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiPath(name): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    if !is_name(&name) {
        return Err(Problem::not_found());
    }
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    let before = secrets::list(&mut tx, Some(&name), None, 1).await?.pop().ok_or_else(Problem::not_found)?;
    secrets::delete(&mut tx, &name).await?;
    let mut entry = audit::Entry::by(&caller, device.address, "secret.deleted", &name);
    entry.before = Some(before.told());
    entry.write(&mut tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A name for an environment variable.
fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_');
    first && name.len() <= MAX_NAME_BYTES && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
