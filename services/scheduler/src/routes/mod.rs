//! The scheduler's HTTP routes.

mod body;
mod create;
mod executors;
mod files;
mod limits;
mod list;
mod runtimes;
mod sessions;
mod workspaces;

pub use body::{NO_SECRET, NO_WORKSPACE, Priority};

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRef};
use kiln_http::auth::Verifier;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Scheduler;

/// Largest body of POST /executions: 80 MiB.
const MAX_BODY: usize = 80 << 20;

/// What handlers are given.
#[derive(Clone)]
pub struct AppState(Arc<Scheduler>);

impl FromRef<AppState> for Verifier {
    fn from_ref(state: &AppState) -> Self {
        state.0.verifier.clone()
    }
}

pub fn router(scheduler: Arc<Scheduler>) -> OpenApiRouter {
    let large_bodies = Arc::new(tokio::sync::Semaphore::new(scheduler.config.max_large_bodies));
    routes().layer(axum::Extension(create::LargeBodies(large_bodies))).with_state(AppState(scheduler))
}

/// The routes' document, without a service.
pub fn api() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_execution))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .routes(routes!(sessions::create_session, sessions::list_sessions))
        .routes(routes!(sessions::get_session, sessions::delete_session))
        .routes(routes!(sessions::execute_in_session))
        .routes(routes!(sessions::interrupt_session))
        .routes(routes!(sessions::restart_session))
        .routes(routes!(sessions::complete_in_session))
        .routes(routes!(sessions::inspect_in_session))
        .routes(routes!(list::list_executions))
        .routes(routes!(runtimes::list_runtimes))
        .routes(routes!(limits::get_limits))
        .routes(routes!(executors::list_executors))
        .routes(routes!(workspaces::create_workspace, workspaces::list_workspaces))
}
