//! The Execution as clients see it: the scheduler's record together with its output.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_domain::{Limits, OutputFile, Reason, Start, Status, Usage, Warning};
use kiln_events::ExecutionRecord;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// One run of one program.
#[expect(clippy::struct_excessive_bools, reason = "the contract has these fields")]
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Execution {
    pub id: Uuid,
    pub status: Status,
    /// Why it did not succeed; null while it has not ended and when it succeeded.
    pub reason: Option<Reason>,
    pub exit_code: Option<i32>,
    /// Name of the signal that ended the program, such as `SIGKILL`.
    pub signal: Option<String>,
    pub runtime: String,
    /// Text printed so far, invalid UTF-8 replaced; null in lists.
    pub stdout: Option<String>,
    pub stderr: Option<String>,
    pub stdout_truncated: bool,
    pub stderr_truncated: bool,
    /// nbformat v4 outputs; null in lists.
    #[schema(value_type = Option<Vec<Object>>)]
    pub outputs: Option<Vec<serde_json::Value>>,
    /// Regular files that the run left in its working directory.
    pub files: Vec<OutputFile>,
    pub files_truncated: bool,
    /// Limits that were met by a run that succeeded all the same.
    pub warnings: Vec<Warning>,
    /// Null while it has not ended.
    pub usage: Option<Usage>,
    pub limits: Limits,
    pub interactive: bool,
    pub session_id: Option<Uuid>,
    pub workspace_id: Option<Uuid>,
    pub attempt: u32,
    /// In a session: its number there, once it has ended.
    pub execution_count: Option<u64>,
    /// In a session: the interpreter ended with it, so what was defined is gone.
    pub session_restarted: bool,
    /// User or API key.
    pub created_by: Uuid,
    pub labels: BTreeMap<String, String>,
    /// Whether the sandbox had been made ahead.
    pub start: Option<Start>,
    /// Isolation tier of the sandbox that ran it.
    pub isolation: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

/// What an execution printed and displayed.
#[derive(Debug, Clone, Default)]
pub struct Printed {
    pub stdout: String,
    pub stderr: String,
    pub outputs: Vec<serde_json::Value>,
}

impl Execution {
    /// With its output; none in lists.
    pub fn new(record: ExecutionRecord, printed: Option<Printed>) -> Self {
        let (stdout, stderr, outputs) = match printed {
            Some(printed) => (Some(printed.stdout), Some(printed.stderr), Some(printed.outputs)),
            None => (None, None, None),
        };
        let ended = record.ended;
        let usage = ended.as_ref().map(|ended| ended.usage);
        let execution_count = ended.as_ref().and_then(|ended| ended.execution_count);
        let session_restarted = ended.as_ref().is_some_and(|ended| ended.session_restarted);
        let (reason, exit_code, signal, warnings, files, flags) = match ended {
            Some(ended) => (
                ended.reason,
                ended.exit_code,
                ended.signal,
                ended.warnings,
                ended.files,
                (ended.stdout_truncated, ended.stderr_truncated, ended.files_truncated),
            ),
            None => (None, None, None, Vec::new(), Vec::new(), (false, false, false)),
        };
        let (stdout_truncated, stderr_truncated, files_truncated) = flags;
        Self {
            id: record.id.0,
            status: record.status,
            reason,
            exit_code,
            signal,
            runtime: record.runtime,
            stdout,
            stderr,
            stdout_truncated,
            stderr_truncated,
            outputs,
            files,
            files_truncated,
            warnings,
            usage,
            limits: record.limits,
            interactive: record.interactive,
            session_id: record.session_id.map(|id| id.0),
            workspace_id: record.workspace_id.map(|id| id.0),
            attempt: record.attempt.max(1),
            execution_count,
            session_restarted,
            created_by: record.created_by,
            labels: record.labels,
            start: record.start,
            isolation: record.isolation,
            created_at: record.created_at,
            started_at: record.started_at,
            finished_at: record.finished_at,
        }
    }
}
