//! Sessions: rows, leases, and what belongs to each.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx as _};
use kiln_db::TenantTx;
use kiln_domain::{InstanceId, SessionId, TenantId, WorkspaceId};
use kiln_events::LiveSession;
use sqlx::PgConnection;
use uuid::Uuid;

use super::record::{ExecutionRow, record_query};

pub struct SessionRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub created_by: Uuid,
    pub name: String,
    pub runtime: String,
    pub limits: serde_json::Value,
    pub workspace_id: Option<Uuid>,
    pub idle_timeout_ms: i64,
    pub state: String,
    pub reason: Option<serde_json::Value>,
    pub executor_id: Option<String>,
    pub created_at: SqlTimestamp,
    pub last_active_at: SqlTimestamp,
    pub closed_at: Option<SqlTimestamp>,
    /// Some execution of it has not ended.
    pub busy: bool,
}

/// A session about to be made.
pub struct NewSession {
    pub id: SessionId,
    pub tenant: TenantId,
    pub created_by: Uuid,
    pub name: String,
    pub runtime: String,
    pub limits: kiln_domain::Limits,
    pub workspace_id: Option<WorkspaceId>,
    pub idle_timeout_ms: i64,
    pub created_at: Timestamp,
}

/// A checked query for [`SessionRow`]s: common table expressions that end in one named `found`.
macro_rules! session_query {
    ($with:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            SessionRow,
            $with
                + r#" SELECT s.id AS "id!", s.tenant_id AS "tenant_id!", s.created_by AS "created_by!", s.name AS "name!",
                    s.runtime AS "runtime!", s.limits AS "limits!", s.workspace_id AS "workspace_id?",
                    s.idle_timeout_ms AS "idle_timeout_ms!", s.state AS "state!", s.reason AS "reason?",
                    s.executor_id AS "executor_id?", s.created_at AS "created_at!",
                    GREATEST(s.last_active_at, e.finished_at) AS "last_active_at!", s.closed_at AS "closed_at?",
                    e.busy AS "busy!"
                FROM found AS s CROSS JOIN LATERAL (
                    SELECT (SELECT max(finished_at) FROM (SELECT finished_at FROM scheduler.execution
                            WHERE session_id = s.id ORDER BY id DESC LIMIT 20) AS last) AS finished_at,
                           EXISTS (SELECT FROM scheduler.execution
                            WHERE session_id = s.id AND state IN ('queued', 'dispatched', 'running')) AS busy
                ) AS e ORDER BY s.id DESC"#
            $(, $argument)*
        )
    };
}

