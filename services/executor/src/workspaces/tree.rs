//! What clients do with the files of a workspace. A tenant's programs shape what is there, at the same time: everything is
//! opened below the workspace's directory, following no link and leaving no mount.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, renameat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, fchown};
use serde::Serialize;

use super::WorkspacePath;
use crate::sandbox::{FILES_ID, Workspace, is_place, open_below, remove, shown_path};

/// Directories below directories that a recursive list goes into.
const MAX_DEPTH: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    File,
    Directory,
    /// Never followed.
    Symlink,
    /// A pipe, a socket or a device file.
    Other,
}

/// One file or directory.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = WorkspaceFile)]
pub struct Entry {
    /// From the workspace's root; a name that is no text is shown with `\xNN`.
    pub path: String,
    pub kind: Kind,
    pub size_bytes: u64,
    #[schema(value_type = String, format = DateTime)]
    pub modified_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("there is nothing of that name")]
    NotFound,
    #[error("it is a directory")]
    IsDirectory,
    #[error("a part of the path is no directory")]
    NotADirectory,
    #[error("the directory is not empty")]
    NotEmpty,
    #[error("something of that name is there already")]
    Exists,
    #[error("a directory cannot go into itself")]
    IntoItself,
    #[error("the workspace is full")]
    Full,
    #[error("the file system failed")]
    System(#[source] std::io::Error),
}

impl From<Errno> for TreeError {
    fn from(errno: Errno) -> Self {
        let known = [
            (Errno::ENOENT, Self::NotFound),
            (Errno::ENXIO, Self::NotFound),
            (Errno::EISDIR, Self::IsDirectory),
            (Errno::ENOTDIR, Self::NotADirectory),
            // A link in the way is no directory, wherever it leads.
            (Errno::ELOOP, Self::NotADirectory),
            (Errno::ENOTEMPTY, Self::NotEmpty),
            (Errno::EEXIST, Self::Exists),
            (Errno::EINVAL, Self::IntoItself),
            (Errno::ENOSPC, Self::Full),
            (Errno::EDQUOT, Self::Full),
        ];
        let found = known.into_iter().find(|(known, _)| *known == errno);
        found.map_or_else(|| Self::System(errno.into()), |(_, error)| error)
    }
}

impl From<std::io::Error> for TreeError {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Errno::from_raw(number).into(),
            None => Self::System(error),
        }
    }
}

impl Entry {
    fn new(path: &Path, metadata: &Metadata) -> Self {
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_symlink() => Kind::Symlink,
            _ => Kind::Other,
        };
        let size_bytes = if kind == Kind::File { metadata.len() } else { 0 };
        let modified_at = metadata.modified().ok().and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { path: shown_path(path), kind, size_bytes, modified_at }
    }
}

/// What is at that path.
pub fn find(workspace: &Workspace, path: &Path) -> Result<Entry, TreeError> {
    let found = open_below(workspace.files().as_fd(), path, OFlag::O_PATH, Mode::empty()).map_err(missing)?;
    Ok(Entry::new(path, &visible(File::from(found).metadata()?)?))
}

/// A regular file, open for reading.
pub fn open_file(workspace: &Workspace, path: &WorkspacePath) -> Result<(File, Metadata), TreeError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let file = File::from(open_below(workspace.files().as_fd(), path.as_path(), flags, Mode::empty()).map_err(missing)?);
    let metadata = visible(file.metadata()?)?;
    if metadata.is_dir() {
        return Err(TreeError::IsDirectory);
    }
    if !metadata.is_file() {
        return Err(TreeError::NotFound);
    }
    Ok((file, metadata))
}

/// To whoever only reads, a path that leads through what is no directory names nothing.
fn missing(errno: Errno) -> TreeError {
    if matches!(errno, Errno::ENOTDIR | Errno::ELOOP) { TreeError::NotFound } else { errno.into() }
}

fn visible(metadata: Metadata) -> Result<Metadata, TreeError> {
    if is_place(&metadata) { Err(TreeError::NotFound) } else { Ok(metadata) }
}

