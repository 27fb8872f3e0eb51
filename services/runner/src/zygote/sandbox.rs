//! The first process of a sandbox, from the zygote's fork to the runner.

use std::ffi::CString;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use kiln_runner_protocol::{DISK_MARK, FAILURE_MARK, Hidden, MakeSandbox, OwnMount, SCRIPT_SOURCE, WORKSPACE_MARK};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, dup2_raw, pipe2, sethostname, setresgid, setresuid, setsid};

use super::{CONTROL, Failed, PROGRAM_ENDS, PROGRAM_MESSAGES, Step};

/// Another user has the same capabilities (`SECBIT_NO_SETUID_FIXUP`, include/uapi/linux/securebits.h).
const CAPABILITIES_STAY: libc::c_int = 1 << 2;
/// Said to the program once the user namespace is there, and its answer once the ids are mapped.
pub const UNSHARED: u8 = b'U';
pub const MAPPED: u8 = b'M';

/// A sandbox that is being built, in its first process and, after the fork, in the program's.
pub struct Sandbox {
    pub wanted: MakeSandbox,
    pub stream: Option<OwnedFd>,
    /// Takes a failure's words; it ends when the runner and the program are in place.
    pub status: Option<UnixStream>,
    disk: Option<OwnedFd>,
    groups: Vec<OwnedFd>,
    pub ends: Option<Ends>,
}

/// The two sides of everything between the runner and the program.
pub struct Ends {
    pub runners: [OwnedFd; 4],
    pub programs: [OwnedFd; 4],
    /// The run's message, and before it the program's word that it waits.
    pub messages: (UnixStream, UnixStream),
    /// For the mapping of ids.
    pub mapping: (UnixStream, UnixStream),
}

impl Sandbox {
    pub fn new(wanted: MakeSandbox, descriptors: Vec<OwnedFd>) -> Self {
        let mut descriptors = descriptors.into_iter();
        let (stream, status) = (descriptors.next(), descriptors.next().map(UnixStream::from));
        let disk = if wanted.has_disk { descriptors.next() } else { None };
        Self { wanted, stream, status, disk, groups: descriptors.collect(), ends: None }
    }

    /// Everything up to the second fork.
    pub fn build(&mut self) -> Result<(), Failed> {
        setsid().step("session")?;
        for group in self.groups.drain(..) {
            nix::unistd::write(&group, b"0").step("enter the control group")?;
        }
        unshare(CloneFlags::CLONE_NEWCGROUP).step("cgroup namespace")?;
        sethostname(&self.wanted.host_name).step("host name")?;
        for own in &self.wanted.mounts {
            mount_own(own)?;
        }
        self.wanted.hidden.iter().try_for_each(hide)?;
        if let Some(socket) = self.disk.take() {
            move_mount(&receive_disk(&socket)?, &self.wanted.directory).step("move the disk in")?;
        }
        if let Some(script) = &self.wanted.script {
            mount_script(&format!("{}/{script}", self.wanted.directory))?;
        }
        self.hand_over()?;
        self.ends = Some(Ends::new(self.wanted.confinement.talks).step("pipes")?);
        Ok(())
    }

    /// Gives the engine the working directory over the stream that will be the runner's.
    fn hand_over(&self) -> Result<(), Failed> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let workspace = nix::fcntl::open(self.wanted.directory.as_str(), flags, Mode::empty()).step("working directory")?;
        let stream = self.stream.as_ref().ok_or(Errno::EBADF).step("stream")?;
        let descriptors = [workspace.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let mark = [IoSlice::new(&[WORKSPACE_MARK])];
        sendmsg::<()>(stream.as_raw_fd(), &mark, &rights, MsgFlags::MSG_NOSIGNAL, None).map(drop).step("hand over")
    }

    /// After the fork: enters the sandbox's user namespace and is the runner, to its end. Nothing is executed: that costs
    /// more than all the rest of a sandbox, and of what a runner inherits here no program has written a byte.
    pub fn become_runner(&mut self, program: i32) -> Result<(), Failed> {
        let ends = self.ends.take().ok_or(Errno::EBADF).step("pipes")?;
        drop((ends.programs, ends.messages.1, ends.mapping.1));
        act_as(self.wanted.runner_id).step("maker of the user namespace")?;
        unshare(CloneFlags::CLONE_NEWUSER).step("user namespace")?;
        let mut mapping = ends.mapping.0;
        mapping.write_all(&[UNSHARED]).step("user namespace")?;
        let mut answer = [0];
        mapping.read_exact(&mut answer).step("map ids")?;
        if answer != [MAPPED] {
            return Err(Failed { step: "map ids", detail: "another answer".to_owned() });
        }
        setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0)).step("runner's group")?;
        setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).step("runner's user")?;
        nix::sys::prctl::set_name(c"kiln-runner").step("name")?;
        // The interpreter has handlers for some; what process 1 has none for does nothing to it.
        crate::confine::default_signals().step("signals")?;
        let null = nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).step("standard input")?;
        let stream = self.stream.take().ok_or(Errno::EBADF).step("stream")?;
        let messages = OwnedFd::from(ends.messages.0);
        // Out of the way of the fixed numbers first: any of these may be one of them.
        let (null, stream, messages) = (above(&null)?, above(&stream)?, above(&messages)?);
        let ends = ends.runners.iter().map(above).collect::<Result<Vec<_>, _>>()?;
        let standard = [0, 1, 2].map(|number| (number, &null));
        let others = [(CONTROL, &stream), (PROGRAM_MESSAGES, &messages)];
        for (number, from) in standard.into_iter().chain(others).chain(PROGRAM_ENDS.into_iter().zip(&ends)) {
            place(from, number).step("descriptors")?;
        }
        // The spawner takes the end of its stream as the word that all is well. What these own is closed here with it.
        std::mem::forget((null, stream, messages, ends, mapping, self.status.take()));
        super::close_from(PROGRAM_MESSAGES + 1, &[]).step("descriptors")?;
        // Nobody could be told of an error any more; the supervisor sees the end of its stream.
        let _ = crate::serve_inherited(CONTROL, Some(program));
        Ok(())
    }

    /// Tells the spawner why this sandbox is not made.
    pub fn give_up(&mut self, failed: &Failed) {
        if let Some(status) = &mut self.status {
            // When the spawner is gone there is nobody to tell.
            let _ = status.write_all(&[&[FAILURE_MARK], failed.step.as_bytes(), b"\n", failed.detail.as_bytes()].concat());
        }
    }
}

