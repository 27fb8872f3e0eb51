//! The Workspace as clients see it, the same in the service that makes it and in the one that keeps its files.

use jiff::Timestamp;
use kiln_events::WorkspaceRecord;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A directory of files that lives on between runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Workspace {
    pub id: Uuid,
    pub name: String,
    /// What its files take on their disk.
    pub used_bytes: u64,
    pub quota_bytes: u64,
    /// Null: a file may be as large as the quota.
    pub max_file_bytes: Option<u64>,
    /// The tenant's own, which cannot be deleted.
    pub default: bool,
    /// User or API key; null for the tenant's own.
    pub created_by: Option<Uuid>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<WorkspaceRecord> for Workspace {
    fn from(record: WorkspaceRecord) -> Self {
        Self {
            id: record.id.0,
            name: record.name,
            used_bytes: record.used_bytes,
            quota_bytes: record.quota_bytes,
            max_file_bytes: record.max_file_bytes,
            default: record.is_default,
            created_by: record.created_by,
            created_at: record.created_at,
        }
    }
}
