//! POST and GET /notebooks/{id}/run.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use jiff::Timestamp;
use kiln_domain::LimitsPatch;
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, ApiQuery, Begun, Body, Idempotency, Keyed, Object, Problem, ProblemDocument};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::library::IfMatch;
use crate::notebook::Parameters;
use crate::routes::AppState;
use crate::run::{Asked, NOT_RUN, Run, RunCell, refused_session};

const ROUTE: &str = "POST /api/v1/notebooks/{id}/run";
const MAX_WAIT_MS: u64 = 60_000;

/// What to run, and with what. All may be left out: then all cells run in a session of their own.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunNotebook {
    /// Put into a cell behind the one tagged `parameters`, as papermill does.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: serde_json::Map<String, serde_json::Value>,
    /// The first cell that runs, by its id.
    from: Option<String>,
    /// The last cell that runs, by its id.
    to: Option<String>,
    /// Run in this session, as it is; else in a new one, which is closed when all have run.
    #[schema(value_type = Option<uuid::Uuid>)]
    session_id: Option<String>,
    /// Leave the new session open.
    #[serde(default)]
    keep_session: bool,
    /// Of the new session; `timeout_ms` and `output_bytes` are each cell's.
    #[serde(default)]
    #[schema(value_type = LimitsPatch)]
    limits: Object<LimitsPatch>,
}

#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunWait {
    /// Answer with the ended run if it ends within so many milliseconds, at most 60 000.
    #[param(maximum = 60_000)]
    wait_ms: Option<u64>,
}

/// A run of a notebook.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotebookRun {
    pub id: Uuid,
    pub notebook_id: Uuid,
    /// Null when there was nothing to run.
    pub session_id: Option<Uuid>,
    /// Of its cells, in their order.
    pub executions: Vec<Uuid>,
    /// `starting`, `running` or `ended`.
    pub state: String,
    /// Once it has ended: `succeeded`, else the status of the cell that stopped it.
    pub status: Option<String>,
    pub cells: Vec<NotebookRunCell>,
    /// User or API key.
    pub created_by: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NotebookRunCell {
    pub cell_id: String,
    pub execution_id: Uuid,
    /// Once what it left is in the notebook: its execution's, or `not_run`.
    pub status: Option<String>,
    /// Why it did not succeed, with `code` and `message`.
    #[schema(value_type = Option<Object>)]
    pub reason: Option<serde_json::Value>,
}

/// Runs the notebook on the server and writes what each cell leaves into it, whether anybody waits or not.
///
/// The first cell that fails ends the run, unless it raises an exception and is tagged `raises-exception`; those behind it do
/// not run. Whoever edits meanwhile is not overwritten: outputs go to their cells by id, and the revision grows.
#[utoipa::path(
    post, path = "/api/v1/notebooks/{id}/run", operation_id = "runNotebook", tag = "notebooks", security(("bearer" = [])),
    params(RunWait, ("id" = uuid::Uuid, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is its present ETag"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer")),
    request_body(content = Option<RunNotebook>),
    responses(
        (status = 200, description = "It has ended", body = NotebookRun),
        (status = 202, description = "It runs", body = NotebookRun),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "It runs already, or where it is to run is not there any more", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since; `ETag` is its present revision", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Over a quota, named by `code`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Try again", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
#[expect(clippy::too_many_arguments, reason = "each is an extractor")]
pub async fn run_notebook(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiQuery(RunWait { wait_ms }): ApiQuery<RunWait>,
    RawQuery(query): RawQuery,
    idempotency: Idempotency,
    if_match: IfMatch,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if wait_ms.is_some_and(|wait| wait > MAX_WAIT_MS) {
        return Err(Problem::bad_request(format!("wait_ms must be at most {MAX_WAIT_MS}.")));
    }
    let asked: RunNotebook =
        if body.is_empty() { RunNotebook::default() } else { Body::checked(&headers, body.clone())?.json()? };
    let asked = asked.checked()?;
    let task = results.requests.spawn({
        let results = Arc::clone(&results);
        async move {
            let keyed = Keyed {
                database: &results.database,
                tenant: caller.tenant_id,
                route: ROUTE,
                idempotency,
                // The same words to another notebook are another request.
                query: &format!("{id}?{}", query.unwrap_or_default()),
                body: &body,
            };
            let wait = Duration::from_millis(wait_ms.unwrap_or(0));
            let answer = async || results.wait_for_run(&caller, id, wait).await.map(|found| answer(found, wait_ms.is_some()));
            match keyed.begin().await? {
                Begun::Replay(answer) => Ok(answer),
                Begun::Made(_) => answer().await,
                Begun::Mine(hold) => {
                    let begun = results.begin_run(&caller, id, &asked, &if_match, &hold).await;
                    let answered = match begun {
                        Ok(_) => answer().await,
                        Err(problem) => Err(problem),
                    };
                    hold.finish(answered).await
                }
            }
        }
    });
    task.await.map_err(Problem::internal)?
}

/// The notebook's latest run.
#[utoipa::path(
    get, path = "/api/v1/notebooks/{id}/run", operation_id = "getNotebookRun", tag = "notebooks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, description = "As it is now", body = NotebookRun),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook, or it never ran", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn get_notebook_run(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<Json<NotebookRun>, Problem> {
    let (run, cells) = results.find_run(&caller, id).await?;
    Ok(Json(NotebookRun::new(run, cells)))
}

fn answer((run, cells): (Run, Vec<RunCell>), waited: bool) -> Response {
    let status = if waited && run.state == "ended" { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, Json(NotebookRun::new(run, cells))).into_response()
}

impl RunNotebook {
    fn checked(self) -> Result<Asked, Problem> {
        let session_id = self.session_id.as_deref().map(str::parse).transpose().map_err(|_| refused_session())?;
        let limits = self.limits.0;
        if session_id.is_some() && limits != LimitsPatch::default() {
            return Err(Problem::invalid_field("/limits", "are the session's, which is there already"));
        }
        if session_id.is_some() && self.keep_session {
            return Err(Problem::invalid_field("/keep_session", "is for a new session; one that is given stays open"));
        }
        let parameters = Parameters::new(self.parameters).map_err(Problem::invalid)?;
        Ok(Asked { parameters, from: self.from, to: self.to, session_id, keep_session: self.keep_session, limits })
    }
}

impl NotebookRun {
    fn new(run: Run, cells: Vec<RunCell>) -> Self {
        let status = (run.state == "ended").then(|| status(&cells));
        Self {
            id: run.id,
            notebook_id: run.entry_id,
            session_id: run.session_id,
            executions: cells.iter().map(|cell| cell.execution_id).collect(),
            state: run.state,
            status,
            cells: cells
                .into_iter()
                .map(|RunCell { cell_id, execution_id, status, reason, .. }| NotebookRunCell {
                    cell_id,
                    execution_id,
                    status,
                    reason,
                })
                .collect(),
            created_by: run.created_by,
            created_at: run.created_at.to_jiff(),
            ended_at: run.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
        }
    }
}

/// Of a run that has ended.
fn status(cells: &[RunCell]) -> String {
    let is_fine = |cell: &&RunCell| {
        let raised = cell.reason.as_ref().is_some_and(|reason| reason.get("code") == Some(&"exception".into()));
        cell.status.as_deref() == Some("succeeded") || (cell.may_raise && raised)
    };
    let stopped = cells.iter().find(|cell| !is_fine(cell));
    stopped.and_then(|cell| cell.status.clone()).unwrap_or_else(|| "succeeded".to_owned()).replace(NOT_RUN, "cancelled")
}
