//! POST /executions/{id}/cancel.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kiln_domain::ExecutionId;
use kiln_events::CancelReply;
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, Execution, Problem, ProblemDocument};

use super::AppState;

/// Asks for the end of an execution; what it has printed is kept.
#[utoipa::path(
    post, path = "/api/v1/executions/{id}/cancel", operation_id = "cancelExecution", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 202, body = Execution, description = "It ends within a second"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "It has ended already", content_type = "application/problem+json"),
    )
)]
pub async fn cancel_execution(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<ExecutionId>,
) -> Result<(StatusCode, Json<Execution>), Problem> {
    results.find_to_change(&caller, id).await?;
    match results.ask_cancel(caller.tenant_id, id).await? {
        CancelReply::Accepted(_) => Ok((StatusCode::ACCEPTED, Json(results.document(caller.tenant_id, id).await?))),
        CancelReply::AlreadyEnded => Err(Problem::conflict("already_ended", "The execution has ended already.")),
        CancelReply::NotFound => Err(Problem::not_found()),
    }
}
