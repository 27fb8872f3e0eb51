//! How much there is of everything, for metrics.

use sqlx::PgConnection;

/// Counts, and ages in seconds (0 where there is nothing).
pub struct Gauges {
    pub queued: i64,
    pub dispatched: i64,
    pub running: i64,
    pub oldest_queued_s: f64,
    pub reserved: i64,
    pub busiest_tenant: i64,
    pub outbox: i64,
    pub oldest_outbox_s: f64,
}

/// Each count reads a partial index, or a table that is small.
pub async fn gauges(connection: &mut PgConnection) -> Result<Gauges, sqlx::Error> {
    sqlx::query_as!(
        Gauges,
        r#"SELECT
            (SELECT count(*) FROM scheduler.execution WHERE state = 'queued') AS "queued!",
            (SELECT count(*) FROM scheduler.execution WHERE state = 'dispatched') AS "dispatched!",
            (SELECT count(*) FROM scheduler.execution WHERE state = 'running') AS "running!",
            (SELECT COALESCE(EXTRACT(EPOCH FROM now() - min(created_at)), 0)::float8
             FROM scheduler.execution WHERE state = 'queued') AS "oldest_queued_s!",
            (SELECT COALESCE(sum(active), 0)::bigint FROM scheduler.tenant) AS "reserved!",
            (SELECT COALESCE(max(active), 0)::bigint FROM scheduler.tenant) AS "busiest_tenant!",
            (SELECT count(*) FROM scheduler.outbox) AS "outbox!",
            (SELECT COALESCE(EXTRACT(EPOCH FROM now() - min(created_at)), 0)::float8
             FROM scheduler.outbox) AS "oldest_outbox_s!""#
    )
    .fetch_one(connection)
    .await
}
