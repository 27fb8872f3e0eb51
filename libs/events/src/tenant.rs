//! What the auth service says about tenants and revoked credentials.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_domain::{ApiKeyId, SignInId, UserId};
use serde::{Deserialize, Serialize};

/// A tenant appeared or changed; the envelope names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantChanged {
    pub slug: String,
    pub suspended: bool,
    /// None leaves the defaults of the installation in force.
    pub quota: Option<TenantQuota>,
}

/// A tenant's own limits, where they differ from the installation's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantQuota {
    pub max_concurrent: Option<u32>,
    pub max_queued: Option<u32>,
    pub executions_per_minute: Option<u32>,
    pub cpu_ms_per_day: Option<u64>,
    #[serde(default)]
    pub max_timeout_ms: Option<u64>,
    #[serde(default)]
    pub max_memory_bytes: Option<u64>,
    #[serde(default)]
    pub max_cpu_millis: Option<u64>,
    #[serde(default)]
    pub max_sessions: Option<u32>,
    #[serde(default)]
    pub storage_bytes: Option<u64>,
}

/// A tenant is gone; whatever there is of it is to be ended and removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantDeleted {
    pub slug: String,
}

/// A service has removed what it had of a deleted tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantPurged {
    pub service: String,
    /// How many of each kind of thing.
    pub removed: BTreeMap<String, u64>,
}

/// Access tokens of this sign-in are refused from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInRevoked {
    pub sign_in_id: SignInId,
    pub revoked_at: Timestamp,
}

/// Whatever was known of this person before is to be asked again: their role in a tenant, or what they are, has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRevoked {
    pub user_id: UserId,
    pub revoked_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRevoked {
    pub api_key_id: ApiKeyId,
    pub revoked_at: Timestamp,
}
