//! A workspace that is mounted on this machine: what runs, sessions and clients share.
//!
//! It is mounted once. Each sandbox that is given it sees the same files at `/workspace`; this process reaches them by the
//! mount's own directory, below which nothing is ever followed out ([`open_below`]).

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};

use super::client::Spawner;
use super::controls::file_bytes;
use super::files::{make_directories, open_below};
use super::spawner::{FILES, FILES_ID, INCOMING};
use super::wire::{Failure, MountId, Shown};
use super::{SandboxError, Sandboxes, script, trash};

/// Names that programs are called by, see [`script`].
const SCRIPTS: [&str; 3] = ["main.py", "main.sh", "main.js"];
/// What `st_blocks` counts in (POSIX leaves it open, Linux has 512).
const STATUS_BLOCK: u64 = 512;
/// A workspace with no more room than this is full: the file system may keep a few blocks for its own tables.
const NEARLY_BYTES: u64 = 256 << 10;
/// Names looked at for modules that a program would find beside it.
const MAX_NAMES: usize = 10_000;

/// A mounted workspace. Dropped by everyone, it is unmounted once the last sandbox that shows it has gone.
pub struct Workspace {
    spawner: Spawner,
    mount: MountId,
    files: Arc<OwnedFd>,
    incoming: OwnedFd,
    /// Names at which programs of runs are mounted, and how many.
    scripts: Mutex<HashMap<String, usize>>,
    /// What uploads that are not whole yet take. Locked while one is put in place, so that two never both fit the last room.
    incoming_bytes: Mutex<u64>,
    /// What was last told of its use, in bytes. Locked while it is told, so that the last word is the newest.
    told_bytes: tokio::sync::Mutex<Option<u64>>,
}

/// A workspace as a run or a session is given it.
#[derive(Clone)]
pub struct WorkspaceUse {
    pub workspace: Arc<Workspace>,
    /// What all its files together may take.
    pub quota_bytes: u64,
    /// Largest single file, where that is less than what fits.
    pub max_file_bytes: Option<u64>,
}

impl std::fmt::Debug for WorkspaceUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkspaceUse").field("max_file_bytes", &self.max_file_bytes).finish_non_exhaustive()
    }
}

impl WorkspaceUse {
    /// As a sandbox sees it, with its program mounted over that name where it has one.
    pub(super) fn shown(&self, script: Option<&str>) -> Shown {
        Shown { mount: self.workspace.mount(), script: script.map(str::to_owned) }
    }

    /// Largest single file that a program may write.
    pub(super) fn file_bytes(&self) -> u64 {
        self.max_file_bytes.unwrap_or_else(|| file_bytes(self.quota_bytes))
    }

    /// With so much in it, it is full.
    pub(super) fn full_bytes(&self) -> u64 {
        self.quota_bytes.saturating_sub(NEARLY_BYTES)
    }
}

/// What a workspace's file system says, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// By what is in the workspace, without uploads that are not whole yet.
    pub used_bytes: u64,
    /// What programs can still write.
    pub free_bytes: u64,
    /// What programs could write if there were nothing.
    pub capacity_bytes: u64,
}

impl Sandboxes {
    /// Mounts a workspace's image, once nobody else on this machine has it. It must not be mounted by this engine.
    pub async fn mount_workspace(&self, image: &Path) -> Result<Workspace, SandboxError> {
        let spawner = self.spawner().clone();
        let mount = spawner.next_id();
        // Whatever is given up half-way is undone by this.
        let mut guard = Mounting { spawner: &spawner, mount: Some(mount) };
        let scripts = SCRIPTS.map(str::to_owned).to_vec();
        let root = spawner.mount(mount, image.to_path_buf(), scripts).await.map_err(SandboxError::Unavailable)?;
        let part = |name: &str| {
            let opened = open_below(root.as_fd(), Path::new(name), OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty());
            opened.map_err(|errno| SandboxError::Unavailable(Failure::new("workspace", errno)))
        };
        let (files, incoming) = (Arc::new(part(FILES)?), part(INCOMING)?);
        guard.mount = None;
        drop(guard);
        Ok(Workspace {
            spawner,
            mount,
            files,
            incoming,
            scripts: Mutex::default(),
            incoming_bytes: Mutex::default(),
            told_bytes: tokio::sync::Mutex::default(),
        })
    }
}

