//! /notebooks/{id}/versions: what it was before.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, ApiQuery, Page, PageQuery, Problem, ProblemDocument};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Notebook;
use crate::library::{Content, IfMatch, Kind};
use crate::notebook::{self, NotebookDiff, parsed, stored};
use crate::routes::AppState;
use crate::routes::library::{Against, VersionInfo, blocking, told};

/// A version of a notebook, with what it was.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotebookVersion {
    #[serde(flatten)]
    pub info: VersionInfo,
    /// nbformat 4.5.
    #[schema(value_type = Object)]
    pub content: Box<RawValue>,
}

/// What differs between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotebookChanges {
    /// The older one's number, 0 for nothing at all.
    pub from: i32,
    pub to: i32,
    #[serde(flatten)]
    pub diff: NotebookDiff,
}

/// The notebook's versions, newest first. The newest 50 are kept, fewer where they are large; saves of one person within
/// five minutes are one.
#[utoipa::path(
    get, path = "/api/v1/notebooks/{id}/versions", operation_id = "listNotebookVersions", tag = "notebooks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), PageQuery),
    responses(
        (status = 200, description = "A page", body = Page<VersionInfo>),
        (status = 400, description = "A parameter is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list_notebook_versions(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<VersionInfo>>, Problem> {
    results.page_of_versions(&caller, Kind::Notebook, id, &page).await
}

/// One version.
#[utoipa::path(
    get, path = "/api/v1/notebooks/{id}/versions/{number}", operation_id = "getNotebookVersion", tag = "notebooks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("number" = i32, Path)),
    responses(
        (status = 200, description = "What it was", body = NotebookVersion),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook or version", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn get_notebook_version(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath((id, number)): ApiPath<(Uuid, i32)>,
) -> Result<Json<NotebookVersion>, Problem> {
    let _permit = results.documents.acquire().await.map_err(Problem::internal)?;
    let (entry, version, content) = results.read_version(&caller, Kind::Notebook, id, number).await?;
    Ok(Json(NotebookVersion { info: VersionInfo::new(version, entry.version), content: stored(content)? }))
}

/// What differs between this version and the one before, or another.
#[utoipa::path(
    get, path = "/api/v1/notebooks/{id}/versions/{number}/diff", operation_id = "diffNotebookVersions", tag = "notebooks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("number" = i32, Path), Against),
    responses(
        (status = 200, description = "Cell by cell", body = NotebookChanges),
        (status = 400, description = "A parameter is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook or version", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn diff_notebook_versions(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath((id, number)): ApiPath<(Uuid, i32)>,
    ApiQuery(Against { against }): ApiQuery<Against>,
) -> Result<Json<NotebookChanges>, Problem> {
    let _permit = results.documents.acquire().await.map_err(Problem::internal)?;
    let (from, old, new) = results.read_two(&caller, Kind::Notebook, id, number, against).await?;
    let diff = blocking(move || {
        let old = old.map_or_else(|| Ok(notebook::Notebook::empty()), parsed)?;
        Ok(notebook::diff(&old, &parsed(new)?))
    });
    Ok(Json(NotebookChanges { from, to: number, diff: diff.await? }))
}

/// Makes this version's content the present one again, as a new version: nothing is lost by it.
#[utoipa::path(
    post, path = "/api/v1/notebooks/{id}/versions/{number}/restore", operation_id = "restoreNotebookVersion", tag = "notebooks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("number" = i32, Path), ("If-Match" = Option<String>, Header, description = "Only if this is its present ETag")),
    responses(
        (status = 200, description = "As it is now; `ETag` is its new revision", body = Notebook),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook or version", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since; `ETag` is its present revision", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 507, description = "All notebooks and scripts have as much as they may", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn restore_notebook_version(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath((id, number)): ApiPath<(Uuid, i32)>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let _permit = results.documents.acquire().await.map_err(Problem::internal)?;
    let mut change = results.change(caller.tenant_id, Kind::Notebook, id).await?;
    if_match.check(change.entry.revision)?;
    let content = change.content_of(number).await?.ok_or_else(Problem::not_found)?;
    let restored = Content { bytes: &content, cause: "restored", in_place: false };
    let entry = change.save(&results, caller.actor(), Some(restored)).await?;
    Ok(told(&entry.clone(), Notebook::new(entry, content)?))
}
