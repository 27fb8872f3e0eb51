//! The scheduler: takes executions in, decides who runs next, hands out attempts, and alone decides how each ended.
//!
//! An execution is accepted in one transaction (row, reservation, outbox). Attempts are fenced: only the current attempt
//! of an execution that has not ended can claim, extend or finish. Output never passes through here.

mod accept;
mod admission;
mod batches;
mod config;
mod control;
mod dispatcher;
mod fairness;
mod finisher;
mod fleet;
mod measure;
mod purge;
mod reconciler;
mod routes;
mod runtimes;
mod secrets;
mod sessions;
mod store;
mod tenants;
mod workspaces;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use kiln_bus::Bus;
use kiln_db::Database;
use kiln_http::auth::Verifier;
use kiln_runtime::outbox::Relay;
use kiln_runtime::{Deps, Service, Task};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

pub use config::Config;
pub use routes::api;

use fleet::Fleet;
use runtimes::Runtimes;

/// What every part of the scheduler shares.
pub(crate) struct Scheduler {
    config: Config,
    database: Database,
    bus: Bus,
    relay: Relay,
    fleet: Fleet,
    runtimes: Runtimes,
    /// Something may be dispatched: an execution came in, capacity came free, an executor called.
    wake: Notify,
    /// Something may be queued, so that capacity which comes free is of use.
    may_wait: AtomicBool,
    /// An execution that others may be behind has failed.
    batch_failed: Notify,
    verifier: Verifier,
    /// Requests that go on after their client has left.
    requests: TaskTracker,
    /// The way for executors' reports to the finisher.
    reports: finisher::Reports,
}

/// Builds the service; nothing is answered before the process serves its routes and tasks.
pub async fn build(config: Config, deps: &Deps) -> anyhow::Result<Service> {
    let database = deps.database.clone().context("the scheduler needs its database")?;
    let (relay, relay_task) = Relay::new(database.clone(), deps.bus.clone(), deps.shutdown.clone());
    let verifier = Verifier::new(deps.bus.clone());
    let runtimes = Runtimes::load(&database).await?;
    let (reports, report_queue) = finisher::reports();
    let scheduler = Arc::new(Scheduler {
        config,
        database,
        bus: deps.bus.clone(),
        relay,
        fleet: Fleet::default(),
        runtimes,
        wake: Notify::new(),
        may_wait: AtomicBool::new(true),
        batch_failed: Notify::new(),
        verifier: verifier.clone(),
        requests: TaskTracker::new(),
        reports,
    });
    let mut tasks = vec![
        relay_task,
        Task::new("scheduler-verifier", verifier.run(deps.shutdown.clone())),
        dispatcher::task(&scheduler, deps.shutdown.clone()),
        batches::task(&scheduler, deps.shutdown.clone()),
        reconciler::task(&scheduler, deps.shutdown.clone()),
        finisher::task(&scheduler, report_queue, deps.shutdown.clone()),
        finisher::left_task(&scheduler, deps.shutdown.clone()),
        measure::task(&scheduler, deps.shutdown.clone()),
        tenants::task(&scheduler, deps.shutdown.clone()),
    ];
    tasks.extend(control::tasks(&scheduler, &deps.shutdown));
    let ready = {
        let scheduler = Arc::clone(&scheduler);
        Arc::new(move || {
            let scheduler = Arc::clone(&scheduler);
            Box::pin(async move { scheduler.ready().await }) as futures::future::BoxFuture<'static, Result<(), String>>
        })
    };
    Ok(Service { name: "scheduler", routes: routes::router(scheduler), tasks, ready })
}

impl Scheduler {
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
