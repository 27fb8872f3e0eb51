//! Lists of much: the statements as they are compiled in, against a table that is large enough for a plan to matter.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::installation::installation;

/// Half of them the tenant's. `KILN_TEST_ROWS=2000000` measures what the README tells.
const ROWS: i64 = 100_000;
const SAMPLES: usize = 200;
/// By the goal, at the median.
const WITHIN: Duration = Duration::from_millis(10);

/// The statement behind GET /executions, from the committed cache of checked queries.
fn statement() -> String {
    let cache = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let queries = std::fs::read_dir(cache).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let queries =
        queries.map(|text| serde_json::from_slice::<serde_json::Value>(&text).unwrap()["query"].as_str().unwrap().to_owned());
    let mut found: Vec<String> = queries
        .filter(|query| query.contains("FROM scheduler.execution") && query.contains("ORDER BY id DESC LIMIT $7"))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

async fn fill(owner: &mut PgConnection, tenant: uuid::Uuid) -> i64 {
    let rows = std::env::var("KILN_TEST_ROWS").ok().map_or(ROWS, |rows| rows.parse().unwrap());
    sqlx::query(
        "INSERT INTO scheduler.execution
             (id, tenant_id, created_by, state, priority, runtime, limits, labels, interactive, max_attempts)
         SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN $1 ELSE gen_random_uuid() END, $1, 'succeeded', 1, 'python',
                to_jsonb('{\"timeout_ms\":30000}'::json), '{}', false, 1
         FROM generate_series(1, $2) AS n",
    )
    .bind(tenant)
    .bind(rows)
    .execute(&mut *owner)
    .await
    .unwrap();
    sqlx::query("VACUUM ANALYZE scheduler.execution").execute(owner).await.unwrap();
    rows
}

/// Newest first by cursor is a walk along one index from where the cursor says, however deep that is, also by the plan that
/// Postgres makes once for all values.
#[tokio::test]
async fn a_page_of_many_executions_is_read_by_an_index() {
    let mut owner = PgConnection::connect(&installation().owner_url).await.unwrap();
    let tenant = uuid::Uuid::now_v7();
    let rows = fill(&mut owner, tenant).await;
    let types = "uuid, uuid, text[], text, uuid, jsonb, bigint";
    sqlx::query(AssertSqlSafe(format!("PREPARE page({types}) AS {}", statement()))).execute(&mut owner).await.unwrap();
    sqlx::query("SET plan_cache_mode = force_generic_plan").execute(&mut owner).await.unwrap();
    let page = |cursor: uuid::Uuid| format!("EXECUTE page('{tenant}', '{cursor}', '{{}}', NULL, NULL, '{{}}', 101)");
    let deep = uuid::Uuid::from_u128(u128::MAX / 10);
    for cursor in [uuid::Uuid::max(), deep] {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {}", page(cursor))));
        let plan: String = plan.fetch_all(&mut owner).await.unwrap().iter().map(|row| row.get::<String, _>(0) + "\n").collect();
        let walks = plan.lines().find(|line| line.contains("Index Cond")).unwrap_or_default();
        assert!(plan.contains("execution_by_tenant") && !plan.contains("Seq Scan"), "{plan}");
        assert!(walks.contains("tenant_id") && walks.contains("id <"), "the cursor is where the walk begins: {plan}");
        // The page's own rows are all that is read of the table.
        let read = plan.lines().find(|line| line.contains("Index Scan")).unwrap_or_default();
        assert!(read.contains("rows=101") && !plan.contains("Rows Removed"), "{plan}");
    }
    let mut times = Vec::with_capacity(SAMPLES);
    for sample in 0..SAMPLES {
        let cursor = uuid::Uuid::from_u128(u128::MAX / 2 / SAMPLES as u128 * sample as u128 + u128::MAX / 4);
        let begun = Instant::now();
        let read = sqlx::query(AssertSqlSafe(page(cursor))).fetch_all(&mut owner).await.unwrap();
        times.push(begun.elapsed());
        assert_eq!(read.len(), 101);
    }
    times.sort();
    let (p50, p99) = (times[SAMPLES / 2], times[SAMPLES * 99 / 100]);
    println!("a page of 101 of {rows} executions: p50 {p50:?}, p99 {p99:?}");
    assert!(p50 < WITHIN, "{p50:?}");
    sqlx::query("DELETE FROM scheduler.execution WHERE created_by = $1").bind(tenant).execute(&mut owner).await.unwrap();
}
