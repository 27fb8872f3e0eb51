//! POST /workspaces/{id}/files: makes a directory.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kiln_domain::WorkspaceId;
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, Body, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{AppState, blocking};
use crate::workspaces::{self, Entry, WorkspacePath};

/// What to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeDirectory {
    path: String,
    kind: Directory,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Directory {
    Directory,
}

/// Makes a directory, and those above it that are missing.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{id}/files", operation_id = "makeDirectory", tag = "workspaces", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)), request_body = MakeDirectory,
    responses(
        (status = 201, body = Entry, description = "Made"),
        (status = 400, body = ProblemDocument, description = "The body is not JSON", content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such workspace", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "Something of that name is there", content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, description = "A field is not acceptable", content_type = "application/problem+json"),
        (status = 507, body = ProblemDocument, description = "The workspace is full", content_type = "application/problem+json"),
    )
)]
pub async fn make_directory(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<WorkspaceId>,
    body: Body,
) -> Result<(StatusCode, Json<Entry>), Problem> {
    let opened = state.workspaces.mount(caller.tenant_id, id).await?;
    let MakeDirectory { path, kind: Directory::Directory } = body.json()?;
    let path = WorkspacePath::parse(&path).map_err(|fault| Problem::invalid_field("/path", fault.to_string()))?;
    let workspace = std::sync::Arc::clone(&opened.workspace);
    let made = blocking(move || workspaces::make_directory(&workspace, &path)).await?;
    state.workspaces.report(caller.tenant_id, id, &opened.workspace).await;
    Ok((StatusCode::CREATED, Json(made)))
}
