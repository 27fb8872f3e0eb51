//! The scheduler's settings, with their defaults.

use kiln_domain::{LimitRange, Limits};
use serde::{Deserialize, Serialize};

use crate::admission::{Ceilings, Quota};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Executions of one tenant that run at the same time.
    pub max_concurrent: u32,
    /// Executions of one tenant that wait.
    pub max_queued: u32,
    pub executions_per_minute: u32,
    /// Sessions of one tenant that are open.
    pub max_sessions: u32,
    /// CPU time that one tenant may use in a day (UTC).
    pub cpu_ms_per_day: u64,
    /// Files of all its workspaces together that one tenant may keep.
    pub storage_bytes: u64,
    /// An attempt whose executor has not called for so long is lost.
    pub lease_ms: u64,
    /// An execution whose runtime no executor has offered for so long ends `lost`.
    pub runtime_wait_ms: u64,
    /// Largest program text.
    pub code_bytes: u64,
    /// Largest single file in a request.
    pub file_bytes: u64,
    /// All files of a request together.
    pub files_bytes: u64,
    /// Requests with a body over 1 MiB that are read at the same time; their memory is the bound.
    pub max_large_bodies: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_concurrent: 32,
            max_queued: 10_000,
            executions_per_minute: 60_000,
            max_sessions: 8,
            // All that 32 runs at once, of two cores each, can use in a day.
            cpu_ms_per_day: 32 * 2 * 24 * 3600 * 1000,
            storage_bytes: 10 << 30,
            lease_ms: 10_000,
            runtime_wait_ms: 15 * 60 * 1000,
            code_bytes: 1_000_000,
            file_bytes: 5 << 20,
            files_bytes: 50 << 20,
            max_large_bodies: 4,
        }
    }
}

impl Config {
    /// The default limits of a runtime: those with scientific packages need more memory to import them.
    pub(crate) fn default_limits(runtime: &str) -> Limits {
        let mut limits = Limits::DEFAULT;
        if matches!(runtime, "base" | "ml") {
            limits.memory_bytes *= 2;
        }
        limits
    }

    /// What a tenant may hold that has no quota of its own.
    pub(crate) fn quota(&self) -> Quota {
        Quota {
            max_concurrent: self.max_concurrent,
            max_queued: self.max_queued,
            executions_per_minute: self.executions_per_minute,
            cpu_ms_per_day: self.cpu_ms_per_day,
            ceilings: Ceilings::default(),
        }
    }

    pub(crate) const fn range() -> LimitRange {
        LimitRange::DEFAULT
    }
}
