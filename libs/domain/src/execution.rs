//! How an execution goes and how it ends.

use serde::{Deserialize, Serialize};

/// What a client sees of an execution's progress. A terminal status never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Queued,
    Running,
    Succeeded,
    Failed,
    TimedOut,
    OutOfMemory,
    Cancelled,
    Lost,
}

impl Status {
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::OutOfMemory,
        Self::Cancelled,
        Self::Lost,
    ];

    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// The name in the API, the database and the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::OutOfMemory => "out_of_memory",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// Why an execution did not succeed, from the supervisor and the kernel's counters alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    ExitCode,
    Signal,
    WallTime,
    CpuTime,
    Memory,
    Pids,
    Disk,
    CancelledByUser,
    TenantDeleted,
    TenantSuspended,
    ExecutorLost,
    RuntimeUnavailable,
    Exception,
    Interrupted,
    /// In a notebook that runs by itself: something before it failed.
    Aborted,
}

impl ReasonCode {
    /// What somebody may have a run stopped for.
    const STOPS: [Self; 5] =
        [Self::CancelledByUser, Self::TenantDeleted, Self::TenantSuspended, Self::CpuTime, Self::ExecutorLost];

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CancelledByUser => "cancelled_by_user",
            Self::TenantDeleted => "tenant_deleted",
            Self::TenantSuspended => "tenant_suspended",
            Self::ExecutorLost => "executor_lost",
            Self::ExitCode => "exit_code",
            Self::Signal => "signal",
            Self::WallTime => "wall_time",
            Self::CpuTime => "cpu_time",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Disk => "disk",
            Self::RuntimeUnavailable => "runtime_unavailable",
            Self::Exception => "exception",
            Self::Interrupted => "interrupted",
            Self::Aborted => "aborted",
        }
    }

    /// A cause to stop a run, by its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::STOPS.into_iter().find(|cause| cause.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reason {
    pub code: ReasonCode,
    /// Plain words for the user, with the figures that explain the end.
    pub message: String,
}

/// A limit that was met by a run that succeeded all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Warning {
    pub code: ReasonCode,
    pub message: String,
}

/// What the run used, by the kernel's counters and a monotonic clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    pub wall_ms: u64,
    pub cpu_ms: u64,
    pub memory_peak_bytes: u64,
    /// How long its processes had to wait because the run had used its share of the CPU; null where nobody counts.
    #[serde(default)]
    pub throttled_ms: Option<u64>,
    /// Most processes and threads at once; null where nobody counts.
    #[serde(default)]
    pub pids_peak: Option<u64>,
}

/// Whether the sandbox had been made ahead of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Start {
    Cold,
    Warm,
}

/// A regular file that a run left in its working directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutputFile {
    /// Relative to the working directory; bytes that are not UTF-8 are escaped.
    pub path: String,
    pub size_bytes: u64,
}

/// How one attempt ended: the executor's verdict.
#[expect(clippy::struct_excessive_bools, reason = "the contract has these fields")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ended {
    /// Terminal always.
    pub status: Status,
    pub reason: Option<Reason>,
    pub warnings: Vec<Warning>,
    pub exit_code: Option<i32>,
    /// Name of the signal that ended the main program, such as `SIGKILL`.
    pub signal: Option<String>,
    pub usage: Usage,
    pub stdout_truncated: bool,
    pub stderr_truncated: bool,
    pub files: Vec<OutputFile>,
    pub files_truncated: bool,
    /// In a session: its number there.
    #[serde(default)]
    pub execution_count: Option<u64>,
    /// In a session: the interpreter ended with it, so what was defined is gone.
    #[serde(default)]
    pub session_restarted: bool,
}
