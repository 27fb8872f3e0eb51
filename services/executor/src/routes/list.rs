//! GET /workspaces/{id}/files: what is in a directory.

use std::path::{Path, PathBuf};

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kiln_domain::WorkspaceId;
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, ApiQuery, Page, PageQuery, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{AppState, blocking};
use crate::workspaces::{self, Entry, WorkspacePath};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The directory; the whole workspace unless given.
    path: Option<String>,
    /// Also what is in directories below.
    #[serde(default)]
    recursive: bool,
    /// Entries on a page, 1 to 200.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Files and directories, by name.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{id}/files", operation_id = "listFiles", tag = "workspaces", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ListQuery),
    responses(
        (status = 200, body = Page<Entry>, description = "A page"),
        (status = 400, body = ProblemDocument, description = "A parameter is not acceptable", content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such workspace or directory", content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, description = "The path is not relative and normal", content_type = "application/problem+json"),
    )
)]
pub async fn list_files(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<WorkspaceId>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<Page<Entry>>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: None };
    let limit = usize::try_from(page.limit()?).map_err(Problem::internal)?;
    let after = query.cursor.as_deref().map(parse_cursor).transpose()?;
    let directory = directory(query.path.as_deref())?;
    let opened = state.workspaces.mount(caller.tenant_id, id).await?;
    let mut found =
        blocking(move || workspaces::list(&opened.workspace, directory.as_ref(), query.recursive, after.as_deref(), limit + 1))
            .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = if more { found.last().map(|(path, _)| cursor(path)) } else { None };
    Ok(Json(Page { data: found.into_iter().map(|(_, entry)| entry).collect(), next_cursor }))
}

/// None is the workspace itself. A directory may be named with the slash that ends its name elsewhere.
fn directory(path: Option<&str>) -> Result<Option<WorkspacePath>, Problem> {
    match path {
        None | Some("" | ".") => Ok(None),
        Some(path) => {
            let parsed = WorkspacePath::parse(path.strip_suffix('/').unwrap_or(path));
            parsed.map(Some).map_err(|fault| Problem::invalid_field("path", fault.to_string()))
        }
    }
}

fn cursor(path: &Path) -> String {
    URL_SAFE_NO_PAD.encode(path.as_os_str().as_encoded_bytes())
}

fn parse_cursor(text: &str) -> Result<PathBuf, Problem> {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| !bytes.is_empty());
    let bytes = bytes.ok_or_else(|| Problem::bad_request("cursor is not one that this list has given."))?;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}
