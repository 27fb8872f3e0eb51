//! What the engine asks of the spawner and what it answers: one JSON message a packet, in order.
//!
//! Both are the same program on the same machine, so there is no version. A packet is bounded, and the
//! descriptors that a message carries are named in it.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use kiln_runner_protocol::Confinement;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recv, recvmsg, sendmsg};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::host::Isolation;
use super::runtime::Bind;

/// Largest packet in bytes.
pub const MAX_PACKET_BYTES: usize = 64 * 1024;

/// Name of a sandbox, or a zygote, between engine and spawner; never used twice.
pub type SandboxId = u64;

/// Name of a workspace's mount, from the same numbers.
pub type MountId = u64;

/// A workspace in place of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub mount: MountId,
    /// Over which name in it the sandbox's own program is mounted, when it has one.
    pub script: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// The first one: where to work, and which tier the operator accepts.
    Open { data_dir: PathBuf, runner: PathBuf, accept_tier: Option<String>, without: Option<Omitted> },
    /// Make a sandbox; the answer carries the runner's stream.
    Make { id: SandboxId, binds: Vec<Bind>, disk_bytes: u64, workspace: Option<Shown> },
    /// Start an interpreter that makes sandboxes by forking; answered when it has imported what it is to.
    Zygote { id: SandboxId, binds: Vec<Bind>, argv: Vec<String>, env: Vec<(String, String)> },
    /// Make a sandbox by that zygote; answered as `Make`.
    Fork { id: SandboxId, zygote: SandboxId, disk_bytes: u64, workspace: Option<Shown>, confinement: Confinement },
    /// Mount a workspace's image. The answer carries a stream, by which the mount's directory comes, or in words why it
    /// does not. The named scripts have no place in it yet.
    Mount { id: MountId, image: PathBuf, scripts: Vec<String> },
    /// Take such a mount away; sandboxes that show it keep it.
    Unmount { id: MountId },
    /// End a zygote, not the sandboxes that it has made.
    EndZygote { id: SandboxId },
    /// Set a sandbox's limits, before its program is sent.
    Limit { id: SandboxId, memory_bytes: u64, cpu_millis: u64, processes: u64 },
    /// Read its counters while it runs.
    Count { id: SandboxId },
    /// Kill what is in it; the sandbox stays to be finished.
    Kill { id: SandboxId },
    /// Kill it, read its counters, remove it. When its run is `over` nothing counts any more, and the answer does not
    /// wait for the removal.
    Finish { id: SandboxId, over: bool },
}

/// A control that an experiment leaves out, to show that a program notices. No setting leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Omitted {
    Seccomp,
    Landlock,
    /// The program keeps the runner's user.
    OwnUser,
    /// A sandbox that is made cold shares the host's network.
    OwnNetwork,
    /// A sandbox that is made cold shows the processes of other users.
    HiddenProcesses,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Opened(Isolation),
    /// A control that could not be had, or a step of the start that failed.
    Refused(Failure),
    Made {
        id: SandboxId,
        owner: Option<u32>,
    },
    Mounting {
        id: MountId,
    },
    /// The zygote waits; it has these top-level modules that its interpreter has not at its start.
    ZygoteReady {
        id: SandboxId,
        modules: Vec<String>,
    },
    ZygoteEnded {
        id: SandboxId,
        failure: Failure,
    },
    Limited {
        id: SandboxId,
        failure: Option<Failure>,
    },
    Counted {
        id: SandboxId,
        counters: Counters,
    },
    Finished {
        id: SandboxId,
        counters: Counters,
        failure: Option<Failure>,
    },
}

/// A step that failed and why, for a log and for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}: {detail}")]
pub struct Failure {
    pub step: String,
    pub detail: String,
}

impl Failure {
    pub fn new(step: impl Into<String>, detail: impl std::fmt::Display) -> Self {
        Self { step: step.into(), detail: format!("{detail}") }
    }
}

/// Names the step of something that failed.
pub trait Step<T> {
    fn step(self, step: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: std::fmt::Display> Step<T> for Result<T, E> {
    fn step(self, step: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(step, error))
    }
}

/// What the kernel counted for a sandbox's processes. `None`: the tier has no such counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Processes killed for memory.
    pub memory_kills: Option<u64>,
    /// Forks refused by the limit of processes.
    pub process_refusals: Option<u64>,
    pub cpu_us: Option<u64>,
    pub memory_peak_bytes: Option<u64>,
    /// How long its processes had to wait because they had used their share of the CPU.
    pub throttled_us: Option<u64>,
    /// Most processes and threads at once.
    pub processes_peak: Option<u64>,
}

/// Sends one message with descriptors.
pub fn send<T: Serialize>(socket: BorrowedFd<'_>, message: &T, descriptors: &[RawFd]) -> nix::Result<()> {
    let packet = serde_json::to_vec(message).map_err(|_| Errno::EINVAL)?;
    let rights = [ControlMessage::ScmRights(descriptors)];
    let rights = if descriptors.is_empty() { &[][..] } else { &rights[..] };
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&packet)], rights, MsgFlags::MSG_NOSIGNAL, None) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Receives one message; `None` when the other side is gone.
pub fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> nix::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut packet = vec![0; next_length(socket)?.min(MAX_PACKET_BYTES)];
    let (count, descriptors) = receive_bytes(socket, &mut packet)?;
    if count == 0 {
        return Ok(None);
    }
    let message = serde_json::from_slice(packet.get(..count).unwrap_or_default()).map_err(|_| Errno::EBADMSG)?;
    Ok(Some((message, descriptors)))
}

/// The length of the packet that is to be received next.
pub fn next_length(socket: BorrowedFd<'_>) -> nix::Result<usize> {
    recv(socket.as_raw_fd(), &mut [], MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC)
}

/// Receives bytes and the descriptors that came with them.
#[expect(unsafe_code, reason = "received descriptors have no owner until they are adopted here")]
pub fn receive_bytes(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> nix::Result<(usize, Vec<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; 4]);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just put these descriptors into this process; nobody else owns them.
            descriptors.extend(raw.into_iter().map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) }));
        }
    }
    Ok((message.bytes, descriptors))
}
