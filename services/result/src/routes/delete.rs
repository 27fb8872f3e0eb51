//! DELETE /executions/{id}.

use axum::extract::State;
use axum::http::StatusCode;
use kiln_domain::ExecutionId;
use kiln_events::DeleteReply;
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, Problem, ProblemDocument};

use super::AppState;

/// Forgets an execution that has ended, its output and its files.
#[utoipa::path(
    delete, path = "/api/v1/executions/{id}", operation_id = "deleteExecution", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "It has not ended", content_type = "application/problem+json"),
    )
)]
pub async fn delete_execution(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<ExecutionId>,
) -> Result<StatusCode, Problem> {
    results.find_to_change(&caller, id).await?;
    match results.ask_delete(caller.tenant_id, id).await? {
        DeleteReply::Deleted => {}
        DeleteReply::StillLive => return Err(Problem::conflict("not_ended", "The execution has not ended; cancel it first.")),
        DeleteReply::NotFound => return Err(Problem::not_found()),
    }
    results.hide(caller.tenant_id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
