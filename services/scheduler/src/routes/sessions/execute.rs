//! POST /sessions/{id}/executions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use kiln_domain::{ExecutionId, Limits, LimitsPatch, SessionId};
use kiln_events::Payload;
use kiln_http::auth::Caller;
use kiln_http::{
    ApiPath, ApiQuery, Begun, Body, Execution, FieldError, Hold, Idempotency, Keyed, Object, Problem, ProblemDocument,
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::routes::AppState;
use crate::routes::body::{Priority, label_fault};
use crate::routes::create::Wait;
use crate::store::NewExecution;
use crate::{Config, Scheduler};

const ROUTE: &str = "POST /api/v1/sessions/{id}/executions";

/// What to run in the session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecuteInSession {
    /// The cell's text.
    #[schema(min_length = 1, max_length = 1_000_000)]
    code: String,
    /// Keep standard input open for POST /executions/{id}/stdin and the WebSocket.
    #[serde(default)]
    interactive: bool,
    #[serde(default)]
    #[schema(value_type = CellLimits)]
    limits: Object<CellLimits>,
    /// Neither counted nor shown as a value.
    #[serde(default)]
    silent: bool,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// What an execution of a session may have of its own; the rest is the session's.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CellLimits {
    timeout_ms: Option<u64>,
    output_bytes: Option<u64>,
}

/// Runs code in the session, after what was sent before.
///
/// With `wait_ms` the answer is 200 with the ended execution, if it ends in time, else 202.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/executions", operation_id = "executeInSession", tag = "sessions",
    params(Wait, ("id" = String, Path, description = "The session"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer")),
    request_body = ExecuteInSession, security(("bearer" = [])),
    responses(
        (status = 200, description = "It has ended", body = Execution),
        (status = 202, description = "Accepted; `Location` names it", body = Execution),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such session", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The session is closed, or the first request with this key is still running", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "Body too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Over a quota, named by `code`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Try again", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn execute_in_session(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<SessionId>,
    idempotency: Idempotency,
    ApiQuery(wait): ApiQuery<Wait>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let wait = wait.duration()?;
    // As with other executions: a key taken is answered, a run accepted is accepted.
    let task = scheduler.requests.spawn({
        let scheduler = Arc::clone(&scheduler);
        async move {
            let keyed = Keyed {
                database: &scheduler.database,
                tenant: caller.tenant_id,
                route: ROUTE,
                idempotency,
                // The same words to another session are another request.
                query: &format!("{id}?{}", query.unwrap_or_default()),
                body: &body.0,
            };
            match keyed.begin().await? {
                Begun::Replay(answer) => Ok(answer),
                Begun::Made(id) => scheduler.answer_made(&caller, ExecutionId(id), wait).await,
                Begun::Mine(hold) => {
                    let answer = scheduler.execute_in(&caller, id, &body, wait, &hold).await;
                    hold.finish(answer).await
                }
            }
        }
    });
    task.await.map_err(Problem::internal)?
}

impl Scheduler {
    async fn execute_in(
        &self,
        caller: &Caller,
        id: SessionId,
        body: &Body,
        wait: Option<Duration>,
        hold: &Hold,
    ) -> Result<Response, Problem> {
        let session = self.find_session_to_change(caller, id).await?;
        let cell: ExecuteInSession = body.json()?;
        let limits: Limits = serde_json::from_value(session.limits).map_err(Problem::internal)?;
        let (limits, asked) = self.check_cell(&cell, limits)?;
        let new = NewExecution {
            id: ExecutionId::generate(),
            tenant: caller.tenant_id,
            created_by: caller.actor(),
            priority: Priority::default().rank(),
            runtime: session.runtime,
            limits,
            asked,
            labels: cell.labels,
            secrets: Vec::new(),
            interactive: cell.interactive,
            session_id: Some(id),
            workspace_id: session.workspace_id.map(kiln_domain::WorkspaceId),
            max_attempts: 1,
            created_at: Timestamp::now(),
        };
        let payload = Payload { code: cell.code, silent: cell.silent, ..Payload::default() };
        let payload = self.store_payload(&new, payload).await?;
        let (record, rate) = self.accept(new, payload, Some(hold)).await?;
        let mut response = self.answer(record, wait).await?;
        response.headers_mut().extend(rate.headers());
        Ok(response)
    }

    /// The execution's limits, and which of them were asked for.
    fn check_cell(&self, cell: &ExecuteInSession, session: Limits) -> Result<(Limits, LimitsPatch), Problem> {
        let mut errors = Vec::new();
        let code_bytes = usize::try_from(self.config.code_bytes).unwrap_or(usize::MAX);
        if cell.code.trim().is_empty() {
            errors.push(FieldError::new("/code", "must not be blank"));
        } else if cell.code.len() > code_bytes {
            errors.push(FieldError::new("/code", format!("must be at most {code_bytes} bytes")));
        }
        if let Some(detail) = label_fault(&cell.labels) {
            errors.push(FieldError::new("/labels", detail));
        }
        let CellLimits { timeout_ms, output_bytes } = cell.limits.0;
        let asked = LimitsPatch { timeout_ms, output_bytes, ..LimitsPatch::default() };
        match session.patched(asked, Config::range()) {
            Ok(limits) if errors.is_empty() => Ok((limits, asked)),
            Ok(_) => Err(Problem::invalid(errors)),
            Err(wrong) => {
                errors.extend(wrong.iter().map(|limit| FieldError::new(format!("/limits/{}", limit.field), limit.to_string())));
                Err(Problem::invalid(errors))
            }
        }
    }
}
