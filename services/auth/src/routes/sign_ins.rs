//! `/auth/sessions`: one's own sign-ins.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kiln_domain::SignInId;
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, ApiQuery, Page, PageQuery, Problem, ProblemDocument};

use crate::app::App;
use crate::session;
use crate::sign_ins::{self, Because, Device, SignIn};

/// List my sign-ins
#[utoipa::path(get, path = "/api/v1/auth/sessions", tag = "auth", security(("bearer" = [])), params(PageQuery), responses(
    (status = 200, body = Page<SignIn>),
    (status = 401, body = ProblemDocument),
))]
pub async fn list_sign_ins(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<SignIn>>, Problem> {
    let (user, limit, after) = (caller.user()?, page.limit()?, page.after()?);
    let mut tx = app.database.system().await?;
    let rows = sign_ins::list(&mut tx, &user, after, limit + 1).await?;
    tx.commit().await?;
    Ok(Json(Page::from_rows(rows, limit, |row| row.id.0)))
}

/// End all my other sign-ins
#[utoipa::path(delete, path = "/api/v1/auth/sessions", tag = "auth", security(("bearer" = [])), responses(
    (status = 204),
    (status = 401, body = ProblemDocument),
))]
pub async fn end_other_sign_ins(State(app): State<App>, caller: Caller, device: Device) -> Result<StatusCode, Problem> {
    let user = caller.user()?;
    let mut tx = app.database.system().await?;
    let messages = session::end_others(&mut tx, &app, &user, Because::ByUser, &device).await?;
    tx.commit().await?;
    app.relay.send(messages);
    Ok(StatusCode::NO_CONTENT)
}

/// End one of my sign-ins
#[utoipa::path(delete, path = "/api/v1/auth/sessions/{id}", tag = "auth", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)), responses(
    (status = 204),
    (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument),
))]
pub async fn end_sign_in(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiPath(id): ApiPath<SignInId>,
) -> Result<StatusCode, Problem> {
    let user = caller.user()?;
    let mut tx = app.database.system().await?;
    let messages = session::end(&mut tx, &app, &user, id, Because::ByUser, &device).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    app.relay.send(messages);
    Ok(StatusCode::NO_CONTENT)
}
