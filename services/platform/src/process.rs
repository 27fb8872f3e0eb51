//! One process of Kiln: some services, built, served and stopped together.

use std::time::Duration;

use anyhow::Context;
use axum::Router;
use kiln_bus::Bus;
use kiln_db::Database;
use kiln_http::Edge;
use kiln_runtime::serving::{ServeOptions, serve};
use kiln_runtime::{Deps, Service, Task, vitals};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::assemble::{self, Readiness};
use crate::settings::Settings;
use crate::target::Target;

/// Time for the services' tasks to end once the process stops.
const TASKS_WITHIN: Duration = Duration::from_secs(15);
/// Time to hand back connections to Postgres and NATS.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Services that are built and not yet running.
pub struct Process {
    services: Vec<Service>,
    databases: Vec<Database>,
    buses: Vec<Bus>,
    edge: Edge,
}

/// Where a process serves.
pub struct Listeners {
    pub public: TcpListener,
    pub metrics: Option<(TcpListener, Router)>,
}

impl Process {
    /// Connects and builds each service of `targets`, one after the other.
    pub async fn build(targets: &[Target], settings: &Settings, shutdown: &CancellationToken) -> anyhow::Result<Self> {
        raise_open_files().context("cannot raise the limit of open files")?;
        let mut process =
            Self { services: Vec::new(), databases: Vec::new(), buses: Vec::new(), edge: Edge::new(&settings.http) };
        for target in targets {
            if *target == Target::Web {
                process.services.push(kiln_web::service());
                continue;
            }
            let database = match settings.database_url(*target)? {
                None => None,
                Some(url) => Some(
                    Database::connect(url.expose_secret(), target.name(), settings.database.max_connections)
                        .await
                        .with_context(|| format!("cannot connect to Postgres as {target}"))?,
                ),
            };
            let bus = Bus::connect(&settings.bus(*target)?).await.with_context(|| format!("NATS, as {target}"))?;
            process.databases.extend(database.clone());
            process.buses.push(bus.clone());
            let deps = Deps { database, bus, shutdown: shutdown.clone() };
            let service = build_service(*target, settings, &deps).await;
            let mut service = service.with_context(|| format!("{target} cannot start"))?;
            service.tasks.push(vitals_task(target.name(), deps));
            process.services.push(service);
        }
        Ok(process)
    }

    /// Whether its services can serve, now or later.
    pub fn readiness(&self) -> Readiness {
        Readiness::of(&self.services)
    }

    /// Serves until `shutdown` is cancelled, then drains. A task that ends before that ends the process.
    pub async fn run(self, listeners: Listeners, shutdown: CancellationToken) -> anyhow::Result<()> {
        let readiness = self.readiness();
        let mut tasks = JoinSet::new();
        let mut routes = Vec::new();
        for service in self.services {
            routes.push(kiln_http::measured(service.routes, service.name));
            for Task { name, run } in service.tasks {
                let label = format!("{}/{name}", service.name);
                tasks.spawn(async move { (label, run.await) });
            }
        }
        let servers = TaskTracker::new();
        let router = assemble::router(routes, readiness, self.edge);
        servers.spawn(serve(listeners.public, router, ServeOptions::default(), shutdown.clone()));
        if let Some((listener, router)) = listeners.metrics {
            servers.spawn(serve(listener, router, ServeOptions::default(), shutdown.clone()));
        }
        servers.close();

        let outcome = tokio::select! {
            biased; // tasks end because of the shutdown, too
            () = shutdown.cancelled() => Ok(()),
            Some(ended) = tasks.join_next() => Err(early_end(ended)),
        };
        shutdown.cancel();
        servers.wait().await;
        let drained = tokio::time::timeout(TASKS_WITHIN, drain(&mut tasks)).await;
        if drained.is_err() {
            tracing::warn!(left = tasks.len(), "tasks did not end in time and are cut off");
            tasks.shutdown().await;
        }
        close(&self.buses, &self.databases).await;
        outcome
    }
}

/// Each run holds some descriptors, and one that leaves a thousand files a thousand for a moment: the usual soft limit is
/// made for programs that use `select`.
fn raise_open_files() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

async fn build_service(target: Target, settings: &Settings, deps: &Deps) -> anyhow::Result<Service> {
    match target {
        Target::Auth => kiln_auth::build(settings.auth.clone(), deps).await,
        Target::Scheduler => kiln_scheduler::build(settings.scheduler.clone(), deps).await,
        Target::Executor => kiln_executor::build(settings.executor.clone(), deps).await,
        Target::Result => kiln_result::build(settings.result.clone(), deps).await,
        Target::Web => Ok(kiln_web::service()),
    }
}

/// Looks at the service's connections until the end.
fn vitals_task(service: &'static str, deps: Deps) -> Task {
    Task::new("vitals", async move {
        vitals::watch(service, deps.database, deps.bus, deps.shutdown).await;
        Ok(())
    })
}

type Ended = Result<(String, anyhow::Result<()>), tokio::task::JoinError>;

fn early_end(ended: Ended) -> anyhow::Error {
    match ended {
        Ok((task, Ok(()))) => anyhow::anyhow!("task {task} ended, which it must not"),
        Ok((task, Err(error))) => error.context(format!("task {task} failed")),
        Err(error) => anyhow::Error::new(error).context("a task broke"),
    }
}

/// Waits for every task; what goes wrong this late is only worth a line.
async fn drain(tasks: &mut JoinSet<(String, anyhow::Result<()>)>) {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok((_, Ok(()))) => {}
            Ok((task, Err(error))) => tracing::warn!(task, error = format!("{error:#}"), "failed while stopping"),
            Err(error) => tracing::warn!(%error, "a task broke while stopping"),
        }
    }
}

async fn close(buses: &[Bus], databases: &[Database]) {
    let closing = async {
        futures::future::join_all(buses.iter().map(Bus::drain)).await;
        futures::future::join_all(databases.iter().map(Database::close)).await;
    };
    if tokio::time::timeout(CLOSE_WITHIN, closing).await.is_err() {
        tracing::warn!("connections to Postgres and NATS were cut off");
    }
}