pub async fn insert_session(tx: &mut TenantTx, new: &NewSession) -> anyhow::Result<()> {
    sqlx::query!(
        "INSERT INTO scheduler.session
            (id, tenant_id, created_by, name, runtime, limits, workspace_id, idle_timeout_ms, state, created_at, last_active_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'starting', $9, $9)",
        new.id.0,
        new.tenant.0,
        new.created_by,
        new.name,
        new.runtime,
        serde_json::to_value(new.limits)?,
        new.workspace_id.map(|workspace| workspace.0),
        new.idle_timeout_ms,
        new.created_at.to_sqlx() as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How many sessions the tenant has, and how many it may have. The tenant is locked.
pub async fn session_count(tx: &mut TenantTx) -> Result<(u32, Option<u32>), sqlx::Error> {
    let tenant = tx.tenant().0;
    let row = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM scheduler.session WHERE tenant_id = $1 AND state <> 'closed') AS "count!",
                  (SELECT max_sessions FROM scheduler.tenant WHERE tenant_id = $1) AS most"#,
        tenant
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((u32::try_from(row.count).unwrap_or(u32::MAX), row.most.map(|most| u32::try_from(most).unwrap_or(0))))
}

/// The executor has made it. False when it was closed meanwhile.
pub async fn opened(
    tx: &mut TenantTx,
    id: SessionId,
    executor: &str,
    instance: InstanceId,
    lease_ms: i64,
) -> Result<bool, sqlx::Error> {
    let tenant = tx.tenant().0;
    let done = sqlx::query!(
        "UPDATE scheduler.session
         SET state = 'open', executor_id = $3, executor_instance = $4,
             lease_expires_at = now() + $5::bigint * interval '1 millisecond', last_active_at = now()
         WHERE id = $1 AND tenant_id = $2 AND state = 'starting'",
        id.0,
        tenant,
        executor,
        instance.0,
        lease_ms
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn load_session(tx: &mut TenantTx, id: SessionId) -> Result<Option<SessionRow>, sqlx::Error> {
    let tenant = tx.tenant().0;
    session_query!("WITH found AS (SELECT * FROM scheduler.session WHERE id = $1 AND tenant_id = $2)", id.0, tenant)
        .fetch_optional(&mut **tx)
        .await
}

pub async fn list_sessions(
    tx: &mut TenantTx,
    states: &[String],
    after: Option<Uuid>,
    rows: i64,
) -> Result<Vec<SessionRow>, sqlx::Error> {
    let tenant = tx.tenant().0;
    session_query!(
        "WITH found AS (SELECT * FROM scheduler.session
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) AND (cardinality($3::text[]) = 0 OR state = ANY($3))
            ORDER BY id DESC LIMIT $4)",
        tenant,
        after,
        states,
        rows
    )
    .fetch_all(&mut **tx)
    .await
}

/// Where an execution of a session goes.
pub struct SessionPlace {
    pub executor_id: String,
    pub executor_instance: Uuid,
    /// Nothing of the session runs or waits.
    pub is_idle: bool,
}

/// Notes that the session is used. None when it takes no executions. The tenant is locked.
pub async fn enter_session(tx: &mut TenantTx, id: SessionId) -> Result<Option<SessionPlace>, sqlx::Error> {
    let tenant = tx.tenant().0;
    let row = sqlx::query!(
        r#"UPDATE scheduler.session SET last_active_at = now() WHERE id = $1 AND tenant_id = $2 AND state = 'open'
           RETURNING executor_id, executor_instance, NOT EXISTS (SELECT FROM scheduler.execution
                WHERE session_id = $1 AND state IN ('queued', 'dispatched', 'running')) AS "is_idle!""#,
        id.0,
        tenant
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.and_then(|row| {
        let (executor_id, executor_instance) = (row.executor_id?, row.executor_instance?);
        Some(SessionPlace { executor_id, executor_instance, is_idle: row.is_idle })
    }))
}

/// Notes that the session was used, without an execution.
pub async fn touch_session(tx: &mut TenantTx, id: SessionId) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!("UPDATE scheduler.session SET last_active_at = now() WHERE id = $1 AND tenant_id = $2", id.0, tenant)
        .execute(&mut **tx)
        .await
        .map(drop)
}

/// A session that has just been closed.
pub struct ClosedSession {
    /// The executor that has it; none when it was never made.
    pub executor_id: Option<String>,
}

/// Closes it; none when it was closed before. The tenant is locked.
pub async fn close_session(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: SessionId,
    reason: &serde_json::Value,
) -> Result<Option<ClosedSession>, sqlx::Error> {
    let row = sqlx::query_scalar!(
        "UPDATE scheduler.session SET state = 'closed', reason = $3, closed_at = now(), lease_expires_at = NULL
         WHERE id = $1 AND tenant_id = $2 AND state <> 'closed' RETURNING executor_id",
        id.0,
        tenant.0,
        reason
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|executor_id| ClosedSession { executor_id }))
}

