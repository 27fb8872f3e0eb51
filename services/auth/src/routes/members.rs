//! `/tenant/members`: who belongs to the tenant, and as what.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kiln_domain::{Role, UserId};
use kiln_http::auth::{Caller, Permission};
use kiln_http::{ApiJson, ApiPath, ApiQuery, Page, PageQuery, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::members::{self, Ended, Member};
use crate::sign_ins::Device;
use crate::{audit, tenants};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberPatch {
    #[schema(value_type = String)]
    role: Role,
}

/// List members
#[utoipa::path(get, path = "/api/v1/tenant/members", tag = "tenant", security(("bearer" = [])), params(PageQuery), responses(
    (status = 200, body = Page<Member>),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
))]
pub async fn list_members(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Member>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut tx = app.database.system().await?;
    let rows = members::list(&mut tx, caller.tenant_id, None, after, limit + 1).await?;
    tx.commit().await?;
    Ok(Json(Page::from_rows(rows, limit, |row| row.user_id.0)))
}

/// Change a member's role
///
/// In force everywhere within five seconds; their access tokens must then be refreshed.
#[utoipa::path(patch, path = "/api/v1/tenant/members/{user_id}", tag = "tenant", security(("bearer" = [])),
    params(("user_id" = uuid::Uuid, Path)), request_body = MemberPatch, responses(
    (status = 200, body = Member),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument, description = "Only owners change owners."),
    (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument, description = "The last owner stays one."),
    (status = 422, body = ProblemDocument),
))]
pub async fn change_member(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiPath(user): ApiPath<UserId>,
    ApiJson(patch): ApiJson<MemberPatch>,
) -> Result<Json<Member>, Problem> {
    let tenant = caller.tenant_id;
    let mut tx = app.database.system().await?;
    tenants::hold(&mut tx, tenant).await?;
    let standing = members::lock(&mut tx, &caller, user).await?.ok_or_else(Problem::not_found)?;
    standing.judge(Some(patch.role), false)?;
    let mut ended = Ended::default();
    if standing.target != patch.role {
        ended = members::set_role(&mut tx, &app.relay, tenant, user, patch.role).await?;
        let mut entry = audit::Entry::by(&caller, device.address, "member.changed", &user);
        entry.before = Some(serde_json::json!({"role": standing.target}));
        entry.after = Some(serde_json::json!({"role": patch.role, "ended": ended.told()}));
        entry.write(&mut tx).await?;
    }
    let member = members::list(&mut tx, tenant, Some(user), None, 1).await?.pop();
    tx.commit().await?;
    app.relay.send(ended.messages);
    member.map(Json).ok_or_else(Problem::not_found)
}

/// Remove a member, or leave
///
/// Whoever administers the tenant removes others; everybody may leave by naming themselves.
#[utoipa::path(delete, path = "/api/v1/tenant/members/{user_id}", tag = "tenant", security(("bearer" = [])),
    params(("user_id" = uuid::Uuid, Path)), responses(
    (status = 204),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument, description = "The last owner stays."),
))]
pub async fn remove_member(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiPath(user): ApiPath<UserId>,
) -> Result<StatusCode, Problem> {
    let leaves = caller.user_id() == Some(user);
    if !leaves {
        caller.require(Permission::TenantManage)?;
    }
    let mut tx = app.database.system().await?;
    let standing = members::lock(&mut tx, &caller, user).await?.ok_or_else(Problem::not_found)?;
    standing.judge(None, leaves)?;
    let ended = members::remove(&mut tx, &app.relay, caller.tenant_id, user).await?;
    let mut entry = audit::Entry::by(&caller, device.address, if leaves { "member.left" } else { "member.removed" }, &user);
    entry.before = Some(serde_json::json!({"role": standing.target}));
    entry.after = ended.told().map(|told| serde_json::json!({"ended": told}));
    entry.write(&mut tx).await?;
    tx.commit().await?;
    app.relay.send(ended.messages);
    Ok(StatusCode::NO_CONTENT)
}
