//! The few mount calls that a sandbox is made of, each with its step's name.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::sandbox::wire::{Failure, Step};

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// Shows `source`, with everything mounted below it, read-only at `target`, which is made.
pub fn bind_read_only(source: &Path, target: &Path) -> Result<(), Failure> {
    let step = || format!("show {}", source.display());
    let tree = open_tree(source).step(step())?;
    set_attributes(&tree, READ_ONLY, true).step(step())?;
    make_place(source, target).step(step())?;
    move_mount(&tree, target).step(step())
}

/// Makes the mount at `path` read-only, not what is mounted below it.
pub fn make_read_only(path: &Path) -> Result<(), Failure> {
    let tree = nix::fcntl::open(path, nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty());
    tree.and_then(|tree| set_attributes(&tree, libc::MOUNT_ATTR_RDONLY, false)).step("read-only root")
}

/// Mounts a tmpfs, never with set-user-id files or devices.
pub fn tmpfs(target: &Path, options: &str) -> Result<(), Failure> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options)).step(format!("tmpfs at {}", target.display()))
}

/// Shows something empty in place of what is at `target`, where a kernel has it.
pub fn hide(target: &Path, empty: &Path) -> Result<(), Failure> {
    match mount(Some(empty), target, None::<&str>, MsFlags::MS_BIND, None::<&str>) {
        Err(Errno::ENOENT) => Ok(()),
        mounted => mounted.step(format!("hide {}", target.display())),
    }
}

/// A bind of a device file, which keeps being a device.
pub fn bind_device(source: &Path, target: &Path) -> Result<(), Failure> {
    std::fs::write(target, "").step("device")?;
    mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>).step(format!("device {}", source.display()))
}

/// A file system of its own, on the device `source`, mounted at no place yet.
pub fn detached(kind: &str, source: &Path, flag: &str) -> nix::Result<OwnedFd> {
    let (kind, flag) = (CString::new(kind).map_err(|_| Errno::EINVAL)?, CString::new(flag).map_err(|_| Errno::EINVAL)?);
    let source = path(source)?;
    new_mount(&kind, &source, &flag)
}

#[expect(unsafe_code, reason = "fsopen and its kin have no safe wrappers")]
fn new_mount(kind: &CStr, source: &CStr, flag: &CStr) -> nix::Result<OwnedFd> {
    // The kernel's interface, include/uapi/linux/mount.h.
    const CLOSE_ON_EXECUTION: u32 = 1;
    const SET_FLAG: u32 = 0;
    const SET_STRING: u32 = 1;
    const CREATE: u32 = 6;
    const ATTRIBUTES: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOATIME;
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: every pointer is a C string that outlives the call, or null where the kernel asks for that; the
    // descriptors adopted here have just been made for us.
    unsafe {
        let context = adopt(libc::syscall(libc::SYS_fsopen, kind.as_ptr(), CLOSE_ON_EXECUTION))?;
        let configure = |command: u32, key: *const libc::c_char, value: *const libc::c_char| {
            Errno::result(libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key, value, 0))
        };
        configure(SET_STRING, c"source".as_ptr(), source.as_ptr())?;
        configure(SET_FLAG, flag.as_ptr(), null)?;
        configure(CREATE, null, null)?;
        adopt(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOSE_ON_EXECUTION, ATTRIBUTES))
    }
}

#[expect(unsafe_code, reason = "system calls give numbers, which are adopted here")]
fn adopt(result: libc::c_long) -> nix::Result<OwnedFd> {
    let descriptor = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// An empty directory or file at `target`, like `source`, to mount over.
fn make_place(source: &Path, target: &Path) -> std::io::Result<()> {
    if source.is_dir() {
        return std::fs::create_dir_all(target);
    }
    // A file of a directory that is shown already, and which cannot be written to.
    if target.is_file() {
        return Ok(());
    }
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).open(target).map(drop)
}

fn open_tree(source: &Path) -> nix::Result<OwnedFd> {
    open_tree_with(source, libc::AT_RECURSIVE.unsigned_abs())
}

/// What is mounted at `source`, and nothing mounted below it, as a mount of its own at no place yet.
pub fn clone_tree(source: &Path) -> nix::Result<OwnedFd> {
    open_tree_with(source, libc::AT_SYMLINK_NOFOLLOW.unsigned_abs())
}

#[expect(unsafe_code, reason = "open_tree has no safe wrapper")]
fn open_tree_with(source: &Path, flags: u32) -> nix::Result<OwnedFd> {
    let source = path(source)?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | flags;
    // SAFETY: the path is a valid C string for the length of the call.
    adopt(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), flags) })
}

fn set_attributes(tree: &OwnedFd, attributes: u64, recursive: bool) -> nix::Result<()> {
    let change = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    change_attributes(tree, &change, if recursive { libc::AT_RECURSIVE } else { 0 })
}

/// Whoever works in a mount that is at no place yet follows no link there, however it is asked to.
pub fn follow_no_links(tree: &OwnedFd) -> nix::Result<()> {
    set_attributes(tree, libc::MOUNT_ATTR_NOSYMFOLLOW, false)
}

/// Shows the owners of a mount that is at no place yet by the ids that this user namespace maps. Links are followed in it.
pub fn map_ids(tree: &OwnedFd, namespace: BorrowedFd<'_>) -> nix::Result<()> {
    let userns_fd = u64::try_from(namespace.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let (attr_set, attr_clr) = (libc::MOUNT_ATTR_IDMAP, libc::MOUNT_ATTR_NOSYMFOLLOW);
    change_attributes(tree, &libc::mount_attr { attr_set, attr_clr, propagation: 0, userns_fd }, 0)
}

#[expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]
fn change_attributes(tree: &OwnedFd, change: &libc::mount_attr, flags: i32) -> nix::Result<()> {
    let flags = libc::AT_EMPTY_PATH | flags;
    // SAFETY: path and structure are valid for the length of the call, and the size is the structure's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(change),
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}

#[expect(unsafe_code, reason = "move_mount has no safe wrapper")]
pub fn move_mount(tree: &OwnedFd, target: &Path) -> nix::Result<()> {
    const FROM_DESCRIPTOR: u32 = 4; // MOVE_MOUNT_F_EMPTY_PATH
    let target = path(target)?;
    // SAFETY: both paths are valid C strings for the length of the call.
    let result = unsafe {
        libc::syscall(libc::SYS_move_mount, tree.as_raw_fd(), c"".as_ptr(), libc::AT_FDCWD, target.as_ptr(), FROM_DESCRIPTOR)
    };
    Errno::result(result).map(drop)
}

fn path(path: &Path) -> nix::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}
