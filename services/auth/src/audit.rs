//! The record of who did what, from where: append-only.

use std::net::IpAddr;

use jiff::Timestamp;
use kiln_domain::TenantId;
use kiln_http::auth::Caller;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

/// One act, as those who administer the tenant read it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Row {
    pub id: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub actor: Actor,
    /// From where.
    pub address: Option<String>,
    /// Noun and past verb, such as `api_key.created`.
    pub action: String,
    /// What it was done to, by id or name.
    pub object: String,
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
}

/// Who did it: a person or an API key.
#[derive(Debug, Serialize, ToSchema)]
pub struct Actor {
    pub user_id: Option<Uuid>,
    pub api_key_id: Option<Uuid>,
    /// The person's address.
    pub email: Option<String>,
}

/// A tenant's acts, newest first, beginning after the one named.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT a.id, a.at, a.actor_user_id, a.actor_api_key_id, COALESCE(a.actor_email, u.email) AS "email?",
                  host(a.address) AS "address?", a.action, a.object, a.before, a.after
           FROM auth.audit_log a LEFT JOIN auth.users u ON u.id = a.actor_user_id
           WHERE a.tenant_id = $1 AND a.id < $2 ORDER BY a.id DESC LIMIT $3"#,
        tenant.0,
        // Always a bound, so that a plan made for any value walks the index from there.
        after.unwrap_or(Uuid::max()),
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Row {
            id: row.id,
            at: row.at.to_jiff(),
            actor: Actor { user_id: row.actor_user_id, api_key_id: row.actor_api_key_id, email: row.email },
            address: row.address,
            action: row.action,
            object: row.object,
            before: row.before,
            after: row.after,
        })
        .collect())
}

/// One act.
#[derive(Debug, Default)]
pub struct Entry {
    /// None when it concerns an account alone.
    pub tenant_id: Option<TenantId>,
    pub user_id: Option<Uuid>,
    pub api_key_id: Option<Uuid>,
    pub email: Option<String>,
    pub address: Option<IpAddr>,
    /// Noun and past verb, such as `api_key.created`.
    pub action: &'static str,
    /// What it was done to, by id.
    pub object: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Entry {
    /// An act of this caller in their tenant.
    pub fn by(caller: &Caller, address: IpAddr, action: &'static str, object: &dyn ToString) -> Self {
        Self {
            tenant_id: Some(caller.tenant_id),
            user_id: caller.user_id().map(|id| id.0),
            api_key_id: caller.api_key_id().map(|id| id.0),
            address: Some(address),
            action,
            object: object.to_string(),
            ..Self::default()
        }
    }

    /// Writes the entry in the transaction of the act itself.
    pub async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "INSERT INTO auth.audit_log (id, tenant_id, actor_user_id, actor_api_key_id, actor_email, address, action, object, before, after)
             VALUES ($1, $2, $3, $4, $5, ($6::text)::inet, $7, $8, $9, $10)",
            Uuid::now_v7(),
            self.tenant_id.map(|id| id.0),
            self.user_id,
            self.api_key_id,
            self.email,
            self.address.map(|address| address.to_string()),
            self.action,
            self.object,
            self.before,
            self.after,
        )
        .execute(connection)
        .await
        .map(drop)
    }
}
