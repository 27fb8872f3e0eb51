//! POST /sessions.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use kiln_domain::{LimitsPatch, SessionId, WorkspaceId};
use kiln_http::auth::Caller;
use kiln_http::{Begun, Body, FieldError, Hold, Idempotency, Keyed, Object, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::Session;
use crate::routes::{AppState, NO_WORKSPACE};
use crate::store::{NewSession, SessionRow};
use crate::{Config, Scheduler};

const ROUTE: &str = "POST /api/v1/sessions";
const DEFAULT_IDLE_MS: u64 = 30 * 60 * 1000;
const MIN_IDLE_MS: u64 = 1_000;
const MAX_IDLE_MS: u64 = 24 * 3600 * 1000;
const MAX_NAME_BYTES: usize = 256;

/// What the session is to be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// Id or alias of a Python runtime; the newest Python unless said.
    runtime: Option<String>,
    name: Option<String>,
    /// Work in this workspace: it is the working directory, and what is left there stays.
    #[schema(value_type = Option<uuid::Uuid>)]
    workspace_id: Option<String>,
    /// Of the whole session, but for `timeout_ms` and `output_bytes`, which are each execution's.
    #[serde(default)]
    #[schema(value_type = LimitsPatch)]
    limits: Object<LimitsPatch>,
    /// Closed when it was not used for so long; 30 minutes unless said.
    #[schema(minimum = 1000, maximum = 86_400_000)]
    idle_timeout_ms: Option<u64>,
}

/// Starts a session: one interpreter, whose variables live on from one execution to the next.
#[utoipa::path(
    post, path = "/api/v1/sessions", operation_id = "createSession", tag = "sessions",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer")),
    request_body = CreateSession, security(("bearer" = [])),
    responses(
        (status = 201, description = "It takes executions; `Location` names it", body = Session),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The first request with this key is still running", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Over a quota, named by `code`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Try again", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn create_session(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    idempotency: Idempotency,
    body: Body,
) -> Result<Response, Problem> {
    // The request goes on when its client leaves: a session that is begun is finished or closed.
    let task = scheduler.requests.spawn({
        let scheduler = Arc::clone(&scheduler);
        async move {
            let keyed = Keyed {
                database: &scheduler.database,
                tenant: caller.tenant_id,
                route: ROUTE,
                idempotency,
                query: "",
                body: &body.0,
            };
            match keyed.begin().await? {
                Begun::Replay(answer) => Ok(answer),
                Begun::Made(id) => answer(scheduler.find_session(&caller, SessionId(id)).await?),
                Begun::Mine(hold) => {
                    let made = scheduler.create_session(&caller, &body, &hold).await;
                    hold.finish(made).await
                }
            }
        }
    });
    task.await.map_err(Problem::internal)?
}

impl Scheduler {
    async fn create_session(&self, caller: &Caller, body: &Body, hold: &Hold) -> Result<Response, Problem> {
        let wanted: CreateSession = body.json()?;
        let new = self.check_session(caller, wanted)?;
        answer(self.open_session(&new, Some(hold)).await?)
    }

    fn check_session(&self, caller: &Caller, wanted: CreateSession) -> Result<NewSession, Problem> {
        let mut errors = Vec::new();
        let mut refuse = |pointer: &str, detail: &str| errors.push(FieldError::new(pointer, detail));
        let runtime = match wanted.runtime.as_deref() {
            Some(name) => self.runtimes.resolve(name),
            None => self.runtimes.default_id(),
        };
        match &runtime {
            None => refuse("/runtime", "there is no such runtime"),
            Some(id) if !self.runtimes.has_sessions(id) => refuse("/runtime", "this runtime has no sessions"),
            Some(_) => {}
        }
        let workspace_id = wanted.workspace_id.as_deref().map(str::parse::<WorkspaceId>).transpose();
        if workspace_id.is_err() {
            refuse("/workspace_id", NO_WORKSPACE);
        }
        let name = wanted.name.unwrap_or_default();
        if name.len() > MAX_NAME_BYTES || name.contains('\0') {
            refuse("/name", "must be at most 256 bytes, without NUL");
        }
        let idle_timeout_ms = wanted.idle_timeout_ms.unwrap_or(DEFAULT_IDLE_MS);
        if !(MIN_IDLE_MS..=MAX_IDLE_MS).contains(&idle_timeout_ms) {
            refuse("/idle_timeout_ms", "must be from 1000 to 86400000");
        }
        let runtime = runtime.unwrap_or_default();
        let limits = Config::default_limits(&runtime).patched(wanted.limits.0, Config::range());
        if let Err(wrong) = &limits {
            errors.extend(wrong.iter().map(|limit| FieldError::new(format!("/limits/{}", limit.field), limit.to_string())));
        }
        match limits {
            Ok(limits) if errors.is_empty() => Ok(NewSession {
                id: SessionId::generate(),
                tenant: caller.tenant_id,
                created_by: caller.actor(),
                name,
                runtime,
                limits,
                workspace_id: workspace_id.unwrap_or_default(),
                idle_timeout_ms: i64::try_from(idle_timeout_ms).unwrap_or(i64::MAX),
                created_at: Timestamp::now(),
            }),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

fn answer(row: SessionRow) -> Result<Response, Problem> {
    let location = format!("/api/v1/sessions/{}", row.id);
    let session = Session::try_from(row).map_err(Problem::internal)?;
    let mut response = (StatusCode::CREATED, Json(session)).into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&location).map_err(Problem::internal)?);
    Ok(response)
}
