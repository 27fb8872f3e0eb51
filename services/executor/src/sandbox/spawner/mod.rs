//! The spawner: a small single-threaded process that holds the privileges and makes sandboxes.
//!
//! It is this same program, executed again, because a process with threads cannot safely fork. It does
//! one thing at a time and never waits for a sandbox: building goes on in the child, and everything that
//! takes time is an event of its loop. It outlives nothing: when the engine's socket ends, it kills and
//! removes every sandbox, then exits.

mod child;
mod disk;
mod mount;
mod open;
mod process;
mod root;
mod table;
mod workspace;
mod zygote;

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};

pub use child::PROGRAM_ID;
pub use root::{OWN_DIRECTORIES, WORKSPACE, ZYGOTE_DRIVER, ZYGOTE_LIBRARY};
pub use workspace::{FILES, FILES_ID, INCOMING};

use super::wire::{self, Answer, Failure, Request};
use table::{Table, ZygotePlan};

/// How long a dying group is tried to be removed again.
const RETRY: Duration = Duration::from_millis(10);
/// How long the last sandboxes may take to die when the engine has gone.
const LAST_DEADLINE: Duration = Duration::from_secs(10);

/// The hidden subcommand. Standard input is the engine's socket. Never returns.
pub fn spawner_main() -> ! {
    let code = match serve() {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("kiln sandbox-spawner: {failure}");
            1
        }
    };
    std::process::exit(code)
}

fn serve() -> Result<(), Failure> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(|error| Failure::new("engine's socket", error))?;
    // Nothing that is started from here is to ignore what whoever started Kiln does.
    process::default_signals().map_err(|errno| Failure::new("signals", errno))?;
    // The engine decides when the spawner ends, not a terminal.
    let terminal = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGPIPE]);
    terminal.thread_block().map_err(|errno| Failure::new("signals", errno))?;
    let Some(request) = receive(&socket)? else { return Ok(()) };
    let Request::Open { data_dir, runner, accept_tier, without } = request else {
        return Err(Failure::new("engine's socket", "the first request is to open"));
    };
    let mut table = match open::open(&data_dir, &runner, accept_tier.as_deref(), without) {
        Ok((table, isolation)) => {
            answer(&socket, &Answer::Opened(isolation), &[])?;
            table
        }
        Err(failure) => return answer(&socket, &Answer::Refused(failure), &[]),
    };
    let served = serve_requests(&socket, &mut table);
    close(table);
    served
}

fn serve_requests(socket: &OwnedFd, table: &mut Table) -> Result<(), Failure> {
    loop {
        let events = wait(Some(socket), table, table.has_remains().then_some(RETRY))?;
        if events.socket {
            let Some(request) = receive(socket)? else { return Ok(()) };
            obey(socket, table, request)?;
        }
        for finished in table.step(&events.sandboxes) {
            answer(socket, &finished, &[])?;
        }
    }
}

fn obey(socket: &OwnedFd, table: &mut Table, request: Request) -> Result<(), Failure> {
    match request {
        Request::Open { .. } => Err(Failure::new("engine's socket", "opened twice")),
        Request::Make { id, binds, disk_bytes, workspace } => {
            made(socket, id, table.make(id, &binds, disk_bytes, workspace.as_ref()))
        }
        Request::Fork { id, zygote, disk_bytes, workspace, confinement } => {
            made(socket, id, table.fork(id, zygote, disk_bytes, workspace.as_ref(), confinement))
        }
        Request::Mount { id, image, scripts } => match table.mount(id, &image, &scripts) {
            Ok(stream) => answer(socket, &Answer::Mounting { id }, &[stream]),
            Err(failure) => {
                answer(socket, &Answer::Finished { id, counters: wire::Counters::default(), failure: Some(failure) }, &[])
            }
        },
        Request::Unmount { id } => {
            table.unmount(id);
            Ok(())
        }
        Request::Zygote { id, binds, argv, env } => {
            match table.start_zygote(id, &ZygotePlan { binds: &binds, argv: &argv, env: &env }) {
                Ok(()) => Ok(()),
                Err(failure) => answer(socket, &Answer::ZygoteEnded { id, failure }, &[]),
            }
        }
        Request::EndZygote { id } => {
            table.end_zygote(id);
            Ok(())
        }
        Request::Limit { id, memory_bytes, cpu_millis, processes } => {
            let limits = super::cgroup::GroupLimits { memory_bytes, cpu_millis, processes };
            answer(socket, &Answer::Limited { id, failure: table.limit(id, limits).err() }, &[])
        }
        Request::Count { id } => answer(socket, &Answer::Counted { id, counters: table.count(id) }, &[]),
        Request::Kill { id } => {
            table.kill(id);
            Ok(())
        }
        Request::Finish { id, over } => table.finish(id, over).map_or(Ok(()), |finished| answer(socket, &finished, &[])),
    }
}

