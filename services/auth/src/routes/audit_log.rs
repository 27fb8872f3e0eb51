//! `GET /tenant/audit-log`: who did what, when, from where.

use axum::Json;
use axum::extract::State;
use kiln_http::auth::Caller;
use kiln_http::{ApiQuery, Page, PageQuery, Problem, ProblemDocument};

use crate::app::App;
use crate::audit::{self, Row};

/// The tenant's audit log
#[utoipa::path(get, path = "/api/v1/tenant/audit-log", tag = "tenant", security(("bearer" = [])), params(PageQuery), responses(
    (status = 200, body = Page<Row>),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
))]
pub async fn list_audit_log(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Row>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut tx = app.database.system().await?;
    let rows = audit::list(&mut tx, caller.tenant_id, after, limit + 1).await?;
    tx.commit().await?;
    Ok(Json(Page::from_rows(rows, limit, |row| row.id)))
}
