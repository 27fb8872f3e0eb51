//! Starts the program: pipes, fork, confinement, `execve`, and the word whether it succeeded.

use std::ffi::CString;
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use kiln_runner_protocol::{Program, StartFailure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{ForkResult, Pid, dup2_raw, pipe2};

use crate::confine::{Controls, Failed};
use crate::filter::Filters;

/// Descriptor on which the interpreter's driver writes display documents.
const DISPLAY: RawFd = 3;
/// Descriptor on which a failed start is told; closed by a successful `execve`.
const FAILURE: RawFd = 4;

/// The runner's ends of a started program's pipes; all non-blocking.
pub struct Launched {
    pub main: Pid,
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    /// Goes both ways where the program is a session's interpreter.
    pub display: OwnedFd,
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

/// Starts `program` confined as it says. Returns when the interpreter has been executed.
pub fn launch(program: &Program, filters: &Filters) -> Result<Launched, StartFailure> {
    let failed = |(step, errno): Failed| StartFailure { step: step.to_owned(), errno: errno as i32 };
    let image = Image::of(program).map_err(failed)?;
    let controls = Controls::prepare(&program.confinement, filters)
        .map_err(|error| StartFailure { step: format!("landlock: {error}"), errno: Errno::last_raw() })?;
    let [stdin, stdout, stderr, display, failure] = pipes(program.confinement.talks).map_err(|errno| failed(("pipe", errno)))?;
    let ends = [stdin.read.as_raw_fd(), stdout.write.as_raw_fd(), stderr.write.as_raw_fd(), display.write.as_raw_fd()];
    match fork().map_err(|errno| failed(("fork", errno)))? {
        ForkResult::Child => image.execute(program, controls, ends, failure.write.as_raw_fd()),
        ForkResult::Parent { child: main } => {
            drop(failure.write);
            await_execution(failure.read)?;
            for own in [&stdin.write, &stdout.read, &stderr.read, &display.read] {
                fcntl(own, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| failed(("pipe", errno)))?;
            }
            Ok(Launched { main, stdin: stdin.write, stdout: stdout.read, stderr: stderr.read, display: display.read })
        }
    }
}

fn pipes(talks: bool) -> nix::Result<[Pipe; 5]> {
    let pipe = || pipe2(OFlag::O_CLOEXEC).map(|(read, write)| Pipe { read, write });
    let (read, write) = display(talks)?;
    Ok([pipe()?, pipe()?, pipe()?, Pipe { read, write }, pipe()?])
}

/// The two ends of the descriptor for displays, the runner's first: a pipe, or a socket for an interpreter that is spoken to
/// by it as well.
pub fn display(talks: bool) -> nix::Result<(OwnedFd, OwnedFd)> {
    if !talks {
        return pipe2(OFlag::O_CLOEXEC);
    }
    socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
}

#[expect(unsafe_code, reason = "fork has no safe wrapper")]
fn fork() -> nix::Result<ForkResult> {
    // SAFETY: the runner has one thread, so the child may allocate and use any lock.
    unsafe { nix::unistd::fork() }
}

/// Reads the child's word: nothing when it executed, else the step and the error number.
fn await_execution(failure: OwnedFd) -> Result<(), StartFailure> {
    let mut text = String::new();
    std::fs::File::from(failure)
        .read_to_string(&mut text)
        .map_err(|error| StartFailure { step: "start".to_owned(), errno: error.raw_os_error().unwrap_or(0) })?;
    match text.split_once(' ') {
        None => Ok(()),
        Some((errno, step)) => Err(StartFailure { step: step.to_owned(), errno: errno.parse().unwrap_or(0) }),
    }
}

/// The arguments of `execve`, made before the fork.
struct Image {
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Image {
    fn of(program: &Program) -> Result<Self, Failed> {
        let text = |text: String| CString::new(text).map_err(|_| ("NUL in an argument", Errno::EINVAL));
        let argv: Vec<_> = program.argv.iter().chain(&program.args).cloned().map(text).collect::<Result<_, _>>()?;
        let env = program.env.iter().map(|(name, value)| text(format!("{name}={value}"))).collect::<Result<_, _>>()?;
        if argv.is_empty() { Err(("no arguments", Errno::EINVAL)) } else { Ok(Self { argv, env }) }
    }

    /// The child's whole life before the program. Never returns.
    fn execute(&self, program: &Program, controls: Controls<'_>, ends: [RawFd; 4], failure: RawFd) -> ! {
        let (step, errno) = match self.try_execute(program, controls, ends, failure) {
            Ok(never) => match never {},
            Err(failed) => failed,
        };
        let word = format!("{} {step}", errno as i32);
        // Nobody is left to tell when this fails; the exit code still says that nothing ran.
        let _ = nix::unistd::write(borrow(FAILURE), word.as_bytes());
        exit(127)
    }

    fn try_execute(
        &self,
        program: &Program,
        controls: Controls<'_>,
        ends: [RawFd; 4],
        failure: RawFd,
    ) -> Result<std::convert::Infallible, Failed> {
        arrange(ends, failure).map_err(|errno| ("descriptors", errno))?;
        nix::unistd::setsid().map_err(|errno| ("session", errno))?;
        nix::unistd::chdir(program.directory.as_str()).map_err(|errno| ("working directory", errno))?;
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
        controls.set()?;
        let path = self.argv.first().ok_or(("no arguments", Errno::EINVAL))?;
        nix::unistd::execve(path, &self.argv, &self.env).map_err(|errno| ("interpreter", errno))
    }
}

/// Puts the program's ends at 0 to 3 and the failure pipe at 4, and closes everything else.
#[expect(unsafe_code, reason = "descriptors are moved to fixed numbers, which have no owners")]
pub fn arrange(ends: [RawFd; 4], failure: RawFd) -> nix::Result<()> {
    // First out of the way of the fixed numbers, then to them.
    let mut high = [0; 5];
    for (slot, from) in high.iter_mut().zip(ends.into_iter().chain([failure])) {
        *slot = fcntl(borrow(from), FcntlArg::F_DUPFD_CLOEXEC(64))?;
    }
    for (number, from) in (0..).zip(high) {
        // SAFETY: this child owns no object for descriptors 0 to 4; whatever is there is replaced.
        let moved = unsafe { dup2_raw(borrow(from), number) }?;
        std::mem::forget(moved);
    }
    fcntl(borrow(FAILURE), FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    fcntl(borrow(DISPLAY), FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    // SAFETY: close_range touches no memory; nothing above the failure pipe is used again in this process.
    // Landlock's ruleset is the exception and is kept: it is close-on-exec by itself.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, 5, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) }).map(drop)
}

#[expect(unsafe_code, reason = "descriptors are moved to fixed numbers, which have no owners")]
fn borrow(descriptor: RawFd) -> BorrowedFd<'static> {
    // SAFETY: used only in the child, for descriptors that stay open until it executes or exits.
    unsafe { BorrowedFd::borrow_raw(descriptor) }
}

#[expect(unsafe_code, reason = "a forked child leaves without running the parent's exit handlers")]
fn exit(code: i32) -> ! {
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(code) }
}