struct Mounting<'a> {
    spawner: &'a Spawner,
    mount: Option<MountId>,
}

impl Drop for Mounting<'_> {
    fn drop(&mut self) {
        if let Some(mount) = self.mount {
            self.spawner.unmount_unattended(mount);
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.spawner.unmount_unattended(self.mount);
    }
}

impl Workspace {
    pub(super) fn mount(&self) -> MountId {
        self.mount
    }

    /// The directory that programs see as `/workspace`.
    pub fn files(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.files)
    }

    pub fn space(&self) -> nix::Result<Space> {
        let incoming_bytes = *self.incoming_bytes();
        self.space_beside(incoming_bytes)
    }

    fn space_beside(&self, incoming_bytes: u64) -> nix::Result<Space> {
        let status = fstatvfs(&*self.files)?;
        let bytes = |blocks: u64| blocks.saturating_mul(status.fragment_size());
        // The directories that every workspace has do not count.
        const OWN_BLOCKS: u64 = 3;
        let used = bytes(status.blocks().saturating_sub(status.blocks_free()).saturating_sub(OWN_BLOCKS));
        let free_bytes = bytes(status.blocks_available());
        Ok(Space { used_bytes: used.saturating_sub(incoming_bytes), free_bytes, capacity_bytes: used + free_bytes })
    }

    fn incoming_bytes(&self) -> std::sync::MutexGuard<'_, u64> {
        self.incoming_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was last told of its use, for whoever tells it next.
    pub async fn told_bytes(&self) -> tokio::sync::MutexGuard<'_, Option<u64>> {
        self.told_bytes.lock().await
    }

    /// Top-level modules that a program here would find before any other; none when there are too many names to tell.
    pub fn modules(&self) -> std::io::Result<Option<BTreeSet<String>>> {
        let mut modules = BTreeSet::new();
        for (count, entry) in std::fs::read_dir(format!("/proc/self/fd/{}", self.files.as_raw_fd()))?.enumerate() {
            if count == MAX_NAMES {
                return Ok(None);
            }
            let name = entry?.file_name();
            modules.extend(name.to_str().and_then(|name| name.split('.').next()).map(str::to_owned));
        }
        Ok(Some(modules))
    }

    /// Begins a file that nobody sees until it is whole.
    pub fn upload(self: &Arc<Self>) -> nix::Result<Upload> {
        let name = uuid::Uuid::now_v7().to_string();
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let file = File::from(open_below(self.incoming.as_fd(), Path::new(&name), flags, Mode::from_bits_truncate(0o644))?);
        let upload = Upload { workspace: Arc::clone(self), name: Some(name), file, counted_bytes: 0 };
        fchown(upload.file.as_fd(), Some(Uid::from_raw(FILES_ID)), Some(Gid::from_raw(FILES_ID)))?;
        Ok(upload)
    }

    /// Puts a whole file in place of what is there, within the quota. `path` is relative and normal.
    pub fn put(self: &Arc<Self>, path: &Path, content: &[u8], quota_bytes: u64) -> nix::Result<()> {
        let mut upload = self.upload()?;
        upload.write(content).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        upload.commit(path, quota_bytes).map(drop)
    }

    /// Removes a directory with all that is in it: out of sight at once, then piece by piece.
    pub fn remove_tree(&self, parent: BorrowedFd<'_>, name: &Path) -> std::io::Result<()> {
        let place = uuid::Uuid::now_v7().to_string();
        renameat(parent, name, &self.incoming, place.as_str())?;
        let whole = open_below(self.incoming.as_fd(), Path::new(&place), OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
        trash::empty(whole.as_fd())?;
        Ok(unlinkat(&self.incoming, place.as_str(), UnlinkatFlags::RemoveDir)?)
    }

    /// Makes the directories that are missing.
    pub fn make_directories(&self, path: &Path) -> nix::Result<()> {
        make_directories(self.files.as_fd(), Some(FILES_ID), path)
    }

    /// Has a place for a run's program at that name until the last such run has ended.
    pub(super) fn place_script(self: &Arc<Self>, name: &str) -> nix::Result<Script> {
        let mut scripts = self.scripts();
        script::make_place(self.files.as_fd(), name)?;
        *scripts.entry(name.to_owned()).or_default() += 1;
        drop(scripts);
        Ok(Script { workspace: Arc::clone(self), name: name.to_owned() })
    }

    fn scripts(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a run's program.
pub struct Script {
    workspace: Arc<Workspace>,
    name: String,
}

impl Drop for Script {
    fn drop(&mut self) {
        let mut scripts = self.workspace.scripts();
        let Some(count) = scripts.get_mut(&self.name) else { return };
        *count -= 1;
        if *count == 0 {
            scripts.remove(&self.name);
            if let Err(errno) = script::remove_place(self.workspace.files.as_fd(), &self.name) {
                tracing::warn!(%errno, "the place of a program stays in a workspace until it is mounted again");
            }
        }
    }
}

/// A file that grows where nobody sees it; dropped before [`Upload::commit`], it is gone.
pub struct Upload {
    workspace: Arc<Workspace>,
    name: Option<String>,
    file: File,
    /// What of it is in [`Workspace::incoming_bytes`].
    counted_bytes: u64,
}

impl Upload {
    /// Adds to it.
    pub fn write(&mut self, piece: &[u8]) -> std::io::Result<()> {
        std::io::Write::write_all(&mut self.file, piece)?;
        let taken = blocks_of(&self.file.metadata()?);
        let mut incoming = self.workspace.incoming_bytes();
        *incoming = incoming.saturating_sub(self.counted_bytes) + taken;
        self.counted_bytes = taken;
        Ok(())
    }

    /// Puts it in place at once, of a file or a link that is there; true when there was none. `EISDIR` when there is a
    /// directory, `ENOTDIR` when a part of the path is none, `ELOOP` when one is a link, `ENOSPC` when all would be over
    /// the quota.
    pub fn commit(mut self, path: &Path, quota_bytes: u64) -> nix::Result<bool> {
        let files = self.workspace.files.as_fd();
        let (parent, name) = (path.parent().filter(|parent| !parent.as_os_str().is_empty()), path.file_name());
        let name = name.ok_or(Errno::EINVAL)?;
        if let Some(parent) = parent {
            self.workspace.make_directories(parent)?;
        }
        let directory = open_below(files, parent.unwrap_or(Path::new(".")), OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
        let replaced = replaced(directory.as_fd(), Path::new(name))?;
        let workspace = Arc::clone(&self.workspace);
        let mut incoming_bytes = workspace.incoming_bytes();
        let before = workspace.space_beside(*incoming_bytes)?.used_bytes;
        if before.saturating_sub(replaced.unwrap_or(0)) + self.counted_bytes > quota_bytes {
            return Err(Errno::ENOSPC);
        }
        let place = self.name.as_deref().unwrap_or_default();
        renameat(&workspace.incoming, place, &directory, name)?;
        *incoming_bytes = incoming_bytes.saturating_sub(self.counted_bytes);
        (self.name, self.counted_bytes) = (None, 0);
        drop(incoming_bytes);
        Ok(replaced.is_none())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What stays all the same is removed when the workspace is mounted the next time.
            let _ = unlinkat(&self.workspace.incoming, name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        let mut incoming = self.workspace.incoming_bytes();
        *incoming = incoming.saturating_sub(self.counted_bytes);
    }
}

/// What its place gives back when a file takes that name; none when nothing of the tenant's has it, `EISDIR` for a
/// directory.
fn replaced(directory: BorrowedFd<'_>, name: &Path) -> nix::Result<Option<u64>> {
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(status) if is_kind(status.st_mode, SFlag::S_IFDIR) => Err(Errno::EISDIR),
        Ok(status) if status.st_uid == 0 => Ok(None),
        // Another name keeps the blocks.
        Ok(status) if status.st_nlink > 1 => Ok(Some(0)),
        Ok(status) => Ok(Some(u64::try_from(status.st_blocks).unwrap_or(0) * STATUS_BLOCK)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// What a file takes on its disk.
pub fn blocks_of(metadata: &std::fs::Metadata) -> u64 {
    metadata.blocks() * STATUS_BLOCK
}

fn is_kind(mode: u32, kind: SFlag) -> bool {
    mode & SFlag::S_IFMT.bits() == kind.bits()
}