/// What is in a directory, by name: at most `limit` entries after the path `after`. With `recursive` also what is below,
/// each directory before what is in it.
pub fn list(
    workspace: &Workspace,
    directory: Option<&WorkspacePath>,
    recursive: bool,
    after: Option<&Path>,
    limit: usize,
) -> Result<Vec<(PathBuf, Entry)>, TreeError> {
    let files = workspace.files();
    let root = directory.map_or(Path::new(""), WorkspacePath::as_path);
    let mut levels = vec![Level::open(files.as_fd(), root).map_err(missing)?];
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(level) = levels.last_mut()
    {
        let Some(name) = level.names.next() else {
            levels.pop();
            continue;
        };
        let path = level.path.join(&name);
        let is_after = after.is_none_or(|after| path.as_path() > after);
        if !is_after && !after.is_some_and(|after| after.starts_with(&path)) {
            continue;
        }
        let Some(metadata) = level.status(&name)? else { continue };
        if is_after {
            found.push((path.clone(), Entry::new(&path, &metadata)));
        }
        if recursive && metadata.is_dir() && levels.len() < MAX_DEPTH {
            match Level::open(files.as_fd(), &path) {
                Ok(level) => levels.push(level),
                // It has gone meanwhile, or its path is longer than any client could name.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    Ok(found)
}

/// A directory that is being listed.
struct Level {
    path: PathBuf,
    directory: OwnedFd,
    names: std::vec::IntoIter<OsString>,
}

impl Level {
    fn open(files: BorrowedFd<'_>, path: &Path) -> nix::Result<Self> {
        let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let directory = open_below(files, here, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
        let entries = std::fs::read_dir(through_proc(&directory))
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>());
        let mut names = entries.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        names.sort_unstable();
        Ok(Self { path: path.to_path_buf(), directory, names: names.into_iter() })
    }

    /// None when it has gone, or is none of the tenant's.
    fn status(&self, name: &OsStr) -> std::io::Result<Option<Metadata>> {
        match std::fs::symlink_metadata(through_proc(&self.directory).join(name)) {
            Ok(metadata) => Ok(Some(metadata).filter(|metadata| !is_place(metadata))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A directory by its descriptor, which names no other one.
fn through_proc(directory: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

/// Makes a directory, and those above it that are missing.
pub fn make_directory(workspace: &Workspace, path: &WorkspacePath) -> Result<Entry, TreeError> {
    // This process may use what is over the quota, so it looks for itself.
    if workspace.space()?.free_bytes == 0 {
        return Err(TreeError::Full);
    }
    let parent = parent_of(workspace, path, true)?;
    let name = name_of(path)?;
    mkdirat(&parent, name, Mode::from_bits_truncate(0o755))?;
    let made = open_below(parent.as_fd(), Path::new(name), OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
    fchown(&made, Some(Uid::from_raw(FILES_ID)), Some(Gid::from_raw(FILES_ID)))?;
    find(workspace, path.as_path())
}

/// Removes a file, a link or an empty directory; with `recursive` one with all that is in it.
pub fn remove_entry(workspace: &Workspace, path: &WorkspacePath, recursive: bool) -> Result<(), TreeError> {
    // What is hidden cannot be named.
    find(workspace, path.as_path())?;
    let parent = parent_of(workspace, path, false)?;
    let name = name_of(path)?;
    match remove(parent.as_fd(), Path::new(name)) {
        Err(Errno::ENOTEMPTY) if recursive => Ok(workspace.remove_tree(parent.as_fd(), Path::new(name))?),
        removed => Ok(removed?),
    }
}

/// Gives a file or directory another name, which with `overwrite` may be that of a file or an empty directory.
pub fn move_to(workspace: &Workspace, from: &WorkspacePath, to: &WorkspacePath, overwrite: bool) -> Result<Entry, TreeError> {
    find(workspace, from.as_path())?;
    // Before parents are made: they might be made in what is to be moved.
    if to != from && to.as_path().starts_with(from.as_path()) {
        return Err(TreeError::IntoItself);
    }
    let source = parent_of(workspace, from, false)?;
    let target = parent_of(workspace, to, true)?;
    let (old, new) = (name_of(from)?, name_of(to)?);
    let hidden = matches!(find(workspace, to.as_path()), Err(TreeError::NotFound));
    let flags = if overwrite || hidden { RenameFlags::empty() } else { RenameFlags::RENAME_NOREPLACE };
    match renameat2(&source, old, &target, new, flags) {
        // A file in place of a directory, or the other way round.
        Err(Errno::EISDIR | Errno::ENOTDIR) => Err(TreeError::Exists),
        moved => Ok(moved?),
    }?;
    find(workspace, to.as_path())
}

fn parent_of(workspace: &Workspace, path: &WorkspacePath, make: bool) -> Result<OwnedFd, TreeError> {
    let parent = path.as_path().parent().filter(|parent| !parent.as_os_str().is_empty());
    if make && let Some(parent) = parent {
        let made = workspace.make_directories(parent);
        made.map_err(|errno| if errno == Errno::EEXIST { TreeError::NotADirectory } else { errno.into() })?;
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    Ok(open_below(workspace.files().as_fd(), parent.unwrap_or(Path::new(".")), flags, Mode::empty())?)
}

fn name_of(path: &WorkspacePath) -> Result<&OsStr, TreeError> {
    path.as_path().file_name().ok_or(TreeError::NotFound)
}