impl Ends {
    fn new(talks: bool) -> std::io::Result<Self> {
        let pipe = || pipe2(OFlag::O_CLOEXEC);
        let [stdin, stdout, stderr, display] = [pipe()?, pipe()?, pipe()?, crate::launch::display(talks)?];
        Ok(Self {
            runners: [stdin.1, stdout.0, stderr.0, display.0],
            programs: [stdin.0, stdout.1, stderr.1, display.1],
            messages: UnixStream::pair()?,
            mapping: UnixStream::pair()?,
        })
    }
}

/// Takes that user with every capability kept: what is counted for each user counts for who made a user namespace as well.
#[expect(unsafe_code, reason = "prctl for the secure bits has no safe wrapper")]
fn act_as(user: u32) -> nix::Result<()> {
    // SAFETY: this prctl takes a number and touches no memory. The new namespace begins without the bit.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, CAPABILITIES_STAY, 0, 0, 0) })?;
    let same = Uid::from_raw(u32::MAX);
    setresuid(same, Uid::from_raw(user), same)
}

fn mount_own(own: &OwnMount) -> Result<(), Failed> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let flags = if own.executable { flags } else { flags | MsFlags::MS_NOEXEC };
    let kind = own.kind.as_str();
    mount(Some(kind), own.target.as_str(), Some(kind), flags, Some(own.options.as_str())).step("mount")
}

fn hide(hidden: &Hidden) -> Result<(), Failed> {
    match mount(Some(hidden.empty.as_str()), hidden.path.as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>) {
        // Not every kernel has it.
        Err(Errno::ENOENT) => Ok(()),
        mounted => mounted.step("hide a part of /proc"),
    }
}

/// The disk's mount, which a process with the host's privileges has made and which belongs to nobody yet.
fn receive_disk(socket: &OwnedFd) -> Result<OwnedFd, Failed> {
    let mut mark = [0; 256];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let (count, descriptors) = super::receive(socket, &mut mark, &mut space).step("disk")?;
    let said = mark.get(..count).unwrap_or_default();
    descriptors
        .into_iter()
        .next()
        .filter(|_| said == [DISK_MARK])
        .ok_or_else(|| Failed { step: "disk", detail: String::from_utf8_lossy(said).into_owned() })
}

/// Mounts an empty file of the sandbox's own over one that is there.
fn mount_script(target: &str) -> Result<(), Failed> {
    let mode = Mode::from_bits_truncate(0o644);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    drop(nix::fcntl::open(SCRIPT_SOURCE, flags, mode).step("program's file")?);
    move_mount(&clone_tree(SCRIPT_SOURCE).step("program's file")?, target).step("program's file")?;
    nix::unistd::unlink(SCRIPT_SOURCE).step("program's file")
}

#[expect(unsafe_code, reason = "open_tree has no safe wrapper")]
fn clone_tree(source: &str) -> nix::Result<OwnedFd> {
    let source = CString::new(source).map_err(|_| Errno::EINVAL)?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path is a valid C string for the length of the call.
    let result = Errno::result(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), flags) })?;
    let descriptor = i32::try_from(result).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[expect(unsafe_code, reason = "move_mount has no safe wrapper")]
fn move_mount(tree: &OwnedFd, target: &str) -> nix::Result<()> {
    const FROM_DESCRIPTOR: u32 = 4; // MOVE_MOUNT_F_EMPTY_PATH
    let target = CString::new(target).map_err(|_| Errno::EINVAL)?;
    // SAFETY: both paths are valid C strings for the length of the call.
    let result = unsafe {
        libc::syscall(libc::SYS_move_mount, tree.as_raw_fd(), c"".as_ptr(), libc::AT_FDCWD, target.as_ptr(), FROM_DESCRIPTOR)
    };
    Errno::result(result).map(drop)
}

#[expect(unsafe_code, reason = "fcntl gives a number, which is adopted here")]
fn above(descriptor: &OwnedFd) -> Result<OwnedFd, Failed> {
    let raw = fcntl(descriptor.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(64)).step("descriptors")?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

#[expect(unsafe_code, reason = "descriptors are moved to fixed numbers, which have no owners")]
fn place(from: &OwnedFd, number: RawFd) -> nix::Result<()> {
    // SAFETY: this process is about to become another program; nothing here uses what `number` was.
    let placed = unsafe { dup2_raw(from, number) }?;
    std::mem::forget(placed);
    Ok(())
}
