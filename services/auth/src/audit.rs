//! The record of who did what, from where: append-only.

use std::net::IpAddr;

use kiln_domain::TenantId;
use kiln_http::auth::Caller;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

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
