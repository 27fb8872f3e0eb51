//! How a runtime's interpreter is called and what it must see.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::spawner::WORKSPACE;

/// How to run a program in some runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeCommand {
    /// Interpreter and its arguments, as seen inside; the script's path and the run's arguments follow.
    pub argv: Vec<String>,
    /// Directories or files that must be visible, read-only.
    pub roots: Vec<Bind>,
    /// Variables that this runtime needs; the run's own override them.
    pub env: Vec<(String, String)>,
    /// File name of the program in the working directory, such as `main.py`; absolute where it is one of Kiln's own.
    pub script_name: String,
    /// How its interpreter can wait for programs with modules imported ahead, the lightest first. Empty: it is executed
    /// for each run.
    pub tiers: Vec<Tier>,
    /// Whether a waiting interpreter can still be given arguments.
    pub takes_arguments: bool,
}

impl RuntimeCommand {
    /// The script's path as seen inside.
    pub fn script(&self) -> String {
        Path::new(WORKSPACE).join(&self.script_name).display().to_string()
    }
}

/// What an interpreter imports ahead, and for whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    pub imports: Vec<String>,
    /// Variables for the time of the import, which programs do not see.
    pub env: Vec<(String, String)>,
    /// Top-level modules whose import by a program asks for this tier.
    pub serves: Vec<String>,
}

/// Something of the host that a sandbox sees, read-only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bind {
    pub source: PathBuf,
    /// Absolute, and in no directory that the sandbox provides itself.
    pub target: PathBuf,
}
