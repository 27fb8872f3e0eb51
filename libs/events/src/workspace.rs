//! What the executor, which keeps the files of workspaces, asks of the scheduler, which keeps their rows.

use jiff::Timestamp;
use kiln_domain::{TenantId, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A workspace as the scheduler knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceRecord {
    pub id: WorkspaceId,
    pub tenant_id: TenantId,
    pub name: String,
    pub is_default: bool,
    pub quota_bytes: u64,
    pub max_file_bytes: Option<u64>,
    /// As last told by the executor.
    pub used_bytes: u64,
    /// User or API key; none for the tenant's own default.
    pub created_by: Option<Uuid>,
    /// The store that has its files, once one was asked for them.
    pub store_id: Option<Uuid>,
    /// Its files have been made there.
    pub is_made: bool,
    /// What the tenant's storage leaves for all files of this workspace together, in bytes.
    pub room_bytes: u64,
    pub created_at: Timestamp,
}

/// executor → scheduler: this workspace is to be used, by way of this store, which becomes its own if it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWorkspace {
    pub tenant_id: TenantId,
    pub workspace_id: WorkspaceId,
    /// None only looks.
    pub store_id: Option<Uuid>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceReply {
    Found(Box<WorkspaceRecord>),
    NotFound,
}

/// executor → scheduler: what its files take, so that it is known to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceUsed {
    pub tenant_id: TenantId,
    pub workspace_id: WorkspaceId,
    pub used_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceUsedReply {
    /// False when there is no such workspace any more.
    pub known: bool,
}

/// executor → scheduler: what a client changes. `max_file_bytes` of `Some(None)` takes the limit away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeWorkspace {
    pub tenant_id: TenantId,
    pub workspace_id: WorkspaceId,
    pub name: Option<String>,
    pub quota_bytes: Option<u64>,
    #[serde(default, with = "nested")]
    pub max_file_bytes: Option<Option<u64>>,
}

mod nested {
    //! Tells a null from a field that is not there, in both directions.
    #![expect(clippy::option_option, clippy::ref_option, reason = "see the field")]
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Option<u64>>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|inner| vec![inner]).unwrap_or_default().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().next())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeWorkspaceReply {
    Changed(Box<WorkspaceRecord>),
    NotFound,
    NameTaken,
    /// More than the tenant may store at all.
    OverStorage {
        storage_bytes: u64,
    },
    /// The name of the tenant's own workspace stays.
    IsDefault,
}

/// executor → scheduler: takes the row away, after which the files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteWorkspace {
    pub tenant_id: TenantId,
    pub workspace_id: WorkspaceId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteWorkspaceReply {
    Deleted,
    NotFound,
    IsDefault,
    /// An execution or session that has not ended has it mounted, or will.
    InUse,
}

/// executor → scheduler: which of these have no row any more, so that their files are to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneWorkspaces {
    pub workspaces: Vec<WorkspaceId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneWorkspacesReply {
    pub gone: Vec<WorkspaceId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_taken_away_is_not_one_left_alone() {
        for max_file_bytes in [None, Some(None), Some(Some(7))] {
            let change = ChangeWorkspace {
                tenant_id: TenantId::generate(),
                workspace_id: WorkspaceId::generate(),
                name: None,
                quota_bytes: None,
                max_file_bytes,
            };
            let text = serde_json::to_string(&change).unwrap();
            assert_eq!(serde_json::from_str::<ChangeWorkspace>(&text).unwrap(), change);
        }
    }
}
