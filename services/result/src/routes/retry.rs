//! POST /executions/{id}/retry.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kiln_domain::ExecutionId;
use kiln_events::{Retry, RetryReply};
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, Begun, Execution, Idempotency, Keyed, Printed, Problem, ProblemDocument};

use super::AppState;
use crate::Results;

const ROUTE: &str = "POST /api/v1/executions/{id}/retry";

/// A new execution with what this one was given.
#[utoipa::path(
    post, path = "/api/v1/executions/{id}/retry", operation_id = "retryExecution", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key get the first answer")),
    responses(
        (status = 202, body = Execution, description = "The new execution; `Location` names it"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "It has not ended", content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, description = "The key was used otherwise", content_type = "application/problem+json"),
        (status = 429, body = ProblemDocument, description = "Over a quota, named by `code`", content_type = "application/problem+json"),
    )
)]
pub async fn retry_execution(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    idempotency: Idempotency,
    ApiPath(id): ApiPath<ExecutionId>,
) -> Result<Response, Problem> {
    results.find_to_change(&caller, id).await?;
    let task = results.requests.spawn({
        let results = Arc::clone(&results);
        async move {
            let asked = id.to_string();
            let keyed = Keyed {
                database: &results.database,
                tenant: caller.tenant_id,
                route: ROUTE,
                idempotency,
                query: "",
                body: asked.as_bytes(),
            };
            let retry = |new_id| Retry { tenant_id: caller.tenant_id, execution_id: id, new_id, created_by: caller.actor() };
            match keyed.begin().await? {
                Begun::Replay(answer) => Ok(answer),
                Begun::Made(new_id) => results.retry(retry(ExecutionId(new_id))).await,
                Begun::Mine(hold) => {
                    let new_id = ExecutionId::generate();
                    let mut tx = results.database.tenant(caller.tenant_id).await?;
                    hold.bind(&mut tx, new_id.0).await?;
                    tx.commit().await?;
                    hold.finish(results.retry(retry(new_id)).await).await
                }
            }
        }
    });
    task.await.map_err(Problem::internal)?
}

impl Results {
    async fn retry(&self, retry: Retry) -> Result<Response, Problem> {
        let record = match self.ask_retry(&retry).await? {
            RetryReply::Accepted(record) => *record,
            RetryReply::StillLive => return Err(Problem::conflict("not_ended", "The execution has not ended.")),
            RetryReply::SessionClosed => {
                return Err(Problem::conflict("session_closed", "The session that it ran in takes no executions any more."));
            }
            RetryReply::WorkspaceGone => {
                return Err(Problem::conflict("workspace_gone", "The workspace that the execution ran in has been deleted."));
            }
            RetryReply::NotFound => return Err(Problem::not_found()),
            RetryReply::OverQuota { code, detail } => return Err(Problem::over_quota(&code, detail)),
        };
        let location = HeaderValue::from_str(&format!("/api/v1/executions/{}", record.id)).map_err(Problem::internal)?;
        let body = Json(Execution::new(record, Some(Printed::default())));
        Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], body).into_response())
    }
}
