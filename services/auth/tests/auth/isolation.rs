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

/// By the catalogue: no role of a service, nor the one that it becomes, reaches a table of another, owns one, or passes over
/// row security; and the record of who did what is append-only for all.
#[tokio::test]
async fn no_role_reaches_what_is_anothers() {
    let mut owner = <sqlx::PgConnection as sqlx::Connection>::connect(&installation().owner_url).await.unwrap();
    let open: Vec<(String, String)> = sqlx::query_as(
        "SELECT r.rolname::text, n.nspname || '.' || c.relname FROM pg_roles r, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE r.rolname LIKE 'kiln\\_%' AND n.nspname IN ('auth', 'scheduler', 'result') AND c.relkind IN ('r', 'S', 'v')
           AND r.rolname NOT LIKE 'kiln\\_' || n.nspname || '%'
           AND (has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                OR has_schema_privilege(r.oid, n.oid, 'USAGE, CREATE') OR pg_has_role(r.oid, c.relowner, 'MEMBER'))",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(open, []);
    let strong: Vec<(String,)> = sqlx::query_as(
        "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'kiln\\_%' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)
         UNION ALL SELECT 'nobody' WHERE (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'kiln\\_%') < 6
         UNION ALL SELECT r.rolname::text FROM pg_roles r WHERE r.rolname LIKE 'kiln\\_%'
           AND has_table_privilege(r.oid, 'auth.audit_log', 'UPDATE, DELETE, TRUNCATE')",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(strong, []);
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
