//! GET /executions/{id}/why.

use axum::Json;
use axum::extract::State;
use kiln_domain::{ExecutionId, Status};
use kiln_events::{WaitingFor, WhyReply};
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, Problem, ProblemDocument};
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;

/// Why an execution waits.
#[derive(Debug, Serialize, ToSchema)]
pub struct WhyAnswer {
    pub state: Status,
    /// Place in the tenant's queue, 1 being next; null for one that does not wait.
    pub position: Option<u64>,
    #[schema(value_type = Option<String>)]
    pub waiting_for: Option<WaitingFor>,
    /// A guess from the queue's length.
    pub estimate_ms: Option<u64>,
}

/// What an execution waits for.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/why", operation_id = "whyExecution", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = WhyAnswer, description = "State, place and cause"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution", content_type = "application/problem+json"),
    )
)]
pub async fn why_execution(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<ExecutionId>,
) -> Result<Json<WhyAnswer>, Problem> {
    match results.ask_why(caller.tenant_id, id).await? {
        WhyReply::State { state, position, waiting_for, estimate_ms } => {
            Ok(Json(WhyAnswer { state, position, waiting_for, estimate_ms }))
        }
        WhyReply::NotFound => Err(Problem::not_found()),
    }
}
