//! /scripts/{id}/versions: what it was before.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, ApiQuery, Page, PageQuery, Problem, ProblemDocument};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Script, text};
use crate::library::{Content, IfMatch, Kind};
use crate::notebook;
use crate::routes::AppState;
use crate::routes::library::{Against, VersionInfo, blocking, told};

/// A version of a script, with what it was.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScriptVersion {
    #[serde(flatten)]
    pub info: VersionInfo,
    pub code: String,
}

/// What differs between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScriptChanges {
    /// The older one's number, 0 for nothing at all.
    pub from: i32,
    pub to: i32,
    /// A unified diff.
    pub code: String,
}

/// The script's versions, newest first. The newest 50 are kept; saves of one person within five minutes are one.
#[utoipa::path(
    get, path = "/api/v1/scripts/{id}/versions", operation_id = "listScriptVersions", tag = "scripts", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), PageQuery),
    responses(
        (status = 200, description = "A page", body = Page<VersionInfo>),
        (status = 400, description = "A parameter is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such script", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list_script_versions(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<VersionInfo>>, Problem> {
    results.page_of_versions(&caller, Kind::Script, id, &page).await
}

/// One version.
#[utoipa::path(
    get, path = "/api/v1/scripts/{id}/versions/{number}", operation_id = "getScriptVersion", tag = "scripts", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("number" = i32, Path)),
    responses(
        (status = 200, description = "What it was", body = ScriptVersion),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such script or version", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn get_script_version(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath((id, number)): ApiPath<(Uuid, i32)>,
) -> Result<Json<ScriptVersion>, Problem> {
    let (entry, version, content) = results.read_version(&caller, Kind::Script, id, number).await?;
    Ok(Json(ScriptVersion { info: VersionInfo::new(version, entry.version), code: text(content)? }))
}

/// What differs between this version and the one before, or another.
#[utoipa::path(
    get, path = "/api/v1/scripts/{id}/versions/{number}/diff", operation_id = "diffScriptVersions", tag = "scripts", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("number" = i32, Path), Against),
    responses(
        (status = 200, description = "Line by line", body = ScriptChanges),
        (status = 400, description = "A parameter is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such script or version", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn diff_script_versions(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath((id, number)): ApiPath<(Uuid, i32)>,
    ApiQuery(Against { against }): ApiQuery<Against>,
) -> Result<Json<ScriptChanges>, Problem> {
    let (from, old, new) = results.read_two(&caller, Kind::Script, id, number, against).await?;
    let code = blocking(move || Ok(notebook::unified(&text(old.unwrap_or_default())?, &text(new)?)));
    Ok(Json(ScriptChanges { from, to: number, code: code.await? }))
}

/// Makes this version's code the present one again, as a new version: nothing is lost by it.
#[utoipa::path(
    post, path = "/api/v1/scripts/{id}/versions/{number}/restore", operation_id = "restoreScriptVersion", tag = "scripts", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("number" = i32, Path), ("If-Match" = Option<String>, Header, description = "Only if this is its present ETag")),
    responses(
        (status = 200, description = "As it is now; `ETag` is its new revision", body = Script),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such script or version", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since; `ETag` is its present revision", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 507, description = "All notebooks and scripts have as much as they may", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn restore_script_version(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath((id, number)): ApiPath<(Uuid, i32)>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let mut change = results.change(caller.tenant_id, Kind::Script, id).await?;
    if_match.check(change.entry.revision)?;
    let content = change.content_of(number).await?.ok_or_else(Problem::not_found)?;
    let restored = Content { bytes: &content, cause: "restored", in_place: false };
    let entry = change.save(&results, caller.actor(), Some(restored)).await?;
    Ok(told(&entry.clone(), Script::new(entry, content)?))
}
