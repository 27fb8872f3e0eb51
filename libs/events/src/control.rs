//! Requests and replies over core NATS. Each request names the tenant it is made for.

use jiff::Timestamp;
use kiln_domain::{ExecutionId, InstanceId, ReasonCode, Runtime, TenantId};
use serde::{Deserialize, Serialize};

use crate::ExecutionRecord;

/// executor → scheduler: may I start this attempt?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub tenant_id: TenantId,
    pub execution_id: ExecutionId,
    pub attempt: u32,
    pub executor_id: String,
    pub instance: InstanceId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimReply {
    Granted,
    /// The attempt is over, cancelled or another's: drop the task.
    Refused,
}

/// An attempt that an executor is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LiveAttempt {
    pub tenant_id: TenantId,
    pub execution_id: ExecutionId,
    pub attempt: u32,
}

/// executor → scheduler, each second: I live, with these attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub executor_id: String,
    pub instance: InstanceId,
    pub pool: String,
    pub slots: u32,
    pub isolation: String,
    pub runtimes: Vec<Runtime>,
    pub running: Vec<LiveAttempt>,
    /// A draining executor takes no new work.
    pub draining: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// Attempts to stop: cancelled, or no longer this executor's.
    pub stop: Vec<Stop>,
}

/// scheduler → executor: end this attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub execution_id: ExecutionId,
    pub attempt: u32,
    pub cause: ReasonCode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopReply {
    /// False when the executor does not run that attempt.
    pub known: bool,
}

/// result → executor: deliver a signal to the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendSignal {
    pub execution_id: ExecutionId,
    pub signal: String,
}

/// result → scheduler: the execution as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Describe {
    pub tenant_id: TenantId,
    pub execution_id: ExecutionId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DescribeReply {
    pub record: Option<ExecutionRecord>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    pub tenant_id: TenantId,
    pub execution_id: ExecutionId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReply {
    Accepted(Box<ExecutionRecord>),
    AlreadyEnded,
    NotFound,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    pub tenant_id: TenantId,
    pub execution_id: ExecutionId,
    /// Id of the new execution, so that asking twice makes one.
    pub new_id: ExecutionId,
    pub created_by: uuid::Uuid,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryReply {
    Accepted(Box<ExecutionRecord>),
    StillLive,
    NotFound,
    /// The tenant's quota that is spent, by its API code.
    OverQuota {
        code: String,
        detail: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    pub tenant_id: TenantId,
    pub execution_id: ExecutionId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteReply {
    Deleted,
    StillLive,
    NotFound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    pub tenant_id: TenantId,
    pub execution_id: ExecutionId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingFor {
    Capacity,
    TenantConcurrency,
    Rate,
    Runtime,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyReply {
    State {
        state: kiln_domain::Status,
        /// 1 is next within its tenant; none when it does not wait.
        position: Option<u64>,
        waiting_for: Option<WaitingFor>,
        estimate_ms: Option<u64>,
    },
    NotFound,
}

/// auth → scheduler: what the tenant uses of its quota now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantUsage {
    pub tenant_id: TenantId,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantUsageReply {
    pub running: u64,
    pub queued: u64,
    pub executions_last_minute: u64,
    pub cpu_ms_today: u64,
}

/// Tag of an answer to [`AwaitEnd`] when the execution has ended, and when it has not.
pub const AWAIT_ENDED: &str = "ended";
pub const AWAIT_LIVE: &str = "live";

/// scheduler → result: answer with the whole execution once it has ended, or as it is at the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitEnd {
    pub tenant_id: TenantId,
    pub execution_id: ExecutionId,
    pub until: Timestamp,
}
