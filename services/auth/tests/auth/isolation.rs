//! What the database itself refuses to the service's role.

use kiln_db::Database;
use kiln_domain::TenantId;
use sqlx::{AssertSqlSafe, Row as _};

use crate::client::Client;
use crate::installation::installation;

#[tokio::test]
async fn every_table_with_a_tenant_has_forced_row_security() {
    let database = <sqlx::PgConnection as sqlx::Connection>::connect(&installation().owner_url);
    let open: Vec<(String,)> = sqlx::query_as(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
         WHERE n.nspname IN ('auth', 'scheduler', 'result') AND c.relkind = 'r'
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity
                    AND EXISTS (SELECT FROM pg_policies p WHERE p.schemaname = n.nspname AND p.tablename = c.relname
                                AND p.policyname = 'tenant' AND p.qual LIKE '%app.tenant_id%'))",
    )
    .fetch_all(&mut database.await.unwrap())
    .await
    .unwrap();
    assert_eq!(open, []);
}

#[tokio::test]
async fn the_role_sees_one_tenant_at_a_time() {
    let ((_, _, one), _) = tokio::join!(Client::signed_up(), Client::signed_up());
    let database = Database::connect(&installation().auth_url, "auth", 2).await.unwrap();
    let count = async |tenant: TenantId, table: &str| -> i64 {
        let mut tx = database.tenant(tenant).await.unwrap();
        let count = format!("SELECT count(*) FROM auth.{table}");
        sqlx::query(AssertSqlSafe(count)).fetch_one(&mut *tx).await.unwrap().get(0)
    };
    let tenant = one["tenant"]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!((count(tenant, "tenants").await, count(tenant, "memberships").await), (1, 1));
    assert_eq!(count(TenantId::generate(), "memberships").await, 0);
}

#[tokio::test]
async fn accounts_and_other_services_are_closed_to_the_role() {
    let database = Database::connect(&installation().auth_url, "auth", 2).await.unwrap();
    let refused = async |statement: &'static str| {
        let mut tx = database.tenant(TenantId::generate()).await.unwrap();
        let error = sqlx::query(statement).execute(&mut *tx).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{statement}: {error}");
    };
    for statement in [
        "SELECT * FROM auth.passwords",
        "SELECT * FROM auth.signing_keys",
        "SELECT * FROM auth.refresh_tokens",
        "SELECT * FROM scheduler.execution",
        "SELECT * FROM scheduler.usage",
        "SELECT * FROM result.frame",
        "SELECT * FROM auth.mail_tokens",
        "SELECT * FROM auth.tenant_deletions",
        "UPDATE auth.plans SET max_concurrent = 1",
        "UPDATE auth.audit_log SET action = ''",
        "DELETE FROM auth.audit_log",
        "CREATE TABLE auth.mine (id integer)",
    ] {
        refused(statement).await;
    }
}

#[tokio::test]
async fn without_a_tenant_nothing_is_seen() {
    let (client, _, _) = Client::signed_up().await;
    client.put("/tenant/secrets/A", serde_json::json!({"value": "x"})).await.expect(204);
    let mut plain = <sqlx::PgConnection as sqlx::Connection>::connect(&installation().auth_url).await.unwrap();
    for table in ["tenants", "memberships", "quotas", "api_keys", "invitations", "secrets", "audit_log", "idempotency"] {
        let count = sqlx::query(AssertSqlSafe(format!("SELECT count(*) FROM auth.{table}"))).fetch_one(&mut plain).await.unwrap();
        assert_eq!(count.get::<i64, _>(0), 0, "{table}");
    }
}

/// Newest first by cursor is a walk along one index, however many there are.
#[tokio::test]
async fn a_page_of_many_executions_is_read_by_an_index() {
    let mut owner = <sqlx::PgConnection as sqlx::Connection>::connect(&installation().owner_url).await.unwrap();
    let tenant = uuid::Uuid::now_v7();
    sqlx::query(
        "INSERT INTO scheduler.execution
             (id, tenant_id, created_by, state, priority, runtime, limits, labels, interactive, max_attempts)
         SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN $1 ELSE gen_random_uuid() END, $1, 'succeeded', 1, 'python', '{}', '{}', false, 1
         FROM generate_series(1, 100000) AS n",
    )
    .bind(tenant)
    .execute(&mut owner)
    .await
    .unwrap();
    sqlx::query("ANALYZE scheduler.execution").execute(&mut owner).await.unwrap();
    let plan: Vec<(String,)> = sqlx::query_as(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT * FROM scheduler.execution
         WHERE tenant_id = $1 AND id < $2 AND labels @> '{}' ORDER BY id DESC LIMIT 101",
    )
    .bind(tenant)
    .bind(uuid::Uuid::max())
    .fetch_all(&mut owner)
    .await
    .unwrap();
    let plan: String = plan.into_iter().map(|(line,)| line + "\n").collect();
    assert!(plan.contains("execution_by_tenant") && !plan.contains("Sort") && !plan.contains("Seq Scan"), "{plan}");
    println!("{plan}");
}
