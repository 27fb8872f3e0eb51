//! The executor: pulls attempts, claims each, runs it in a sandbox of its own, streams what it prints, and reports how it
//! ended. It has no database and decides no policy.

mod config;
mod control;
mod files;
mod heartbeat;
mod live;
mod mask;
mod measure;
mod output;
mod routes;
pub mod runtimes;
pub mod sandbox;
mod sessions;
mod stdin;
mod worker;
mod workspaces;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use kiln_bus::Bus;
use kiln_domain::InstanceId;
use kiln_http::auth::Verifier;
use kiln_runtime::{Deps, Service, Task};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::Config;
use live::LiveRuns;
pub use routes::api;
use runtimes::{Runtimes, RuntimesConfig};
use sandbox::{SandboxConfig, Sandboxes};
use sessions::Sessions;
use workspaces::Workspaces;

/// What every part of the executor shares.
pub(crate) struct Executor {
    /// Stable over restarts; a token of a subject.
    id: String,
    /// This start of the process.
    instance: InstanceId,
    pool: String,
    slots: usize,
    drain: std::time::Duration,
    bus: Bus,
    sandboxes: Sandboxes,
    runtimes: Runtimes,
    live: LiveRuns,
    sessions: Sessions,
    session_tasks: TaskTracker,
    workspaces: Workspaces,
    verifier: Verifier,
    /// The scheduler has answered a call: it knows this executor and its runtimes.
    known: AtomicBool,
    /// Cancelled when no further work is to be taken.
    shutdown: CancellationToken,
}

/// Builds the service: checks the host, opens the sandboxes and finds the runtimes.
pub async fn build(config: Config, deps: &Deps) -> anyhow::Result<Service> {
    let slots = config.slots();
    let sandboxes = Sandboxes::open(SandboxConfig {
        data_dir: config.data_dir.join("sandboxes"),
        slots,
        waiting_bytes: config.waiting_bytes(),
        separate_tenants: config.separate_tenants,
        accept_tier: config.accept_isolation.clone(),
        runner: None,
        spawner: None,
    })
    .await
    .context("isolation")?;
    let mut runtimes = RuntimesConfig::new(config.data_dir.clone());
    runtimes.environments.clone_from(&config.environments);
    let runtimes = Runtimes::open(runtimes).await.context("runtimes")?;
    let workspaces = Workspaces::open(sandboxes.clone(), deps.bus.clone(), &config.data_dir.join("workspaces"));
    let workspaces = workspaces.context("workspaces")?;
    let verifier = Verifier::new(deps.bus.clone());
    let executor = Arc::new(Executor {
        id: config.id(),
        instance: InstanceId::generate(),
        pool: config.pool.clone(),
        slots,
        drain: std::time::Duration::from_millis(config.drain_ms),
        bus: deps.bus.clone(),
        sandboxes,
        runtimes,
        live: LiveRuns::default(),
        sessions: Sessions::default(),
        session_tasks: TaskTracker::new(),
        workspaces,
        verifier: verifier.clone(),
        known: AtomicBool::new(false),
        shutdown: deps.shutdown.clone(),
    });
    tracing::info!(executor = executor.id, slots, isolation = executor.sandboxes.isolation().tier, "executor is set up");
    let ready = {
        let executor = Arc::clone(&executor);
        Arc::new(move || {
            let executor = Arc::clone(&executor);
            Box::pin(async move { executor.ready() }) as futures::future::BoxFuture<'static, Result<(), String>>
        })
    };
    let mut tasks = vec![worker::task(&executor), heartbeat::task(&executor), environments(&executor)];
    tasks.extend(control::tasks(&executor));
    tasks.extend(sessions::tasks(&executor));
    let routes = routes::router(routes::AppState { workspaces: executor.workspaces.clone(), verifier: verifier.clone() });
    tasks.push(Task::new("executor-verifier", verifier.run(deps.shutdown.clone())));
    tasks.push(keep_workspaces(&executor));
    Ok(Service { name: "executor", routes, tasks, ready })
}

impl Executor {
    /// The first run of the default runtime finds its interpreter waiting.
    async fn prepare_default(&self) {
        let default = self.runtimes.list().into_iter().find(|runtime| runtime.default);
        if let Some(resolved) = default.and_then(|runtime| self.runtimes.resolve(&runtime.id).ok()) {
            self.sandboxes.prepare(&resolved.command).await;
            if let Some(kernel) = &resolved.kernel {
                self.sandboxes.prepare_session(kernel, &kiln_domain::Limits::DEFAULT).await;
            }
        }
    }

    fn ready(&self) -> Result<(), String> {
        if !self.bus.is_connected() {
            return Err("NATS is not connected".to_owned());
        }
        if !self.verifier.is_ready() {
            return Err("the auth service has not given its keys yet".to_owned());
        }
        if !self.known.load(Ordering::Relaxed) {
            return Err("the scheduler has not answered yet".to_owned());
        }
        Ok(())
    }
}

/// Unmounts and removes what is not needed, until the last run has ended.
fn keep_workspaces(executor: &Arc<Executor>) -> Task {
    let executor = Arc::clone(executor);
    Task::new("executor-workspaces", async move {
        executor.workspaces.keep(executor.shutdown.clone()).await;
        Ok(())
    })
}

/// Makes the environments that are missing, in the background.
fn environments(executor: &Arc<Executor>) -> Task {
    let executor = Arc::clone(executor);
    Task::new("executor-environments", async move {
        executor.prepare_default().await;
        executor.runtimes.build(executor.shutdown.clone()).await;
        executor.shutdown.cancelled().await;
        Ok(())
    })
}