fn made(socket: &OwnedFd, id: wire::SandboxId, made: Result<(Option<u32>, OwnedFd), Failure>) -> Result<(), Failure> {
    match made {
        Ok((owner, stream)) => answer(socket, &Answer::Made { id, owner }, &[stream]),
        Err(failure) => {
            answer(socket, &Answer::Finished { id, counters: wire::Counters::default(), failure: Some(failure) }, &[])
        }
    }
}

/// Kills what there is and waits until it is gone, up to a deadline.
fn close(mut table: Table) {
    let deadline = Instant::now() + LAST_DEADLINE;
    table.finish_all();
    while !table.is_empty() && Instant::now() < deadline {
        match wait(None, &table, Some(RETRY)) {
            Ok(events) => drop(table.step(&events.sandboxes)),
            Err(failure) => {
                eprintln!("kiln sandbox-spawner: {failure}");
                return;
            }
        }
    }
    table.remove_bases();
}

struct Events {
    socket: bool,
    /// Ids of the sandboxes of which something is to be read.
    sandboxes: Vec<wire::SandboxId>,
}

fn wait(socket: Option<&OwnedFd>, table: &Table, timeout: Option<Duration>) -> Result<Events, Failure> {
    let watched: Vec<(wire::SandboxId, BorrowedFd<'_>)> = table.watched().collect();
    let mut descriptors: Vec<_> = watched.iter().map(|(_, descriptor)| PollFd::new(*descriptor, PollFlags::POLLIN)).collect();
    descriptors.extend(socket.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
    let timeout = timeout.map_or(PollTimeout::NONE, |timeout| PollTimeout::try_from(timeout).unwrap_or(PollTimeout::ZERO));
    match poll(&mut descriptors, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(Failure::new("poll", errno)),
    }
    let ready = |descriptor: &PollFd<'_>| descriptor.any().unwrap_or(false);
    let sandboxes = watched.iter().zip(&descriptors).filter(|(_, descriptor)| ready(descriptor)).map(|((id, _), _)| *id);
    let sandboxes = sandboxes.collect();
    Ok(Events { socket: socket.is_some() && descriptors.last().is_some_and(ready), sandboxes })
}

fn receive(socket: &OwnedFd) -> Result<Option<Request>, Failure> {
    match wire::receive(socket.as_fd()) {
        Ok(message) => Ok(message.map(|(request, _)| request)),
        Err(Errno::ECONNRESET) => Ok(None),
        Err(errno) => Err(Failure::new("engine's socket", errno)),
    }
}

/// Answers; an engine that has gone is noticed at the next read.
fn answer(socket: &OwnedFd, answer: &Answer, descriptors: &[OwnedFd]) -> Result<(), Failure> {
    use std::os::fd::AsRawFd;
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    match wire::send(socket.as_fd(), answer, &raw) {
        Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
        Err(errno) => Err(Failure::new("engine's socket", errno)),
    }
}

/// A copy of `descriptor` that is not below `number`, closed on execution.
#[expect(unsafe_code, reason = "fcntl gives a number, which is adopted here")]
fn duplicate_above(descriptor: BorrowedFd<'_>, number: RawFd) -> nix::Result<OwnedFd> {
    let raw = nix::fcntl::fcntl(descriptor, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(number))?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
