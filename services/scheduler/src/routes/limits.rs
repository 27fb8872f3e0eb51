//! GET /limits.

use axum::Json;
use axum::extract::State;
use kiln_domain::Limits;
use kiln_http::auth::Caller;
use kiln_http::{Problem, ProblemDocument};
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use crate::{Config, store};

/// What a caller may ask for.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitsAnswer {
    pub default: AllLimits,
    pub minimum: AllLimits,
    pub maximum: AllLimits,
}

/// The limits of a run together with those of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct AllLimits {
    #[serde(flatten)]
    pub limits: Limits,
    pub code_bytes: u64,
    /// One file sent with an execution.
    pub file_bytes: u64,
    /// All of them together.
    pub files_bytes: u64,
}

/// The limits as they are for this caller: the installation's, lowered by their tenant's plan.
#[utoipa::path(
    get, path = "/api/v1/limits", operation_id = "getLimits", tag = "executions", security(("bearer" = [])),
    responses(
        (status = 200, description = "Defaults and bounds", body = LimitsAnswer),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn get_limits(State(AppState(scheduler)): State<AppState>, caller: Caller) -> Result<Json<LimitsAnswer>, Problem> {
    let mut tx = scheduler.database.tenant(caller.tenant_id).await?;
    let ceilings = store::ceilings(&mut tx).await?;
    tx.commit().await?;
    let config = &scheduler.config;
    let whole = |limits| AllLimits {
        limits,
        code_bytes: config.code_bytes,
        file_bytes: config.file_bytes,
        files_bytes: config.files_bytes,
    };
    let range = Config::range();
    Ok(Json(LimitsAnswer {
        default: whole(ceilings.lower(Limits::DEFAULT)),
        minimum: AllLimits { limits: range.minimum, code_bytes: 1, file_bytes: 0, files_bytes: 0 },
        maximum: whole(ceilings.lower(range.maximum)),
    }))
}
