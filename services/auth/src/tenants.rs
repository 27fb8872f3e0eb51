//! Tenants, as stored, and what they may use.

use jiff::Timestamp;
use kiln_db::{Outgoing, TenantTx};
use kiln_domain::{Role, TenantId, UserId};
use kiln_events::{TenantChanged, subject};
use kiln_http::Problem;
use kiln_runtime::outbox::Relay;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::config::QuotaDefaults;
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

/// What the tenant may use; null is never unlimited, it is not there.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct QuotaLimits {
    pub max_concurrent: u64,
    pub max_queued: u64,
    pub executions_per_minute: u64,
    pub cpu_ms_per_day: u64,
    pub max_timeout_ms: u64,
    pub max_memory_bytes: u64,
    pub max_cpu_millis: u64,
    pub max_sessions: u64,
    pub storage_bytes: u64,
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

/// The tenant's own limits over the installation's.
pub async fn quota(connection: &mut PgConnection, id: TenantId, defaults: &QuotaDefaults) -> Result<QuotaLimits, sqlx::Error> {
    let own = sqlx::query!(
        "SELECT max_concurrent, max_queued, executions_per_minute, cpu_ms_per_day, max_timeout_ms, max_memory_bytes, max_cpu_millis,
                max_sessions, storage_bytes
         FROM auth.quotas WHERE tenant_id = $1",
        id.0
    )
    .fetch_optional(connection)
    .await?;
    let choose = |own: Option<i64>, default: u64| own.and_then(|own| u64::try_from(own).ok()).unwrap_or(default);
    let own = own.as_ref();
    Ok(QuotaLimits {
        max_concurrent: choose(own.and_then(|own| own.max_concurrent), defaults.max_concurrent),
        max_queued: choose(own.and_then(|own| own.max_queued), defaults.max_queued),
        executions_per_minute: choose(own.and_then(|own| own.executions_per_minute), defaults.executions_per_minute),
        cpu_ms_per_day: choose(own.and_then(|own| own.cpu_ms_per_day), defaults.cpu_ms_per_day),
        max_timeout_ms: choose(own.and_then(|own| own.max_timeout_ms), defaults.max_timeout_ms),
        max_memory_bytes: choose(own.and_then(|own| own.max_memory_bytes), defaults.max_memory_bytes),
        max_cpu_millis: choose(own.and_then(|own| own.max_cpu_millis), defaults.max_cpu_millis),
        max_sessions: choose(own.and_then(|own| own.max_sessions), defaults.max_sessions),
        storage_bytes: choose(own.and_then(|own| own.storage_bytes), defaults.storage_bytes),
    })
}
