//! An execution as the API shows it, and what its end means to a shell.

use kiln_domain::{OutputFile, Reason, ReasonCode, Status};
use serde::Deserialize;
use serde_json::Value;

/// As far as the client looks.
#[derive(Debug, Clone, Deserialize)]
pub struct Execution {
    pub id: String,
    pub status: Status,
    #[serde(default)]
    pub reason: Option<Reason>,
    #[serde(default)]
    pub exit_code: Option<i32>,
    #[serde(default)]
    pub signal: Option<String>,
    pub runtime: String,
    /// None in lists.
    #[serde(default)]
    pub outputs: Option<Vec<Value>>,
    #[serde(default)]
    pub files: Vec<OutputFile>,
    #[serde(default)]
    pub stdout_truncated: bool,
    #[serde(default)]
    pub stderr_truncated: bool,
    pub created_at: String,
}

/// Kiln itself failed, or lost the run: what `env`, `nice` and container tools mean by it.
pub const KILN_FAILED: u8 = 125;

impl Execution {
    /// The program's own exit code where it has one.
    pub fn exit_code(&self) -> u8 {
        match self.status {
            Status::Succeeded => 0,
            Status::Failed => match (self.exit_code, self.signal.as_deref().and_then(signal_number)) {
                (Some(code), _) => u8::try_from(code & 0xff).unwrap_or(1).max(1),
                (None, Some(number)) => 128 + number,
                (None, None) => 1,
            },
            Status::TimedOut => 124,
            Status::OutOfMemory => 137,
            Status::Cancelled => 130,
            Status::Lost | Status::Queued | Status::Running => KILN_FAILED,
        }
    }

    /// One line on what went wrong, unless the program has only exited with a code of its own.
    pub fn complaint(&self) -> Option<String> {
        let reason = self.reason.as_ref().filter(|reason| reason.code != ReasonCode::ExitCode)?;
        Some(format!("{}: {}", self.status.as_str().replace('_', " "), reason.message))
    }
}

fn signal_number(name: &str) -> Option<u8> {
    let signal: nix::sys::signal::Signal = name.parse().ok()?;
    u8::try_from(signal as i32).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: &str, exit_code: Option<i32>, signal: Option<&str>) -> Execution {
        serde_json::from_value(serde_json::json!({
            "id": "1", "status": status, "exit_code": exit_code, "signal": signal, "runtime": "python3.13",
            "created_at": "2026-01-01T00:00:00Z", "more": "than the client knows"
        }))
        .unwrap()
    }

    #[test]
    fn ends_become_exit_codes() {
        assert_eq!(ended("succeeded", Some(0), None).exit_code(), 0);
        assert_eq!(ended("failed", Some(3), None).exit_code(), 3);
        assert_eq!(ended("failed", None, Some("SIGSEGV")).exit_code(), 139);
        assert_eq!(ended("timed_out", None, Some("SIGKILL")).exit_code(), 124);
        assert_eq!(ended("out_of_memory", None, Some("SIGKILL")).exit_code(), 137);
        assert_eq!(ended("cancelled", None, None).exit_code(), 130);
        assert_eq!(ended("lost", None, None).exit_code(), KILN_FAILED);
    }
}
