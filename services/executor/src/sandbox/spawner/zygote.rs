//! A zygote as the spawner sees it: how it is started, what it says, what it owes.
//!
//! It is an interpreter in a mount namespace with the root and the runtime of its sandboxes, without a network, and
//! root of a user namespace in which nothing of the host is mapped but its own id and those of sandboxes. So what is
//! imported in it has no power over the host, and none over sandboxes that are not its own children but a signal.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use kiln_runner_protocol::{FAILURE_MARK, MAX_ZYGOTE_PACKET_BYTES, ZygoteReport};
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::SigSet;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, execve, pipe2, setsid};

use super::child::{self, MEMORY_PLACES, PROC_OPTIONS, change_root, enter_user_namespace};
use super::mount as binds;
use super::process::Process;
use super::root::WORKSPACE;
use crate::sandbox::runtime::Bind;
use crate::sandbox::wire::{self, Failure, SandboxId, Step};

/// What a zygote may have said on its standard error when it ends.
const MAX_COMPLAINT_BYTES: usize = 2048;

/// What a zygote is started from.
pub struct Plan<'a> {
    pub root: &'a Path,
    pub binds: &'a [Bind],
    pub argv: &'a [String],
    pub env: &'a [(String, String)],
    /// Host's user that makes its user namespace: its own id there.
    pub maker: u32,
}

pub struct Zygote {
    pub process: Process,
    /// Its place among zygotes, which gives its id on the host.
    pub place: u32,
    socket: OwnedFd,
    complaints: OwnedFd,
    /// Sandboxes asked for and not yet forked, in order.
    pub owed: VecDeque<SandboxId>,
    pub ready: bool,
    /// Its own word why it cannot serve.
    failure: Option<Failure>,
}

/// The ends of a new zygote's channels that are its own.
struct Own {
    socket: OwnedFd,
    complaints: OwnedFd,
    status: UnixStream,
}

impl Zygote {
    /// Forks it. `map` gives the lines of its user namespace's map of ids.
    pub fn start(plan: &Plan<'_>, place: u32, map: &str) -> Result<Self, Failure> {
        let kind = SockType::SeqPacket;
        let (socket, own_socket) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).step("zygote's socket")?;
        let (complaints, own_complaints) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).step("zygote's errors")?;
        let (mut status, own_status) = UnixStream::pair().step("status")?;
        let Some(process) =
            super::process::fork(libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS)
                .step("clone")?
        else {
            drop((socket, complaints, status));
            become_zygote(plan, Own { socket: own_socket, complaints: own_complaints, status: own_status })
        };
        drop((own_socket, own_complaints, own_status));
        let process = Process::new(process)?;
        let zygote = Self { process, place, socket, complaints, owed: VecDeque::new(), ready: false, failure: None };
        // Building takes a millisecond, and zygotes are few: the spawner waits for it.
        zygote.map_ids(&mut status, map)?;
        nix::fcntl::fcntl(&zygote.socket, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).step("zygote's socket")?;
        Ok(zygote)
    }

    fn map_ids(&self, status: &mut UnixStream, map: &str) -> Result<(), Failure> {
        let mut word = [0];
        status.read_exact(&mut word).step("zygote")?;
        if word == [child::UNSHARED] {
            self.process.map_ids(map).step("map ids")?;
            status.write_all(&[child::MAPPED]).step("map ids")?;
        }
        let mut rest = Vec::new();
        // Until it executes, which closes its end.
        status.take(MAX_COMPLAINT_BYTES as u64).read_to_end(&mut rest).step("zygote")?;
        let said = if word == [FAILURE_MARK] { Some(rest.as_slice()) } else { rest.strip_prefix(&[FAILURE_MARK]) };
        match said.map(String::from_utf8_lossy) {
            None => Ok(()),
            Some(text) => {
                let (step, detail) = text.split_once('\n').unwrap_or(("zygote", &text));
                Err(Failure::new(step, detail))
            }
        }
    }

    /// Has it fork a sandbox.
    pub fn send(
        &mut self,
        id: SandboxId,
        wanted: &kiln_runner_protocol::MakeSandbox,
        with: &[BorrowedFd<'_>],
    ) -> Result<(), Failure> {
        let raw: Vec<_> = with.iter().map(AsRawFd::as_raw_fd).collect();
        wire::send(self.socket.as_fd(), wanted, &raw).step("zygote")?;
        self.owed.push_back(id);
        Ok(())
    }

    /// What it says next, if anything.
    pub fn receive(&mut self) -> Option<ZygoteReport> {
        let length = wire::next_length(self.socket.as_fd()).ok()?;
        let mut packet = vec![0; length.min(MAX_ZYGOTE_PACKET_BYTES)];
        let (count, _) = wire::receive_bytes(self.socket.as_fd(), &mut packet).ok()?;
        let report = serde_json::from_slice(packet.get(..count).unwrap_or_default()).ok()?;
        if let ZygoteReport::Failed { step, detail } = &report {
            self.failure = Some(Failure::new(step, detail));
        }
        Some(report)
    }

    pub fn watched(&self) -> [BorrowedFd<'_>; 2] {
        [self.socket.as_fd(), self.process.as_fd()]
    }

    /// Why it has ended.
    pub fn failure(&self) -> Failure {
        self.failure.clone().unwrap_or_else(|| {
            let mut bytes = vec![0; MAX_COMPLAINT_BYTES];
            let count = nix::unistd::read(&self.complaints, &mut bytes).unwrap_or(0);
            let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()).into_owned();
            let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it ended without a word");
            Failure::new("zygote", last)
        })
    }
}

