//! GET /notebooks, and one of them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, ApiQuery, Page, PageQuery, Problem, ProblemDocument};
use uuid::Uuid;

use super::{Notebook, NotebookSummary};
use crate::library::{self, Kind};
use crate::routes::AppState;
use crate::routes::library::{ListQuery, told};

/// The tenant's notebooks, newest first.
#[utoipa::path(
    get, path = "/api/v1/notebooks", operation_id = "listNotebooks", tag = "notebooks", params(ListQuery), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page", body = Page<NotebookSummary>),
        (status = 400, description = "A parameter is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list_notebooks(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<Page<NotebookSummary>>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let mut tx = results.database.tenant(caller.tenant_id).await?;
    let rows = library::list(&mut tx, Kind::Notebook, query.name.as_deref(), page.after()?, limit + 1).await?;
    let notebooks = rows.into_iter().map(NotebookSummary::from).collect();
    Ok(Json(Page::from_rows(notebooks, limit, |notebook: &NotebookSummary| notebook.id)))
}

/// One notebook with its content. `If-None-Match` is heeded.
#[utoipa::path(
    get, path = "/api/v1/notebooks/{id}", operation_id = "getNotebook", tag = "notebooks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("If-None-Match" = Option<String>, Header, description = "An ETag that is known")),
    responses(
        (status = 200, description = "As it is now; `ETag` is its revision", body = Notebook),
        (status = 304, description = "It has not changed"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn get_notebook(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = results.database.tenant(caller.tenant_id).await?;
    let entry = library::entry(&mut tx, Kind::Notebook, id).await?.ok_or_else(Problem::not_found)?;
    if library::is_known(&headers, entry.revision) {
        return Ok((StatusCode::NOT_MODIFIED, [(axum::http::header::ETAG, library::tag(entry.revision))]).into_response());
    }
    drop(tx);
    let _permit = results.documents.acquire().await.map_err(Problem::internal)?;
    let (entry, content) = results.read_entry(&caller, Kind::Notebook, id).await?;
    Ok(told(&entry.clone(), Notebook::new(entry, content)?))
}
