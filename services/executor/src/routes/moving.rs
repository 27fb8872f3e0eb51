//! POST /workspaces/{id}/files/{path}/move.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use kiln_http::auth::Caller;
use kiln_http::{Body, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{AppState, Named, blocking};
use crate::workspaces::{self, Entry, WorkspacePath};

/// Where to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveFile {
    /// The new path, from the root of the workspace.
    to: String,
    /// Take the place of a file that is there.
    #[serde(default)]
    overwrite: bool,
}

/// What is to be moved: the path without the operation's own name.
pub struct Moved(Named);

impl<S: Send + Sync> FromRequestParts<S> for Moved {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Named::from_uri(parts, "/move").map(Self)
    }
}

/// Gives a file or directory another path; directories above it that are missing are made.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{id}/files/{*path}", operation_id = "moveFile", tag = "workspaces", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("path" = String, Path, description = "As listed")), request_body = MoveFile,
    responses(
        (status = 200, body = Entry, description = "As it is now"),
        (status = 400, body = ProblemDocument, description = "The body is not JSON", content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such workspace or file", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "Something of that name is there", content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, description = "A path is not acceptable", content_type = "application/problem+json"),
        (status = 507, body = ProblemDocument, description = "The workspace is full", content_type = "application/problem+json"),
    )
)]
pub async fn move_file(
    State(state): State<AppState>,
    caller: Caller,
    Moved(Named { workspace: id, path }): Moved,
    body: Body,
) -> Result<Json<Entry>, Problem> {
    let opened = state.workspaces.mount(caller.tenant_id, id).await?;
    let MoveFile { to, overwrite } = body.json()?;
    let to = WorkspacePath::parse(&to).map_err(|fault| Problem::invalid_field("/to", fault.to_string()))?;
    let workspace = Arc::clone(&opened.workspace);
    let moved = blocking(move || workspaces::move_to(&workspace, &path, &to, overwrite)).await?;
    state.workspaces.report(caller.tenant_id, id, &opened.workspace).await;
    Ok(Json(moved))
}
