//! Accepting an execution: its row, its payload and its reservation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use kiln_db::TenantTx;
use kiln_domain::{ExecutionId, Limits, LimitsPatch, SessionId, Status, TenantId, WorkspaceId};
use kiln_events::{ExecutionRecord, Payload, PayloadSource};
use uuid::Uuid;

use super::SessionPlace;
use crate::admission::{Admitted, Ceilings, Load, Quota};

/// An execution about to be accepted.
pub struct NewExecution {
    pub id: ExecutionId,
    pub tenant: TenantId,
    pub created_by: Uuid,
    pub priority: i16,
    pub runtime: String,
    pub limits: Limits,
    /// Which of them were asked for and not left to the default.
    pub asked: LimitsPatch,
    pub labels: BTreeMap<String, String>,
    /// Names of secrets that it is given.
    pub secrets: Vec<String>,
    pub interactive: bool,
    pub session_id: Option<SessionId>,
    pub workspace_id: Option<WorkspaceId>,
    pub max_attempts: i32,
    pub created_at: Timestamp,
}

/// A payload where it is kept: small ones in the row, large ones in the object store.
#[derive(Debug, Clone)]
pub enum StoredPayload {
    Inline(Payload),
    Object(String),
}

impl StoredPayload {
    pub fn from_columns(body: Option<Vec<u8>>, object: Option<String>) -> anyhow::Result<Self> {
        match (body, object) {
            (Some(body), _) => Ok(Self::Inline(serde_json::from_slice(&body)?)),
            (None, Some(object)) => Ok(Self::Object(object)),
            (None, None) => anyhow::bail!("an execution without a payload"),
        }
    }

    pub fn source(self) -> PayloadSource {
        match self {
            Self::Inline(payload) => PayloadSource::Inline(payload),
            Self::Object(name) => PayloadSource::Object(name),
        }
    }
}

impl NewExecution {
    /// The record as the client first sees it.
    pub fn record(&self) -> ExecutionRecord {
        ExecutionRecord {
            id: self.id,
            tenant_id: self.tenant,
            created_by: self.created_by,
            status: Status::Queued,
            runtime: self.runtime.clone(),
            limits: self.limits,
            interactive: self.interactive,
            labels: self.labels.clone(),
            session_id: self.session_id,
            workspace_id: self.workspace_id,
            attempt: 0,
            created_at: self.created_at,
            started_at: None,
            finished_at: None,
            executor_id: None,
            ended: None,
            start: None,
            isolation: None,
        }
    }
}

/// Locks the tenant's row, made when it is missing, and reads what the tenant may and what it holds.
pub async fn lock_tenant(tx: &mut TenantTx, defaults: Quota) -> Result<(Load, Quota), sqlx::Error> {
    let tenant = tx.tenant().0;
    for _ in 0..2 {
        let row = sqlx::query!(
            r#"SELECT suspended, max_concurrent, max_queued, executions_per_minute, cpu_ms_per_day, max_timeout_ms,
                    max_memory_bytes, max_cpu_millis, queued, active, minute, minute_count,
                    CASE WHEN cpu_day = (now() AT TIME ZONE 'UTC')::date THEN cpu_ms_spent ELSE 0 END AS "cpu_ms_spent!"
             FROM scheduler.tenant WHERE tenant_id = $1 FOR UPDATE"#,
            tenant
        )
        .fetch_optional(&mut **tx)
        .await?;
        if let Some(row) = row {
            let count = |stored: i32| u32::try_from(stored).unwrap_or(0);
            let amount = |stored: i64| u64::try_from(stored).unwrap_or(0);
            let load = Load {
                suspended: row.suspended,
                queued: count(row.queued),
                active: count(row.active),
                minute: row.minute.to_jiff(),
                minute_count: count(row.minute_count),
                cpu_ms_spent: amount(row.cpu_ms_spent),
            };
            let quota = Quota {
                max_concurrent: row.max_concurrent.map_or(defaults.max_concurrent, count),
                max_queued: row.max_queued.map_or(defaults.max_queued, count),
                executions_per_minute: row.executions_per_minute.map_or(defaults.executions_per_minute, count),
                cpu_ms_per_day: row.cpu_ms_per_day.map_or(defaults.cpu_ms_per_day, amount),
                ceilings: Ceilings {
                    timeout_ms: row.max_timeout_ms.map(amount),
                    memory_bytes: row.max_memory_bytes.map(amount),
                    cpu_millis: row.max_cpu_millis.map(amount),
                },
            };
            return Ok((load, quota));
        }
        sqlx::query!("INSERT INTO scheduler.tenant (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant)
            .execute(&mut **tx)
            .await?;
    }
    Err(sqlx::Error::RowNotFound)
}

/// How far an execution gets in the transaction that accepts it.
pub enum Begun<'a> {
    Waits,
    /// Its first attempt is made, for whichever executor claims it.
    Dispatched,
    /// Its first attempt is made and is the session's executor's at once, since no other can claim it.
    Granted {
        place: &'a SessionPlace,
        lease_ms: u64,
    },
}

/// Writes the execution and its reservation.
pub async fn insert(
    tx: &mut TenantTx,
    new: &NewExecution,
    payload: &StoredPayload,
    admitted: Admitted,
    begun: &Begun<'_>,
) -> anyhow::Result<()> {
    let (body, object) = match payload {
        StoredPayload::Inline(payload) => (Some(serde_json::to_vec(payload)?), None),
        StoredPayload::Object(name) => (None, Some(name.as_str())),
    };
    let (state, attempt, granted) = match begun {
        Begun::Waits => ("queued", 0, None),
        Begun::Dispatched => ("dispatched", 1, None),
        Begun::Granted { place, lease_ms } => ("running", 1, Some((*place, i64::try_from(*lease_ms)?))),
    };
    sqlx::query!(
        "WITH reservation AS (
            UPDATE scheduler.tenant
            SET queued = queued + 1 - $5::int, active = active + $5::int, minute = $16, minute_count = $17
            WHERE tenant_id = $2
         ), execution AS (
            INSERT INTO scheduler.execution
                (id, tenant_id, created_by, state, attempt, priority, runtime, limits, labels, interactive, session_id, workspace_id,
                 max_attempts, created_at, dispatched_at, secrets, executor_id, executor_instance, started_at, lease_expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, CASE WHEN $5::int = 1 THEN $14::timestamptz END, $19,
                    $20, $21, CASE WHEN $20::text IS NOT NULL THEN now() END, now() + $22::bigint * interval '1 millisecond')
         )
         INSERT INTO scheduler.payload (execution_id, tenant_id, body, object) VALUES ($1, $2, $15, $18)",
        new.id.0,
        new.tenant.0,
        new.created_by,
        state,
        attempt,
        new.priority,
        new.runtime,
        serde_json::to_value(new.limits)?,
        serde_json::to_value(&new.labels)?,
        new.interactive,
        new.session_id.map(|id| id.0),
        new.workspace_id.map(|id| id.0),
        new.max_attempts,
        new.created_at.to_sqlx() as _,
        body,
        admitted.minute.to_sqlx() as _,
        i32::try_from(admitted.minute_count).unwrap_or(i32::MAX),
        object,
        &new.secrets,
        granted.map(|(place, _)| place.executor_id.as_str()),
        granted.map(|(place, _)| place.executor_instance),
        granted.map(|(_, lease_ms)| lease_ms),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
