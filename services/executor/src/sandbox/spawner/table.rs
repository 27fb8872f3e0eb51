//! The sandboxes that there are, and how each is made, limited, killed and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::Flock;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::child::{self, MAPPED, PROGRAM_ID, Plan, UNSHARED};
use super::disk::Templates;
use crate::sandbox::cgroup::{Group, GroupLimits, Groups};
use crate::sandbox::host::Tier;
use crate::sandbox::runtime::Bind;
use crate::sandbox::wire::{Answer, Failure, SandboxId, Step};

/// Host ids of the first sandbox; each has two. Far from people, services and what containers use.
const FIRST_HOST_ID: u32 = 1_879_048_192;
/// Sandboxes at once.
const MAX_SANDBOXES: u32 = 1024;
/// What a failing child may say about it.
const MAX_STATUS_BYTES: usize = 4096;

pub struct Table {
    tier: Tier,
    root: PathBuf,
    directory: PathBuf,
    runner: File,
    groups: Option<Groups>,
    templates: Option<Templates>,
    sandboxes: BTreeMap<SandboxId, Sandbox>,
    free_slots: BTreeSet<u32>,
    /// Groups whose last process is still dying.
    remains: Vec<Group>,
    _lock: Flock<File>,
}

struct Sandbox {
    slot: u32,
    process: Pid,
    handle: OwnedFd,
    group: Option<Group>,
    /// The child's word while it builds; `None` once the runner has taken over.
    status: Option<UnixStream>,
    said: Vec<u8>,
    finishing: bool,
    dead: bool,
}

impl Table {
    pub fn new(
        tier: Tier,
        root: PathBuf,
        directory: PathBuf,
        runner: File,
        groups: Option<Groups>,
        templates: Option<Templates>,
        lock: Flock<File>,
    ) -> Self {
        let free_slots = (0..MAX_SANDBOXES).collect();
        let (sandboxes, remains) = (BTreeMap::new(), Vec::new());
        Self { tier, root, directory, runner, groups, templates, sandboxes, free_slots, remains, _lock: lock }
    }

    /// Forks a sandbox's first process, which builds the rest by itself. Gives the host id that owns the
    /// working directory and the runner's stream.
    pub fn make(&mut self, id: SandboxId, binds: &[Bind], disk_bytes: u64) -> Result<(Option<u32>, OwnedFd), Failure> {
        let slot = *self.free_slots.first().ok_or_else(|| Failure::new("make", "too many sandboxes"))?;
        let group = self.groups.as_ref().map(|groups| groups.make(id)).transpose()?;
        let template = self.templates.as_mut().map(|templates| templates.of_size(disk_bytes)).transpose()?;
        let owner = self.tier.has_groups().then(|| host_ids(slot).1);
        let (stream, engines_stream) = UnixStream::pair().step("runner's stream")?;
        let (status, childs_status) = UnixStream::pair().step("status")?;
        let Some(process) = clone().step("clone")? else {
            drop((status, engines_stream));
            child::become_runner(Plan {
                root: &self.root,
                directory: &self.directory,
                runner: &self.runner,
                binds,
                group: group.as_ref(),
                template,
                disk_bytes,
                owner,
                stream: stream.into(),
                status: childs_status,
            })
        };
        status.set_nonblocking(true).step("status")?;
        let handle = process_handle(process).step("pidfd")?;
        let (said, finishing, dead) = (Vec::new(), false, false);
        self.free_slots.remove(&slot);
        self.sandboxes.insert(id, Sandbox { slot, process, handle, group, status: Some(status), said, finishing, dead });
        Ok((owner, engines_stream.into()))
    }

    pub fn limit(&self, id: SandboxId, limits: GroupLimits) -> Result<(), Failure> {
        let sandbox = self.sandboxes.get(&id).ok_or_else(|| Failure::new("limit", "no such sandbox"))?;
        match (&self.groups, &sandbox.group) {
            (Some(groups), Some(group)) => groups.limit(group, limits),
            _ => Ok(()),
        }
    }

    pub fn kill(&self, id: SandboxId) {
        if let Some(sandbox) = self.sandboxes.get(&id) {
            sandbox.kill();
        }
    }

    /// Kills the sandbox; [`Self::step`] answers when it is dead.
    pub fn finish(&mut self, id: SandboxId) {
        if let Some(sandbox) = self.sandboxes.get_mut(&id) {
            sandbox.finishing = true;
            sandbox.kill();
        }
    }

    pub fn finish_all(&mut self) {
        for sandbox in self.sandboxes.values_mut() {
            sandbox.finishing = true;
            sandbox.kill();
        }
    }

    /// What the loop waits for: the word of children that build, the end of first processes.
    pub fn watched(&self) -> impl Iterator<Item = (SandboxId, BorrowedFd<'_>)> {
        let alive = self.sandboxes.iter().filter(|(_, sandbox)| !sandbox.dead);
        let ends = alive.map(|(id, sandbox)| (*id, sandbox.handle.as_fd()));
        let words = self.sandboxes.iter().filter_map(|(id, sandbox)| Some((*id, sandbox.status.as_ref()?.as_fd())));
        ends.chain(words)
    }

