//! From a fresh clone to the runner: the steps that make a sandbox, in this order and in full, or not at all.
//!
//! The child is still host root while it builds, in new namespaces that the host's root owns; then it
//! enters a user namespace of its own, in which nothing of the host is mapped but two unprivileged ids:
//! 0 inside is the runner, 1000 inside is the program.

use std::ffi::CString;
use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use kiln_runner_protocol::{FAILURE_MARK, SCRIPT_SOURCE, WORKSPACE_MARK};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chdir, chown, dup2_raw, execveat, pivot_root, setgroups, sethostname, setresgid, setresuid, setsid};

use super::disk;
use super::mount as binds;
use super::root::WORKSPACE;
use crate::sandbox::cgroup::Group;
use crate::sandbox::runtime::Bind;
use crate::sandbox::wire::{Failure, Step};

/// User and group of the program inside.
pub const PROGRAM_ID: u32 = 1000;
/// The runner's stream, in the runner.
const CONTROL: RawFd = 5;
/// The host's name inside.
pub const HOST_NAME: &str = "sandbox";
/// Other users' processes, the runner's among them, are not seen.
pub const PROC_OPTIONS: &str = "hidepid=2";
/// What /proc tells of the host and of what others do on it: its command line, its disks and theirs, its interrupts. With
/// each the empty thing that is shown instead.
pub const HIDDEN: [(&str, &str); 7] = [
    ("/proc/cmdline", "/dev/null"),
    ("/proc/diskstats", "/dev/null"),
    ("/proc/interrupts", "/dev/null"),
    ("/proc/partitions", "/dev/null"),
    ("/proc/bus", "/run"),
    ("/proc/fs", "/run"),
    ("/proc/irq", "/run"),
];
/// Writable places in memory.
pub const MEMORY_PLACES: [(&str, &str); 2] =
    [("/tmp", "size=64m,nr_inodes=10000,mode=1777"), ("/dev/shm", "size=32m,nr_inodes=10000,mode=1777")];
/// Another user has the same capabilities (`SECBIT_NO_SETUID_FIXUP`, include/uapi/linux/securebits.h).
const CAPABILITIES_STAY: libc::c_int = 1 << 2;
/// Said to the spawner once the user namespace is there, and its answer once the ids are mapped.
pub const UNSHARED: u8 = b'U';
pub const MAPPED: u8 = b'M';

/// What a sandbox is made from. The child got it all by being forked.
pub struct Plan<'a> {
    pub root: &'a Path,
    pub runner: &'a File,
    pub binds: &'a [Bind],
    pub group: Option<&'a Group>,
    /// Where the working directory comes from; without one it is in memory.
    pub disk: Option<UnixStream>,
    pub disk_bytes: u64,
    /// Over which name in the working directory a file of the sandbox's own is mounted.
    pub script: Option<&'a str>,
    pub hides_processes: bool,
    /// Host's user and group of the program; `None` where there is only the caller's.
    pub owner: Option<u32>,
    /// Host's user that makes the user namespace, as above.
    pub maker: Option<u32>,
    pub stream: OwnedFd,
    pub status: UnixStream,
}

/// Makes the sandbox around the calling process and becomes the runner. Never returns.
pub fn become_runner(mut plan: Plan<'_>) -> ! {
    let failure = match enter(&mut plan) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    // The spawner reads this until the end; when it is gone there is nobody to tell.
    let _ = plan.status.write_all(&[&[FAILURE_MARK], failure.step.as_bytes(), b"\n", failure.detail.as_bytes()].concat());
    exit()
}

fn enter(plan: &mut Plan<'_>) -> Result<std::convert::Infallible, Failure> {
    SigSet::all().thread_unblock().step("signals")?;
    setsid().step("session")?;
    if let Some(group) = plan.group {
        group.enter()?;
    }
    unshare(CloneFlags::CLONE_NEWCGROUP).step("cgroup namespace")?;
    sethostname(HOST_NAME).step("host name")?;
    build(plan)?;
    change_root(plan.root)?;
    let workspace = nix::fcntl::open(WORKSPACE, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    hand_over(&plan.stream, &workspace.step("working directory")?).step("hand over the working directory")?;
    become_unprivileged(plan)?;
    execute(plan)
}

fn build(plan: &Plan<'_>) -> Result<(), Failure> {
    let inside = |path: &str| plan.root.join(path.trim_start_matches('/'));
    for bind in plan.binds {
        binds::bind_read_only(&bind.source, &inside(&bind.target.to_string_lossy()))?;
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &inside("proc"), Some("proc"), flags, plan.hides_processes.then_some(PROC_OPTIONS)).step("proc")?;
    for (path, empty) in HIDDEN {
        binds::hide(&inside(path), &inside(empty))?;
    }
    for (target, options) in MEMORY_PLACES {
        binds::tmpfs(&inside(target), options)?;
    }
    workspace(plan, &inside(WORKSPACE))
}

fn workspace(plan: &Plan<'_>, target: &Path) -> Result<(), Failure> {
    if let Some(socket) = &plan.disk {
        binds::move_mount(&disk::receive(socket)?, target).step("mount the disk")?;
        return plan.script.map_or(Ok(()), |script| mount_script(plan.root, &target.join(script)));
    }
    binds::tmpfs(target, &workspace_options(plan.disk_bytes))?;
    let owner = plan.owner;
    chown(target, owner.map(Uid::from_raw), owner.map(Gid::from_raw)).step("working directory's owner")
}

/// Mounts an empty file of the sandbox's own over one that is there.
fn mount_script(root: &Path, target: &Path) -> Result<(), Failure> {
    let source = root.join(SCRIPT_SOURCE.trim_start_matches('/'));
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&source).step("program's file")?;
    let tree = binds::clone_tree(&source).step("program's file")?;
    binds::move_mount(&tree, target).step("program's file")?;
    std::fs::remove_file(&source).step("program's file")
}

