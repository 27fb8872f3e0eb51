//! The first process of a sandbox: starts one program, confines it, streams it, stops its whole tree.
//!
//! It runs as process 1 of its own process namespace, single-threaded, around one `ppoll`. User code
//! is never process 1 and never has the runner's control descriptor. What ends up in the result comes
//! from here and from the kernel's counters, never from what the program printed.

mod confine;
mod display;
mod filter;
mod input;
mod launch;
mod link;
mod output;
mod session;
mod supervise;
mod waiting;
mod waiting_program;
mod zygote;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;

use waiting_program::WaitingProgram;

pub use filter::{Filters, allowed_system_calls};

/// Why the runner could not do its work; the supervisor sees only that the stream ended.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    #[error("the runner must be process 1 of a sandbox, it is process {0}")]
    NotFirst(i32),
    #[error("descriptor {0} is not open")]
    Descriptor(RawFd),
    #[error("the program that was to wait has ended")]
    NoProgram,
    #[error("cannot compile the system call filter")]
    Filter(#[from] seccompiler::BackendError),
    #[error("{step}: {errno}")]
    System { step: &'static str, errno: Errno },
    #[error("the supervisor broke the protocol: {0}")]
    Protocol(#[from] kiln_runner_protocol::ProtocolError),
}

/// Names the step of a system call that failed.
trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, RunnerError>;
}

impl<T> Step<T> for nix::Result<T> {
    fn step(self, step: &'static str) -> Result<T, RunnerError> {
        self.map_err(|errno| RunnerError::System { step, errno })
    }
}

/// Serves one program over the inherited `descriptor`, then returns. With `program` the process of that number, a
/// zygote's child, waits to be the program; without, an interpreter is executed. Losing the supervisor is no error:
/// process 1 returns, and the kernel kills whatever is left in its namespace.
pub fn serve_inherited(descriptor: RawFd, program: Option<i32>) -> Result<(), RunnerError> {
    // `kill(-1)` is how a tree is stopped; anywhere but in a process namespace of its own it would hit the host.
    let process = nix::unistd::getpid().as_raw();
    if process != 1 {
        return Err(RunnerError::NotFirst(process));
    }
    nix::sys::prctl::set_dumpable(false).step("become non-dumpable")?;
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).step("die with the spawner")?;
    let waiting = program.map(WaitingProgram::inherit).transpose()?;
    let control = adopt(descriptor)?;
    let control = fcntl(&control, FcntlArg::F_DUPFD_CLOEXEC(LOW_DESCRIPTORS)).step("move the control descriptor").map(own)?;
    let _reserved = reserve_low_descriptors().step("reserve descriptors")?;
    supervise::serve(control, waiting)
}

/// Descriptors below this one are the program's own: input, output, errors, displays, a failed start.
/// The runner keeps them occupied, so that nothing it opens is in the way when a child arranges its own.
const LOW_DESCRIPTORS: RawFd = 5;

fn reserve_low_descriptors() -> nix::Result<Vec<OwnedFd>> {
    let mut reserved = Vec::new();
    loop {
        let descriptor = nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        if descriptor.as_raw_fd() >= LOW_DESCRIPTORS {
            return Ok(reserved);
        }
        reserved.push(descriptor);
    }
}

#[expect(unsafe_code, reason = "an inherited descriptor has no owner until it is adopted here, once")]
fn adopt(descriptor: RawFd) -> Result<OwnedFd, RunnerError> {
    // SAFETY: `fcntl` reads no memory; it only says whether the number is open.
    if descriptor < 3 || unsafe { libc::fcntl(descriptor, libc::F_GETFD) } < 0 {
        return Err(RunnerError::Descriptor(descriptor));
    }
    Ok(own(descriptor))
}

#[expect(unsafe_code, reason = "see its two callers")]
fn own(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the callers pass a descriptor that is open and that nothing else in this process owns.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}
