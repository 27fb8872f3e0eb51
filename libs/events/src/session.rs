//! Sessions: what the scheduler asks of the executor that holds one, and what executors say of theirs.

use kiln_domain::{InstanceId, Limits, ReasonCode, SessionId, Start, TenantId, WorkspaceId};
use serde::{Deserialize, Serialize};

/// scheduler → executor: make this session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenSession {
    pub tenant_id: TenantId,
    pub session_id: SessionId,
    pub runtime: String,
    pub limits: Limits,
    pub workspace_id: Option<WorkspaceId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenSessionReply {
    /// It takes cells; by this start of the executor.
    Opened { instance: InstanceId, start: Start },
    /// Another executor has the files of its workspace.
    Elsewhere,
    /// In plain words for the user.
    Refused { message: String },
}

/// scheduler → executor: end this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseSession {
    pub session_id: SessionId,
    pub cause: ReasonCode,
}

/// scheduler → executor: do this with the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TellSession {
    pub session_id: SessionId,
    pub what: SessionOrder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionOrder {
    /// KeyboardInterrupt in the cell that runs, if one does.
    Interrupt,
    /// A new interpreter; a cell that runs is cancelled.
    Restart,
}

/// False when the executor has no such session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKnown {
    pub known: bool,
}

/// scheduler → executor: a question about the session's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskSession {
    pub session_id: SessionId,
    pub kind: SessionQuestion,
    pub code: String,
    /// In characters.
    pub cursor: u64,
    pub detail: u8,
    /// How long to wait for the answer.
    pub wait_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionQuestion {
    Complete,
    Inspect,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskSessionReply {
    Answer(serde_json::Value),
    /// A cell runs, and the question waits behind it.
    Busy,
    Unknown,
}

/// A session that an executor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSession {
    pub tenant_id: TenantId,
    pub session_id: SessionId,
}

/// executor → scheduler: the session has ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    pub tenant_id: TenantId,
    pub session_id: SessionId,
    pub instance: InstanceId,
    /// In plain words for the user.
    pub message: String,
}
