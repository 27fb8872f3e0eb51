//! `/api-keys`: long-lived credentials for programs, made and revoked by those who administer the tenant.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use kiln_domain::{ApiKeyId, Scope};
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, ApiQuery, Begun, Body, FieldError, Idempotency, Keyed, Page, PageQuery, Problem, ProblemDocument};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api_keys::{self, ApiKey, NewApiKey};
use crate::app::App;
use crate::names::parse_name;
use crate::sign_ins::Device;
use crate::{audit, tenants};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRequest {
    name: String,
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// In the future; never when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
pub struct CreatedApiKey {
    /// The whole key. It is shown this once.
    key: String,
    #[serde(flatten)]
    api_key: ApiKey,
}

/// Create an API key
#[utoipa::path(post, path = "/api/v1/api-keys", tag = "api-keys", security(("bearer" = [])), request_body = ApiKeyRequest,
    params(("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 201, body = CreatedApiKey),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 409, body = ProblemDocument),
    (status = 422, body = ProblemDocument),
))]
pub async fn create_api_key(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    idempotency: Idempotency,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let user = caller.user()?;
    let keyed = Keyed {
        database: &app.database,
        tenant: caller.tenant_id,
        route: "POST /api/v1/api-keys",
        idempotency,
        query: query.as_deref().unwrap_or_default(),
        body: &body.0,
    };
    let hold = match keyed.begin_sealed().await? {
        Begun::Mine(hold) => hold,
        Begun::Replay(response) => return Ok(response),
        Begun::Made(_) => return Err(Problem::internal("a key is never bound to its idempotency key")),
    };
    // In a task of its own: a caller that hangs up must not leave the idempotency key held.
    let creator = app.clone();
    let work = async move {
        let answer = create(&creator, &caller, &device, user.user_id, &body).await;
        hold.finish(answer).await
    };
    app.requests.spawn(work).await.map_err(Problem::internal)?
}

async fn create(
    app: &App,
    caller: &Caller,
    device: &Device,
    created_by: kiln_domain::UserId,
    body: &Body,
) -> Result<Response, Problem> {
    let new = accept(body.json()?, created_by)?;
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    tenants::hold(&mut tx, caller.tenant_id).await?;
    let (api_key, text) = api_keys::create(&mut tx, new, app.config.api_keys_per_tenant).await?;
    let mut entry = audit::Entry::by(caller, device.address, "api_key.created", &api_key.id);
    entry.after = Some(api_key.told());
    entry.write(&mut tx).await?;
    tx.commit().await?;
    let location = HeaderValue::try_from(format!("/api/v1/api-keys/{}", api_key.id)).map_err(Problem::internal)?;
    let body = CreatedApiKey { key: text.expose().to_owned(), api_key };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(body)).into_response())
}

fn accept(request: ApiKeyRequest, created_by: kiln_domain::UserId) -> Result<NewApiKey, Problem> {
    let mut errors = Vec::new();
    let name = parse_name(&request.name).map_err(|error| errors.push(FieldError::new("/name", error.to_string())));
    let mut scopes = Vec::new();
    for scope in request.scopes {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        errors.push(FieldError::new("/scopes", "must name at least one scope"));
    }
    if request.expires_at.is_some_and(|at| at <= Timestamp::now()) {
        errors.push(FieldError::new("/expires_at", "must be in the future"));
    }
    match name {
        Ok(name) if errors.is_empty() => Ok(NewApiKey { name, scopes, expires_at: request.expires_at, created_by }),
        _ => Err(Problem::invalid(errors)),
    }
}

/// List API keys
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "api-keys", security(("bearer" = [])), params(PageQuery), responses(
    (status = 200, body = Page<ApiKey>),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
))]
pub async fn list_api_keys(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<ApiKey>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    let rows = api_keys::list(&mut tx, None, after, limit + 1).await?;
    tx.commit().await?;
    Ok(Json(Page::from_rows(rows, limit, |row| row.id.0)))
}

/// One API key
#[utoipa::path(get, path = "/api/v1/api-keys/{id}", tag = "api-keys", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = ApiKey),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 404, body = ProblemDocument),
))]
pub async fn get_api_key(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<ApiKeyId>,
) -> Result<Json<ApiKey>, Problem> {
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    let found = api_keys::list(&mut tx, Some(id), None, 1).await?;
    tx.commit().await?;
    found.into_iter().next().map(Json).ok_or_else(Problem::not_found)
}

/// Revoke an API key
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}", tag = "api-keys", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)), responses(
    (status = 204),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 404, body = ProblemDocument),
))]
pub async fn revoke_api_key(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiPath(id): ApiPath<ApiKeyId>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    let before = api_keys::list(&mut tx, Some(id), None, 1).await?.pop().ok_or_else(Problem::not_found)?;
    let messages = api_keys::revoke(&mut tx, &app.relay, id).await?.ok_or_else(Problem::not_found)?;
    let mut entry = audit::Entry::by(&caller, device.address, "api_key.revoked", &id);
    entry.before = Some(before.told());
    entry.write(&mut tx).await?;
    tx.commit().await?;
    app.relay.send(messages);
    Ok(StatusCode::NO_CONTENT)
}
