//! A page of a tenant's executions, newest first.

use kiln_db::TenantTx;
use uuid::Uuid;

use super::record::{ExecutionRow, record_query};

/// What a list is narrowed to; empty is everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// States as stored.
    pub states: Vec<String>,
    pub runtime: Option<String>,
    pub session_id: Option<Uuid>,
    /// Labels that must all be there.
    pub labels: serde_json::Map<String, serde_json::Value>,
}

pub async fn list(tx: &mut TenantTx, filter: &Filter, after: Option<Uuid>, rows: i64) -> Result<Vec<ExecutionRow>, sqlx::Error> {
    let tenant = tx.tenant().0;
    record_query!(
        "WITH found AS (
            SELECT * FROM scheduler.execution
            WHERE tenant_id = $1 AND id < $2
              AND (cardinality($3::text[]) = 0 OR state = ANY($3)) AND ($4::text IS NULL OR runtime = $4)
              AND ($5::uuid IS NULL OR session_id = $5) AND labels @> $6
            ORDER BY id DESC LIMIT $7
         )",
        tenant,
        // Always a bound, so that a plan made for any value walks the index from there.
        after.unwrap_or(Uuid::max()),
        &filter.states,
        filter.runtime,
        filter.session_id,
        serde_json::Value::Object(filter.labels.clone()),
        rows,
    )
    .fetch_all(&mut **tx)
    .await
}
