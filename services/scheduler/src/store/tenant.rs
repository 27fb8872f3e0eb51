//! What concerns a whole tenant: stopping what it runs, and forgetting it.

use kiln_domain::{ExecutionId, ReasonCode, TenantId};
use kiln_events::AttemptSecrets;
use sqlx::PgConnection;
use uuid::Uuid;

use super::record::{ExecutionRow, record_query};

/// What the tenant runs. The tenant is locked.
pub async fn running(connection: &mut PgConnection, tenant: TenantId) -> Result<Vec<ExecutionRow>, sqlx::Error> {
    record_query!(
        "WITH found AS (SELECT * FROM scheduler.execution WHERE tenant_id = $1 AND state = 'running' ORDER BY id FOR UPDATE)",
        tenant.0
    )
    .fetch_all(connection)
    .await
}

/// Puts what is on its way to an executor back into the queue: its old message will be refused. The tenant is locked.
pub async fn requeue_dispatched(connection: &mut PgConnection, tenant: TenantId) -> Result<u64, sqlx::Error> {
    let count = sqlx::query_scalar!(
        r#"WITH found AS (
                UPDATE scheduler.execution SET state = 'queued', dispatched_at = NULL
                WHERE tenant_id = $1 AND state = 'dispatched' RETURNING id
           ), reservation AS (
                UPDATE scheduler.tenant
                SET queued = queued + (SELECT count(*) FROM found)::int, active = active - (SELECT count(*) FROM found)::int
                WHERE tenant_id = $1
           )
           SELECT count(*) AS "count!" FROM found"#,
        tenant.0
    );
    Ok(count.fetch_one(connection).await?.unsigned_abs())
}

pub async fn is_suspended(connection: &mut PgConnection, tenant: TenantId) -> Result<bool, sqlx::Error> {
    let suspended = sqlx::query_scalar!("SELECT suspended FROM scheduler.tenant WHERE tenant_id = $1", tenant.0);
    Ok(suspended.fetch_optional(connection).await?.unwrap_or_default())
}

/// Some of what waits, on its way to an executor or not. The tenant is locked.
pub async fn not_started(connection: &mut PgConnection, tenant: TenantId, most: i64) -> Result<Vec<ExecutionRow>, sqlx::Error> {
    record_query!(
        "WITH found AS (SELECT * FROM scheduler.execution
            WHERE tenant_id = $1 AND state IN ('queued', 'dispatched') ORDER BY id LIMIT $2 FOR UPDATE)",
        tenant.0,
        most
    )
    .fetch_all(connection)
    .await
}

/// Notes that the run is to be stopped and why; the executor is told at each of its calls.
pub async fn request_stop(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ExecutionId,
    cause: ReasonCode,
) -> anyhow::Result<()> {
    sqlx::query!(
        "UPDATE scheduler.execution
         SET cancel_requested_at = COALESCE(cancel_requested_at, now()), stop_cause = COALESCE(stop_cause, $3)
         WHERE id = $1 AND tenant_id = $2 AND state = 'running'",
        id.0,
        tenant.0,
        cause.as_str()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Nothing of the tenant is accepted or started any more, whatever comes late.
pub async fn close_tenant(connection: &mut PgConnection, tenant: TenantId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO scheduler.tenant (tenant_id, suspended, deleted) VALUES ($1, true, true)
         ON CONFLICT (tenant_id) DO UPDATE SET suspended = true, deleted = true",
        tenant.0
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Deletes some ended executions with what they were given; which.
pub async fn delete_ended(connection: &mut PgConnection, tenant: TenantId, most: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "DELETE FROM scheduler.execution WHERE tenant_id = $1 AND id IN (
            SELECT id FROM scheduler.execution
            WHERE tenant_id = $1 AND state NOT IN ('queued', 'dispatched', 'running') ORDER BY id LIMIT $2)
         RETURNING id",
        tenant.0,
        most
    )
    .fetch_all(connection)
    .await
}

/// Removes the tenant's sums and kept answers; how many sums. Its own row stays, so that it stays closed.
pub async fn forget_tenant(connection: &mut PgConnection, tenant: TenantId) -> Result<u64, sqlx::Error> {
    sqlx::query!("DELETE FROM scheduler.idempotency WHERE tenant_id = $1", tenant.0).execute(&mut *connection).await?;
    let sums = sqlx::query!("DELETE FROM scheduler.usage WHERE tenant_id = $1", tenant.0).execute(connection).await?;
    Ok(sums.rows_affected())
}

/// Which tenants of these live attempts have spent their CPU time of the day, counting what the attempts have used so far
/// (milliseconds). One that has ended meanwhile is counted once, as ended.
pub async fn over_budget(
    connection: &mut PgConnection,
    live: &[(ExecutionId, u64)],
    default_per_day_ms: u64,
) -> anyhow::Result<Vec<TenantId>> {
    let (ids, used): (Vec<Uuid>, Vec<i64>) =
        live.iter().map(|(execution, used)| (execution.0, i64::try_from(*used).unwrap_or(i64::MAX))).unzip();
    let over = sqlx::query_scalar!(
        "SELECT t.tenant_id
         FROM (SELECT e.tenant_id, sum(live.used_ms) AS used_ms FROM UNNEST($1::uuid[], $2::bigint[]) AS live(id, used_ms)
               JOIN scheduler.execution AS e ON e.id = live.id AND e.state = 'running' GROUP BY e.tenant_id) AS live
         JOIN scheduler.tenant AS t ON t.tenant_id = live.tenant_id
         WHERE CASE WHEN t.cpu_day = (now() AT TIME ZONE 'UTC')::date THEN t.cpu_ms_spent ELSE 0 END + live.used_ms
               >= COALESCE(t.cpu_ms_per_day, $3)",
        &ids,
        &used,
        i64::try_from(default_per_day_ms).unwrap_or(i64::MAX)
    )
    .fetch_all(connection)
    .await?;
    Ok(over.into_iter().map(TenantId).collect())
}

/// The names of the secrets that a running attempt was given; none unless this executor holds it.
pub async fn secrets_of_attempt(connection: &mut PgConnection, query: &AttemptSecrets) -> anyhow::Result<Option<Vec<String>>> {
    let row = sqlx::query_scalar!(
        "SELECT secrets FROM scheduler.execution
         WHERE id = $1 AND tenant_id = $2 AND attempt = $3 AND state = 'running' AND executor_instance = $4",
        query.execution_id.0,
        query.tenant_id.0,
        i32::try_from(query.attempt)?,
        query.instance.0
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}
