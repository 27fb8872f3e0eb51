//! A child process of the spawner, by a handle that names no other one.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::sandbox::wire::{Failure, Step};

pub struct Process {
    id: Pid,
    handle: OwnedFd,
}

impl Process {
    /// A child that has not been reaped, so that its number is its own.
    pub fn new(id: Pid) -> Result<Self, Failure> {
        Ok(Self { id, handle: open_handle(id).step("pidfd")? })
    }

    pub fn kill(&self) {
        // A process that is already dead is what is wanted; the handle cannot name another one.
        let _ = signal(&self.handle, libc::SIGKILL);
    }

    /// Reaps it; false while it lives.
    pub fn reap(&self) -> bool {
        !matches!(waitpid(self.id, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
    }

    /// Gives the ids of the user namespace that it has made.
    pub fn map_ids(&self, map: &str) -> std::io::Result<()> {
        let directory = PathBuf::from(format!("/proc/{}", self.id));
        std::fs::write(directory.join("setgroups"), "deny")?;
        std::fs::write(directory.join("uid_map"), map)?;
        std::fs::write(directory.join("gid_map"), map)
    }
}

impl AsFd for Process {
    /// Readable once it is dead.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Forks into the new `namespaces`; `None` is the child.
#[expect(unsafe_code, reason = "clone has no safe wrapper that behaves like fork")]
pub fn fork(namespaces: i32) -> nix::Result<Option<Pid>> {
    // SAFETY: without a stack and without shared memory this is a fork; the spawner has one thread.
    let process = Errno::result(unsafe { libc::syscall(libc::SYS_clone, namespaces | libc::SIGCHLD, 0, 0, 0, 0) })?;
    let process = i32::try_from(process).map_err(|_| Errno::ESRCH)?;
    Ok((process != 0).then(|| Pid::from_raw(process)))
}

/// Every signal does again what it does by default: whoever started this program may have had it ignore some, and what is
/// ignored stays so across execution.
#[expect(unsafe_code, reason = "sigaction is unsafe for handlers; the default disposition runs no code")]
pub fn default_signals() -> nix::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default disposition installs no handler.
        unsafe { sigaction(signal, &default) }?;
    }
    Ok(())
}

#[expect(unsafe_code, reason = "pidfd_open has no safe wrapper here")]
fn open_handle(process: Pid) -> nix::Result<OwnedFd> {
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
