//! The stories in Postgres.

use kiln_db::{SystemTx, TenantTx};
use kiln_domain::{ExecutionId, TenantId};
use kiln_events::ExecutionRecord;
use uuid::Uuid;

/// Frames read at once.
pub const PAGE: usize = 500;

/// What kind of frame is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Status,
    Stdout,
    Stderr,
    Display,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Display => "display",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            "display" => Self::Display,
            _ => Self::Status,
        }
    }
}

/// A frame to be stored.
pub struct NewFrame {
    pub execution: ExecutionId,
    pub tenant: TenantId,
    pub attempt: i32,
    pub seq: i32,
    pub kind: Kind,
    pub body: Vec<u8>,
}

/// A frame as stored.
pub struct StoredFrame {
    pub attempt: i32,
    pub seq: i32,
    pub kind: Kind,
    pub body: Vec<u8>,
}

/// How far an execution's story is stored.
pub struct Progress {
    pub attempt: i32,
    /// Number of the `ended` frame, once there is one.
    pub ended_seq: Option<i32>,
    pub record: Option<ExecutionRecord>,
}

/// Notes the executions and attempts; a later attempt takes the place of an earlier one's output.
pub async fn note_attempts(tx: &mut SystemTx, attempts: &[(ExecutionId, TenantId, i32)]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = attempts.iter().map(|(execution, _, _)| execution.0).collect();
    let tenants: Vec<Uuid> = attempts.iter().map(|(_, tenant, _)| tenant.0).collect();
    let numbers: Vec<i32> = attempts.iter().map(|(_, _, attempt)| *attempt).collect();
    let replaced = sqlx::query_scalar!(
        r#"INSERT INTO result.execution AS e (id, tenant_id, attempt) SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::int[])
           ON CONFLICT (id) DO UPDATE SET attempt = EXCLUDED.attempt WHERE e.attempt < EXCLUDED.attempt AND e.ended_seq IS NULL
           RETURNING CASE WHEN e.attempt > 1 THEN e.id END AS id"#,
        &ids,
        &tenants,
        &numbers
    )
    .fetch_all(&mut **tx)
    .await?;
    let replaced: Vec<Uuid> = replaced.into_iter().flatten().collect();
    if !replaced.is_empty() {
        sqlx::query!(
            "DELETE FROM result.frame AS f USING result.execution AS e
             WHERE e.id = ANY($1) AND f.execution_id = e.id AND f.attempt < e.attempt",
            &replaced
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Stores the frames of attempts that count; a repeat, an earlier attempt's, or one after the end changes nothing.
pub async fn insert_frames(tx: &mut SystemTx, frames: &[NewFrame]) -> Result<(), sqlx::Error> {
    if frames.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = frames.iter().map(|frame| frame.execution.0).collect();
    let tenants: Vec<Uuid> = frames.iter().map(|frame| frame.tenant.0).collect();
    let attempts: Vec<i32> = frames.iter().map(|frame| frame.attempt).collect();
    let seqs: Vec<i32> = frames.iter().map(|frame| frame.seq).collect();
    let kinds: Vec<String> = frames.iter().map(|frame| frame.kind.as_str().to_owned()).collect();
    let bodies: Vec<&[u8]> = frames.iter().map(|frame| frame.body.as_slice()).collect();
    sqlx::query!(
        "INSERT INTO result.frame (execution_id, tenant_id, attempt, seq, kind, body)
         SELECT n.id, e.tenant_id, n.attempt, n.seq, n.kind, n.body
         FROM UNNEST($1::uuid[], $6::uuid[], $2::int[], $3::int[], $4::text[], $5::bytea[]) AS n(id, tenant_id, attempt, seq, kind, body)
         JOIN result.execution AS e
           ON e.id = n.id AND e.tenant_id = n.tenant_id AND e.attempt = n.attempt AND e.ended_seq IS NULL
         ON CONFLICT DO NOTHING",
        &ids,
        &attempts,
        &seqs,
        &kinds,
        &bodies as _,
        &tenants,
    )
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// Frames 1 to n of the attempt that are stored without a gap: n.
pub async fn contiguous(tx: &mut SystemTx, execution: ExecutionId, attempt: i32) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT COALESCE(max(seq), 0)::int AS "last!" FROM (
                SELECT seq, row_number() OVER (ORDER BY seq) AS place FROM result.frame WHERE execution_id = $1 AND attempt = $2
           ) AS f WHERE seq = place"#,
        execution.0,
        attempt
    )
    .fetch_one(&mut **tx)
    .await
}

/// Ends the story after frame `last_seq`; what lies beyond a gap is dropped.
pub async fn end(tx: &mut SystemTx, record: &ExecutionRecord, last_seq: i32) -> anyhow::Result<()> {
    let attempt = i32::try_from(record.attempt)?;
    sqlx::query!(
        "WITH beyond AS (DELETE FROM result.frame WHERE execution_id = $1 AND attempt = $2 AND seq > $3)
         UPDATE result.execution SET record = $4, ended_seq = $3 + 1 WHERE id = $1 AND attempt = $2 AND ended_seq IS NULL",
        record.id.0,
        attempt,
        last_seq,
        serde_json::to_value(record)?
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How far the story of the tenant's execution is; none before its first frame.
pub async fn progress(tx: &mut TenantTx, execution: ExecutionId) -> anyhow::Result<Option<Progress>> {
    let tenant = tx.tenant().0;
    let row = sqlx::query!(
        "SELECT attempt, ended_seq, record FROM result.execution WHERE id = $1 AND tenant_id = $2 AND NOT hidden",
        execution.0,
        tenant
    )
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| {
        let record = row.record.map(serde_json::from_value).transpose()?;
        Ok(Progress { attempt: row.attempt, ended_seq: row.ended_seq, record })
    })
    .transpose()
}

/// Frames of the attempt after `after`, in order, a page at a time.
pub async fn frames(
    tx: &mut TenantTx,
    execution: ExecutionId,
    attempt: i32,
    after: i32,
) -> Result<Vec<StoredFrame>, sqlx::Error> {
    let tenant = tx.tenant().0;
    let rows = sqlx::query!(
        "SELECT attempt, seq, kind, body FROM result.frame
         WHERE execution_id = $1 AND tenant_id = $2 AND attempt = $3 AND seq > $4 ORDER BY seq LIMIT $5",
        execution.0,
        tenant,
        attempt,
        after,
        i64::try_from(PAGE).unwrap_or(i64::MAX)
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| StoredFrame { attempt: row.attempt, seq: row.seq, kind: Kind::parse(&row.kind), body: row.body })
        .collect())
}

/// Hides a deleted execution from its tenant until it is forgotten.
pub async fn hide(tx: &mut TenantTx, execution: ExecutionId) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!("UPDATE result.execution SET hidden = true WHERE id = $1 AND tenant_id = $2", execution.0, tenant)
        .execute(&mut **tx)
        .await
        .map(drop)
}

/// The record of an execution that is being deleted, hidden or not.
pub async fn record_of_deleted(tx: &mut TenantTx, execution: ExecutionId) -> anyhow::Result<Option<ExecutionRecord>> {
    let tenant = tx.tenant().0;
    let record = sqlx::query_scalar!("SELECT record FROM result.execution WHERE id = $1 AND tenant_id = $2", execution.0, tenant)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(record.flatten().map(serde_json::from_value).transpose()?)
}

/// Forgets an execution and its frames.
pub async fn delete(tx: &mut TenantTx, execution: ExecutionId) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!("DELETE FROM result.execution WHERE id = $1 AND tenant_id = $2", execution.0, tenant)
        .execute(&mut **tx)
        .await
        .map(drop)
}

/// Executions that are still kept of the tenant.
pub async fn left_of_tenant(tx: &mut SystemTx, tenant: TenantId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM result.execution WHERE tenant_id = $1"#, tenant.0)
        .fetch_one(&mut **tx)
        .await
}

/// Forgets whatever is kept of the tenant.
pub async fn forget_tenant(tx: &mut SystemTx, tenant: TenantId) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM result.execution WHERE tenant_id = $1", tenant.0).execute(&mut **tx).await?;
    sqlx::query!("DELETE FROM result.idempotency WHERE tenant_id = $1", tenant.0).execute(&mut **tx).await.map(drop)
}
