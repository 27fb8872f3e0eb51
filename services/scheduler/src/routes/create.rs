//! POST /executions.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{FromRequest as _, RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use kiln_domain::ExecutionId;
use kiln_events::{AwaitEnd, ExecutionRecord, subject};
use kiln_http::auth::Caller;
use kiln_http::{ApiQuery, Begun, Body, Execution, Hold, Idempotency, Keyed, Printed, Problem, ProblemDocument};
use serde::Deserialize;
use tokio::sync::Semaphore;
use utoipa::IntoParams;

use super::AppState;
use super::body::CreateExecution;
use crate::Scheduler;
use crate::store::{self, NewExecution};

const ROUTE: &str = "POST /api/v1/executions";
/// Bodies up to this size are read without a permit.
const SMALL_BODY: u64 = 1 << 20;
/// How much longer than the client asked the result service may take to answer.
const AWAIT_SLACK: Duration = Duration::from_secs(5);

/// Permits to read large bodies, so that memory stays bounded.
#[derive(Clone)]
pub struct LargeBodies(pub Arc<Semaphore>);

#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// Answer with the ended execution if it ends within so many milliseconds, at most 60 000.
    #[param(maximum = 60_000)]
    wait_ms: Option<u64>,
}

/// Submits a program.
///
/// With `wait_ms` the answer is 200 with the ended execution, if it ends in time, else 202.
#[utoipa::path(
    post, path = "/api/v1/executions", operation_id = "createExecution", tag = "executions", params(Wait,
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer")),
    request_body = CreateExecution, security(("bearer" = [])),
    responses(
        (status = 200, description = "It has ended", body = Execution),
        (status = 202, description = "Accepted; `Location` names it", body = Execution),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The first request with this key is still running", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "Body or files too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Over a quota, named by `code`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Try again", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn create_execution(
    State(AppState(scheduler)): State<AppState>,
    Extension(large_bodies): Extension<LargeBodies>,
    caller: Caller,
    idempotency: Idempotency,
    ApiQuery(wait): ApiQuery<Wait>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Problem> {
    let wait = wait.duration()?;
    let permit = large_bodies.permit(content_length(&request)).await?;
    let body = Body::from_request(request, &()).await?;
    // The request goes on when its client leaves: a key taken is answered, a run accepted is accepted.
    let task = scheduler.requests.spawn({
        let scheduler = Arc::clone(&scheduler);
        async move {
            let keyed = Keyed {
                database: &scheduler.database,
                tenant: caller.tenant_id,
                route: ROUTE,
                idempotency,
                query: query.as_deref().unwrap_or_default(),
                body: &body.0,
            };
            match keyed.begin().await? {
                Begun::Replay(answer) => Ok(answer),
                Begun::Made(id) => scheduler.answer_made(&caller, ExecutionId(id), wait).await,
                Begun::Mine(hold) => {
                    let answer = scheduler.create(&caller, &body, wait, &hold).await;
                    drop(permit);
                    hold.finish(answer).await
                }
            }
        }
    });
    task.await.map_err(Problem::internal)?
}

impl Wait {
    pub fn duration(self) -> Result<Option<Duration>, Problem> {
        match self.wait_ms {
            None | Some(0) => Ok(None),
            Some(ms) if ms <= 60_000 => Ok(Some(Duration::from_millis(ms))),
            Some(_) => Err(Problem::bad_request("wait_ms must be at most 60000.")),
        }
    }
}

fn content_length(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl LargeBodies {
    /// Waits for its turn unless the request says that its body is small.
    async fn permit(&self, length: Option<u64>) -> Result<Option<tokio::sync::OwnedSemaphorePermit>, Problem> {
        if length.is_some_and(|length| length <= SMALL_BODY) {
            return Ok(None);
        }
        if length.is_some_and(|length| length > super::MAX_BODY as u64) {
            return Err(Problem::too_large("The body is larger than 80 MiB."));
        }
        let permit = tokio::time::timeout(Duration::from_secs(30), Arc::clone(&self.0).acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) | Err(_) => Err(Problem::unavailable("Too many large requests at once; try again.")),
        }
    }
}

impl Scheduler {
    async fn create(&self, caller: &Caller, body: &Body, wait: Option<Duration>, hold: &Hold) -> Result<Response, Problem> {
        let parsed: CreateExecution = body.json()?;
        let checked = parsed.check(&self.config, |name| match name {
            Some(name) => self.runtimes.resolve(name),
            None => self.runtimes.default_id(),
        })?;
        let new = NewExecution {
            id: ExecutionId::generate(),
            tenant: caller.tenant_id,
            created_by: caller.actor(),
            priority: checked.priority.rank(),
            runtime: checked.runtime,
            limits: checked.limits,
            asked: checked.asked,
            labels: checked.labels,
            secrets: checked.secrets,
            interactive: checked.interactive,
            session_id: None,
            workspace_id: checked.workspace_id,
            max_attempts: checked.max_attempts,
            created_at: Timestamp::now(),
        };
        self.require_secrets(&new).await?;
        let payload = self.store_payload(&new, checked.payload).await?;
        let (record, rate) = self.accept(new, payload, Some(hold)).await?;
        let mut response = self.answer(record, wait).await?;
        response.headers_mut().extend(rate.headers());
        Ok(response)
    }

    /// A repeat of a request whose process died after it had accepted the execution.
    pub(super) async fn answer_made(
        &self,
        caller: &Caller,
        id: ExecutionId,
        wait: Option<Duration>,
    ) -> Result<Response, Problem> {
        let mut tx = self.database.tenant(caller.tenant_id).await?;
        let row = store::load(&mut tx, id).await?;
        tx.commit().await?;
        let record = row.ok_or_else(Problem::not_found)?.record().map_err(Problem::internal)?;
        self.answer(record, wait).await
    }

    /// 200 with the whole execution once it has ended, 202 with what is known otherwise.
    pub(super) async fn answer(&self, record: ExecutionRecord, wait: Option<Duration>) -> Result<Response, Problem> {
        let location = format!("/api/v1/executions/{}", record.id);
        let mut response = match self.await_end(&record, wait).await {
            Some((status, body)) => {
                (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
            }
            None => (StatusCode::ACCEPTED, axum::Json(Execution::new(record, Some(Printed::default())))).into_response(),
        };
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&location).map_err(Problem::internal)?);
        Ok(response)
    }

    /// The result service's answer, as it came; none when there is nothing to wait for or nobody answers.
    async fn await_end(&self, record: &ExecutionRecord, wait: Option<Duration>) -> Option<(StatusCode, bytes::Bytes)> {
        let wait = wait?;
        let until = Timestamp::now() + SignedDuration::try_from(wait).ok()?;
        let query = AwaitEnd { tenant_id: record.tenant_id, execution_id: record.id, until };
        match self.bus.request_large(&subject::control("result", "await"), &query, wait + AWAIT_SLACK).await {
            Ok(answer) if answer.tag == kiln_events::AWAIT_ENDED => Some((StatusCode::OK, answer.body)),
            Ok(answer) => Some((StatusCode::ACCEPTED, answer.body)),
            Err(error) => {
                tracing::warn!(%error, execution = %record.id, "result service did not answer a waiting client");
                None
            }
        }
    }
}
