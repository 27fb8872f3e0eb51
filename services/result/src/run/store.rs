//! The statements about runs and their cells.

use std::time::Duration;

use jiff_sqlx::Timestamp as SqlTimestamp;
use kiln_db::{SystemTx, TenantTx};
use kiln_domain::{ExecutionId, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::library::EntryId;

pub type RunId = Uuid;

/// A run of a notebook.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: RunId,
    pub tenant_id: Uuid,
    pub entry_id: EntryId,
    pub created_by: Uuid,
    pub state: String,
    pub session_id: Option<Uuid>,
    pub owns_session: bool,
    pub created_at: SqlTimestamp,
    pub ended_at: Option<SqlTimestamp>,
}

/// A cell of a run.
#[derive(Debug, Clone)]
pub struct RunCell {
    pub position: i32,
    pub cell_id: String,
    pub execution_id: Uuid,
    pub may_raise: bool,
    /// Once that is in the notebook.
    pub status: Option<String>,
    pub reason: Option<serde_json::Value>,
}

impl Run {
    pub fn tenant(&self) -> TenantId {
        TenantId(self.tenant_id)
    }
}

/// A checked query for [`Run`] rows with the condition.
macro_rules! run_query {
    ($condition:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Run,
            "SELECT id, tenant_id, entry_id, created_by, state, session_id, owns_session, created_at, ended_at
             FROM result.notebook_run AS r " + $condition
            $(, $argument)*
        )
    };
}

/// Writes the run down with its cells. The scheduler answers within `deadline`.
pub async fn insert(tx: &mut TenantTx, run: &Run, cells: &[RunCell], deadline: Duration) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!(
        "INSERT INTO result.notebook_run (id, tenant_id, entry_id, created_by, state, session_id, owns_session, submitted_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8::bigint * interval '1 second')",
        run.id,
        tenant,
        run.entry_id,
        run.created_by,
        run.state,
        run.session_id,
        run.owns_session,
        i64::try_from(deadline.as_secs()).unwrap_or(i64::MAX)
    )
    .execute(&mut **tx)
    .await?;
    let positions: Vec<i32> = cells.iter().map(|cell| cell.position).collect();
    let ids: Vec<String> = cells.iter().map(|cell| cell.cell_id.clone()).collect();
    let executions: Vec<Uuid> = cells.iter().map(|cell| cell.execution_id).collect();
    let may_raise: Vec<bool> = cells.iter().map(|cell| cell.may_raise).collect();
    sqlx::query!(
        "INSERT INTO result.notebook_run_cell (run_id, tenant_id, position, cell_id, execution_id, may_raise)
         SELECT $1, $2, n.position, n.cell_id, n.execution_id, n.may_raise
         FROM UNNEST($3::int[], $4::text[], $5::uuid[], $6::boolean[]) AS n(position, cell_id, execution_id, may_raise)",
        run.id,
        tenant,
        &positions,
        &ids,
        &executions,
        &may_raise
    )
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// Moves the run on; false when it was not in that state.
pub async fn set_state(connection: &mut PgConnection, run: &Run, from: &str, to: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE result.notebook_run SET state = $4, ended_at = CASE WHEN $4 = 'ended' THEN now() END
         WHERE id = $1 AND tenant_id = $2 AND state = $3",
        run.id,
        run.tenant_id,
        from,
        to
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets a run that did not come to be.
pub async fn forget(tx: &mut TenantTx, id: RunId) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!("DELETE FROM result.notebook_run WHERE id = $1 AND tenant_id = $2", id, tenant)
        .execute(&mut **tx)
        .await
        .map(drop)
}

/// Forgets the notebook's runs before this one, which has begun.
pub async fn forget_earlier(tx: &mut TenantTx, run: &Run) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!(
        "DELETE FROM result.notebook_run WHERE entry_id = $1 AND tenant_id = $2 AND id < $3",
        run.entry_id,
        tenant,
        run.id
    )
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// The notebook's latest run.
pub async fn latest(tx: &mut TenantTx, entry: EntryId) -> Result<Option<Run>, sqlx::Error> {
    let tenant = tx.tenant().0;
    run_query!("WHERE r.entry_id = $1 AND r.tenant_id = $2 ORDER BY r.id DESC LIMIT 1", entry, tenant)
        .fetch_optional(&mut **tx)
        .await
}

pub async fn cells(connection: &mut PgConnection, run: RunId) -> Result<Vec<RunCell>, sqlx::Error> {
    sqlx::query_as!(
        RunCell,
        "SELECT position, cell_id, execution_id, may_raise, status, reason FROM result.notebook_run_cell
         WHERE run_id = $1 ORDER BY position",
        run
    )
    .fetch_all(connection)
    .await
}

/// Runs of which something can be written: a cell has ended, or all have.
pub async fn writable(tx: &mut SystemTx) -> Result<Vec<Run>, sqlx::Error> {
    run_query!(
        "WHERE r.state = 'running' AND (
            NOT EXISTS (SELECT FROM result.notebook_run_cell AS c WHERE c.run_id = r.id AND c.status IS NULL)
            OR EXISTS (SELECT FROM result.notebook_run_cell AS c JOIN result.execution AS e ON e.id = c.execution_id
                       WHERE c.run_id = r.id AND c.status IS NULL AND e.ended_seq IS NOT NULL))
         ORDER BY r.id LIMIT 100"
    )
    .fetch_all(&mut **tx)
    .await
}

/// Runs that the scheduler has not answered for, and whoever asked it is gone.
pub async fn unanswered(tx: &mut SystemTx) -> Result<Vec<Run>, sqlx::Error> {
    run_query!("WHERE r.state = 'starting' AND r.submitted_until < now() ORDER BY r.id LIMIT 100").fetch_all(&mut **tx).await
}

/// Runs of which nothing was heard for long: their executions may have been deleted.
pub async fn silent(tx: &mut SystemTx) -> Result<Vec<Run>, sqlx::Error> {
    run_query!(
        "WHERE r.state = 'running' AND r.created_at < now() - interval '1 minute'
           AND EXISTS (SELECT FROM result.notebook_run_cell AS c WHERE c.run_id = r.id AND c.status IS NULL)
         ORDER BY r.id LIMIT 100"
    )
    .fetch_all(&mut **tx)
    .await
}

/// Cells of the run whose ends are stored and not yet written, in their order.
pub async fn ended_cells(tx: &mut SystemTx, run: RunId) -> Result<Vec<RunCell>, sqlx::Error> {
    sqlx::query_as!(
        RunCell,
        "SELECT c.position, c.cell_id, c.execution_id, c.may_raise, c.status, c.reason
         FROM result.notebook_run_cell AS c JOIN result.execution AS e ON e.id = c.execution_id
         WHERE c.run_id = $1 AND c.status IS NULL AND e.ended_seq IS NOT NULL ORDER BY c.position LIMIT 8",
        run
    )
    .fetch_all(&mut **tx)
    .await
}

/// Notes how the cell ended; false when that was known.
pub async fn mark(
    connection: &mut PgConnection,
    run: &Run,
    execution: ExecutionId,
    status: &str,
    reason: Option<&serde_json::Value>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE result.notebook_run_cell SET status = $4, reason = $5
         WHERE run_id = $1 AND tenant_id = $2 AND execution_id = $3 AND status IS NULL",
        run.id,
        run.tenant_id,
        execution.0,
        status,
        reason
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
