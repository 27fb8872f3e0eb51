//! Files into a working directory, before its program runs.
//!
//! Everything goes through `openat2` below the directory's descriptor, following no symbolic link, so a
//! path can only name something inside, whatever a tenant has put there.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, fchown};

use super::{InputFile, Workspace};

/// Longest path and deepest nesting of an input file.
const MAX_PATH_BYTES: usize = 4096;
const MAX_PART_BYTES: usize = 255;
const MAX_DEPTH: usize = 32;

/// A file that cannot be put where it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {detail}")]
pub struct FileError {
    pub path: String,
    pub detail: String,
    /// The disk is too small for it, and nothing else is wrong.
    pub disk_full: bool,
}

/// Which file it was when it was written, by the kernel's account: the change time cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Version {
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self { inode: metadata.ino(), size: metadata.size(), changed: (metadata.ctime(), metadata.ctime_nsec()) }
    }
}

/// The files that were written, as they were then.
pub type Written = HashMap<PathBuf, Version>;

/// Writes `files` below `directory` for `owner`. They must fit its disk.
pub fn write(directory: BorrowedFd<'_>, owner: Option<u32>, files: &[InputFile]) -> Result<Written, FileError> {
    let mut written = Written::new();
    for file in files {
        let error = |detail: &str, disk_full| FileError { path: file.path.clone(), detail: detail.to_owned(), disk_full };
        let path = checked(&file.path).map_err(|detail| error(detail, false))?;
        let full = |errno| matches!(errno, Errno::ENOSPC | Errno::EDQUOT);
        let written_as = write_one(directory, owner, &path, &file.content);
        let version = written_as.map_err(|errno| error(explain(errno), full(errno)))?;
        written.insert(path, version);
    }
    Ok(written)
}

/// Puts `files` into a workspace, in place of what is there.
pub fn write_into(workspace: &Arc<Workspace>, quota_bytes: u64, files: &[InputFile]) -> Result<Written, FileError> {
    let mut written = Written::new();
    for file in files {
        let error = |detail: &str, disk_full| FileError { path: file.path.clone(), detail: detail.to_owned(), disk_full };
        let path = checked(&file.path).map_err(|detail| error(detail, false))?;
        let put = workspace.put(&path, &file.content, quota_bytes).and_then(|()| {
            let placed = open_below(workspace.files().as_fd(), &path, OFlag::O_PATH, Mode::empty())?;
            Ok(Version::of(&File::from(placed).metadata().map_err(|error| from_io(&error))?))
        });
        let full = |errno| matches!(errno, Errno::ENOSPC | Errno::EDQUOT);
        let version = put.map_err(|errno| error(explain(errno), full(errno)))?;
        written.insert(path, version);
    }
    Ok(written)
}

fn explain(errno: Errno) -> &'static str {
    const WORDS: [(Errno, &str); 4] = [
        (Errno::EEXIST, "given twice, or a directory of that name is there"),
        (Errno::ENOTDIR, "a part of the path is a file"),
        (Errno::ENOSPC, "does not fit the disk limit"),
        (Errno::EDQUOT, "does not fit the disk limit"),
    ];
    WORDS.iter().find(|(known, _)| *known == errno).map_or(errno.desc(), |(_, words)| words)
}

/// The path when it is relative, normal and short enough.
fn checked(path: &str) -> Result<PathBuf, &'static str> {
    let parts: Vec<_> = Path::new(path).components().collect();
    let normal = parts.iter().all(|part| matches!(part, Component::Normal(name) if name.len() <= MAX_PART_BYTES));
    let rebuilt: PathBuf = parts.iter().collect();
    if path.is_empty() || !normal || rebuilt.as_os_str() != path {
        Err("must be relative and normal, each part at most 255 bytes")
    } else if path.contains('\0') {
        Err("must not contain NUL")
    } else if path.len() > MAX_PATH_BYTES || parts.len() > MAX_DEPTH {
        Err("is too long or too deep")
    } else {
        Ok(rebuilt)
    }
}

fn write_one(directory: BorrowedFd<'_>, owner: Option<u32>, path: &Path, content: &[u8]) -> nix::Result<Version> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_directories(directory, owner, parent)?;
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let mut file = File::from(open_below(directory, path, flags, Mode::from_bits_truncate(0o644))?);
    give(&file, owner)?;
    file.write_all(content).map_err(|error| from_io(&error))?;
    Ok(Version::of(&file.metadata().map_err(|error| from_io(&error))?))
}

pub fn make_directories(directory: BorrowedFd<'_>, owner: Option<u32>, path: &Path) -> nix::Result<()> {
    let mut made = PathBuf::new();
    for part in path.components() {
        let parent = open_below(directory, or_here(&made), OFlag::O_DIRECTORY, Mode::empty())?;
        made.push(part);
        match mkdirat(&parent, part.as_os_str(), Mode::from_bits_truncate(0o755)) {
            Ok(()) => give(&File::from(open_below(directory, &made, OFlag::O_DIRECTORY, Mode::empty())?), owner)?,
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn give(file: &File, owner: Option<u32>) -> nix::Result<()> {
    owner.map_or(Ok(()), |owner| fchown(file, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner))))
}

/// Opens something below `directory`, following no link and leaving no mount.
pub fn open_below(directory: BorrowedFd<'_>, path: &Path, flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV;
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW).mode(mode).resolve(resolve);
    openat2(directory, path, how)
}

fn from_io(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Throws away what a disk still has to write: nobody will read it, and unmounting need not wait for it.
#[expect(unsafe_code, reason = "shutting a file system down has no safe wrapper")]
pub fn discard_disk(directory: BorrowedFd<'_>) {
    // include/uapi/linux: EXT4_IOC_SHUTDOWN = _IOR('X', 125, __u32), without writing the log.
    const SHUTDOWN: libc::Ioctl = 0x8004_587D;
    let without_log: u32 = 2;
    // SAFETY: the request reads one u32 from the address given, which outlives the call. A file system
    // that does not know it (a tmpfs) refuses, and then there is nothing to throw away.
    unsafe { libc::ioctl(directory.as_raw_fd(), SHUTDOWN, &raw const without_log) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_normal_paths_are_taken() {
        for good in ["a", "a/b.txt", "ä/…", ".hidden", "a/..b"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        for bad in ["", "/a", "..", "a/../b", "./a", "a//b", "a/", "a\0b", long.as_str()] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn links_are_never_followed() {
        let place = std::env::temp_dir().join(format!("kiln-files-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        std::os::unix::fs::symlink("/tmp", place.join("out")).unwrap();
        let directory = File::open(&place).unwrap();
        let file = |path: &str| InputFile { path: path.to_owned(), content: b"x".to_vec() };
        assert!(write(directory.as_fd(), None, &[file("out/x")]).is_err());
        assert!(write(directory.as_fd(), None, &[file("in/x"), file("in/y")]).is_ok());
        assert!(write(directory.as_fd(), None, &[file("in/x")]).unwrap_err().detail.contains("twice"));
        assert!(write(directory.as_fd(), None, &[file("in/x/z")]).unwrap_err().detail.contains("is a file"));
        std::fs::remove_dir_all(place).unwrap();
    }
}