/// A working directory in memory of that size.
pub fn workspace_options(disk_bytes: u64) -> String {
    format!("size={disk_bytes},nr_inodes=10000,mode=755")
}

/// Makes `root` the only root there is.
pub fn change_root(root: &Path) -> Result<(), Failure> {
    chdir(root).step("root")?;
    pivot_root(".", ".").step("root")?;
    umount2(".", MntFlags::MNT_DETACH).step("leave the host's root")?;
    chdir("/").step("root")?;
    binds::make_read_only(Path::new("/"))
}

/// Gives the engine the working directory over the stream that will be the runner's.
fn hand_over(stream: &OwnedFd, workspace: &OwnedFd) -> nix::Result<()> {
    let descriptors = [workspace.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(&[WORKSPACE_MARK])], &rights, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

fn become_unprivileged(plan: &mut Plan<'_>) -> Result<(), Failure> {
    enter_user_namespace(&mut plan.status, plan.maker)
}

/// Enters a user namespace whose ids the spawner maps. A process that had the host's root makes it as the user `maker`,
/// and becomes the namespace's root.
pub fn enter_user_namespace(status: &mut UnixStream, maker: Option<u32>) -> Result<(), Failure> {
    if let Some(maker) = maker {
        // Not one group of the host goes along.
        setgroups(&[]).step("groups")?;
        act_as(maker).step("maker of the user namespace")?;
    }
    unshare(CloneFlags::CLONE_NEWUSER).step("user namespace")?;
    status.write_all(&[UNSHARED]).step("user namespace")?;
    let mut answer = [0];
    status.read_exact(&mut answer).step("user namespace")?;
    if answer != [MAPPED] {
        return Err(Failure::new("user namespace", "the ids were not mapped"));
    }
    if maker.is_some() {
        setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0)).step("runner's group")?;
        setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).step("runner's user")?;
    }
    Ok(())
}

/// Takes that user with every capability kept. What is counted for each user (pending signals, namespaces) counts in a user
/// namespace for its maker as well, so that root's own share would be every program's.
#[expect(unsafe_code, reason = "prctl for the secure bits has no safe wrapper")]
fn act_as(user: u32) -> nix::Result<()> {
    // SAFETY: this prctl takes a number and touches no memory. The new namespace begins without the bit.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, CAPABILITIES_STAY, 0, 0, 0) })?;
    let same = Uid::from_raw(u32::MAX);
    setresuid(same, Uid::from_raw(user), same)
}

fn execute(plan: &Plan<'_>) -> Result<std::convert::Infallible, Failure> {
    let null = nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).step("standard input")?;
    // Out of the way of the fixed numbers first: any of these may be one of them.
    let (null, stream, runner) = (above(null.as_fd())?, above(plan.stream.as_fd())?, above(plan.runner.as_fd())?);
    for (number, from) in [(0, &null), (1, &null), (CONTROL, &stream)] {
        place(from, number)?;
    }
    let arguments = [CString::from(c"kiln-runner"), CString::new(CONTROL.to_string()).step("runner")?];
    execveat(&runner, c"", &arguments, &[] as &[CString; 0], AtFlags::AT_EMPTY_PATH).step("execute the runner")
}

pub fn above(descriptor: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    super::duplicate_above(descriptor, 64).step("descriptors")
}

#[expect(unsafe_code, reason = "descriptors are moved to fixed numbers, which have no owners")]
pub fn place(from: &OwnedFd, number: RawFd) -> Result<(), Failure> {
    // SAFETY: this process is about to become another program; nothing here uses what `number` was.
    let placed = unsafe { dup2_raw(from, number) }.step("descriptors")?;
    std::mem::forget(placed);
    Ok(())
}

#[expect(unsafe_code, reason = "a forked child leaves without running the parent's exit handlers")]
pub fn exit() -> ! {
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(1) }
}

/// The directory in the data directory where images and the template of the root live.
pub fn working_directory(data_dir: &Path) -> PathBuf {
    data_dir.join("sandbox")
}
