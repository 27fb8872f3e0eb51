//! What the auth service says of tenants: their limits and suspension, copied to the scheduler's own schema; and that one
//! is gone, see `purge.rs`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use kiln_bus::{Delivery, Outcome};
use kiln_db::SystemTx;
use kiln_domain::{ReasonCode, TenantId};
use kiln_events::{Envelope, TenantChanged, subject};
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::sessions::Closing;
use crate::{Scheduler, store};

/// Tenants that appear, that change, that go.
const TENANT_EVENTS: &str = "kiln.event.v1.auth.tenant.*";
const ACK_WAIT: Duration = Duration::from_secs(30);
/// Enough for the runs of a deleted tenant to end, however they end.
const MAX_DELIVER: i64 = 60;

pub fn task(scheduler: &Arc<Scheduler>, shutdown: CancellationToken) -> Task {
    let scheduler = Arc::clone(scheduler);
    Task::new("scheduler-tenants", async move {
        let name = "scheduler-tenants";
        let consumer = scheduler.bus.consumer(subject::EVENTS, name, TENANT_EVENTS, ACK_WAIT, MAX_DELIVER).await?;
        consumer.run_batches(shutdown, |batch| hear(&scheduler, batch)).await
    })
}

async fn hear(scheduler: &Scheduler, batch: Vec<Delivery<Envelope<serde_json::Value>>>) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(batch.len());
    for delivery in batch {
        let Envelope { tenant_id, occurred_at, payload, .. } = delivery.payload;
        if delivery.subject == subject::TENANT_DELETED {
            outcomes.push(scheduler.purge(tenant_id).await?);
            continue;
        }
        let Ok(changed) = serde_json::from_value::<TenantChanged>(payload) else {
            tracing::error!(subject = delivery.subject, "an event of a tenant cannot be read; rejected");
            outcomes.push(Outcome::Reject);
            continue;
        };
        let mut tx = scheduler.database.system().await?;
        copy(&mut tx, tenant_id, occurred_at, &changed).await?;
        let suspended = store::is_suspended(&mut tx, tenant_id).await?;
        tx.commit().await?;
        // Also when it was known: the process may have died between the two.
        if suspended {
            scheduler.stop_running(tenant_id, ReasonCode::TenantSuspended).await?;
            scheduler.close_sessions_of(tenant_id, &Closing::TenantSuspended).await?;
        }
        outcomes.push(Outcome::Done);
    }
    scheduler.wake.notify_one();
    Ok(outcomes)
}

/// Takes over how the tenant is, unless something newer is known.
async fn copy(tx: &mut SystemTx, tenant: TenantId, at: Timestamp, changed: &TenantChanged) -> Result<(), sqlx::Error> {
    let quota = changed.quota.unwrap_or_default();
    let count = |value: Option<u32>| value.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
    let amount = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
    sqlx::query!(
        "INSERT INTO scheduler.tenant AS t (tenant_id, suspended, max_concurrent, max_queued, executions_per_minute,
            cpu_ms_per_day, max_timeout_ms, max_memory_bytes, max_cpu_millis, max_sessions, storage_bytes, told_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (tenant_id) DO UPDATE
         SET suspended = EXCLUDED.suspended, max_concurrent = EXCLUDED.max_concurrent, max_queued = EXCLUDED.max_queued,
             executions_per_minute = EXCLUDED.executions_per_minute, cpu_ms_per_day = EXCLUDED.cpu_ms_per_day,
             max_timeout_ms = EXCLUDED.max_timeout_ms, max_memory_bytes = EXCLUDED.max_memory_bytes,
             max_cpu_millis = EXCLUDED.max_cpu_millis, max_sessions = EXCLUDED.max_sessions,
             storage_bytes = EXCLUDED.storage_bytes, told_at = EXCLUDED.told_at
         WHERE t.told_at < EXCLUDED.told_at AND NOT t.deleted",
        tenant.0,
        changed.suspended,
        count(quota.max_concurrent),
        count(quota.max_queued),
        count(quota.executions_per_minute),
        amount(quota.cpu_ms_per_day),
        amount(quota.max_timeout_ms),
        amount(quota.max_memory_bytes),
        amount(quota.max_cpu_millis),
        count(quota.max_sessions),
        amount(quota.storage_bytes),
        at.to_sqlx() as _,
    )
    .execute(&mut **tx)
    .await
    .map(drop)
}

impl Scheduler {
    /// Has everything that runs for the tenant stopped for this cause; each executor reports the end. What is on its way to an
    /// executor waits again. Returns how many ran.
    pub(crate) async fn stop_running(&self, tenant: TenantId, cause: ReasonCode) -> anyhow::Result<usize> {
        let mut tx = self.database.system().await?;
        store::lock_tenants(&mut tx, &[tenant]).await?;
        let called_back = store::requeue_dispatched(&mut tx, tenant).await?;
        let running = store::running(&mut tx, tenant).await?;
        for row in &running {
            store::request_stop(&mut tx, tenant, kiln_domain::ExecutionId(row.id), cause).await?;
        }
        tx.commit().await?;
        self.fleet.changed(-i64::try_from(called_back)?);
        for row in &running {
            self.tell_executor(&row.record()?, cause).await;
        }
        Ok(running.len())
    }
}
