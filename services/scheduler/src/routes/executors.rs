//! GET /admin/executors.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use kiln_http::auth::Caller;
use kiln_http::{Page, Problem, ProblemDocument};

use super::AppState;
use crate::fleet::ExecutorView;

/// The executors, for those who run the installation.
#[utoipa::path(
    get, path = "/api/v1/admin/executors", operation_id = "listExecutors", tag = "admin", security(("bearer" = [])),
    responses(
        (status = 200, description = "All of them", body = Page<ExecutorView>),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "The caller is no platform admin", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list_executors(
    State(AppState(scheduler)): State<AppState>,
    _caller: Caller,
) -> Result<Json<Page<ExecutorView>>, Problem> {
    Ok(Json(Page { data: scheduler.fleet.view(Instant::now()), next_cursor: None }))
}
