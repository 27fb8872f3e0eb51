//! What a service is to the process that runs it.

use std::sync::Arc;

use futures::future::BoxFuture;
use kiln_bus::Bus;
use kiln_db::Database;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

/// What a service is built from. Every service has its own database role and bus account.
#[derive(Clone)]
pub struct Deps {
    /// None for the executor, which has no database.
    pub database: Option<Database>,
    pub bus: Bus,
    /// Cancelled once, when the process must stop.
    pub shutdown: CancellationToken,
}

/// One service, ready to be served.
pub struct Service {
    pub name: &'static str,
    /// Routes with their full paths (`/api/v1/…`).
    pub routes: OpenApiRouter,
    pub tasks: Vec<Task>,
    pub ready: Ready,
}

/// Long-lived work. It ends when the token of [`Deps`] is cancelled; ending earlier, well or not, stops the process,
/// so a task handles by itself whatever it can survive.
pub struct Task {
    pub name: &'static str,
    pub run: BoxFuture<'static, anyhow::Result<()>>,
}

impl Task {
    pub fn new(name: &'static str, run: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> Self {
        Self { name, run: Box::pin(run) }
    }
}

/// Asks whether the service can serve now; the error says in one line what it lacks.
pub type Ready = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;
