//! The end of an execution, or of an attempt that may be made again.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use kiln_domain::{Ended, ExecutionId, Start, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::record::{ExecutionRow, record_query};

/// How an attempt ends the execution.
pub struct Ending<'a> {
    pub tenant: TenantId,
    pub execution: ExecutionId,
    pub attempt: u32,
    /// The state that it must be in: the fence, together with the attempt.
    pub from: &'a str,
    pub ended: &'a Ended,
    /// When the program itself started, by the executor.
    pub started_at: Option<Timestamp>,
    pub finished_at: Timestamp,
    pub start: Option<Start>,
    pub isolation: Option<&'a str>,
}

/// Locks the tenants, in the order that every transaction does.
pub async fn lock_tenants(connection: &mut PgConnection, tenants: &[TenantId]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    sqlx::query!("SELECT tenant_id FROM scheduler.tenant WHERE tenant_id = ANY($1) ORDER BY tenant_id FOR UPDATE", &ids)
        .fetch_all(connection)
        .await
        .map(drop)
}

/// Moves the execution to its terminal state, gives its reservation back and adds to what its tenant has used; none when the fence refuses.
/// The tenant is locked.
pub async fn end(connection: &mut PgConnection, ending: &Ending<'_>) -> anyhow::Result<Option<ExecutionRow>> {
    let was_queued = i32::from(ending.from == "queued");
    let row = record_query!(
        "WITH found AS (
            UPDATE scheduler.execution
            SET state = $5, ended = $6, started_at = COALESCE($7, started_at), finished_at = $8, start = $9, isolation = $10,
                lease_expires_at = NULL
            WHERE id = $1 AND tenant_id = $2 AND attempt = $3 AND state = $4
            RETURNING *
         ), reservation AS (
            UPDATE scheduler.tenant
            SET queued = queued - $11::int, active = active - 1 + $11::int, cpu_day = (now() AT TIME ZONE 'UTC')::date,
                cpu_ms_spent = CASE WHEN cpu_day = (now() AT TIME ZONE 'UTC')::date THEN cpu_ms_spent ELSE 0 END + $12
            WHERE tenant_id = $2 AND EXISTS (SELECT FROM found)
         ), used AS (
            INSERT INTO scheduler.usage AS u
                (tenant_id, day, created_by, runtime, executions, cpu_ms, wall_ms, memory_byte_ms)
            SELECT tenant_id, (now() AT TIME ZONE 'UTC')::date, created_by, runtime, 1, $12::bigint, $13::bigint,
                   $13::bigint::numeric * $14::bigint::numeric FROM found
            ON CONFLICT (tenant_id, day, created_by, runtime) DO UPDATE
            SET executions = u.executions + 1, cpu_ms = u.cpu_ms + EXCLUDED.cpu_ms, wall_ms = u.wall_ms + EXCLUDED.wall_ms,
                memory_byte_ms = u.memory_byte_ms + EXCLUDED.memory_byte_ms
         )",
        ending.execution.0,
        ending.tenant.0,
        i32::try_from(ending.attempt)?,
        ending.from,
        ending.ended.status.as_str(),
        serde_json::to_value(ending.ended)?,
        ending.started_at.map(jiff_sqlx::ToSqlx::to_sqlx) as _,
        ending.finished_at.to_sqlx() as _,
        ending.start.map(|start| match start {
            Start::Cold => "cold",
            Start::Warm => "warm",
        }),
        ending.isolation,
        was_queued,
        amount(ending.ended.usage.cpu_ms),
        amount(ending.ended.usage.wall_ms),
        amount(ending.ended.usage.memory_peak_bytes),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// A counter as Postgres holds it; no run reaches the bound.
fn amount(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Puts an attempt that did not come to its end back into the queue. The tenant is locked.
pub async fn requeue(
    connection: &mut PgConnection,
    tenant: TenantId,
    execution: ExecutionId,
    attempt: u32,
    from: &str,
) -> anyhow::Result<bool> {
    let done = sqlx::query!(
        "WITH found AS (
            UPDATE scheduler.execution
            SET state = 'queued', executor_id = NULL, executor_instance = NULL, lease_expires_at = NULL, started_at = NULL
            WHERE id = $1 AND tenant_id = $2 AND attempt = $3 AND state = $4
            RETURNING id
         )
         UPDATE scheduler.tenant SET queued = queued + 1, active = active - 1
         WHERE tenant_id = $2 AND EXISTS (SELECT FROM found)",
        execution.0,
        tenant.0,
        i32::try_from(attempt)?,
        from
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
