//! What the auth service says of tenants: their quotas and suspension, copied to the scheduler's own schema.

use std::sync::Arc;
use std::time::Duration;

use kiln_bus::{Delivery, Outcome};
use kiln_events::{Envelope, TenantChanged, subject};
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::Scheduler;

/// Tenants that appear and that change.
const TENANT_EVENTS: &str = "kiln.event.v1.auth.tenant.*";

pub fn task(scheduler: &Arc<Scheduler>, shutdown: CancellationToken) -> Task {
    let scheduler = Arc::clone(scheduler);
    Task::new("scheduler-tenants", async move {
        let consumer =
            scheduler.bus.consumer(subject::EVENTS, "scheduler-tenants", TENANT_EVENTS, Duration::from_secs(30), 20).await?;
        consumer.run_batches(shutdown, |batch| copy(&scheduler, batch)).await
    })
}

async fn copy(scheduler: &Scheduler, batch: Vec<Delivery<Envelope<TenantChanged>>>) -> anyhow::Result<Vec<Outcome>> {
    let mut tx = scheduler.database.system().await?;
    for delivery in &batch {
        let (tenant, changed) = (delivery.payload.tenant_id, &delivery.payload.payload);
        let quota = changed.quota.unwrap_or_default();
        let count = |value: Option<u32>| value.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
        sqlx::query!(
            "INSERT INTO scheduler.tenant AS t (tenant_id, suspended, max_concurrent, max_queued, executions_per_minute)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id) DO UPDATE
             SET suspended = EXCLUDED.suspended, max_concurrent = EXCLUDED.max_concurrent, max_queued = EXCLUDED.max_queued,
                 executions_per_minute = EXCLUDED.executions_per_minute",
            tenant.0,
            changed.suspended,
            count(quota.max_concurrent),
            count(quota.max_queued),
            count(quota.executions_per_minute),
        )
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    scheduler.wake.notify_one();
    Ok(vec![Outcome::Done; batch.len()])
}