fn become_zygote(plan: &Plan<'_>, mut own: Own) -> ! {
    let failure = match enter(plan, &mut own) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    // The spawner reads this until the end.
    let _ = own.status.write_all(&[&[FAILURE_MARK], failure.step.as_bytes(), b"\n", failure.detail.as_bytes()].concat());
    child::exit()
}

fn enter(plan: &Plan<'_>, own: &mut Own) -> Result<Infallible, Failure> {
    SigSet::all().thread_unblock().step("signals")?;
    setsid().step("session")?;
    let inside = |path: &str| plan.root.join(path.trim_start_matches('/'));
    for bind in plan.binds {
        binds::bind_read_only(&bind.source, &inside(&bind.target.to_string_lossy()))?;
    }
    // Sandboxes may mount a /proc of their own only where there is one.
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &inside("proc"), Some("proc"), flags, Some(PROC_OPTIONS)).step("proc")?;
    for (target, options) in MEMORY_PLACES {
        if inside(target).is_dir() {
            binds::tmpfs(&inside(target), options)?;
        }
    }
    change_root(plan.root)?;
    enter_user_namespace(&mut own.status, Some(plan.maker))?;
    nix::unistd::chdir(WORKSPACE).step("working directory")?;
    arrange(own)?;
    let text = |text: &str| CString::new(text).step("NUL in an argument");
    let argv = plan.argv.iter().map(|part| text(part)).collect::<Result<Vec<_>, _>>()?;
    let env = plan.env.iter().map(|(name, value)| text(&format!("{name}={value}"))).collect::<Result<Vec<_>, _>>()?;
    let program = argv.first().ok_or_else(|| Failure::new("zygote", "no arguments"))?;
    execve(program, &argv, &env).step("execute the interpreter")
}

/// Standard input has ended, output and errors are complaints, all pipes as a program's are. Then come the places of
/// the program's other two descriptors, and the zygote's socket at 5.
fn arrange(own: &Own) -> Result<(), Failure> {
    let (ended, writer) = pipe2(OFlag::O_CLOEXEC).step("standard input")?;
    drop(writer);
    let null = nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).step("placeholder")?;
    let sources = [ended.as_fd(), own.complaints.as_fd(), own.complaints.as_fd(), null.as_fd(), null.as_fd(), own.socket.as_fd()];
    // Out of the way of the fixed numbers first: any of these may be one of them. The status goes there too.
    let high = sources.map(child::above).into_iter().collect::<Result<Vec<_>, _>>()?;
    for (number, from) in (0..).zip(&high) {
        child::place(from, number)?;
    }
    Ok(())
}

/// For an id on the host of a process that a zygote has forked.
pub fn pid(process: i32) -> Option<Pid> {
    (process > 1).then(|| Pid::from_raw(process))
}

/// An answer that a zygote did not give because it has gone.
pub fn gone() -> Failure {
    Failure::new("zygote", "has ended")
}
