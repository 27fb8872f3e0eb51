//! `POST /auth/ticket`: a single-use pass for one stream.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kiln_http::auth::Caller;
use kiln_http::{Problem, ProblemDocument};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::tickets;

#[derive(Serialize, ToSchema)]
pub struct Ticket {
    /// For `?ticket=` of one stream.
    ticket: String,
    /// Seconds.
    expires_in: u32,
}

/// Get a ticket for a stream
#[utoipa::path(post, path = "/api/v1/auth/ticket", tag = "auth", security(("bearer" = [])), responses(
    (status = 201, body = Ticket),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument, description = "API keys do not reach this."),
))]
pub async fn create_ticket(State(app): State<App>, caller: Caller) -> Result<(StatusCode, Json<Ticket>), Problem> {
    let user = caller.user()?;
    let mut tx = app.database.system().await?;
    let ticket = tickets::create(&mut tx, &user).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(Ticket { ticket, expires_in: tickets::LIFE_S })))
}
