//! `POST /auth/switch`: tokens for another tenant that the user belongs to, within the same sign-in.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use kiln_domain::TenantId;
use kiln_http::auth::{Caller, UserIdentity};
use kiln_http::{ApiJson, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::session::{Session, Tokens};
use crate::sign_ins::Device;
use crate::{audit, users};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchRequest {
    #[schema(value_type = Uuid)]
    tenant_id: TenantId,
}

/// Switch to another tenant
#[utoipa::path(post, path = "/api/v1/auth/switch", tag = "auth", security(("bearer" = [])), request_body = SwitchRequest, responses(
    (status = 200, body = Tokens),
    (status = 401, body = ProblemDocument),
    (status = 422, body = ProblemDocument, description = "The user belongs to no such tenant."),
))]
pub async fn switch(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    headers: HeaderMap,
    ApiJson(request): ApiJson<SwitchRequest>,
) -> Result<Response, Problem> {
    let user = caller.user()?;
    let mut tx = app.database.system().await?;
    let known_at = users::hold(&mut tx, user.user_id).await?;
    let role = users::role(&mut tx, user.user_id, request.tenant_id).await?;
    let role = role.ok_or_else(|| Problem::invalid_field("/tenant_id", "is no tenant that you belong to"))?;
    let identity = UserIdentity { tenant_id: request.tenant_id, role, known_at, ..user };
    let session = Session::begin(&mut tx, &app, identity).await?;
    audit::Entry::by(&identity.into(), device.address, "sign_in.switched", &user.sign_in_id).write(&mut tx).await?;
    tx.commit().await?;
    session.answer(&app, &headers, StatusCode::OK, session.tokens(&app)?)
}
