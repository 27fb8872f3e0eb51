//! A tenant's secrets, as stored: names in clear, values sealed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kiln_db::TenantTx;
use kiln_domain::TenantId;
use kiln_http::Problem;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::envelope::{Keyring, Sealed};

/// Secrets of one tenant.
const MOST: i64 = 200;
/// Wrapped anew in one sweep.
const REWRAPPED_AT_ONCE: i64 = 200;

/// A secret, as those who administer the tenant see it: never its value.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Secret {
    #[serde(skip)]
    pub id: Uuid,
    /// Also the environment variable that a run gets.
    pub name: String,
    /// Written as asterisks where a run prints it.
    pub masked: bool,
    /// User or API key.
    pub updated_by: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Secret {
    /// As the audit log tells it: never the value.
    pub fn told(&self) -> serde_json::Value {
        serde_json::json!({"masked": self.masked, "updated_by": self.updated_by, "updated_at": self.updated_at})
    }
}

/// Where a value belongs; it opens nowhere else.
fn place(tenant: TenantId, name: &str) -> String {
    format!("{tenant}/{name}")
}

/// A secret to be set.
#[derive(Clone, Copy)]
pub struct NewSecret<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub masked: bool,
    /// User or API key.
    pub by: Uuid,
}

/// Sets a secret; true when it is new. 409 when the tenant has too many.
pub async fn put(tx: &mut TenantTx, ring: &Keyring, new: NewSecret<'_>) -> Result<bool, Problem> {
    let NewSecret { name, value, masked, by } = new;
    let tenant = tx.tenant();
    // Before the key is chosen: whoever turns the keys over waits for this, and finds it.
    sqlx::query!("SELECT pg_advisory_xact_lock_shared(hashtext('auth.secrets'))").fetch_one(&mut **tx).await?;
    let sealed = ring.seal(&place(tenant, name), value).map_err(Problem::internal)?;
    let new = sqlx::query_scalar!(
        r#"INSERT INTO auth.secrets AS s (id, tenant_id, name, key_id, wrapped_key, value, updated_by, masked)
           SELECT $1, $2, $3, $4, $5, $6, $7, $9
           WHERE (SELECT count(*) FROM auth.secrets WHERE tenant_id = $2 AND name <> $3) < $8
           ON CONFLICT (tenant_id, name) DO UPDATE
           SET key_id = EXCLUDED.key_id, wrapped_key = EXCLUDED.wrapped_key, value = EXCLUDED.value,
               updated_by = EXCLUDED.updated_by, updated_at = now(), masked = EXCLUDED.masked
           RETURNING id = $1 AS "new!""#,
        Uuid::now_v7(),
        tenant.0,
        name,
        sealed.key_id,
        sealed.wrapped_key,
        sealed.value,
        by,
        MOST,
        masked
    )
    .fetch_optional(&mut **tx)
    .await?;
    new.ok_or_else(|| Problem::conflict("too_many_secrets", format!("A tenant has at most {MOST} secrets; delete one first.")))
}

/// The tenant's secrets, newest first, beginning after the one named; or the one of that name.
pub async fn list(tx: &mut TenantTx, only: Option<&str>, after: Option<Uuid>, limit: i64) -> Result<Vec<Secret>, sqlx::Error> {
    let tenant = tx.tenant();
    let rows = sqlx::query!(
        "SELECT id, name, masked, updated_by, created_at, updated_at FROM auth.secrets
         WHERE tenant_id = $1 AND ($2::text IS NULL OR name = $2) AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        tenant.0,
        only,
        after,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Secret {
            id: row.id,
            name: row.name,
            masked: row.masked,
            updated_by: row.updated_by,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        })
        .collect())
}

/// Deletes a secret.
pub async fn delete(tx: &mut TenantTx, name: &str) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant();
    let deleted = sqlx::query!("DELETE FROM auth.secrets WHERE tenant_id = $1 AND name = $2", tenant.0, name);
    deleted.execute(&mut **tx).await.map(drop)
}

/// Those of the names that there are, with their values or with empty ones; and which of them are masked.
pub async fn resolve(
    tx: &mut TenantTx,
    ring: &Keyring,
    names: &[String],
    values: bool,
) -> anyhow::Result<(BTreeMap<String, String>, BTreeSet<String>)> {
    let tenant = tx.tenant();
    let rows = sqlx::query!(
        "SELECT name, masked, key_id, wrapped_key, value FROM auth.secrets WHERE tenant_id = $1 AND name = ANY($2)",
        tenant.0,
        names
    )
    .fetch_all(&mut **tx)
    .await?;
    // Another process may have turned the keys over.
    if values && rows.iter().any(|row| !ring.knows(&row.key_id)) {
        ring.reload()?;
    }
    let masked = rows.iter().filter(|row| row.masked).map(|row| row.name.clone()).collect();
    let opened = rows
        .into_iter()
        .map(|row| {
            let sealed = Sealed { key_id: row.key_id, wrapped_key: row.wrapped_key, value: row.value };
            let value = if values { ring.open(&place(tenant, &row.name), &sealed)? } else { String::new() };
            Ok((row.name, value))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok((opened, masked))
}

/// Waits for secrets that are being set, perhaps still under an earlier key, until the transaction ends.
pub async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('auth.secrets'))").fetch_one(connection).await.map(drop)
}

/// Wraps some keys anew that are still under an earlier one of the operator's; how many.
pub async fn turn_over(connection: &mut PgConnection, ring: &Keyring) -> anyhow::Result<usize> {
    let Some(present) = ring.present() else { return Ok(0) };
    let rows = sqlx::query!(
        "SELECT id, tenant_id, name, key_id, wrapped_key, value FROM auth.secrets WHERE key_id <> $1 LIMIT $2 FOR UPDATE",
        present,
        REWRAPPED_AT_ONCE
    )
    .fetch_all(&mut *connection)
    .await?;
    let found = rows.len();
    for row in rows {
        let sealed = Sealed { key_id: row.key_id, wrapped_key: row.wrapped_key, value: row.value };
        let sealed = ring.rewrap(&place(TenantId(row.tenant_id), &row.name), &sealed)?;
        sqlx::query!(
            "UPDATE auth.secrets SET key_id = $2, wrapped_key = $3 WHERE id = $1",
            row.id,
            sealed.key_id,
            sealed.wrapped_key
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(found)
}
