//! A zygote: an interpreter that has imported what programs import, and becomes a sandbox's program by forking.
//!
//! `driver/zygote.py` calls these functions while the interpreter starts, before the program's own start-up. For
//! each sandbox the zygote forks into new namespaces; that process builds the rest and forks once more. The parent
//! becomes the runner, process 1; the child confines itself ([`program`]), waits for the run, and goes on to be the
//! program, in the middle of the interpreter's start-up as if it had just been executed.
//!
//! The zygote is root of a user namespace of its own, in which nothing of the host is mapped but ids of sandboxes.
//! It holds no secret, no network, and one socket, to the spawner.

mod abi;
mod program;
mod sandbox;

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use kiln_runner_protocol::{MAX_ZYGOTE_DESCRIPTORS, MAX_ZYGOTE_PACKET_BYTES, MakeSandbox, ZygoteReport};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recv, recvmsg, send};

use crate::filter::Filters;
pub(crate) use program::WAITING;
use sandbox::Sandbox;

/// Where the spawner has put the zygote's socket; what is below is the program's.
const SOCKET: RawFd = 5;
/// The runner's own descriptors: its stream, the program's ends, the way to the waiting program.
pub(crate) const CONTROL: RawFd = 5;
pub(crate) const PROGRAM_ENDS: [RawFd; 4] = [6, 7, 8, 9];
pub(crate) const PROGRAM_MESSAGES: RawFd = 10;
/// Highest number looked at for files that the interpreter has open in the middle of its start.
const INTERPRETERS_FILES: std::ops::Range<RawFd> = 6..64;

/// A step that failed and why.
pub(crate) struct Failed {
    step: &'static str,
    detail: String,
}

/// Names the step of something that failed.
pub(crate) trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, Failed>;
}

impl<T, E: std::fmt::Display> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, Failed> {
        self.map_err(|error| Failed { step, detail: error.to_string() })
    }
}

struct Zygote {
    socket: OwnedFd,
    filters: Filters,
    /// Files that the interpreter itself closes later, when its start goes on.
    kept: Vec<RawFd>,
}

/// What a call to [`Zygote::next`] is in.
enum Side {
    /// The spawner has gone: the zygote ends.
    Over,
    /// The first process of a new sandbox.
    Child(Box<Sandbox>),
}

impl Zygote {
    fn open() -> Result<Self, Failed> {
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).step("die with the spawner")?;
        let filters = Filters::compile().step("filters")?;
        let kept = INTERPRETERS_FILES.filter(|&number| is_regular_file(number)).collect();
        Ok(Self { socket: own(SOCKET), filters, kept })
    }

    fn report(&self, report: &ZygoteReport) -> nix::Result<()> {
        let packet = serde_json::to_vec(report).map_err(|_| Errno::EINVAL)?;
        send(self.socket.as_raw_fd(), &packet, MsgFlags::MSG_NOSIGNAL).map(drop)
    }

    /// Says that everything is imported. Fails when a library has started threads, which a fork would lose.
    fn ready(&self, modules: &str) -> Result<(), Failed> {
        let threads = std::fs::read_dir("/proc/self/task").step("threads")?.count();
        if threads != 1 {
            return Err(Failed { step: "threads", detail: format!("the imports started {}", threads - 1) });
        }
        let modules = modules.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        self.report(&ZygoteReport::Ready { modules }).step("spawner")
    }

    /// Forks what the spawner asks for. Returns in each child, and in the zygote when the spawner has gone.
    fn next(&self) -> Side {
        loop {
            let Ok(Some((wanted, descriptors))) = self.receive() else { return Side::Over };
            match clone() {
                Ok(Some(process)) => drop(self.report(&ZygoteReport::Forked { process })),
                Ok(None) => return Side::Child(Box::new(Sandbox::new(wanted, descriptors))),
                Err(errno) => drop(self.report(&ZygoteReport::NotForked { errno: errno as i32 })),
            }
        }
    }

    fn receive(&self) -> nix::Result<Option<(MakeSandbox, Vec<OwnedFd>)>> {
        // Memory that the zygote uses for each fork is copied for each.
        let length = loop {
            match recv(self.socket.as_raw_fd(), &mut [], MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC) {
                Err(Errno::EINTR) => {}
                length => break length?,
            }
        };
        let mut packet = vec![0; length.min(MAX_ZYGOTE_PACKET_BYTES)];
        let mut space = nix::cmsg_space!([RawFd; MAX_ZYGOTE_DESCRIPTORS]);
        let (count, descriptors) = receive(&self.socket, &mut packet, &mut space)?;
        if count == 0 {
            return Ok(None);
        }
        let wanted = serde_json::from_slice(packet.get(..count).unwrap_or_default()).map_err(|_| Errno::EBADMSG)?;
        Ok(Some((wanted, descriptors)))
    }
}

/// Receives bytes and the descriptors that came with them.
fn receive(socket: &OwnedFd, buffer: &mut [u8], space: &mut [u8]) -> nix::Result<(usize, Vec<OwnedFd>)> {
    loop {
        let mut parts = [IoSliceMut::new(buffer)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(message) => {
                let mut descriptors = Vec::new();
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(raw) = control {
                        descriptors.extend(raw.into_iter().map(own));
                    }
                }
                return Ok((message.bytes, descriptors));
            }
        }
    }
}

#[expect(unsafe_code, reason = "descriptors that were passed to this process have no owner until they are adopted")]
fn own(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the callers pass a descriptor that the spawner or the kernel has just given to this process.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Closes the descriptors from `first` on but those that are `kept`. Whoever owned them here has forgotten them.
#[expect(unsafe_code, reason = "close_range has no safe wrapper here")]
fn close_from(mut first: RawFd, kept: &[RawFd]) -> nix::Result<()> {
    for last in kept.iter().map(|number| number - 1).chain([RawFd::MAX]) {
        if first <= last {
            // SAFETY: close_range touches no memory, and the numbers have no owner.
            Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
        }
        first = last.saturating_add(2);
    }
    Ok(())
}

#[expect(unsafe_code, reason = "asks about numbers that may not be open, which have no owner")]
fn is_regular_file(number: RawFd) -> bool {
    let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat writes the structure, or fails and leaves it, and then it is not read.
    unsafe { libc::fstat(number, status.as_mut_ptr()) == 0 && status.assume_init().st_mode & libc::S_IFMT == libc::S_IFREG }
}

/// Forks into new namespaces, as a child of the spawner; `None` is the child.
#[expect(unsafe_code, reason = "clone has no safe wrapper that behaves like fork")]
fn clone() -> nix::Result<Option<i32>> {
    let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    // SAFETY: without a stack and without shared memory this is a fork; the zygote has one thread.
    let process =
        Errno::result(unsafe { libc::syscall(libc::SYS_clone, namespaces | libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) })?;
    let process = i32::try_from(process).map_err(|_| Errno::ESRCH)?;
    Ok((process != 0).then_some(process))
}
