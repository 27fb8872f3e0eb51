//! Requests and replies over core NATS. Each request names the tenant it is made for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kiln_domain::{ExecutionId, InstanceId, ReasonCode, Runtime, SessionId, TenantId};
use serde::{Deserialize, Serialize};

use crate::{ExecutionRecord, LiveSession};

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
    /// CPU time that attempts named in `running` have used so far, in milliseconds, where it is known.
    #[serde(default)]
    pub cpu_ms: BTreeMap<ExecutionId, u64>,
    /// Sessions that it has.
    #[serde(default)]
    pub sessions: Vec<LiveSession>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// Attempts to stop: cancelled, or no longer this executor's.
    pub stop: Vec<Stop>,
    /// Sessions to end: closed, or no longer this executor's.
    #[serde(default)]
    pub close: Vec<SessionId>,
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
    /// The session that it ran in takes no executions any more.
    SessionClosed,
    /// The workspace that the first one ran in has been deleted.
    WorkspaceGone,
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
    /// Sessions that are not closed.
    #[serde(default)]
    pub sessions: u64,
    /// Files kept in workspaces.
    #[serde(default)]
    pub storage_bytes: u64,
}

/// By what [`UsageSums`] are grouped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageGroup {
    #[default]
    Day,
    /// Whoever asked for the executions: a person or an API key.
    User,
    Runtime,
}

/// auth → scheduler: what the tenant has used on these days (UTC), both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSums {
    pub tenant_id: TenantId,
    pub from: jiff::civil::Date,
    pub to: jiff::civil::Date,
    pub group_by: UsageGroup,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSumsReply {
    pub rows: Vec<UsageRow>,
    /// Files kept in workspaces now.
    #[serde(default)]
    pub storage_bytes: u64,
}

/// Sums over executions that ended, from the kernel's counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// A day, an id, or a runtime.
    pub group: String,
    pub executions: u64,
    pub cpu_ms: u64,
    pub wall_ms: u64,
    /// Peak memory times wall time.
    pub memory_byte_ms: u128,
}

/// auth → scheduler: the values of a run's secrets go to whoever holds its attempt; this one asks auth for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveSecrets {
    pub tenant_id: TenantId,
    pub names: Vec<String>,
    /// False only asks which of the names there are.
    pub values: bool,
}

/// Those of the names that there are; their values only when asked for.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveSecretsReply {
    pub secrets: BTreeMap<String, String>,
    /// Names of those that are not to be printed.
    #[serde(default)]
    pub masked: BTreeSet<String>,
}

/// executor → scheduler: the secrets of an attempt that it has claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptSecrets {
    pub tenant_id: TenantId,
    pub execution_id: ExecutionId,
    pub attempt: u32,
    pub instance: InstanceId,
}

/// operator → auth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Administer {
    SetAdmin {
        email: String,
        admin: bool,
    },
    SetDisabled {
        email: String,
        disabled: bool,
    },
    /// `now` signs with a new key at once and drops the others.
    RotateKeys {
        now: bool,
    },
    /// The operator's keys for secrets may have changed: everything is to be under the first of them, which must be the one
    /// of this id where one is named.
    RotateSecretKeys {
        to: Option<String>,
    },
}

/// In words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdministerReply {
    Done(String),
    Refused(String),
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
