//! The dispatcher: when there is capacity, chooses fairly among what waits and makes the attempts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use kiln_db::Outgoing;
use kiln_domain::{ExecutionId, TenantId};
use kiln_events::{Task as Attempt, subject};
use kiln_runtime::Task;
use kiln_runtime::outbox::Relay;
use tokio_util::sync::CancellationToken;

use crate::fairness::RoundRobin;
use crate::{Scheduler, store};

/// The dispatcher looks by itself so often, should a wake-up have been missed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Attempts made in one transaction.
const BATCH: usize = 64;

pub fn task(scheduler: &Arc<Scheduler>, shutdown: CancellationToken) -> Task {
    let scheduler = Arc::clone(scheduler);
    Task::new("scheduler-dispatcher", async move {
        let mut order = RoundRobin::default();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = scheduler.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            loop {
                match dispatch(&scheduler, &mut order).await {
                    Ok(BATCH) => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(error = format!("{error:#}"), "dispatch failed; it is tried again");
                        break;
                    }
                }
            }
        }
    })
}

/// One round; returns how many attempts were made.
async fn dispatch(scheduler: &Scheduler, order: &mut RoundRobin<TenantId>) -> anyhow::Result<usize> {
    let capacity = scheduler.fleet.free(Instant::now()).min(BATCH);
    if capacity == 0 {
        return Ok(0);
    }
    let runtimes = scheduler.fleet.runtimes(Instant::now());
    let config = &scheduler.config;
    let mut tx = scheduler.database.system().await?;
    let waiting = store::waiting(&mut tx, &runtimes, config.max_concurrent, config.cpu_ms_per_day, capacity).await?;
    if waiting.is_empty() {
        // What is accepted from here on says so itself.
        scheduler.may_wait.store(false, Ordering::Relaxed);
        if store::any_queued(&mut tx).await? {
            scheduler.may_wait.store(true, Ordering::Relaxed);
        }
        return Ok(0);
    }
    scheduler.may_wait.store(true, Ordering::Relaxed);
    let chosen = order.choose(waiting, capacity);
    let mut tenants: Vec<TenantId> = chosen.iter().map(|(tenant, _)| *tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    store::lock_tenants(&mut tx, &tenants).await?;
    let ids: Vec<ExecutionId> = chosen.into_iter().map(|(_, execution)| execution).collect();
    let made = store::mark_dispatched(&mut tx, &ids, Timestamp::now()).await?;
    let messages =
        made.iter().map(|made| message(made.tenant, made.executor.as_deref(), &made.task)).collect::<anyhow::Result<Vec<_>>>()?;
    scheduler.relay.add(&mut tx, &messages).await?;
    tx.commit().await?;
    scheduler.fleet.changed(i64::try_from(made.len()).context("a batch fits")?);
    scheduler.relay.send(messages);
    Ok(made.len())
}

/// The message that carries an attempt to whichever executor pulls it, or to the one that has its session.
pub fn message(tenant: TenantId, executor: Option<&str>, task: &Attempt) -> anyhow::Result<Outgoing> {
    let subject = executor.map_or_else(|| subject::task(DEFAULT_POOL, &task.runtime), subject::session_task);
    Ok(Relay::event(&subject, tenant, task.dispatched_at, task)?)
}

/// The one pool of executors there is; further ones come with placement.
pub const DEFAULT_POOL: &str = "default";
