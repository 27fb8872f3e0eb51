//! Executions that belong together: once one has failed, those behind it end without having run.
//!
//! The dispatcher does not start what is behind a failure, so what is ended here cannot have begun.

use std::sync::Arc;
use std::time::Duration;

use kiln_domain::{ReasonCode, Status, TenantId};
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::finisher::verdict;
use crate::{Scheduler, store};

/// It is looked so often, should a wake-up have been missed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub fn task(scheduler: &Arc<Scheduler>, shutdown: CancellationToken) -> Task {
    let scheduler = Arc::clone(scheduler);
    Task::new("scheduler-batches", async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = scheduler.batch_failed.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = end_stopped(&scheduler).await {
                tracing::warn!(error = format!("{error:#}"), "what is behind a failure was not ended; it is tried again");
            }
        }
    })
}

async fn end_stopped(scheduler: &Scheduler) -> anyhow::Result<()> {
    let mut tx = scheduler.database.system().await?;
    let stopped = store::stopped(&mut tx).await?;
    if stopped.is_empty() {
        return Ok(());
    }
    let mut tenants: Vec<TenantId> = stopped.iter().map(|(tenant, _)| *tenant).collect();
    tenants.dedup();
    store::lock_tenants(&mut tx, &tenants).await?;
    let ended = verdict(Status::Cancelled, ReasonCode::Aborted, "Something before it in its notebook failed.");
    let mut messages = Vec::with_capacity(stopped.len());
    for (tenant, execution) in stopped {
        let Some(row) = store::load_for_update(&mut tx, tenant, execution).await? else { continue };
        if row.state == "queued" {
            messages.extend(scheduler.end_without_executor(&mut tx, &row, &ended).await?.map(|(_, message)| message));
        }
    }
    tx.commit().await?;
    scheduler.relay.send(messages);
    // What the session has behind the batch may start.
    scheduler.wake.notify_one();
    Ok(())
}
