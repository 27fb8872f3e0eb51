//! The program's text in a run on a workspace: a file of the sandbox's own, mounted over one of that name.
//!
//! So `/workspace/main.py` is this run's program, whatever is in the workspace, and no run leaves one there. A mount needs
//! a place. Where the workspace has no file of that name, an empty one of root's is made for the time of the run: no
//! program can make, change, move or remove such a file, since root's id is not mapped where it lives, and it is
//! shown to no client.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};

use super::files::{FileError, Version, open_below};

/// Whether a file is the place of a script, and none of the workspace.
pub fn is_place(metadata: &std::fs::Metadata) -> bool {
    metadata.uid() == 0 && metadata.is_file()
}

/// Has a regular file there, of the workspace or an empty one for the time of a run.
pub fn make_place(files: BorrowedFd<'_>, name: &str) -> nix::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_CREAT | OFlag::O_NONBLOCK;
    let file = File::from(open_below(files, Path::new(name), flags, Mode::from_bits_truncate(0o444))?);
    let metadata = file.metadata().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    if metadata.is_file() { Ok(()) } else { Err(Errno::EEXIST) }
}

/// Removes the place again, unless a file of the workspace has taken it.
pub fn remove_place(files: BorrowedFd<'_>, name: &str) -> nix::Result<()> {
    let file = match open_below(files, Path::new(name), OFlag::O_PATH, Mode::empty()) {
        Ok(file) => File::from(file),
        // A link: whatever it is, it is no place.
        Err(Errno::ENOENT | Errno::ELOOP) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let metadata = file.metadata().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    if is_place(&metadata) { unlinkat(files, name, UnlinkatFlags::NoRemoveDir) } else { Ok(()) }
}

/// Writes the program into the file that is mounted in the sandbox's working directory, for its owner.
pub fn write(directory: BorrowedFd<'_>, owner: Option<u32>, name: &str, code: &[u8]) -> Result<Version, FileError> {
    let error = |errno: Errno| FileError { path: name.to_owned(), detail: errno.desc().to_owned(), disk_full: false };
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let flags = OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let opened = open_mounted(directory, name, OpenHow::new().flags(flags).resolve(resolve)).map_err(error)?;
    let io = |failed: std::io::Error| error(Errno::from_raw(failed.raw_os_error().unwrap_or(libc::EIO)));
    let mut file = File::from(opened);
    std::io::Write::write_all(&mut file, code).map_err(io)?;
    let (user, group) = (owner.map(Uid::from_raw), owner.map(Gid::from_raw));
    fchown(file.as_fd(), user, group).map_err(error)?;
    Ok(Version::of(&file.metadata().map_err(io)?))
}

/// Opens what is mounted there, and never a file of the workspace itself.
fn open_mounted(directory: BorrowedFd<'_>, name: &str, how: OpenHow) -> nix::Result<OwnedFd> {
    // Looked at before it is opened: opening truncates.
    let looked = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let found = openat2(directory, name, looked)?;
    let device = |descriptor: BorrowedFd<'_>| nix::sys::stat::fstat(descriptor).map(|status| status.st_dev);
    if device(found.as_fd())? == device(directory)? {
        return Err(Errno::EXDEV);
    }
    openat2(directory, name, how)
}
