//! An execution as the scheduler knows it, and how an executor says that an attempt finished.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_domain::{Ended, ExecutionId, InstanceId, Limits, SessionId, Start, Status, TenantId, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::Frame;

/// Everything about an execution but its output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionRecord {
    pub id: ExecutionId,
    pub tenant_id: TenantId,
    /// User or API key that asked for it.
    pub created_by: uuid::Uuid,
    pub status: Status,
    pub runtime: String,
    pub limits: Limits,
    pub interactive: bool,
    pub labels: BTreeMap<String, String>,
    pub session_id: Option<SessionId>,
    pub workspace_id: Option<WorkspaceId>,
    /// 0 before the first attempt is made.
    pub attempt: u32,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// The executor that holds the current attempt.
    pub executor_id: Option<String>,
    /// Present once the status is terminal.
    pub ended: Option<Ended>,
    pub start: Option<Start>,
    /// Isolation tier of the sandbox that ran it, such as `root-cgroup-v2`.
    pub isolation: Option<String>,
}

/// An attempt ended in its sandbox; all its output but the last frames was published before this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    pub execution_id: ExecutionId,
    pub attempt: u32,
    pub executor_id: String,
    pub instance: InstanceId,
    pub ended: Ended,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// Sequence number of the attempt's last output frame; 0 when there was none.
    pub last_seq: u32,
    /// The last frames, not published before: the end takes them along. Of a short run they are all.
    #[serde(default)]
    pub last_frames: Vec<Frame>,
    pub start: Start,
    pub isolation: String,
}
