//! What the spawner and a zygote say to each other: one JSON message a packet, of the same build on one machine.
//!
//! A zygote is an interpreter that has imported what programs import, and that becomes a sandbox's program by
//! forking. With [`MakeSandbox`] come descriptors in this order: the runner's stream, the stream for a failure's
//! words, the socket over which the disk comes if there is one, then one file for each control group to enter.

use serde::{Deserialize, Serialize};

use crate::Confinement;

/// Largest packet, in bytes.
pub const MAX_ZYGOTE_PACKET_BYTES: usize = 256 * 1024;

/// Descriptors that come with [`MakeSandbox`], at most.
pub const MAX_ZYGOTE_DESCRIPTORS: usize = 8;

/// The byte that goes before the runner's first on its stream, with the descriptor of the working directory.
pub const WORKSPACE_MARK: u8 = b'W';

/// What goes before the step and the detail, a line each, on the stream for a failure's words.
pub const FAILURE_MARK: u8 = b'E';

/// Where a sandbox's own file for the program is, until it has been mounted where the program is called.
pub const SCRIPT_SOURCE: &str = "/tmp/.kiln-program";

/// The byte that comes over the disk's socket with the descriptor of its mount.
pub const DISK_MARK: u8 = b'D';

/// Fork a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeSandbox {
    pub host_name: String,
    /// File systems of the sandbox's own, in order.
    pub mounts: Vec<OwnMount>,
    /// Files and directories over which something empty goes, where they are.
    pub hidden: Vec<Hidden>,
    /// Where the disk goes, or where a mount of the list already is the working directory.
    pub directory: String,
    pub has_disk: bool,
    /// Over which name in that directory a file of the sandbox's own is mounted, made at [`SCRIPT_SOURCE`].
    pub script: Option<String>,
    /// The two ids of the sandbox, as the zygote's user namespace calls them.
    pub runner_id: u32,
    pub program_id: u32,
    /// How the program is confined; `user_id` is its id inside.
    pub confinement: Confinement,
}

/// A path, and the empty thing of the same kind that is shown in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    pub path: String,
    pub empty: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnMount {
    /// `proc` or `tmpfs`.
    pub kind: String,
    pub target: String,
    pub options: String,
    pub executable: bool,
}

/// What a zygote says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZygoteReport {
    /// It has imported everything and waits. Names of the top-level modules that a bare interpreter has not loaded.
    Ready { modules: Vec<String> },
    /// It cannot serve; nothing follows.
    Failed { step: String, detail: String },
    /// The sandbox asked for, in the order asked, is being built by this process.
    Forked { process: i32 },
    /// It could not fork.
    NotForked { errno: i32 },
}
