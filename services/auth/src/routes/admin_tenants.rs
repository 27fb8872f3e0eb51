//! `/admin/tenants`: every tenant, for those who run the installation: suspended, on a plan, with limits of its own.

use axum::Json;
use axum::extract::State;
use kiln_domain::TenantId;
use kiln_http::auth::Caller;
use kiln_http::{ApiJson, ApiPath, ApiQuery, Object, Page, PageQuery, Problem, ProblemDocument};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::audit;
use crate::quotas::{self, OwnQuota, QuotaLimits, QuotaPatch};
use crate::sign_ins::Device;
use crate::tenants::{self, TenantRow};

#[derive(Serialize, ToSchema)]
pub struct AdminTenant {
    #[serde(flatten)]
    tenant: TenantRow,
    /// What is in force.
    limits: QuotaLimits,
    /// Where it differs from the plan and the installation.
    quota: OwnQuota,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminTenantPatch {
    #[serde(default)]
    suspended: Option<bool>,
    /// `free`, `team`, `unlimited` or another that the operator has made; null leaves the installation's limits.
    #[serde(default, deserialize_with = "quotas::named")]
    #[schema(value_type = Option<String>)]
    plan: Option<Option<String>>,
    #[serde(default)]
    #[schema(value_type = QuotaPatch)]
    quota: Object<QuotaPatch>,
}

/// List all tenants
#[utoipa::path(get, path = "/api/v1/admin/tenants", tag = "admin", security(("bearer" = [])), params(PageQuery), responses(
    (status = 200, body = Page<TenantRow>),
    (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument, description = "The caller is no platform admin."),
))]
pub async fn list_all_tenants(
    State(app): State<App>,
    _caller: Caller,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<TenantRow>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut tx = app.database.system().await?;
    let rows = tenants::list_all(&mut tx, None, after, limit + 1).await?;
    tx.commit().await?;
    Ok(Json(Page::from_rows(rows, limit, |row| row.id.0)))
}

/// One tenant
#[utoipa::path(get, path = "/api/v1/admin/tenants/{id}", tag = "admin", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = AdminTenant),
    (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument),
))]
pub async fn get_any_tenant(
    State(app): State<App>,
    _caller: Caller,
    ApiPath(id): ApiPath<TenantId>,
) -> Result<Json<AdminTenant>, Problem> {
    let mut tx = app.database.system().await?;
    let tenant = show(&mut tx, &app, id).await?;
    tx.commit().await?;
    Ok(Json(tenant))
}

/// Suspend a tenant, put it on a plan, give it limits of its own
///
/// In force within five seconds: a suspended tenant's runs end, and it can submit none.
#[utoipa::path(patch, path = "/api/v1/admin/tenants/{id}", tag = "admin", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)), request_body = AdminTenantPatch, responses(
    (status = 200, body = AdminTenant),
    (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument),
    (status = 422, body = ProblemDocument),
))]
pub async fn change_any_tenant(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiPath(id): ApiPath<TenantId>,
    ApiJson(patch): ApiJson<AdminTenantPatch>,
) -> Result<Json<AdminTenant>, Problem> {
    let mut tx = app.database.system().await?;
    tenants::lock(&mut tx, id).await?;
    let before = show(&mut tx, &app, id).await?;
    let quota = patch.quota.0.apply(before.quota).map_err(Problem::invalid)?;
    let plan = patch.plan.unwrap_or_else(|| before.tenant.plan.clone());
    let suspended = patch.suspended.unwrap_or(before.tenant.suspended);
    tenants::set_state(&mut tx, id, suspended, plan.as_deref()).await?;
    quotas::set_own(&mut tx, id, &quota).await?;
    let messages = quotas::announce(&mut tx, &app.relay, id, &before.tenant.slug, suspended).await?;
    let after = show(&mut tx, &app, id).await?;
    let told =
        |state: &AdminTenant| json!({"suspended": state.tenant.suspended, "plan": state.tenant.plan, "quota": state.quota});
    let entry = audit::Entry::by(&caller, device.address, "tenant.changed_by_operator", &id);
    let entry = audit::Entry { tenant_id: Some(id), before: Some(told(&before)), after: Some(told(&after)), ..entry };
    entry.write(&mut tx).await?;
    tx.commit().await?;
    app.relay.send(messages);
    Ok(Json(after))
}

async fn show(connection: &mut sqlx::PgConnection, app: &App, id: TenantId) -> Result<AdminTenant, Problem> {
    let tenant = tenants::list_all(&mut *connection, Some(id), None, 1).await?.pop().ok_or_else(Problem::not_found)?;
    let limits = quotas::chosen(&mut *connection, id).await?.over(&app.config.quota);
    Ok(AdminTenant { tenant, limits, quota: quotas::own(connection, id).await? })
}
