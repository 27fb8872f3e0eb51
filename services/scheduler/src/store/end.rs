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

/// Moves the execution to its terminal state and gives its reservation back; none when the fence refuses.
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
            UPDATE scheduler.tenant SET queued = queued - $11::int, active = active - 1 + $11::int
            WHERE tenant_id = $2 AND EXISTS (SELECT FROM found)
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
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
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
