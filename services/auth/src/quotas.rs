//! What tenants may use: their own quota, else their plan's, else the installation's.

#![expect(clippy::option_option, reason = "in a patch a null and a field that is not there differ")]

use kiln_db::Outgoing;
use kiln_domain::TenantId;
use kiln_events::{TenantChanged, TenantQuota, subject};
use kiln_http::{FieldError, Problem};
use kiln_runtime::outbox::Relay;
use serde::{Deserialize, Deserializer, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::config::QuotaDefaults;

/// What the tenant may use; nothing is ever unlimited.
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

/// Limits of a tenant's own, or of its plan; null leaves the next ones in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnQuota {
    pub max_concurrent: Option<i64>,
    pub max_queued: Option<i64>,
    pub executions_per_minute: Option<i64>,
    pub cpu_ms_per_day: Option<i64>,
    pub max_timeout_ms: Option<i64>,
    pub max_memory_bytes: Option<i64>,
    pub max_cpu_millis: Option<i64>,
    pub max_sessions: Option<i64>,
    pub storage_bytes: Option<i64>,
}

/// A change of a tenant's own limits: what is named is set, or with null given back to the plan.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaPatch {
    #[serde(deserialize_with = "named")]
    max_concurrent: Option<Option<i64>>,
    #[serde(deserialize_with = "named")]
    max_queued: Option<Option<i64>>,
    #[serde(deserialize_with = "named")]
    executions_per_minute: Option<Option<i64>>,
    #[serde(deserialize_with = "named")]
    cpu_ms_per_day: Option<Option<i64>>,
    #[serde(deserialize_with = "named")]
    max_timeout_ms: Option<Option<i64>>,
    #[serde(deserialize_with = "named")]
    max_memory_bytes: Option<Option<i64>>,
    #[serde(deserialize_with = "named")]
    max_cpu_millis: Option<Option<i64>>,
    #[serde(deserialize_with = "named")]
    max_sessions: Option<Option<i64>>,
    #[serde(deserialize_with = "named")]
    storage_bytes: Option<Option<i64>>,
}

/// Tells a null from a field that is not there.
pub fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl QuotaPatch {
    /// These limits with the named ones replaced, or each that is no positive number.
    pub fn apply(self, mut own: OwnQuota) -> Result<OwnQuota, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut set = |field: &str, to: &mut Option<i64>, named: Option<Option<i64>>, most: i64| match named {
            None => {}
            Some(Some(value)) if !(1..=most).contains(&value) => {
                errors.push(FieldError::new(format!("/quota/{field}"), format!("must be between 1 and {most}, or null")));
            }
            Some(value) => *to = value,
        };
        let (count, amount) = (i64::from(i32::MAX), i64::MAX);
        set("max_concurrent", &mut own.max_concurrent, self.max_concurrent, count);
        set("max_queued", &mut own.max_queued, self.max_queued, count);
        set("executions_per_minute", &mut own.executions_per_minute, self.executions_per_minute, count);
        set("cpu_ms_per_day", &mut own.cpu_ms_per_day, self.cpu_ms_per_day, amount);
        set("max_timeout_ms", &mut own.max_timeout_ms, self.max_timeout_ms, amount);
        set("max_memory_bytes", &mut own.max_memory_bytes, self.max_memory_bytes, amount);
        set("max_cpu_millis", &mut own.max_cpu_millis, self.max_cpu_millis, amount);
        set("max_sessions", &mut own.max_sessions, self.max_sessions, count);
        set("storage_bytes", &mut own.storage_bytes, self.storage_bytes, amount);
        if errors.is_empty() { Ok(own) } else { Err(errors) }
    }
}

impl OwnQuota {
    /// These over the installation's.
    pub fn over(&self, defaults: &QuotaDefaults) -> QuotaLimits {
        let choose = |own: Option<i64>, default: u64| own.and_then(|own| u64::try_from(own).ok()).unwrap_or(default);
        // What bounds one run cannot exceed what the installation allows any.
        let bounded = |own: Option<i64>, most: u64| choose(own, most).min(most);
        QuotaLimits {
            max_concurrent: choose(self.max_concurrent, defaults.max_concurrent),
            max_queued: choose(self.max_queued, defaults.max_queued),
            executions_per_minute: choose(self.executions_per_minute, defaults.executions_per_minute),
            cpu_ms_per_day: choose(self.cpu_ms_per_day, defaults.cpu_ms_per_day),
            max_timeout_ms: bounded(self.max_timeout_ms, defaults.max_timeout_ms),
            max_memory_bytes: bounded(self.max_memory_bytes, defaults.max_memory_bytes),
            max_cpu_millis: bounded(self.max_cpu_millis, defaults.max_cpu_millis),
            max_sessions: choose(self.max_sessions, defaults.max_sessions),
            storage_bytes: choose(self.storage_bytes, defaults.storage_bytes),
        }
    }

    /// What the scheduler is told of them.
    fn told(&self) -> TenantQuota {
        let count = |own: Option<i64>| own.map(|own| u32::try_from(own).unwrap_or(u32::MAX));
        let amount = |own: Option<i64>| own.and_then(|own| u64::try_from(own).ok());
        TenantQuota {
            max_concurrent: count(self.max_concurrent),
            max_queued: count(self.max_queued),
            executions_per_minute: count(self.executions_per_minute),
            cpu_ms_per_day: amount(self.cpu_ms_per_day),
            max_timeout_ms: amount(self.max_timeout_ms),
            max_memory_bytes: amount(self.max_memory_bytes),
            max_cpu_millis: amount(self.max_cpu_millis),
            max_sessions: count(self.max_sessions),
            storage_bytes: amount(self.storage_bytes),
        }
    }
}

