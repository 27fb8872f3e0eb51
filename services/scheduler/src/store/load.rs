//! Counts: where an execution stands, what a tenant uses, and whether the reservations are true.

use kiln_db::TenantTx;
use kiln_domain::{ExecutionId, TenantId};
use kiln_events::TenantUsageReply;
use sqlx::PgConnection;

use super::ExecutionRow;
use crate::admission::Ceilings;

/// Where a queued execution stands.
pub struct Position {
    /// In its tenant's queue, 1 being next.
    pub place: u64,
    /// What the tenant runs, and may at once where that is its own.
    pub active: u32,
    pub max_concurrent: Option<u32>,
    /// CPU time that the tenant has used today, and may where that is its own.
    pub cpu_ms_spent: u64,
    pub cpu_ms_per_day: Option<u64>,
}

pub async fn position(tx: &mut TenantTx, row: &ExecutionRow) -> Result<Position, sqlx::Error> {
    let tenant = tx.tenant().0;
    let found = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM scheduler.execution
                   WHERE tenant_id = $1 AND state = 'queued' AND (priority > $2 OR (priority = $2 AND id <= $3))) AS "ahead!",
                  active, max_concurrent, cpu_ms_per_day,
                  CASE WHEN cpu_day = (now() AT TIME ZONE 'UTC')::date THEN cpu_ms_spent ELSE 0 END AS "cpu_ms_spent!"
           FROM scheduler.tenant WHERE tenant_id = $1"#,
        tenant,
        row.priority,
        row.id
    )
    .fetch_one(&mut **tx)
    .await?;
    let count = |stored: i32| u32::try_from(stored).unwrap_or(0);
    let amount = |stored: i64| u64::try_from(stored).unwrap_or(0);
    Ok(Position {
        place: amount(found.ahead),
        active: count(found.active),
        max_concurrent: found.max_concurrent.map(count),
        cpu_ms_spent: amount(found.cpu_ms_spent),
        cpu_ms_per_day: found.cpu_ms_per_day.map(amount),
    })
}

/// What the tenant uses of its quota.
pub async fn usage(tx: &mut TenantTx) -> Result<TenantUsageReply, sqlx::Error> {
    let tenant = tx.tenant().0;
    let held = sqlx::query!(
        r#"SELECT queued, active, CASE WHEN minute > now() - interval '1 minute' THEN minute_count ELSE 0 END AS "minute!",
                  CASE WHEN cpu_day = (now() AT TIME ZONE 'UTC')::date THEN cpu_ms_spent ELSE 0 END AS "cpu_ms_spent!",
                  (SELECT count(*) FROM scheduler.session WHERE tenant_id = $1 AND state <> 'closed') AS "sessions!"
           FROM scheduler.tenant WHERE tenant_id = $1"#,
        tenant
    )
    .fetch_optional(&mut **tx)
    .await?;
    let count = |stored: i32| u64::try_from(stored).unwrap_or(0);
    Ok(held.map_or_else(TenantUsageReply::default, |held| TenantUsageReply {
        running: count(held.active),
        queued: count(held.queued),
        executions_last_minute: count(held.minute),
        cpu_ms_today: u64::try_from(held.cpu_ms_spent).unwrap_or(0),
        sessions: u64::try_from(held.sessions).unwrap_or(0),
        storage_bytes: 0,
    }))
}

/// What the tenant's plan lets one run ask for.
pub async fn ceilings(tx: &mut TenantTx) -> Result<Ceilings, sqlx::Error> {
    let tenant = tx.tenant().0;
    let row = sqlx::query!(
        "SELECT max_timeout_ms, max_memory_bytes, max_cpu_millis FROM scheduler.tenant WHERE tenant_id = $1",
        tenant
    )
    .fetch_optional(&mut **tx)
    .await?;
    let amount = |stored: Option<i64>| stored.and_then(|stored| u64::try_from(stored).ok());
    Ok(row.map_or_else(Ceilings::default, |row| Ceilings {
        timeout_ms: amount(row.max_timeout_ms),
        memory_bytes: amount(row.max_memory_bytes),
        cpu_millis: amount(row.max_cpu_millis),
    }))
}

/// Attempts dispatched or running, over all tenants.
pub async fn active_total(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT COALESCE(sum(active), 0)::bigint AS "active!" FROM scheduler.tenant"#)
        .fetch_one(connection)
        .await
}

/// Sets every reservation to what the executions say; returns how many were wrong.
pub async fn correct_reservations(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let suspects = sqlx::query_scalar!(
        "SELECT t.tenant_id FROM scheduler.tenant AS t
         LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state <> 'queued') AS active
            FROM scheduler.execution AS e
            WHERE e.tenant_id = t.tenant_id AND e.state IN ('queued', 'dispatched', 'running')
         ) AS live ON true
         WHERE t.queued <> live.queued OR t.active <> live.active
         ORDER BY t.tenant_id FOR UPDATE OF t",
    )
    .fetch_all(&mut *connection)
    .await?;
    if suspects.is_empty() {
        return Ok(0);
    }
    // Counted again now that the rows are locked: the first look may have been between two transactions.
    let done = sqlx::query!(
        "UPDATE scheduler.tenant AS t SET queued = live.queued, active = live.active
         FROM (SELECT suspect.id,
                      count(e.id) FILTER (WHERE e.state = 'queued')::int AS queued,
                      count(e.id) FILTER (WHERE e.state IN ('dispatched', 'running'))::int AS active
               FROM UNNEST($1::uuid[]) AS suspect(id)
               LEFT JOIN scheduler.execution AS e ON e.tenant_id = suspect.id AND e.state IN ('queued', 'dispatched', 'running')
               GROUP BY suspect.id) AS live
         WHERE t.tenant_id = live.id AND (t.queued <> live.queued OR t.active <> live.active)",
        &suspects
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Executions that wait for a runtime which nobody has offered for too long.
pub async fn waited_for_runtime(
    connection: &mut PgConnection,
    offered: &[String],
    after_ms: i64,
) -> Result<Vec<(TenantId, ExecutionId)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT tenant_id, id FROM scheduler.execution
         WHERE state = 'queued' AND NOT runtime = ANY($1)
           AND created_at < now() - $2::bigint * interval '1 millisecond' LIMIT 1000",
        offered,
        after_ms
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), ExecutionId(row.id))).collect())
}
