//! A run as the API tells it once it has ended.

use std::time::Duration;

use serde::Deserialize;

/// As far as a judgement looks.
#[derive(Debug, Clone, Deserialize)]
pub struct Ended {
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub reason: Option<Reason>,
    pub exit_code: Option<i32>,
    pub signal: Option<String>,
    #[serde(default)]
    pub stdout: String,
    #[serde(default)]
    pub stderr: String,
    #[serde(default)]
    pub stdout_truncated: bool,
    #[serde(default)]
    pub stderr_truncated: bool,
    #[serde(default)]
    pub files: Vec<File>,
    #[serde(default)]
    pub files_truncated: bool,
    /// From the request to the whole answer, by the asker's clock.
    #[serde(skip)]
    pub took: Duration,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Reason {
    pub code: String,
    pub message: String,
}

/// A file that the run left.
#[derive(Debug, Clone, Deserialize)]
pub struct File {
    pub path: String,
    pub size_bytes: u64,
}

impl Ended {
    /// Both streams; a pattern may match in either.
    pub fn printed(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    pub fn reason_code(&self) -> &str {
        self.reason.as_ref().map_or("", |reason| reason.code.as_str())
    }
}
