//! A workspace that is mounted on this machine: what runs, sessions and clients share.
//!
//! It is mounted once. Each sandbox that is given it sees the same files at `/workspace`; this process reaches them by the
//! mount's own directory, below which nothing is ever followed out ([`open_below`]).

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};

use super::client::Spawner;
use super::files::{make_directories, open_below};
use super::spawner::{FILES, FILES_ID, INCOMING};
use super::wire::{Failure, MountId};
use super::{SandboxError, Sandboxes, script, trash};

/// Names that programs are called by, see [`script`].
const SCRIPTS: [&str; 3] = ["main.py", "main.sh", "main.js"];
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
}

/// A workspace as a run is given it.
#[derive(Clone)]
pub struct WorkspaceUse {
    pub workspace: Arc<Workspace>,
    /// Largest single file, where that is less than what fits.
    pub max_file_bytes: Option<u64>,
}

impl std::fmt::Debug for WorkspaceUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkspaceUse").field("max_file_bytes", &self.max_file_bytes).finish_non_exhaustive()
    }
}

/// What a workspace's file system says, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub used_bytes: u64,
    /// What can still be written.
    pub free_bytes: u64,
    /// The program of a run judges itself by this: files of others count as well.
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
        Ok(Workspace { spawner, mount, files, incoming, scripts: Mutex::default() })
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
        let status = fstatvfs(&*self.files)?;
        let bytes = |blocks: u64| blocks.saturating_mul(status.fragment_size());
        // The directories that every workspace has do not count.
        const OWN_BLOCKS: u64 = 3;
        let used = status.blocks().saturating_sub(status.blocks_free());
        Ok(Space {
            used_bytes: bytes(used.saturating_sub(OWN_BLOCKS)),
            free_bytes: bytes(status.blocks_available()),
            capacity_bytes: bytes(used + status.blocks_available()),
        })
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
        let upload = Upload { workspace: Arc::clone(self), name: Some(name), file };
        fchown(upload.file.as_fd(), Some(Uid::from_raw(FILES_ID)), Some(Gid::from_raw(FILES_ID)))?;
        Ok(upload)
    }

    /// Puts a whole file in place of what is there. `path` is relative and normal.
    pub fn put(self: &Arc<Self>, path: &Path, content: &[u8]) -> nix::Result<()> {
        let mut upload = self.upload()?;
        std::io::Write::write_all(&mut upload.file, content)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        upload.commit(path).map(drop)
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
    pub file: File,
}

impl Upload {
    /// Puts it in place at once, of a file or a link that is there; true when there was none. `EISDIR` when there is a
    /// directory, `ENOTDIR` when a part of the path is none, `ELOOP` when one is a link.
    pub fn commit(mut self, path: &Path) -> nix::Result<bool> {
        let files = self.workspace.files.as_fd();
        let (parent, name) = (path.parent().filter(|parent| !parent.as_os_str().is_empty()), path.file_name());
        let name = name.ok_or(Errno::EINVAL)?;
        if let Some(parent) = parent {
            self.workspace.make_directories(parent)?;
        }
        let directory = open_below(files, parent.unwrap_or(Path::new(".")), OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
        let was_there = is_there(directory.as_fd(), Path::new(name))?;
        if let Some(incoming) = self.name.take()
            && let Err(errno) = renameat(&self.workspace.incoming, incoming.as_str(), &directory, name)
        {
            self.name = Some(incoming);
            return Err(errno);
        }
        Ok(!was_there)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What stays all the same is removed when the workspace is mounted the next time.
            let _ = unlinkat(&self.workspace.incoming, name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Whether something of the tenant's has that name; `EISDIR` for a directory.
fn is_there(directory: BorrowedFd<'_>, name: &Path) -> nix::Result<bool> {
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(status) if is_kind(status.st_mode, SFlag::S_IFDIR) => Err(Errno::EISDIR),
        Ok(status) => Ok(status.st_uid != 0),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn is_kind(mode: u32, kind: SFlag) -> bool {
    mode & SFlag::S_IFMT.bits() == kind.bits()
}
