//! Attempts: claimed once, kept by a lease, lost when it runs out.

use kiln_domain::{ExecutionId, InstanceId, ReasonCode, TenantId};
use kiln_events::{Claim, LiveAttempt};
use sqlx::PgConnection;
use uuid::Uuid;

/// Moves the attempt to `running` for this executor. True as well when it already is, since a request may be repeated.
pub async fn claim(connection: &mut PgConnection, claim: &Claim, lease_ms: i64) -> Result<bool, sqlx::Error> {
    let row = sqlx::query!(
        "UPDATE scheduler.execution
         SET state = 'running', executor_id = $4, executor_instance = $5, started_at = COALESCE(started_at, now()),
             lease_expires_at = now() + $6::bigint * interval '1 millisecond'
         WHERE id = $1 AND tenant_id = $2 AND attempt = $3 AND cancel_requested_at IS NULL
           AND (state = 'dispatched' OR (state = 'running' AND executor_instance = $5))
         RETURNING id",
        claim.execution_id.0,
        claim.tenant_id.0,
        i32::try_from(claim.attempt).unwrap_or(-1),
        claim.executor_id,
        claim.instance.0,
        lease_ms,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.is_some())
}

/// What an executor's call means for one of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    Keep,
    Stop(ReasonCode),
    /// Not this executor's any more.
    Drop,
}

/// Extends the leases of what the executor still runs, and answers for each attempt.
pub async fn extend_leases(
    connection: &mut PgConnection,
    instance: InstanceId,
    running: &[LiveAttempt],
    lease_ms: i64,
) -> Result<Vec<(LiveAttempt, Beat)>, sqlx::Error> {
    let ids: Vec<Uuid> = running.iter().map(|live| live.execution_id.0).collect();
    // A row locked by a transaction that ends it is passed over; its lease does not matter any more.
    sqlx::query!(
        "WITH held AS (
            SELECT id FROM scheduler.execution
            WHERE id = ANY($1) AND executor_instance = $2 AND state = 'running' ORDER BY id FOR UPDATE SKIP LOCKED
         )
         UPDATE scheduler.execution AS e SET lease_expires_at = now() + $3::bigint * interval '1 millisecond'
         FROM held WHERE e.id = held.id",
        &ids,
        instance.0,
        lease_ms,
    )
    .execute(&mut *connection)
    .await?;
    let rows = sqlx::query!(
        r#"SELECT id, attempt, CASE WHEN cancel_requested_at IS NOT NULL THEN COALESCE(stop_cause, 'cancelled_by_user') END AS "stop?"
           FROM scheduler.execution WHERE id = ANY($1) AND executor_instance = $2 AND state = 'running'"#,
        &ids,
        instance.0,
    )
    .fetch_all(connection)
    .await?;
    let beat = |live: &LiveAttempt| {
        let mine = rows.iter().find(|row| row.id == live.execution_id.0 && u32::try_from(row.attempt) == Ok(live.attempt));
        match mine {
            Some(row) => match row.stop.as_deref() {
                Some(cause) => Beat::Stop(ReasonCode::parse(cause).unwrap_or(ReasonCode::CancelledByUser)),
                None => Beat::Keep,
            },
            None => Beat::Drop,
        }
    };
    Ok(running.iter().map(|live| (*live, beat(live))).collect())
}

/// Attempts that an earlier start of this executor held: its processes are gone.
pub async fn instance_gone(
    connection: &mut PgConnection,
    executor_id: &str,
    instance: InstanceId,
) -> Result<Vec<(TenantId, ExecutionId)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT tenant_id, id FROM scheduler.execution WHERE state = 'running' AND executor_id = $1 AND executor_instance <> $2",
        executor_id,
        instance.0
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), ExecutionId(row.id))).collect())
}

/// Attempts whose executor has not called for a whole lease.
pub async fn leases_expired(connection: &mut PgConnection) -> Result<Vec<(TenantId, ExecutionId)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT tenant_id, id FROM scheduler.execution WHERE state = 'running' AND lease_expires_at < now() LIMIT 1000"
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), ExecutionId(row.id))).collect())
}
