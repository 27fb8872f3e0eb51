//! An attempt to be made, and what it is given.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_domain::{ExecutionId, Limits, SessionId, WorkspaceId};
use serde::{Deserialize, Serialize};

/// One attempt, for whichever executor pulls it; it must claim the attempt before it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub execution_id: ExecutionId,
    pub attempt: u32,
    pub runtime: String,
    pub limits: Limits,
    pub interactive: bool,
    pub workspace_id: Option<WorkspaceId>,
    pub dispatched_at: Timestamp,
    pub payload: PayloadSource,
    /// Whether secrets are to be asked for once the attempt is claimed.
    #[serde(default)]
    pub has_secrets: bool,
    /// The session that it is to run in, on the executor that has it.
    #[serde(default)]
    pub session_id: Option<SessionId>,
    /// The attempt is its executor's already, by a lease that goes on for longer than this. Whoever takes the message up
    /// later claims the attempt as any other: the lease may have run out.
    #[serde(default)]
    pub granted_until: Option<Timestamp>,
}

/// Large payloads travel by the object store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadSource {
    Inline(Payload),
    /// Name in the object store of a [`Payload`] in JSON.
    Object(String),
}

/// What the program is and is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    pub code: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub stdin: String,
    pub files: Vec<InputFile>,
    /// In a session: neither counted nor shown as a value.
    #[serde(default)]
    pub silent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    pub path: String,
    #[serde(with = "crate::base64_bytes")]
    pub content: Vec<u8>,
}
