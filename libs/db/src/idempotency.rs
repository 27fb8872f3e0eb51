//! First answers kept under a client's Idempotency-Key, in the table `<schema>.idempotency`.

use kiln_domain::TenantId;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use crate::TenantTx;

/// An answer as it was first given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: Vec<u8>,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The key is now held by this request, which must [`IdempotencyStore::finish`] or [`IdempotencyStore::release`] it.
    Mine,
    /// The first request with this key has not answered yet.
    InProgress,
    /// The first request made this object and never answered: its process died.
    Orphaned(Uuid),
    /// The key was used with another request.
    Different,
    Replay(Answer),
}

/// The statements of one service's table. Keys live 24 hours; one that was begun, made nothing and never answered lives two minutes.
#[derive(Debug, Clone)]
pub struct IdempotencyStore {
    begin: String,
    bind: String,
    read: String,
    finish: String,
    release: String,
    expire: String,
}

impl IdempotencyStore {
    pub fn new(schema: &'static str) -> Self {
        let dead = "(i.created_at < now() - interval '24 hours'
                     OR (i.status IS NULL AND i.object_id IS NULL AND i.created_at < now() - interval '2 minutes'))";
        Self {
            begin: format!(
                "INSERT INTO {schema}.idempotency AS i (tenant_id, route, key_hash, request_hash) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (tenant_id, route, key_hash) DO UPDATE
                 SET request_hash = EXCLUDED.request_hash, created_at = now(), status = NULL, location = NULL, body = NULL, object_id = NULL
                 WHERE {dead}"
            ),
            bind: format!("UPDATE {schema}.idempotency SET object_id = $4 WHERE tenant_id = $1 AND route = $2 AND key_hash = $3"),
            read: format!(
                "SELECT request_hash, status, location, body, object_id, created_at < now() - interval '2 minutes' AS stale FROM {schema}.idempotency WHERE tenant_id = $1 AND route = $2 AND key_hash = $3"
            ),
            finish: format!(
                "UPDATE {schema}.idempotency SET status = $4, location = $5, body = $6
                 WHERE tenant_id = $1 AND route = $2 AND key_hash = $3"
            ),
            release: format!(
                "DELETE FROM {schema}.idempotency WHERE tenant_id = $1 AND route = $2 AND key_hash = $3 AND status IS NULL"
            ),
            expire: format!("DELETE FROM {schema}.idempotency AS i WHERE {dead}"),
        }
    }

    /// Takes the key for this request, or says what became of the one that has it.
    pub async fn begin(
        &self,
        tx: &mut TenantTx,
        route: &str,
        key_hash: &[u8],
        request_hash: &[u8],
    ) -> Result<Lookup, sqlx::Error> {
        let tenant = tx.tenant().0;
        let taken = sqlx::query(AssertSqlSafe(self.begin.clone()))
            .bind(tenant)
            .bind(route)
            .bind(key_hash)
            .bind(request_hash)
            .execute(&mut **tx)
            .await?;
        if taken.rows_affected() == 1 {
            return Ok(Lookup::Mine);
        }
        let row = sqlx::query(AssertSqlSafe(self.read.clone()))
            .bind(tenant)
            .bind(route)
            .bind(key_hash)
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = row else { return Ok(Lookup::InProgress) };
        let first: Vec<u8> = row.try_get("request_hash")?;
        if first != request_hash {
            return Ok(Lookup::Different);
        }
        let status: Option<i32> = row.try_get("status")?;
        Ok(match status {
            None => match row.try_get("object_id")? {
                Some(object) if row.try_get("stale")? => Lookup::Orphaned(object),
                _ => Lookup::InProgress,
            },
            Some(status) => Lookup::Replay(Answer {
                status: u16::try_from(status).unwrap_or(500),
                location: row.try_get("location")?,
                body: row.try_get::<Option<Vec<u8>>, _>("body")?.unwrap_or_default(),
            }),
        })
    }

    /// Notes what the request made, in the transaction that makes it, so that a repeat never makes it twice.
    pub async fn bind(&self, tx: &mut TenantTx, route: &str, key_hash: &[u8], object: Uuid) -> Result<(), sqlx::Error> {
        let tenant = tx.tenant().0;
        let bind = sqlx::query(AssertSqlSafe(self.bind.clone())).bind(tenant).bind(route).bind(key_hash).bind(object);
        bind.execute(&mut **tx).await.map(drop)
    }

    /// Keeps the first answer.
    pub async fn finish(&self, tx: &mut TenantTx, route: &str, key_hash: &[u8], answer: &Answer) -> Result<(), sqlx::Error> {
        let tenant: TenantId = tx.tenant();
        sqlx::query(AssertSqlSafe(self.finish.clone()))
            .bind(tenant.0)
            .bind(route)
            .bind(key_hash)
            .bind(i32::from(answer.status))
            .bind(&answer.location)
            .bind(&answer.body)
            .execute(&mut **tx)
            .await
            .map(drop)
    }

    /// Gives the key back: the request failed in a way that may be tried again.
    pub async fn release(&self, tx: &mut TenantTx, route: &str, key_hash: &[u8]) -> Result<(), sqlx::Error> {
        let tenant = tx.tenant().0;
        sqlx::query(AssertSqlSafe(self.release.clone()))
            .bind(tenant)
            .bind(route)
            .bind(key_hash)
            .execute(&mut **tx)
            .await
            .map(drop)
    }

    /// Forgets keys past their time; run by the service now and then, as the system.
    pub async fn expire(&self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        Ok(sqlx::query(AssertSqlSafe(self.expire.clone())).execute(connection).await?.rows_affected())
    }
}
