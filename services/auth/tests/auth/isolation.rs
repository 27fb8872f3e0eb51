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
         WHERE n.nspname = 'auth' AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
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
        "SELECT * FROM scheduler.executions",
        "DELETE FROM auth.audit_log",
        "CREATE TABLE auth.mine (id integer)",
    ] {
        refused(statement).await;
    }
}
