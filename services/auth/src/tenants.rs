//! Tenants, as stored, and what they may use.

use axum::http::StatusCode;
use jiff::Timestamp;
use kiln_db::{Outgoing, TenantTx};
use kiln_domain::{Role, TenantId, UserId};
use kiln_events::{TenantChanged, subject};
use kiln_http::Problem;
use kiln_runtime::outbox::Relay;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::names::slug;

/// Slugs tried before giving up; each further one carries 32 random bits.
const SLUG_TRIES: usize = 4;

/// A tenant, as its members see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Tenant {
    #[schema(value_type = Uuid)]
    pub id: TenantId,
    pub name: String,
    /// Its name in addresses and namespaces; a DNS label.
    pub slug: String,
    pub suspended: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A tenant, as those who run the installation see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TenantRow {
    #[schema(value_type = Uuid)]
    pub id: TenantId,
    pub name: String,
    pub slug: String,
    pub suspended: bool,
    /// Null: the installation's limits.
    pub plan: Option<String>,
    pub members: i64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Makes a tenant with this owner, and the event that says so; the messages are for [`Relay::send`] after the commit.
pub async fn create(
    connection: &mut PgConnection,
    relay: &Relay,
    name: &str,
    owner: UserId,
) -> Result<(Tenant, Vec<Outgoing>), Problem> {
    let tenant = Tenant {
        id: TenantId::generate(),
        name: name.to_owned(),
        slug: String::new(),
        suspended: false,
        created_at: Timestamp::now(),
    };
    let tenant = Tenant { slug: insert(connection, &tenant).await?, ..tenant };
    sqlx::query!(
        "INSERT INTO auth.memberships (tenant_id, user_id, role) VALUES ($1, $2, $3)",
        tenant.id.0,
        owner.0,
        Role::Owner.as_str()
    )
    .execute(&mut *connection)
    .await?;
    let event = TenantChanged { slug: tenant.slug.clone(), suspended: false, quota: None };
    let event = Relay::event(subject::TENANT_CREATED, tenant.id, tenant.created_at, event).map_err(Problem::internal)?;
    let messages = vec![event];
    relay.add(connection, &messages).await?;
    Ok((tenant, messages))
}

/// Inserts the row under the first slug that is free.
async fn insert(connection: &mut PgConnection, tenant: &Tenant) -> Result<String, Problem> {
    let wanted = slug(&tenant.name);
    for attempt in 0..SLUG_TRIES {
        let slug = if attempt == 0 { wanted.clone() } else { format!("{wanted}-{:08x}", rand::random::<u32>()) };
        let inserted = sqlx::query!(
            "INSERT INTO auth.tenants (tenant_id, name, slug) VALUES ($1, $2, $3) ON CONFLICT (slug) DO NOTHING",
            tenant.id.0,
            tenant.name,
            slug
        )
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() == 1 {
            return Ok(slug);
        }
    }
    Err(Problem::internal("no free slug was found"))
}

pub async fn find(connection: &mut PgConnection, id: TenantId) -> Result<Option<Tenant>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT name, slug, suspended_at IS NOT NULL AS "suspended!", created_at FROM auth.tenants WHERE tenant_id = $1"#,
        id.0
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Tenant {
        id,
        name: row.name,
        slug: row.slug,
        suspended: row.suspended,
        created_at: row.created_at.to_jiff(),
    }))
}

pub async fn rename(tx: &mut TenantTx, name: &str) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant();
    let renamed = sqlx::query!("UPDATE auth.tenants SET name = $2 WHERE tenant_id = $1", tenant.0, name);
    renamed.execute(&mut **tx).await.map(drop)
}

/// How many tenants the person owns.
pub async fn owned_by(connection: &mut PgConnection, user: UserId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM auth.memberships WHERE user_id = $1 AND role = 'owner'"#, user.0)
        .fetch_one(connection)
        .await
}

/// Tenants, newest first, beginning after the one named; or the one asked for.
pub async fn list_all(
    connection: &mut PgConnection,
    only: Option<TenantId>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<TenantRow>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT t.tenant_id, t.name, t.slug, t.suspended_at IS NOT NULL AS "suspended!", t.plan, t.created_at,
                  (SELECT count(*) FROM auth.memberships m WHERE m.tenant_id = t.tenant_id) AS "members!"
           FROM auth.tenants t WHERE ($1::uuid IS NULL OR t.tenant_id = $1) AND ($2::uuid IS NULL OR t.tenant_id < $2)
           ORDER BY t.tenant_id DESC LIMIT $3"#,
        only.map(|id| id.0),
        after,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| TenantRow {
            id: TenantId(row.tenant_id),
            name: row.name,
            slug: row.slug,
            suspended: row.suspended,
            plan: row.plan,
            members: row.members,
            created_at: row.created_at.to_jiff(),
        })
        .collect())
}

/// Keeps other changes of the tenant away until the transaction ends.
pub async fn lock(connection: &mut PgConnection, id: TenantId) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT tenant_id FROM auth.tenants WHERE tenant_id = $1 FOR UPDATE", id.0)
        .fetch_optional(connection)
        .await
        .map(drop)
}

/// Holds the tenant as it is until the transaction ends, so that what is counted of it stays true: 404 when it is gone, 403
/// while it is suspended.
pub async fn hold(connection: &mut PgConnection, id: TenantId) -> Result<(), Problem> {
    let suspended = sqlx::query_scalar!(
        r#"SELECT suspended_at IS NOT NULL AS "suspended!" FROM auth.tenants WHERE tenant_id = $1 FOR NO KEY UPDATE"#,
        id.0
    );
    if suspended.fetch_optional(connection).await?.ok_or_else(Problem::not_found)? {
        let detail = "This tenant is suspended; nothing of it can be changed.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "tenant_suspended", detail));
    }
    Ok(())
}

/// Sets whether the tenant is suspended, and its plan; 422 when there is no such plan.
pub async fn set_state(connection: &mut PgConnection, id: TenantId, suspended: bool, plan: Option<&str>) -> Result<(), Problem> {
    let set = sqlx::query!(
        "UPDATE auth.tenants SET suspended_at = CASE WHEN $2 THEN COALESCE(suspended_at, now()) END, plan = $3 WHERE tenant_id = $1",
        id.0,
        suspended,
        plan
    );
    match set.execute(connection).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("tenants_plan_fkey") => {
            Err(Problem::invalid_field("/plan", "there is no such plan"))
        }
        Err(error) => Err(error.into()),
    }
}
