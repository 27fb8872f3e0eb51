//! The result service: stores what executions print, display and leave, and serves it, live or afterwards; and keeps
//! notebooks and scripts.
//!
//! Each execution has one story: frames 1, 2, 3 … of one attempt and then its end, all on one subject of the bus. The story
//! is stored in Postgres as it comes; every reader reads from there, so whoever reads when sees the same.

mod control;
mod deletion;
mod document;
mod ends;
mod ingest;
mod library;
mod notebook;
mod outputs;
mod routes;
mod run;
mod scheduler;
mod store;
mod story;
mod streams;

use std::sync::Arc;

use anyhow::Context as _;
use kiln_bus::Bus;
use kiln_db::Database;
use kiln_http::auth::Verifier;
use kiln_runtime::{Deps, Service, Task};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use ends::Ends;
pub use routes::api;
use run::Runs;
use streams::StreamSlots;

/// The result service's settings, with their defaults.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Live streams that one user may hold open.
    pub streams_per_user: usize,
    /// Whole executions put together in memory at the same time; each may be some 128 MiB.
    pub max_documents: usize,
    /// Largest notebook, as it is stored.
    pub notebook_bytes: usize,
    /// Notebooks and scripts of one tenant, with all their versions.
    pub library_bytes: u64,
    /// Requests with a body over 1 MiB that are read at the same time; their memory is the bound.
    pub max_large_bodies: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { streams_per_user: 100, max_documents: 16, notebook_bytes: 32 << 20, library_bytes: 2 << 30, max_large_bodies: 4 }
    }
}

/// What every part of the result service shares.
pub(crate) struct Results {
    database: Database,
    bus: Bus,
    verifier: Verifier,
    streams: StreamSlots,
    ends: Ends,
    runs: Runs,
    documents: Semaphore,
    notebook_bytes: usize,
    library_bytes: u64,
    large_bodies: Arc<Semaphore>,
    /// Streams end, so that clients reconnect elsewhere, when the process must stop.
    shutdown: CancellationToken,
    /// Requests that go on after their client has left.
    requests: TaskTracker,
}

/// Builds the service; nothing is answered before the process serves its routes and tasks.
#[expect(clippy::unused_async, reason = "every service is built alike")]
pub async fn build(config: Config, deps: &Deps) -> anyhow::Result<Service> {
    let database = deps.database.clone().context("the result service needs its database")?;
    let verifier = Verifier::new(deps.bus.clone());
    let results = Arc::new(Results {
        database,
        bus: deps.bus.clone(),
        verifier: verifier.clone(),
        streams: StreamSlots::new(config.streams_per_user),
        ends: Ends::default(),
        runs: Runs::default(),
        documents: Semaphore::new(config.max_documents),
        notebook_bytes: config.notebook_bytes,
        library_bytes: config.library_bytes,
        large_bodies: Arc::new(Semaphore::new(config.max_large_bodies)),
        shutdown: deps.shutdown.clone(),
        requests: TaskTracker::new(),
    });
    let shutdown = || deps.shutdown.clone();
    let tasks = vec![
        Task::new("result-verifier", verifier.run(shutdown())),
        ingest::task(&results, shutdown()),
        deletion::task(&results, shutdown()),
        deletion::purge_task(&results, shutdown()),
        control::task(&results, shutdown()),
        run::task(&results, shutdown()),
    ];
    let ready = {
        let results = Arc::clone(&results);
        Arc::new(move || {
            let results = Arc::clone(&results);
            Box::pin(async move { results.ready().await }) as futures::future::BoxFuture<'static, Result<(), String>>
        })
    };
    Ok(Service { name: "result", routes: routes::router(results), tasks, ready })
}

impl Results {
    async fn ready(&self) -> Result<(), String> {
        if !self.verifier.is_ready() {
            return Err("the auth service has not given its keys yet".to_owned());
        }
        if !self.bus.is_connected() {
            return Err("NATS is not connected".to_owned());
        }
        self.database.ping().await.map_err(|_| "Postgres does not answer".to_owned())
    }
}
