//! `POST /tenants`: a further tenant, the caller its owner.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kiln_domain::UserId;
use kiln_http::auth::Caller;
use kiln_http::{Begun, Body, Idempotency, Keyed, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::names::parse_name;
use crate::sign_ins::Device;
use crate::tenants::{self, Tenant};
use crate::{audit, users};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantRequest {
    name: String,
}

/// Make a tenant
///
/// POST /auth/switch then gives tokens for it.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenant", security(("bearer" = [])), request_body = TenantRequest,
    params(("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 201, body = Tenant),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument, description = "API keys do not reach this."),
    (status = 409, body = ProblemDocument, description = "The person has too many."),
    (status = 422, body = ProblemDocument),
))]
pub async fn create_tenant(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    idempotency: Idempotency,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let user = caller.user()?.user_id;
    let keyed = Keyed {
        database: &app.database,
        tenant: caller.tenant_id,
        route: "POST /api/v1/tenants",
        idempotency,
        query: query.as_deref().unwrap_or_default(),
        body: &body.0,
    };
    let hold = match keyed.begin().await? {
        Begun::Mine(hold) => hold,
        Begun::Replay(response) => return Ok(response),
        Begun::Made(_) => return Err(Problem::internal("a tenant is never bound to its idempotency key")),
    };
    // In a task of its own: a caller that hangs up must not leave the idempotency key held.
    let creator = app.clone();
    let work = async move {
        let answer = create(&creator, &caller, &device, user, &body).await;
        hold.finish(answer).await
    };
    app.requests.spawn(work).await.map_err(Problem::internal)?
}

async fn create(app: &App, caller: &Caller, device: &Device, user: UserId, body: &Body) -> Result<Response, Problem> {
    let request: TenantRequest = body.json()?;
    let name = parse_name(&request.name).map_err(|error| Problem::invalid_field("/name", error.to_string()))?;
    let mut tx = app.database.system().await?;
    users::lock(&mut tx, &[user.0]).await?;
    let most = app.config.tenants_per_user;
    if tenants::owned_by(&mut tx, user).await? > most {
        return Err(Problem::conflict("too_many_tenants", format!("A person owns at most {most} further tenants.")));
    }
    let (tenant, messages) = tenants::create(&mut tx, &app.relay, &name, user).await?;
    let mut entry = audit::Entry::by(caller, device.address, "tenant.created", &tenant.id);
    entry.tenant_id = Some(tenant.id);
    entry.after = Some(serde_json::json!({"name": tenant.name, "slug": tenant.slug}));
    entry.write(&mut tx).await?;
    tx.commit().await?;
    app.relay.send(messages);
    Ok((StatusCode::CREATED, Json(tenant)).into_response())
}
