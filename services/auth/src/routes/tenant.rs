//! `/tenant`: the current tenant: shown, renamed, deleted.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kiln_http::auth::Caller;
use kiln_http::{ApiJson, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::names::parse_name;
use crate::sign_ins::Device;
use crate::tenants::{self, Tenant};
use crate::{audit, deletion};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantPatch {
    name: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantDeletion {
    /// The tenant's slug, so that nobody deletes one by mistake.
    confirm: String,
}

/// The current tenant
#[utoipa::path(get, path = "/api/v1/tenant", tag = "tenant", security(("bearer" = [])), responses(
    (status = 200, body = Tenant),
    (status = 401, body = ProblemDocument),
))]
pub async fn get_tenant(State(app): State<App>, caller: Caller) -> Result<Json<Tenant>, Problem> {
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    let tenant = tenants::find(&mut tx, caller.tenant_id).await?;
    tx.commit().await?;
    tenant.map(Json).ok_or_else(Problem::not_found)
}

/// Rename the tenant
///
/// Its slug stays, since addresses and namespaces are made of it.
#[utoipa::path(patch, path = "/api/v1/tenant", tag = "tenant", security(("bearer" = [])), request_body = TenantPatch, responses(
    (status = 200, body = Tenant),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 422, body = ProblemDocument),
))]
pub async fn change_tenant(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiJson(patch): ApiJson<TenantPatch>,
) -> Result<Json<Tenant>, Problem> {
    let name = patch.name.as_deref().map(parse_name).transpose();
    let name = name.map_err(|error| Problem::invalid_field("/name", error.to_string()))?;
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    tenants::hold(&mut tx, caller.tenant_id).await?;
    let before = tenants::find(&mut tx, caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
    let name = name.filter(|name| *name != before.name);
    if let Some(name) = &name {
        tenants::rename(&mut tx, name).await?;
        let mut entry = audit::Entry::by(&caller, device.address, "tenant.renamed", &caller.tenant_id);
        entry.before = Some(serde_json::json!({"name": before.name}));
        entry.after = Some(serde_json::json!({"name": name}));
        entry.write(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(Json(Tenant { name: name.unwrap_or_else(|| before.name.clone()), ..before }))
}

/// Delete the tenant
///
/// Owners only. Its runs end, its data goes, and nobody comes in any more; what each service has removed is recorded.
#[utoipa::path(delete, path = "/api/v1/tenant", tag = "tenant", security(("bearer" = [])), request_body = TenantDeletion, responses(
    (status = 204),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 422, body = ProblemDocument, description = "`confirm` is not the tenant's slug."),
))]
pub async fn delete_tenant(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiJson(request): ApiJson<TenantDeletion>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.database.system().await?;
    let tenant = tenants::find(&mut tx, caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
    if request.confirm != tenant.slug {
        return Err(Problem::invalid_field("/confirm", "must be the tenant's slug"));
    }
    let messages = deletion::delete(&mut tx, &app.relay, &caller, &tenant, device.address).await?;
    tx.commit().await?;
    app.relay.send(messages);
    Ok(StatusCode::NO_CONTENT)
}
