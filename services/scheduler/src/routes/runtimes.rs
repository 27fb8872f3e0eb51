//! GET /runtimes.

use axum::Json;
use axum::extract::State;
use kiln_domain::Runtime;
use kiln_http::auth::Caller;
use kiln_http::{Page, Problem, ProblemDocument};

use super::AppState;

/// What programs can be run with.
#[utoipa::path(
    get, path = "/api/v1/runtimes", operation_id = "listRuntimes", tag = "executions", security(("bearer" = [])),
    responses(
        (status = 200, description = "All of them", body = Page<Runtime>),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list_runtimes(State(AppState(scheduler)): State<AppState>, _caller: Caller) -> Result<Json<Page<Runtime>>, Problem> {
    Ok(Json(Page { data: scheduler.runtimes.list(), next_cursor: None }))
}
