//! Executions that belong together: which they are, and which of them do not run any more.

use kiln_db::TenantTx;
use kiln_domain::{ExecutionId, TenantId};
use kiln_events::RunBatch;
use sqlx::PgConnection;
use uuid::Uuid;

/// Notes that these were accepted together.
pub async fn mark_batch(tx: &mut TenantTx, batch: &RunBatch) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    let ids: Vec<Uuid> = batch.executions.iter().map(|execution| execution.execution_id.0).collect();
    let may_raise: Vec<bool> = batch.executions.iter().map(|execution| execution.may_raise).collect();
    sqlx::query!(
        "UPDATE scheduler.execution AS e SET batch_id = $2, may_raise = n.may_raise
         FROM UNNEST($3::uuid[], $4::boolean[]) AS n(id, may_raise) WHERE e.id = n.id AND e.tenant_id = $1",
        tenant,
        batch.batch_id,
        &ids,
        &may_raise
    )
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// What waits behind one of its batch that has failed.
pub async fn stopped(connection: &mut PgConnection) -> Result<Vec<(TenantId, ExecutionId)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT e.tenant_id, e.id FROM scheduler.execution AS e
         WHERE e.state = 'queued' AND e.batch_id IS NOT NULL AND scheduler.stopped(e.batch_id, e.id)
         ORDER BY e.tenant_id, e.id LIMIT 1000"
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), ExecutionId(row.id))).collect())
}
