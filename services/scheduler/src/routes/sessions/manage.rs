//! The rest of /sessions: list, get, delete, interrupt, restart, complete, inspect.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kiln_domain::SessionId;
use kiln_events::{AskSession, SessionOrder, SessionQuestion};
use kiln_http::auth::Caller;
use kiln_http::{ApiJson, ApiPath, ApiQuery, Page, PageQuery, Problem, ProblemDocument};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::Session;
use crate::routes::AppState;
use crate::store;

/// How long a kernel may take to answer.
const ASK_MS: u64 = 3_000;
/// Largest text asked about.
const MAX_ASKED_BYTES: usize = 256 * 1024;

/// What the list is narrowed to.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionsQuery {
    /// `open` leaves out those that are closed.
    status: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// The tenant's sessions, newest first, closed ones included.
#[utoipa::path(
    get, path = "/api/v1/sessions", operation_id = "listSessions", tag = "sessions", params(SessionsQuery), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page", body = Page<Session>),
        (status = 400, description = "A parameter is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list_sessions(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<SessionsQuery>,
) -> Result<Json<Page<Session>>, Problem> {
    let states: &[&str] = match query.status.as_deref() {
        None => &[],
        Some("open") => &["starting", "open"],
        Some("closed") => &["closed"],
        Some(_) => return Err(Problem::bad_request("status must be open or closed.")),
    };
    let states: Vec<String> = states.iter().map(|&state| state.to_owned()).collect();
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let mut tx = scheduler.database.tenant(caller.tenant_id).await?;
    let rows = store::list_sessions(&mut tx, &states, page.after()?, limit + 1).await?;
    tx.commit().await?;
    let sessions = rows.into_iter().map(Session::try_from).collect::<Result<Vec<_>, _>>().map_err(Problem::internal)?;
    Ok(Json(Page::from_rows(sessions, limit, |session: &Session| session.id)))
}

/// One session.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", operation_id = "getSession", tag = "sessions",
    params(("id" = String, Path, description = "The session")), security(("bearer" = [])),
    responses(
        (status = 200, description = "The session", body = Session),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such session", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn get_session(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<SessionId>,
) -> Result<Json<Session>, Problem> {
    let row = scheduler.find_session(&caller, id).await?;
    Ok(Json(Session::try_from(row).map_err(Problem::internal)?))
}

/// Closes the session and forgets it. What it ran is kept; what it runs is cancelled.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", operation_id = "deleteSession", tag = "sessions",
    params(("id" = String, Path, description = "The session")), security(("bearer" = [])),
    responses(
        (status = 204, description = "It is gone"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such session", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn delete_session(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<SessionId>,
) -> Result<StatusCode, Problem> {
    scheduler.find_session_to_change(&caller, id).await?;
    scheduler.delete_session(caller.tenant_id, id).await.map_err(Problem::internal)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Interrupts what the session runs, as Ctrl-C does; its variables stay. Without effect on an idle session.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/interrupt", operation_id = "interruptSession", tag = "sessions",
    params(("id" = String, Path, description = "The session")), security(("bearer" = [])),
    responses(
        (status = 202, description = "It was told"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such session", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The session is closed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Try again", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn interrupt_session(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<SessionId>,
) -> Result<StatusCode, Problem> {
    let row = scheduler.find_session_to_change(&caller, id).await?;
    scheduler.order_session(&row, SessionOrder::Interrupt).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Puts a new interpreter in the place of the present one: variables are gone, files stay, what runs is cancelled.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/restart", operation_id = "restartSession", tag = "sessions",
    params(("id" = String, Path, description = "The session")), security(("bearer" = [])),
    responses(
        (status = 202, description = "It was told"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such session", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The session is closed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Try again", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn restart_session(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<SessionId>,
) -> Result<StatusCode, Problem> {
    let row = scheduler.find_session_to_change(&caller, id).await?;
    scheduler.order_session(&row, SessionOrder::Restart).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A text and a place in it, in characters; its end unless said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskInSession {
    code: String,
    cursor: Option<u64>,
    /// 0 or 1: how much is told of an object.
    #[serde(default)]
    #[schema(maximum = 1)]
    detail: u8,
}

/// What could stand at the cursor.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Completion {
    pub matches: Vec<String>,
    /// The part of the text that a match replaces, in characters.
    pub cursor_start: u64,
    pub cursor_end: u64,
}

/// What is known of the object at the cursor.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Inspection {
    pub found: bool,
    /// By mime type.
    #[schema(value_type = Object)]
    pub data: serde_json::Map<String, serde_json::Value>,
}

/// What could stand at the cursor, by the names that the session has.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/complete", operation_id = "completeInSession", tag = "sessions",
    params(("id" = String, Path, description = "The session")), request_body = AskInSession, security(("bearer" = [])),
    responses(
        (status = 200, description = "The matches", body = Completion),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such session", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The session is closed, or busy", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Try again", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn complete_in_session(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<SessionId>,
    ApiJson(body): ApiJson<AskInSession>,
) -> Result<Json<Completion>, Problem> {
    let row = scheduler.find_session_to_change(&caller, id).await?;
    let ask = body.ask(id, SessionQuestion::Complete)?;
    Ok(Json(told(scheduler.ask_session(&row, ask).await?)?))
}

/// What the session knows of the object at the cursor: signature, documentation, value.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/inspect", operation_id = "inspectInSession", tag = "sessions",
    params(("id" = String, Path, description = "The session")), request_body = AskInSession, security(("bearer" = [])),
    responses(
        (status = 200, description = "The object", body = Inspection),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such session", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The session is closed, or busy", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Try again", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn inspect_in_session(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<SessionId>,
    ApiJson(body): ApiJson<AskInSession>,
) -> Result<Json<Inspection>, Problem> {
    let row = scheduler.find_session_to_change(&caller, id).await?;
    let ask = body.ask(id, SessionQuestion::Inspect)?;
    Ok(Json(told(scheduler.ask_session(&row, ask).await?)?))
}

impl AskInSession {
    fn ask(self, session_id: SessionId, kind: SessionQuestion) -> Result<AskSession, Problem> {
        let characters = self.code.chars().count() as u64;
        let cursor = self.cursor.unwrap_or(characters);
        if self.code.len() > MAX_ASKED_BYTES {
            return Err(Problem::invalid_field("/code", format!("must be at most {MAX_ASKED_BYTES} bytes")));
        }
        if cursor > characters {
            return Err(Problem::invalid_field("/cursor", "is behind the end of the text"));
        }
        if self.detail > 1 {
            return Err(Problem::invalid_field("/detail", "must be 0 or 1"));
        }
        Ok(AskSession { session_id, kind, code: self.code, cursor, detail: self.detail, wait_ms: ASK_MS })
    }
}

/// The kernel's answer in the contract's shape; user code could have given any other.
fn told<T: serde::de::DeserializeOwned>(answer: serde_json::Value) -> Result<T, Problem> {
    serde_json::from_value(answer).map_err(|_| Problem::unavailable("The session gave no answer that can be read."))
}
