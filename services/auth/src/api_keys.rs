//! API keys, as stored: a hash, a visible prefix and what they may do.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use kiln_db::{Outgoing, TenantTx};
use kiln_domain::{ApiKeyId, Scope, TenantId, UserId};
use kiln_http::Problem;
use kiln_http::auth::{ApiKeyIdentity, ApiKeyText, RevokedSubject};
use kiln_runtime::outbox::Relay;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::revocations;

/// A key, as those who administer the tenant see it: never the key itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApiKey {
    #[schema(value_type = Uuid)]
    pub id: ApiKeyId,
    pub name: String,
    /// The key's visible beginning.
    pub prefix: String,
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    #[schema(value_type = Uuid)]
    pub created_by: UserId,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// To within a minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// As the audit log tells it.
    pub fn told(&self) -> serde_json::Value {
        serde_json::json!({"name": self.name, "scopes": self.scopes, "expires_at": self.expires_at})
    }
}

/// What a new key is to be.
pub struct NewApiKey {
    pub name: String,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<Timestamp>,
    pub created_by: UserId,
}

/// Makes a key; 409 when the tenant has `most` already.
pub async fn create(tx: &mut TenantTx, new: NewApiKey, most: i64) -> Result<(ApiKey, ApiKeyText), Problem> {
    let tenant = tx.tenant();
    let text = generate().map_err(Problem::internal)?;
    let id = text.id().ok_or_else(|| Problem::internal("a key just made has no id"))?;
    let key = ApiKey {
        id,
        name: new.name,
        prefix: text.prefix().to_owned(),
        scopes: new.scopes,
        created_by: new.created_by,
        created_at: Timestamp::now(),
        expires_at: new.expires_at,
        last_used_at: None,
    };
    let scopes: Vec<String> = key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let inserted = sqlx::query!(
        "INSERT INTO auth.api_keys (id, tenant_id, created_by, name, prefix, sha256, scopes, created_at, expires_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
         WHERE (SELECT count(*) FROM auth.api_keys WHERE tenant_id = $2 AND revoked_at IS NULL) < $10",
        id.0,
        tenant.0,
        key.created_by.0,
        key.name,
        key.prefix,
        &text.sha256()[..],
        &scopes,
        key.created_at.to_sqlx() as _,
        key.expires_at.map(jiff_sqlx::ToSqlx::to_sqlx) as _,
        most
    )
    .execute(&mut **tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(Problem::conflict("too_many_api_keys", format!("A tenant has at most {most} API keys; revoke one first.")));
    }
    Ok((key, text))
}

fn generate() -> anyhow::Result<ApiKeyText> {
    let mut bytes = [[0; 16]; 2];
    for half in &mut bytes {
        aws_lc_rs::rand::fill(half).map_err(|_| anyhow::anyhow!("no randomness"))?;
    }
    Ok(ApiKeyText::new(ApiKeyId::generate(), bytes.map(u128::from_be_bytes)))
}

/// The tenant's living keys, newest first, beginning after the one named; or the one key asked for.
pub async fn list(
    tx: &mut TenantTx,
    only: Option<ApiKeyId>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ApiKey>, sqlx::Error> {
    let tenant = tx.tenant();
    let rows = sqlx::query!(
        "SELECT id, name, prefix, scopes, created_by, created_at, expires_at, last_used_at FROM auth.api_keys
         WHERE tenant_id = $1 AND revoked_at IS NULL AND ($2::uuid IS NULL OR id < $2) AND ($3::uuid IS NULL OR id = $3)
         ORDER BY id DESC LIMIT $4",
        tenant.0,
        after,
        only.map(|id| id.0),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ApiKey {
            id: ApiKeyId(row.id),
            name: row.name,
            prefix: row.prefix,
            scopes: row.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect(),
            created_by: UserId(row.created_by),
            created_at: row.created_at.to_jiff(),
            expires_at: row.expires_at.map(jiff_sqlx::Timestamp::to_jiff),
            last_used_at: row.last_used_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
        .collect())
}

/// Revokes a key; none when the tenant has no such living key. The messages are for [`Relay::send`] after the commit.
pub async fn revoke(tx: &mut TenantTx, relay: &Relay, id: ApiKeyId) -> Result<Option<Vec<Outgoing>>, Problem> {
    let tenant = tx.tenant();
    let revoked = sqlx::query!(
        "UPDATE auth.api_keys SET revoked_at = now() WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL",
        tenant.0,
        id.0
    )
    .execute(&mut **tx)
    .await?;
    if revoked.rows_affected() == 0 {
        return Ok(None);
    }
    revocations::announce(tx, relay, tenant, RevokedSubject::ApiKey(id)).await.map(Some)
}

/// Revokes the tenant's keys that this person made, or all of them; which, and the messages for [`Relay::send`].
pub async fn revoke_made_by(
    connection: &mut PgConnection,
    relay: &Relay,
    tenant: TenantId,
    maker: Option<UserId>,
) -> Result<(Vec<ApiKeyId>, Vec<Outgoing>), Problem> {
    let revoked = sqlx::query_scalar!(
        "UPDATE auth.api_keys SET revoked_at = now()
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR created_by = $2) AND revoked_at IS NULL RETURNING id",
        tenant.0,
        maker.map(|id| id.0)
    )
    .fetch_all(&mut *connection)
    .await?;
    let revoked: Vec<ApiKeyId> = revoked.into_iter().map(ApiKeyId).collect();
    let mut messages = Vec::with_capacity(revoked.len());
    for id in &revoked {
        messages.extend(revocations::announce(connection, relay, tenant, RevokedSubject::ApiKey(*id)).await?);
    }
    Ok((revoked, messages))
}

/// Whose living key has this hash, made by somebody who still administers the tenant; notes its use, at most once a minute.
pub async fn resolve(connection: &mut PgConnection, sha256: &[u8]) -> Result<Option<ApiKeyIdentity>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT k.id, k.tenant_id, k.scopes, k.created_by, k.expires_at FROM auth.api_keys k
         JOIN auth.users u ON u.id = k.created_by AND u.disabled_at IS NULL
         JOIN auth.memberships m ON m.tenant_id = k.tenant_id AND m.user_id = k.created_by AND m.role IN ('admin', 'owner')
         WHERE k.sha256 = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())",
        sha256
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query!(
        "UPDATE auth.api_keys SET last_used_at = now()
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
        row.id
    )
    .execute(connection)
    .await?;
    Ok(Some(ApiKeyIdentity {
        id: ApiKeyId(row.id),
        tenant_id: TenantId(row.tenant_id),
        scopes: row.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect(),
        created_by: UserId(row.created_by),
        expires_at: row.expires_at.map(jiff_sqlx::Timestamp::to_jiff),
    }))
}