/// The tenant's own limits.
pub async fn own(connection: &mut PgConnection, tenant: TenantId) -> Result<OwnQuota, sqlx::Error> {
    let own = sqlx::query_as!(
        OwnQuota,
        "SELECT max_concurrent, max_queued, executions_per_minute, cpu_ms_per_day, max_timeout_ms, max_memory_bytes,
                max_cpu_millis, max_sessions, storage_bytes FROM auth.quotas WHERE tenant_id = $1",
        tenant.0
    );
    Ok(own.fetch_optional(connection).await?.unwrap_or_default())
}

/// The tenant's own limits over its plan's.
pub async fn chosen(connection: &mut PgConnection, tenant: TenantId) -> Result<OwnQuota, sqlx::Error> {
    let chosen = sqlx::query_as!(
        OwnQuota,
        "SELECT COALESCE(q.max_concurrent, p.max_concurrent) AS max_concurrent, COALESCE(q.max_queued, p.max_queued) AS max_queued,
                COALESCE(q.executions_per_minute, p.executions_per_minute) AS executions_per_minute,
                COALESCE(q.cpu_ms_per_day, p.cpu_ms_per_day) AS cpu_ms_per_day,
                COALESCE(q.max_timeout_ms, p.max_timeout_ms) AS max_timeout_ms,
                COALESCE(q.max_memory_bytes, p.max_memory_bytes) AS max_memory_bytes,
                COALESCE(q.max_cpu_millis, p.max_cpu_millis) AS max_cpu_millis,
                COALESCE(q.max_sessions, p.max_sessions) AS max_sessions, COALESCE(q.storage_bytes, p.storage_bytes) AS storage_bytes
         FROM auth.tenants t LEFT JOIN auth.plans p ON p.name = t.plan LEFT JOIN auth.quotas q ON q.tenant_id = t.tenant_id
         WHERE t.tenant_id = $1",
        tenant.0
    );
    Ok(chosen.fetch_optional(connection).await?.unwrap_or_default())
}

/// Replaces the tenant's own limits.
pub async fn set_own(connection: &mut PgConnection, tenant: TenantId, own: &OwnQuota) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.quotas (tenant_id, max_concurrent, max_queued, executions_per_minute, cpu_ms_per_day, max_timeout_ms,
            max_memory_bytes, max_cpu_millis, max_sessions, storage_bytes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (tenant_id) DO UPDATE
         SET max_concurrent = EXCLUDED.max_concurrent, max_queued = EXCLUDED.max_queued,
             executions_per_minute = EXCLUDED.executions_per_minute, cpu_ms_per_day = EXCLUDED.cpu_ms_per_day,
             max_timeout_ms = EXCLUDED.max_timeout_ms, max_memory_bytes = EXCLUDED.max_memory_bytes,
             max_cpu_millis = EXCLUDED.max_cpu_millis, max_sessions = EXCLUDED.max_sessions, storage_bytes = EXCLUDED.storage_bytes",
        tenant.0,
        own.max_concurrent,
        own.max_queued,
        own.executions_per_minute,
        own.cpu_ms_per_day,
        own.max_timeout_ms,
        own.max_memory_bytes,
        own.max_cpu_millis,
        own.max_sessions,
        own.storage_bytes
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Says by event how the tenant is now; the messages are for [`Relay::send`] after the commit. The tenant's row is locked.
pub async fn announce(
    connection: &mut PgConnection,
    relay: &Relay,
    tenant: TenantId,
    slug: &str,
    suspended: bool,
) -> Result<Vec<Outgoing>, Problem> {
    let quota = chosen(&mut *connection, tenant).await?.told();
    let changed = TenantChanged { slug: slug.to_owned(), suspended, quota: Some(quota) };
    let event = Relay::event(subject::TENANT_CHANGED, tenant, jiff::Timestamp::now(), changed).map_err(Problem::internal)?;
    let messages = vec![event];
    relay.add(connection, &messages).await?;
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(patch: &str, own: OwnQuota) -> Result<OwnQuota, Vec<String>> {
        let patch: QuotaPatch = serde_json::from_str(patch).unwrap();
        patch.apply(own).map_err(|errors| errors.into_iter().map(|error| error.pointer).collect())
    }

    #[test]
    fn a_patch_sets_resets_and_leaves() {
        let own = OwnQuota { max_concurrent: Some(4), max_queued: Some(5), ..OwnQuota::default() };
        let expected = OwnQuota { max_queued: Some(9), ..OwnQuota::default() };
        assert_eq!(patched(r#"{"max_concurrent": null, "max_queued": 9}"#, own), Ok(expected));
        assert_eq!(patched("{}", own), Ok(own));
    }

    #[test]
    fn zero_never_means_unlimited() {
        let refused = patched(r#"{"max_concurrent": 0, "cpu_ms_per_day": -1, "max_queued": 4294967296}"#, OwnQuota::default());
        assert_eq!(refused.unwrap_err(), ["/quota/max_concurrent", "/quota/max_queued", "/quota/cpu_ms_per_day"]);
    }

    #[test]
    fn no_plan_exceeds_what_one_run_may_have() {
        let defaults = QuotaDefaults::default();
        let limits = OwnQuota { max_timeout_ms: Some(i64::MAX), max_sessions: Some(1), ..OwnQuota::default() }.over(&defaults);
        assert_eq!((limits.max_timeout_ms, limits.max_sessions), (defaults.max_timeout_ms, 1));
    }
}
