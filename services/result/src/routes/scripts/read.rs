//! GET /scripts, and one of them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, ApiQuery, Page, PageQuery, Problem, ProblemDocument};
use uuid::Uuid;

use super::{Script, ScriptSummary};
use crate::library::{self, Kind};
use crate::routes::AppState;
use crate::routes::library::{ListQuery, told};

/// The tenant's scripts, newest first.
#[utoipa::path(
    get, path = "/api/v1/scripts", operation_id = "listScripts", tag = "scripts", params(ListQuery), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page", body = Page<ScriptSummary>),
        (status = 400, description = "A parameter is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list_scripts(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<Page<ScriptSummary>>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let mut tx = results.database.tenant(caller.tenant_id).await?;
    let rows = library::list(&mut tx, Kind::Script, query.name.as_deref(), page.after()?, limit + 1).await?;
    let scripts = rows.into_iter().map(ScriptSummary::from).collect();
    Ok(Json(Page::from_rows(scripts, limit, |script: &ScriptSummary| script.id)))
}

/// One script with its code. `If-None-Match` is heeded.
#[utoipa::path(
    get, path = "/api/v1/scripts/{id}", operation_id = "getScript", tag = "scripts", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("If-None-Match" = Option<String>, Header, description = "An ETag that is known")),
    responses(
        (status = 200, description = "As it is now; `ETag` is its revision", body = Script),
        (status = 304, description = "It has not changed"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such script", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn get_script(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (entry, content) = results.read_entry(&caller, Kind::Script, id).await?;
    if library::is_known(&headers, entry.revision) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, library::tag(entry.revision))]).into_response());
    }
    Ok(told(&entry.clone(), Script::new(entry, content)?))
}