pub async fn delete_session(connection: &mut PgConnection, tenant: TenantId, id: SessionId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM scheduler.session WHERE id = $1 AND tenant_id = $2", id.0, tenant.0)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What of the session has not ended, the oldest last. The tenant is locked.
pub async fn live_of_session(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: SessionId,
) -> Result<Vec<ExecutionRow>, sqlx::Error> {
    record_query!(
        "WITH found AS (SELECT * FROM scheduler.execution
            WHERE tenant_id = $1 AND session_id = $2 AND state IN ('queued', 'dispatched', 'running') ORDER BY id FOR UPDATE)",
        tenant.0,
        id.0
    )
    .fetch_all(connection)
    .await
}

/// Sessions of a tenant that are not closed.
pub async fn live_sessions(connection: &mut PgConnection, tenant: TenantId) -> Result<Vec<SessionId>, sqlx::Error> {
    let rows = sqlx::query_scalar!("SELECT id FROM scheduler.session WHERE tenant_id = $1 AND state <> 'closed'", tenant.0)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(SessionId).collect())
}

pub async fn forget_sessions(connection: &mut PgConnection, tenant: TenantId) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM scheduler.session WHERE tenant_id = $1", tenant.0).execute(connection).await?;
    Ok(done.rows_affected())
}

/// Extends the leases of what the executor has; which of its sessions it is to end.
pub async fn extend_session_leases(
    connection: &mut PgConnection,
    instance: InstanceId,
    sessions: &[LiveSession],
    lease_ms: i64,
) -> Result<Vec<SessionId>, sqlx::Error> {
    let ids: Vec<Uuid> = sessions.iter().map(|live| live.session_id.0).collect();
    // One that is starting is not this executor's yet, and may become so.
    let kept = sqlx::query_scalar!(
        "WITH mine AS (
            SELECT id, state FROM scheduler.session
            WHERE id = ANY($1) AND (state = 'starting' OR (state = 'open' AND executor_instance = $2))
         ), extended AS (
            UPDATE scheduler.session AS s SET lease_expires_at = now() + $3::bigint * interval '1 millisecond'
            FROM mine WHERE s.id = mine.id AND mine.state = 'open'
         )
         SELECT id FROM mine",
        &ids,
        instance.0,
        lease_ms
    )
    .fetch_all(connection)
    .await?;
    Ok(sessions.iter().map(|live| live.session_id).filter(|id| !kept.contains(&id.0)).collect())
}

/// Sessions that an earlier start of this executor had: their processes are gone.
pub async fn sessions_of_earlier_instance(
    connection: &mut PgConnection,
    executor: &str,
    instance: InstanceId,
) -> Result<Vec<(TenantId, SessionId)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT tenant_id, id FROM scheduler.session WHERE state = 'open' AND executor_id = $1 AND executor_instance <> $2",
        executor,
        instance.0
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), SessionId(row.id))).collect())
}

/// Sessions whose executor has not called for a whole lease, and those that never came to be.
pub async fn lost_sessions(connection: &mut PgConnection, starting_ms: i64) -> Result<Vec<(TenantId, SessionId)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT tenant_id, id FROM scheduler.session
         WHERE (state = 'open' AND lease_expires_at < now())
            OR (state = 'starting' AND created_at < now() - $1::bigint * interval '1 millisecond') LIMIT 1000",
        starting_ms
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), SessionId(row.id))).collect())
}

/// Sessions that nobody has used for their idle time.
pub async fn idle_sessions(connection: &mut PgConnection) -> Result<Vec<(TenantId, SessionId)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT s.tenant_id, s.id FROM scheduler.session AS s
         WHERE s.state = 'open' AND s.last_active_at < now() - s.idle_timeout_ms * interval '1 millisecond'
           AND NOT EXISTS (
                SELECT FROM scheduler.execution AS e WHERE e.session_id = s.id
                  AND (e.state IN ('queued', 'dispatched', 'running')
                       OR e.finished_at >= now() - s.idle_timeout_ms * interval '1 millisecond')) LIMIT 1000"
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), SessionId(row.id))).collect())
}
