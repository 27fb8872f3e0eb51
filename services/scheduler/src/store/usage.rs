//! Sums of what tenants have used, by day, by maker, by runtime.

use kiln_db::TenantTx;
use kiln_events::{UsageGroup, UsageRow, UsageSums};

/// Groups told at once, the largest use of CPU first; days in order.
const MOST: i64 = 1_000;

/// The tenant's sums over these days.
pub async fn usage_sums(tx: &mut TenantTx, query: &UsageSums) -> anyhow::Result<Vec<UsageRow>> {
    let tenant = tx.tenant().0;
    let group = match query.group_by {
        UsageGroup::Day => "day",
        UsageGroup::User => "user",
        UsageGroup::Runtime => "runtime",
    };
    let rows = sqlx::query!(
        r#"SELECT CASE $4::text WHEN 'day' THEN day::text WHEN 'user' THEN created_by::text ELSE runtime END AS "group!",
                  sum(executions)::bigint AS "executions!", sum(cpu_ms)::bigint AS "cpu_ms!", sum(wall_ms)::bigint AS "wall_ms!",
                  sum(memory_byte_ms)::text AS "memory_byte_ms!"
           FROM scheduler.usage WHERE tenant_id = $1 AND day BETWEEN ($2::text)::date AND ($3::text)::date
           GROUP BY 1 ORDER BY CASE WHEN $4::text = 'day' THEN 1 ELSE 2 END, CASE WHEN $4::text <> 'day' THEN sum(cpu_ms) END DESC, 1
           LIMIT $5"#,
        tenant,
        query.from.to_string(),
        query.to.to_string(),
        group,
        MOST
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(UsageRow {
                group: row.group,
                executions: u64::try_from(row.executions)?,
                cpu_ms: u64::try_from(row.cpu_ms)?,
                wall_ms: u64::try_from(row.wall_ms)?,
                memory_byte_ms: row.memory_byte_ms.parse()?,
            })
        })
        .collect()
}
