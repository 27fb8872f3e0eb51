//! The queue: what waits, and what is sent to the executors.

use jiff::Timestamp;
use kiln_db::SystemTx;
use kiln_domain::{ExecutionId, Limits, SessionId, TenantId, WorkspaceId};
use kiln_events::Task;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoredPayload;
use crate::fairness::Waiting;

/// Tenants looked at in one round of the dispatcher.
const MAX_TENANTS: i64 = 1_000;

/// What each tenant could start now, best first: no more than its concurrency leaves, nor than `capacity`; nothing of one
/// that is suspended or has spent its CPU time of the day.
pub async fn waiting(
    connection: &mut PgConnection,
    runtimes: &[String],
    default_concurrent: u32,
    default_cpu_ms_per_day: u64,
    capacity: usize,
) -> Result<Vec<Waiting<TenantId, (TenantId, ExecutionId)>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT tenant.tenant_id, queued.id AS "id!"
           FROM (SELECT * FROM scheduler.tenant
                 WHERE queued > 0 AND active < COALESCE(max_concurrent, $2) AND NOT suspended
                   AND CASE WHEN cpu_day = (now() AT TIME ZONE 'UTC')::date THEN cpu_ms_spent ELSE 0 END < COALESCE(cpu_ms_per_day, $5)
                 LIMIT $4) AS tenant
           CROSS JOIN LATERAL (
                SELECT id, priority FROM scheduler.execution AS e
                WHERE tenant_id = tenant.tenant_id AND state = 'queued' AND runtime = ANY($1)
                  AND (session_id IS NULL OR NOT EXISTS (
                        SELECT FROM scheduler.execution AS before WHERE before.session_id = e.session_id AND before.id < e.id
                          AND before.state IN ('queued', 'dispatched', 'running')))
                  AND (batch_id IS NULL OR NOT scheduler.stopped(batch_id, id))
                ORDER BY priority DESC, id LIMIT LEAST(COALESCE(tenant.max_concurrent, $2) - tenant.active, $3)
           ) AS queued
           ORDER BY tenant.tenant_id, queued.priority DESC, queued.id"#,
        runtimes,
        i32::try_from(default_concurrent).unwrap_or(i32::MAX),
        i32::try_from(capacity).unwrap_or(i32::MAX),
        MAX_TENANTS,
        i64::try_from(default_cpu_ms_per_day).unwrap_or(i64::MAX),
    )
    .fetch_all(connection)
    .await?;
    let mut waiting: Vec<Waiting<TenantId, (TenantId, ExecutionId)>> = Vec::new();
    for row in rows {
        let (tenant, execution) = (TenantId(row.tenant_id), ExecutionId(row.id));
        match waiting.last_mut() {
            Some(last) if last.tenant == tenant => last.executions.push((tenant, execution)),
            _ => waiting.push(Waiting { tenant, weight: 1, executions: vec![(tenant, execution)] }),
        }
    }
    Ok(waiting)
}

/// Whether anything at all is queued, startable or not.
pub async fn any_queued(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM scheduler.tenant WHERE queued > 0) AS "any!""#).fetch_one(connection).await
}

/// An attempt just made.
pub struct Dispatched {
    pub tenant: TenantId,
    /// The executor that has its session.
    pub executor: Option<String>,
    pub task: Task,
}

/// Makes the next attempt of each execution that still waits. Their tenants are locked.
pub async fn mark_dispatched(tx: &mut SystemTx, chosen: &[ExecutionId], now: Timestamp) -> anyhow::Result<Vec<Dispatched>> {
    let ids: Vec<Uuid> = chosen.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"WITH made AS (
                UPDATE scheduler.execution SET state = 'dispatched', attempt = attempt + 1, dispatched_at = now()
                WHERE id = ANY($1) AND state = 'queued'
                RETURNING id, tenant_id, attempt, runtime, limits, interactive, workspace_id, session_id,
                          cardinality(secrets) > 0 AS has_secrets
           ), reservation AS (
                UPDATE scheduler.tenant AS t SET queued = t.queued - n.count, active = t.active + n.count
                FROM (SELECT tenant_id, count(*)::int AS count FROM made GROUP BY tenant_id) AS n
                WHERE t.tenant_id = n.tenant_id
           )
           SELECT made.id, made.tenant_id, made.attempt, made.runtime, made.limits, made.interactive,
                  made.workspace_id AS "workspace_id?", made.has_secrets AS "has_secrets!", p.body AS "body?", p.object AS "object?",
                  made.session_id AS "session_id?", s.executor_id AS "executor_id?"
           FROM made JOIN scheduler.payload AS p ON p.execution_id = made.id
           LEFT JOIN scheduler.session AS s ON s.id = made.session_id"#,
        &ids
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let limits: Limits = serde_json::from_value(row.limits)?;
            let task = Task {
                execution_id: ExecutionId(row.id),
                attempt: u32::try_from(row.attempt)?,
                runtime: row.runtime,
                limits,
                interactive: row.interactive,
                workspace_id: row.workspace_id.map(WorkspaceId),
                dispatched_at: now,
                payload: StoredPayload::from_columns(row.body, row.object)?.source(),
                has_secrets: row.has_secrets,
                session_id: row.session_id.map(SessionId),
                granted_until: None,
            };
            Ok(Dispatched { tenant: TenantId(row.tenant_id), executor: row.executor_id, task })
        })
        .collect()
}

/// Attempts that nobody has claimed for so long that their message must be gone.
pub async fn stuck_dispatches(connection: &mut PgConnection, after_ms: i64) -> Result<Vec<(TenantId, ExecutionId)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT tenant_id, id FROM scheduler.execution
         WHERE state = 'dispatched' AND dispatched_at < now() - $1::bigint * interval '1 millisecond' LIMIT 1000",
        after_ms
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), ExecutionId(row.id))).collect())
}
