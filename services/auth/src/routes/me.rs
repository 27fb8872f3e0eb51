//! `GET /auth/me`: who is signed in, and where they belong.

use axum::Json;
use axum::extract::State;
use kiln_domain::{Role, TenantId};
use kiln_http::auth::Caller;
use kiln_http::{Problem, ProblemDocument};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::users::{self, Membership, User};

#[derive(Serialize, ToSchema)]
pub struct Me {
    user: User,
    tenant: CurrentTenant,
    /// In the current tenant.
    #[schema(value_type = String)]
    role: Role,
    /// Every tenant that the user belongs to.
    tenants: Vec<Membership>,
}

#[derive(Serialize, ToSchema)]
pub struct CurrentTenant {
    #[schema(value_type = Uuid)]
    id: TenantId,
    name: String,
    slug: String,
}

/// Who I am
#[utoipa::path(get, path = "/api/v1/auth/me", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, body = Me),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument, description = "API keys do not reach this."),
))]
pub async fn me(State(app): State<App>, caller: Caller) -> Result<Json<Me>, Problem> {
    let identity = caller.user()?;
    let gone = || Problem::unauthorized("This account no longer belongs to the tenant that the token is for.");
    let mut tx = app.database.system().await?;
    let user = users::find(&mut tx, identity.user_id).await?.ok_or_else(gone)?;
    let tenants = users::memberships(&mut tx, identity.user_id).await?;
    tx.commit().await?;
    let current = tenants.iter().find(|membership| membership.id == identity.tenant_id).ok_or_else(gone)?;
    let tenant = CurrentTenant { id: current.id, name: current.name.clone(), slug: current.slug.clone() };
    Ok(Json(Me { user, tenant, role: current.role, tenants }))
}
