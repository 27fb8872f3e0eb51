//! Removal of what a tenant has made, however deep and wide it is, following nothing and without recursion.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, geteuid, unlinkat};

use super::files::open_below;

/// Empties a directory that is out of everyone's sight. A directory in it that is not empty gives up its own ones to it first,
/// so that nothing is ever deeper than two levels. A program that is still in one of them makes nothing more there.
pub fn empty(directory: BorrowedFd<'_>) -> std::io::Result<()> {
    close(directory)?;
    loop {
        let names = names(directory)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            let Err(errno) = remove(directory, Path::new(&name)) else { continue };
            if errno != Errno::ENOTEMPTY {
                return Err(errno.into());
            }
            flatten(directory, Path::new(&name))?;
            remove(directory, Path::new(&name))?;
        }
    }
}

fn flatten(directory: BorrowedFd<'_>, name: &Path) -> std::io::Result<()> {
    let inner = File::from(open_below(directory, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?);
    close(inner.as_fd())?;
    for child in names(inner.as_fd())? {
        match remove(inner.as_fd(), Path::new(&child)) {
            Ok(()) => {}
            Err(Errno::ENOTEMPTY) => renameat(&inner, child.as_os_str(), directory, uuid::Uuid::now_v7().to_string().as_str())?,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Gives a directory to root, whom no sandbox's mount of it maps: the kernel then makes no file in it for any program.
fn close(directory: BorrowedFd<'_>) -> nix::Result<()> {
    // An ordinary user has no workspaces, only the tests of this.
    if geteuid().is_root() { fchown(directory, Some(Uid::from_raw(0)), Some(Gid::from_raw(0))) } else { Ok(()) }
}

/// Removes a file, a link, or an empty directory.
pub fn remove(directory: BorrowedFd<'_>, name: &Path) -> nix::Result<()> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR) => unlinkat(directory, name, UnlinkatFlags::RemoveDir),
        removed => removed,
    }
}

fn names(directory: BorrowedFd<'_>) -> std::io::Result<Vec<std::ffi::OsString>> {
    let entries = std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))?;
    entries.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_and_wide_trees_go_and_links_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        let place = tempfile::tempdir().unwrap();
        let mut directory = File::open(place.path()).unwrap();
        for _ in 0..3_000 {
            nix::sys::stat::mkdirat(&directory, "d", Mode::from_bits_truncate(0o700)).unwrap();
            nix::unistd::symlinkat(outside.path(), &directory, "link").unwrap();
            directory = File::from(open_below(directory.as_fd(), Path::new("d"), OFlag::O_DIRECTORY, Mode::empty()).unwrap());
        }
        let whole = File::open(place.path()).unwrap();
        empty(whole.as_fd()).unwrap();
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        assert_eq!(std::fs::read_to_string(outside.path().join("kept")).unwrap(), "x");
    }
}