    /// Takes in what happened and gives the answers that are due.
    pub fn step(&mut self, ready: &[SandboxId]) -> Vec<Answer> {
        for id in ready {
            if let Some(sandbox) = self.sandboxes.get_mut(id) {
                sandbox.listen();
                sandbox.reap();
            }
        }
        self.remains.retain(|group| !group.remove());
        let over: Vec<_> = self.sandboxes.iter().filter(|(_, s)| s.finishing && s.dead).map(|(id, _)| *id).collect();
        over.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    fn remove(&mut self, id: SandboxId) -> Option<Answer> {
        let sandbox = self.sandboxes.remove(&id)?;
        self.free_slots.insert(sandbox.slot);
        let failure = sandbox.failure();
        let counters = match (&self.groups, &sandbox.group) {
            (Some(groups), Some(group)) => groups.counters(group),
            _ => crate::sandbox::wire::Counters::default(),
        };
        self.remains.extend(sandbox.group.filter(|group| !group.remove()));
        Some(Answer::Finished { id, counters, failure })
    }

    pub fn has_remains(&self) -> bool {
        !self.remains.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.sandboxes.is_empty() && self.remains.is_empty()
    }

    /// Removes the directories that held the groups.
    pub fn remove_bases(&self) {
        for base in self.groups.iter().flat_map(Groups::bases) {
            crate::sandbox::cgroup::sweep(&base);
        }
    }
}

impl Sandbox {
    fn kill(&self) {
        // A process that is already dead is what is wanted; the handle cannot name another one.
        let _ = signal(&self.handle, libc::SIGKILL);
    }

    /// Reads the building child's word, all that is there, and answers it.
    fn listen(&mut self) {
        while let Some(status) = &mut self.status {
            let mut bytes = [0; 512];
            let read = status.read(&mut bytes);
            if !self.take_word(read, &bytes) {
                return;
            }
        }
    }

    /// Takes in one read of the child's word; false when there is no more for now.
    fn take_word(&mut self, read: std::io::Result<usize>, bytes: &[u8]) -> bool {
        match read {
            Ok(0) => self.status = None,
            Ok(count) => {
                self.said.extend_from_slice(bytes.get(..count).unwrap_or_default());
                self.said.truncate(MAX_STATUS_BYTES);
                if self.said == [UNSHARED] {
                    self.map_ids();
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => self.status = None,
        }
        true
    }

    /// Maps the two ids of the new user namespace; any other answer than the mark fails the child.
    fn map_ids(&mut self) {
        let (runner, program) = host_ids(self.slot);
        let map = if nix::unistd::getuid().is_root() && !is_nested() {
            format!("0 {runner} 1\n{PROGRAM_ID} {program} 1\n")
        } else {
            format!("{PROGRAM_ID} 0 1\n")
        };
        let directory = PathBuf::from(format!("/proc/{}", self.process));
        let mapped = std::fs::write(directory.join("setgroups"), "deny")
            .and_then(|()| std::fs::write(directory.join("uid_map"), &map))
            .and_then(|()| std::fs::write(directory.join("gid_map"), &map));
        let word = match mapped {
            Ok(()) => MAPPED,
            Err(error) => {
                self.said = format!("Emap ids\n{error}").into_bytes();
                b'!'
            }
        };
        if let Some(status) = &mut self.status {
            // A child that is gone is seen by its end.
            let _ = status.write_all(&[word]);
        }
    }

    /// Reaps the first process once it is dead; by then everything in its namespace is.
    fn reap(&mut self) {
        if self.dead {
            return;
        }
        match waitpid(self.process, Some(WaitPidFlag::WNOHANG)) {
            Ok(nix::sys::wait::WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => {
                self.dead = true;
                self.listen();
                self.status = None;
            }
        }
    }

    /// Why it could not be made, if that is how it ended.
    fn failure(&self) -> Option<Failure> {
        let text = String::from_utf8_lossy(&self.said);
        let (step, detail) = text.split_once('E')?.1.split_once('\n')?;
        Some(Failure::new(step, detail))
    }
}

/// Host ids of a slot: the runner's and the program's.
fn host_ids(slot: u32) -> (u32, u32) {
    let first = FIRST_HOST_ID + slot * 2;
    (first, first + 1)
}

/// Whether this process is in a user namespace of its own making, with a single id.
fn is_nested() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.split_ascii_whitespace().nth(2) == Some("1"))
}

/// Forks into new namespaces; `None` is the child.
#[expect(unsafe_code, reason = "clone has no safe wrapper that behaves like fork")]
fn clone() -> nix::Result<Option<Pid>> {
    let namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::SIGCHLD;
    // SAFETY: without a stack and without shared memory this is a fork; the spawner has one thread.
    let process = Errno::result(unsafe { libc::syscall(libc::SYS_clone, namespaces, 0, 0, 0, 0) })?;
    let process = i32::try_from(process).map_err(|_| Errno::ESRCH)?;
    Ok((process != 0).then(|| Pid::from_raw(process)))
}

#[expect(unsafe_code, reason = "pidfd_open has no safe wrapper here")]
fn process_handle(process: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: takes numbers only; the child cannot have been reaped, so the number is its own.
    let handle = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, process.as_raw(), 0) })?;
    let handle = i32::try_from(handle).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(handle) })
}

#[expect(unsafe_code, reason = "pidfd_send_signal has no safe wrapper here")]
fn signal(handle: &OwnedFd, number: i32) -> nix::Result<()> {
    // SAFETY: a null signal description is allowed and means an ordinary signal.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, handle.as_raw_fd(), number, std::ptr::null::<libc::siginfo_t>(), 0) };
    Errno::result(sent).map(drop)
}
