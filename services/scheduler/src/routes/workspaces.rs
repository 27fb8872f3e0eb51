//! POST and GET /workspaces. One workspace and its files are the executor's, under `/workspaces/`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kiln_domain::WorkspaceId;
use kiln_events::WorkspaceRecord;
use kiln_http::auth::Caller;
use kiln_http::{
    ApiQuery, Begun, Body, FieldError, Hold, Idempotency, Keyed, Page, PageQuery, Problem, ProblemDocument, Workspace,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::AppState;
use crate::Scheduler;
use crate::store::{self, NameTaken, NewWorkspace};
use crate::workspaces::{MAX_WORKSPACES, QUOTA_BYTES, name_fault, quota_fault};

const ROUTE: &str = "POST /api/v1/workspaces";

/// What to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWorkspace {
    /// Of its own among the tenant's workspaces.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// 1 GiB unless given, or what the tenant may store, if that is less.
    #[schema(minimum = 1_048_576)]
    quota_bytes: Option<u64>,
    /// Largest single file; no own limit unless given.
    #[schema(minimum = 1)]
    max_file_bytes: Option<u64>,
}

/// Makes an empty workspace.
#[utoipa::path(
    post, path = "/api/v1/workspaces", operation_id = "createWorkspace", tag = "workspaces", request_body = CreateWorkspace,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer")),
    security(("bearer" = [])),
    responses(
        (status = 201, description = "Made; `Location` names it", body = Workspace),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "There are as many as there may be", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn create_workspace(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    idempotency: Idempotency,
    body: Body,
) -> Result<Response, Problem> {
    // The request goes on when its client leaves: a key taken is answered.
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
                Begun::Made(id) => scheduler.made_workspace(&caller, WorkspaceId(id)).await,
                Begun::Mine(hold) => {
                    let answer = scheduler.create_workspace(&caller, &body, &hold).await;
                    hold.finish(answer).await
                }
            }
        }
    });
    task.await.map_err(Problem::internal)?
}

/// The tenant's workspaces, newest first. `default` is always among them.
#[utoipa::path(
    get, path = "/api/v1/workspaces", operation_id = "listWorkspaces", tag = "workspaces", params(PageQuery), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page", body = Page<Workspace>),
        (status = 400, description = "A parameter is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list_workspaces(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Workspace>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut tx = scheduler.database.tenant(caller.tenant_id).await?;
    let storage = store::storage(&mut tx, scheduler.config.storage_bytes).await?;
    store::ensure_default(&mut tx, QUOTA_BYTES.min(storage.limit_bytes)).await?;
    let rows = store::list_workspaces(&mut tx, storage, after, limit + 1).await?;
    tx.commit().await?;
    let workspaces = rows.into_iter().map(Workspace::from).collect();
    Ok(Json(Page::from_rows(workspaces, limit, |workspace: &Workspace| workspace.id)))
}

impl Scheduler {
    async fn create_workspace(&self, caller: &Caller, body: &Body, hold: &Hold) -> Result<Response, Problem> {
        let asked: CreateWorkspace = body.json()?;
        let mut tx = self.database.tenant(caller.tenant_id).await?;
        let storage = store::storage(&mut tx, self.config.storage_bytes).await?;
        let quota_bytes = asked.quota_bytes.unwrap_or_else(|| QUOTA_BYTES.min(storage.limit_bytes));
        let faults = [
            name_fault(&asked.name).map(|detail| FieldError::new("/name", detail)),
            quota_fault(quota_bytes, storage.limit_bytes).map(|detail| FieldError::new("/quota_bytes", detail)),
            (asked.max_file_bytes == Some(0)).then(|| FieldError::new("/max_file_bytes", "must be at least 1")),
        ];
        let faults: Vec<_> = faults.into_iter().flatten().collect();
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        store::ensure_default(&mut tx, QUOTA_BYTES.min(storage.limit_bytes)).await?;
        if storage.workspaces >= MAX_WORKSPACES {
            let detail = format!("A tenant may have {MAX_WORKSPACES} workspaces; delete one first.");
            return Err(Problem::too_many("max_workspaces", detail, 60));
        }
        let id = WorkspaceId::generate();
        let new =
            NewWorkspace { id, name: asked.name, quota_bytes, max_file_bytes: asked.max_file_bytes, created_by: caller.actor() };
        if let Err(NameTaken) = store::insert_workspace(&mut tx, &new).await? {
            return Err(Problem::conflict("name_taken", "Another workspace of the tenant has this name."));
        }
        let record = store::workspace(&mut tx, storage, id).await?.ok_or_else(|| Problem::internal("no row"))?;
        hold.bind(&mut tx, id.0).await?;
        tx.commit().await?;
        answer(record)
    }

    async fn made_workspace(&self, caller: &Caller, id: WorkspaceId) -> Result<Response, Problem> {
        let mut tx = self.database.tenant(caller.tenant_id).await?;
        let storage = store::storage(&mut tx, self.config.storage_bytes).await?;
        let record = store::workspace(&mut tx, storage, id).await?;
        tx.commit().await?;
        answer(record.ok_or_else(Problem::not_found)?)
    }
}

fn answer(record: WorkspaceRecord) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(&format!("/api/v1/workspaces/{}", record.id)).map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(Workspace::from(record))).into_response())
}
