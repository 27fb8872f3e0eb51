//! Sandboxes on this machine: each run gets one, alone, once.
//!
//! [`Sandboxes`] is the engine, inside the executor's process: it asks the [`spawner`] for sandboxes, keeps
//! a few made ahead, speaks to the runner in each, and turns what the kernel counted into a verdict. The
//! spawner is a process of its own that holds the privileges. See the executor's README for the controls.

mod artifacts;
mod cell_verdict;
mod cgroup;
mod client;
mod controls;
mod engine;
mod files;
mod host;
mod imports;
mod pool;
mod prepared;
mod run;
mod runtime;
mod script;
mod session;
mod spawner;
mod stdin;
mod trash;
mod verdict;
mod wire;
mod workspace;
mod zygotes;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use kiln_domain::{Ended, ExecutionId, Limits, Start, TenantId};
use tokio::sync::mpsc;

pub(crate) use artifacts::shown as shown_path;
pub use engine::{Ready, Sandboxes};
pub(crate) use files::open_below;
pub(crate) use host::has_loop_disks;
pub use host::{Control, Isolation, inspect_host};
pub use kiln_runner_protocol::{Question, QuestionKind, Stream};
pub use run::RunControl;
pub use runtime::{Bind, RuntimeCommand, Tier};
pub(crate) use script::is_place;
pub use session::{AskError, CellReport, Session, SessionControl, SessionEvent, SessionSpec};
pub(crate) use spawner::FILES_ID;
pub use spawner::{WORKSPACE, spawner_main};
pub(crate) use trash::remove;
pub use wire::Failure;
#[doc(hidden)]
pub use wire::Omitted;
pub(crate) use workspace::blocks_of;
pub use workspace::{Space, Upload, Workspace, WorkspaceUse};

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where images, the lock and the root's template live. One engine a directory.
    pub data_dir: PathBuf,
    /// Runs that will be started at once, at most; bounds how many sandboxes are made ahead.
    pub slots: usize,
    /// Memory that sandboxes made ahead may take together, in bytes.
    pub waiting_bytes: u64,
    /// Interpreters that wait are kept apart by tenant: runs of two tenants never come from the same one.
    pub separate_tenants: bool,
    /// The weaker tier that the operator accepts, by name.
    pub accept_tier: Option<String>,
    /// The runner's program; beside this executable by default.
    pub runner: Option<PathBuf>,
    /// The program executed as `PROGRAM sandbox-spawner`; this executable by default.
    pub spawner: Option<PathBuf>,
}

/// One attempt of one execution.
#[derive(Debug, Clone)]
pub struct RunSpec {
    pub execution: ExecutionId,
    pub attempt: u32,
    pub tenant: TenantId,
    pub code: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub stdin: Vec<u8>,
    /// Standard input stays open after `stdin`, for [`RunControl::stdin`].
    pub interactive: bool,
    pub files: Vec<InputFile>,
    pub limits: Limits,
    /// The working directory, when it is one that lives on.
    pub workspace: Option<WorkspaceUse>,
}

/// A file that is there when the program starts.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// Relative to the working directory, normal.
    pub path: String,
    pub content: Vec<u8>,
}

/// A program that runs. Dropping it kills the whole tree.
#[derive(Debug)]
pub struct Run {
    /// What happens, in order; the program blocks while nobody takes it. `Ended` comes last, once.
    pub events: mpsc::Receiver<RunEvent>,
    pub control: RunControl,
    pub started_at: Timestamp,
}

#[derive(Debug)]
pub enum RunEvent {
    /// Never ends within a character, except at the very end or at the output limit.
    Output {
        stream: Stream,
        bytes: Bytes,
    },
    /// Whether the program reads an interactive standard input that is empty.
    WaitingForInput(bool),
    /// An nbformat output of the interpreter's driver.
    Display(serde_json::Value),
    Ended(Box<RunEnd>),
}

/// How a run ended and what it left.
#[derive(Debug)]
pub struct RunEnd {
    pub ended: Ended,
    /// In the order of `ended.files`. The last one dropped unmounts the run's disk, which may take some ms.
    pub artifacts: Vec<Artifact>,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub start: Start,
    /// Name of the tier under which it ran.
    pub isolation: String,
}

/// A regular file that the run left, open for reading from its start.
#[derive(Debug)]
pub struct Artifact {
    pub path: String,
    pub size_bytes: u64,
    pub file: std::fs::File,
}

/// A run could not be started, or the engine could not.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The host lacks a control, or a step of the engine's start failed.
    #[error("the sandbox cannot be set up: {0}")]
    Host(Failure),
    /// A sandbox could not be made, or its spawner has gone.
    #[error("no sandbox could be made: {0}")]
    Unavailable(Failure),
    /// The run as given cannot be carried out, wherever it is tried.
    #[error("{field}: {detail}")]
    Spec { field: &'static str, detail: String },
    /// A file that comes with the run does not fit its disk limit.
    #[error("{0} does not fit the disk limit")]
    Disk(String),
    /// The runtime's interpreter could not be executed.
    #[error("the runtime could not be started: {0}")]
    Runtime(String),
    /// The runner in the sandbox broke the protocol.
    #[error("the sandbox's runner failed: {0}")]
    Runner(String),
}

impl From<files::FileError> for SandboxError {
    fn from(error: files::FileError) -> Self {
        if error.disk_full { Self::Disk(error.path) } else { Self::Spec { field: "files", detail: error.to_string() } }
    }
}

/// Input that cannot be given to a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    #[error("the run is not interactive")]
    NotInteractive,
    #[error("its standard input is closed")]
    Closed,
    #[error("more than 1 MiB in one call")]
    TooLarge,
    #[error("no signal that can be sent: {0}")]
    UnknownSignal(String),
}
