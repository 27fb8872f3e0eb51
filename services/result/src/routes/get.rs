//! GET /executions/{id}.

use axum::Json;
use axum::extract::State;
use kiln_domain::ExecutionId;
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, Execution, Problem, ProblemDocument};

use super::AppState;

/// One execution, with what it has printed so far.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}", operation_id = "getExecution", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = Execution, description = "As it is now"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution", content_type = "application/problem+json"),
    )
)]
pub async fn get_execution(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<ExecutionId>,
) -> Result<Json<Execution>, Problem> {
    Ok(Json(results.document(caller.tenant_id, id).await?))
}
