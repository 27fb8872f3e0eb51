//! How a runtime's interpreter is called and what it must see.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How to run a program in some runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeCommand {
    /// Interpreter and its arguments, as seen inside; the script's path and the run's arguments follow.
    pub argv: Vec<String>,
    /// Directories or files that must be visible, read-only.
    pub roots: Vec<Bind>,
    /// Variables that this runtime needs; the run's own override them.
    pub env: Vec<(String, String)>,
    /// File name of the program in the working directory, such as `main.py`.
    pub script_name: String,
}

/// Something of the host that a sandbox sees, read-only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bind {
    pub source: PathBuf,
    /// Absolute, and in no directory that the sandbox provides itself.
    pub target: PathBuf,
}
