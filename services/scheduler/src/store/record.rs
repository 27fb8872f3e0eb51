//! An execution's row, and the record that the rest of Kiln knows it by.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use kiln_db::TenantTx;
use kiln_domain::{Ended, ExecutionId, Limits, ReasonCode, SessionId, Start, Status, TenantId, WorkspaceId};
use kiln_events::ExecutionRecord;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoredPayload;

pub struct ExecutionRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub created_by: Uuid,
    pub state: String,
    pub priority: i16,
    pub runtime: String,
    pub limits: serde_json::Value,
    pub labels: serde_json::Value,
    pub interactive: bool,
    pub session_id: Option<Uuid>,
    pub workspace_id: Option<Uuid>,
    pub max_attempts: i32,
    pub attempt: i32,
    pub executor_id: Option<String>,
    pub secrets: Vec<String>,
    pub cancel_requested_at: Option<SqlTimestamp>,
    /// Why it is to stop; none with `cancel_requested_at` set: its user wished so.
    pub stop_cause: Option<String>,
    pub ended: Option<serde_json::Value>,
    pub start: Option<String>,
    pub isolation: Option<String>,
    pub created_at: SqlTimestamp,
    pub started_at: Option<SqlTimestamp>,
    pub finished_at: Option<SqlTimestamp>,
}

/// A checked query for [`ExecutionRow`]s: common table expressions that end in one named `found`.
macro_rules! record_query {
    ($with:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::store::ExecutionRow,
            $with
                + r#" SELECT id AS "id!", tenant_id AS "tenant_id!", created_by AS "created_by!", state AS "state!",
                    priority AS "priority!", runtime AS "runtime!", limits AS "limits!", labels AS "labels!",
                    interactive AS "interactive!", session_id AS "session_id?", workspace_id AS "workspace_id?",
                    max_attempts AS "max_attempts!", attempt AS "attempt!", executor_id AS "executor_id?", secrets AS "secrets!",
                    cancel_requested_at AS "cancel_requested_at?", stop_cause AS "stop_cause?",
                    ended AS "ended?", start AS "start?", isolation AS "isolation?", created_at AS "created_at!",
                    started_at AS "started_at?", finished_at AS "finished_at?" FROM found ORDER BY id DESC"#
            $(, $argument)*
        )
    };
}
pub(super) use record_query;

impl ExecutionRow {
    /// What a client may see of the state: an attempt on its way to an executor is still queued.
    pub fn status(&self) -> Status {
        Status::parse(&self.state).unwrap_or(Status::Queued)
    }

    pub fn attempt(&self) -> u32 {
        u32::try_from(self.attempt).unwrap_or(0)
    }

    /// Why it is to stop, if it is.
    pub fn stop(&self) -> Option<ReasonCode> {
        self.cancel_requested_at.as_ref()?;
        Some(self.stop_cause.as_deref().and_then(ReasonCode::parse).unwrap_or(ReasonCode::CancelledByUser))
    }

    pub fn record(&self) -> anyhow::Result<ExecutionRecord> {
        let limits: Limits = serde_json::from_value(self.limits.clone()).context("stored limits")?;
        let labels: BTreeMap<String, String> = serde_json::from_value(self.labels.clone()).context("stored labels")?;
        let ended: Option<Ended> = self.ended.clone().map(serde_json::from_value).transpose().context("stored verdict")?;
        let time = |stored: SqlTimestamp| -> Timestamp { stored.to_jiff() };
        Ok(ExecutionRecord {
            id: ExecutionId(self.id),
            tenant_id: TenantId(self.tenant_id),
            created_by: self.created_by,
            status: self.status(),
            runtime: self.runtime.clone(),
            limits,
            interactive: self.interactive,
            labels,
            session_id: self.session_id.map(SessionId),
            workspace_id: self.workspace_id.map(WorkspaceId),
            attempt: self.attempt(),
            created_at: time(self.created_at),
            started_at: self.started_at.map(time),
            finished_at: self.finished_at.map(time),
            executor_id: self.executor_id.clone(),
            ended,
            start: match self.start.as_deref() {
                Some("warm") => Some(Start::Warm),
                Some(_) => Some(Start::Cold),
                None => None,
            },
            isolation: self.isolation.clone(),
        })
    }
}

/// One execution of the tenant.
pub async fn load(tx: &mut TenantTx, id: ExecutionId) -> Result<Option<ExecutionRow>, sqlx::Error> {
    let tenant = tx.tenant().0;
    record_query!("WITH found AS (SELECT * FROM scheduler.execution WHERE id = $1 AND tenant_id = $2)", id.0, tenant)
        .fetch_optional(&mut **tx)
        .await
}

/// One execution, held until the transaction ends. The tenant's row is locked first.
pub async fn load_for_update(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: ExecutionId,
) -> Result<Option<ExecutionRow>, sqlx::Error> {
    record_query!("WITH found AS (SELECT * FROM scheduler.execution WHERE id = $1 AND tenant_id = $2 FOR UPDATE)", id.0, tenant.0)
        .fetch_optional(connection)
        .await
}

/// What the execution was given.
pub async fn payload(connection: &mut PgConnection, tenant: TenantId, id: ExecutionId) -> anyhow::Result<StoredPayload> {
    let row =
        sqlx::query!("SELECT body, object FROM scheduler.payload WHERE execution_id = $1 AND tenant_id = $2", id.0, tenant.0)
            .fetch_one(connection)
            .await?;
    StoredPayload::from_columns(row.body, row.object)
}
