//! Executions of a session that belong together: what the keeper of notebooks asks of the scheduler.

use std::collections::BTreeMap;

use kiln_domain::{ExecutionId, LimitsPatch, SessionId, TenantId, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::PayloadSource;

/// result → scheduler: run these in one session, one after the other; once one fails, those behind it do not run.
/// Either all of them are accepted or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunBatch {
    pub tenant_id: TenantId,
    /// User or API key.
    pub created_by: Uuid,
    /// They may use sessions of others.
    pub manages: bool,
    pub batch_id: Uuid,
    pub session: BatchSession,
    pub executions: Vec<BatchExecution>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchSession {
    /// Make one, and close it again when they are not accepted.
    New {
        session_id: SessionId,
        name: String,
        /// Id or alias.
        runtime: String,
        workspace_id: Option<WorkspaceId>,
        limits: LimitsPatch,
    },
    Open(SessionId),
}

/// In the order in which their ids were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchExecution {
    pub execution_id: ExecutionId,
    pub payload: PayloadSource,
    /// An exception is no failure.
    pub may_raise: bool,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunBatchReply {
    Accepted,
    Refused(BatchRefusal),
}

/// Why, as the API says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRefusal {
    pub status: u16,
    pub code: String,
    pub detail: String,
    /// The field that is not acceptable, where it is one.
    pub pointer: Option<String>,
}

/// result → scheduler: the session's work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishSession {
    pub tenant_id: TenantId,
    pub session_id: SessionId,
}
