//! POST /executions/{id}/stdin.

use axum::extract::State;
use axum::http::StatusCode;
use kiln_bus::PublishError;
use kiln_domain::ExecutionId;
use kiln_events::{ExecutionRecord, StdinChunk, subject};
use kiln_http::auth::Caller;
use kiln_http::{ApiJson, ApiPath, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::AppState;
use crate::Results;

/// Largest input of one call.
const MAX_DATA: usize = 1 << 20;
/// The same as JSON at its widest (`\u0000`), with the rest of the body.
pub const MAX_BODY: usize = 6 * MAX_DATA + 1024;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StdinBody {
    /// At most 1 MiB.
    #[serde(default)]
    pub data: String,
    /// Close standard input after the data.
    #[serde(default)]
    pub eof: bool,
}

/// Gives input to an interactive execution; before its start it is kept.
#[utoipa::path(
    post, path = "/api/v1/executions/{id}/stdin", operation_id = "writeStdin", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)), request_body = StdinBody,
    responses(
        (status = 204, description = "Taken"),
        (status = 400, body = ProblemDocument, description = "The body is not JSON", content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "It has ended, or is not interactive", content_type = "application/problem+json"),
        (status = 413, body = ProblemDocument, description = "Over 1 MiB", content_type = "application/problem+json"),
        (status = 415, body = ProblemDocument, description = "Not JSON", content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, description = "A field is not acceptable", content_type = "application/problem+json"),
        (status = 429, body = ProblemDocument, description = "Too much unread input", content_type = "application/problem+json"),
    )
)]
pub async fn write_stdin(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<ExecutionId>,
    ApiJson(body): ApiJson<StdinBody>,
) -> Result<StatusCode, Problem> {
    let record = results.find_to_change(&caller, id).await?;
    results.write_stdin(&record, body.data, body.eof).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Results {
    /// Puts input where the executor reads it, in order, whether the program runs yet or not.
    pub(super) async fn write_stdin(&self, record: &ExecutionRecord, data: String, eof: bool) -> Result<(), Problem> {
        if data.len() > MAX_DATA {
            return Err(Problem::too_large("Input is at most 1 MiB a call."));
        }
        if !record.interactive {
            return Err(Problem::conflict("not_interactive", "The execution was not made interactive."));
        }
        let now = self.find(record.tenant_id, record.id).await?.record;
        if now.status.is_terminal() {
            return Err(Problem::conflict("already_ended", "The execution has ended already."));
        }
        let chunk = StdinChunk { data: data.into_bytes(), eof };
        match self.bus.publish(&subject::stdin(record.id), None, &chunk).await {
            Ok(()) => Ok(()),
            Err(PublishError::Encode(error)) => Err(Problem::internal(error)),
            Err(PublishError::Bus(error)) => {
                tracing::warn!(%error, "input was not taken");
                Err(Problem::too_many("stdin", "Too much input waits to be read; try again.", 1))
            }
        }
    }
}
