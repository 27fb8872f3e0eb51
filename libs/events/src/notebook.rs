//! What the result service, which keeps notebooks, asks of the scheduler, which runs them.

use kiln_domain::{TenantId, WorkspaceId};
use serde::{Deserialize, Serialize};

/// result → scheduler: could something run there?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckPlace {
    pub tenant_id: TenantId,
    /// Id or alias.
    pub runtime: Option<String>,
    pub workspace_id: Option<WorkspaceId>,
}

/// What was not asked about is fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckPlaceReply {
    pub runtime_known: bool,
    /// Whether sessions can be made of it.
    pub has_sessions: bool,
    pub workspace_known: bool,
}
