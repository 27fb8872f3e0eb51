//! What one run may use, and the bounds within which a caller may choose it.

use serde::{Deserialize, Serialize};

/// The limits of one run, each enforced by the kernel or by the supervisor's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall-clock time from the program's start, in milliseconds.
    pub timeout_ms: u64,
    /// Resident memory of the whole process tree, its /tmp and /dev/shm included, without swap.
    pub memory_bytes: u64,
    /// CPU share in thousandths of a core.
    pub cpu_millis: u64,
    /// Processes and threads alive at once.
    pub pids: u64,
    /// Size of the working directory.
    pub disk_bytes: u64,
    /// Kept output of each of stdout and stderr; the first bytes are kept.
    pub output_bytes: u64,
}

/// The limits that a request names; the others keep their default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LimitsPatch {
    pub timeout_ms: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub cpu_millis: Option<u64>,
    pub pids: Option<u64>,
    pub disk_bytes: Option<u64>,
    pub output_bytes: Option<u64>,
}

/// The smallest and largest values a caller may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitRange {
    pub minimum: Limits,
    pub maximum: Limits,
}

/// One limit outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be between {minimum} and {maximum}")]
pub struct LimitError {
    /// The field's name, for a pointer such as `/limits/timeout_ms`.
    pub field: &'static str,
    pub minimum: u64,
    pub maximum: u64,
}

const MIB: u64 = 1024 * 1024;

impl Limits {
    /// The limits as delivered for plain runtimes.
    pub const DEFAULT: Self = Self {
        timeout_ms: 30_000,
        memory_bytes: 256 * MIB,
        cpu_millis: 1_000,
        pids: 64,
        disk_bytes: 128 * MIB,
        output_bytes: 8 * MIB,
    };

    /// These limits with the named ones replaced, or every one that is out of range.
    pub fn patched(self, patch: LimitsPatch, range: LimitRange) -> Result<Self, Vec<LimitError>> {
        let mut errors = Vec::new();
        let mut choose = |field, asked: Option<u64>, default: u64, minimum, maximum| {
            let value = asked.unwrap_or(default);
            if asked.is_some() && !(minimum..=maximum).contains(&value) {
                errors.push(LimitError { field, minimum, maximum });
            }
            value.min(maximum)
        };
        let (low, high) = (range.minimum, range.maximum);
        let limits = Self {
            timeout_ms: choose("timeout_ms", patch.timeout_ms, self.timeout_ms, low.timeout_ms, high.timeout_ms),
            memory_bytes: choose("memory_bytes", patch.memory_bytes, self.memory_bytes, low.memory_bytes, high.memory_bytes),
            cpu_millis: choose("cpu_millis", patch.cpu_millis, self.cpu_millis, low.cpu_millis, high.cpu_millis),
            pids: choose("pids", patch.pids, self.pids, low.pids, high.pids),
            disk_bytes: choose("disk_bytes", patch.disk_bytes, self.disk_bytes, low.disk_bytes, high.disk_bytes),
            output_bytes: choose("output_bytes", patch.output_bytes, self.output_bytes, low.output_bytes, high.output_bytes),
        };
        if errors.is_empty() { Ok(limits) } else { Err(errors) }
    }
}

impl LimitRange {
    /// The bounds as delivered.
    pub const DEFAULT: Self = Self {
        minimum: Limits {
            timeout_ms: 100,
            memory_bytes: 64 * MIB,
            cpu_millis: 100,
            pids: 4,
            disk_bytes: MIB,
            output_bytes: 1024,
        },
        maximum: Limits {
            timeout_ms: 300_000,
            memory_bytes: 2048 * MIB,
            cpu_millis: 2_000,
            pids: 256,
            disk_bytes: 1024 * MIB,
            output_bytes: 64 * MIB,
        },
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_replaces_only_what_it_names() {
        let patch = LimitsPatch { timeout_ms: Some(100), ..LimitsPatch::default() };
        let limits = Limits::DEFAULT.patched(patch, LimitRange::DEFAULT).unwrap();
        assert_eq!(limits, Limits { timeout_ms: 100, ..Limits::DEFAULT });
    }

    #[test]
    fn every_limit_out_of_range_is_named() {
        let patch = LimitsPatch { timeout_ms: Some(99), pids: Some(257), ..LimitsPatch::default() };
        let errors = Limits::DEFAULT.patched(patch, LimitRange::DEFAULT).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|e| e.field).collect();
        assert_eq!(fields, ["timeout_ms", "pids"]);
    }
}
