//! Workspaces on this machine: each is an image with a file system of its own, which is mounted once, in the spawner's
//! mount namespace, and shown to any number of sandboxes.
//!
//! The image's size is its quota, held by the file system. What is in it belongs to one id, [`FILES_ID`]; a sandbox sees
//! it by a mount that maps this id to its program's own (an idmapped mount), so that no file ever changes hands. Links are
//! followed in a sandbox's mount, and in the one that this host works in never.
//!
//! A file system that is written to through two devices is lost. So the image is locked (`flock`) through the same open
//! file that the loop device holds: until the last mount of it anywhere has gone, nobody else can take it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{DirBuilder, File, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::Mode;

use super::process::{self, Process};
use super::{child, disk, mount};
use crate::sandbox::trash;
use crate::sandbox::wire::{Failure, MountId, Step};

/// Owner of every file of a workspace, as its own file system says.
pub const FILES_ID: u32 = 1000;
/// The part of an image that programs and clients see.
pub const FILES: &str = "files";
/// Where uploads grow until they are whole; nobody sees it.
pub const INCOMING: &str = "incoming";

/// How long an image may be held by what is still dying.
const LOCK_DEADLINE: Duration = Duration::from_secs(10);
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// What is mounted, and the namespaces that map ids for sandboxes.
pub struct Workspaces {
    directory: PathBuf,
    /// By the host's id of a sandbox's program. There are no more of them than slots.
    maps: BTreeMap<u32, OwnedFd>,
}

impl Workspaces {
    /// Mounts of an earlier spawner went with its namespace; their empty places are removed.
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        let directory = directory.join("workspaces");
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).step("workspaces")?;
        for entry in std::fs::read_dir(&directory).step("workspaces")? {
            std::fs::remove_dir(entry.step("workspaces")?.path()).step("workspaces")?;
        }
        Ok(Self { directory, maps: BTreeMap::new() })
    }

    /// Forks a process that mounts the image and sends the mount's directory, or says why not; gives the end where
    /// either comes. The mount stays until [`Self::unmount`].
    pub fn mount(&self, id: MountId, image: &Path, scripts: &[String]) -> Result<(UnixStream, Process), Failure> {
        let (socket, helpers) = UnixStream::pair().step("workspace's socket")?;
        let Some(process) = process::fork(0).step("fork for a workspace")? else {
            drop(socket);
            match mount_image(image, &self.place(id), scripts) {
                Ok(directory) => drop(disk::send_mount(&helpers, &directory)),
                Err(failure) => drop(std::io::Write::write_all(&mut &helpers, failure.to_string().as_bytes())),
            }
            child::exit()
        };
        Ok((socket, Process::new(process)?))
    }

    /// Forks a process that takes the mount away, which may wait for the disk. It lives on in sandboxes that have it.
    pub fn unmount(&self, id: MountId) -> Result<Process, Failure> {
        let place = self.place(id);
        let Some(process) = process::fork(0).step("fork for a workspace")? else {
            // What was never mounted need not be.
            let _ = umount2(&place, MntFlags::MNT_DETACH);
            let _ = std::fs::remove_dir(&place);
            child::exit()
        };
        Process::new(process)
    }

    /// The files of a mounted workspace as a mount of their own, at no place yet, in which they belong to this id of the
    /// host; and the process, if one was needed, that made the map and is to be reaped.
    pub fn show_to(&mut self, id: MountId, owner: u32) -> Result<(OwnedFd, Option<Process>), Failure> {
        let tree = mount::clone_tree(&self.place(id).join(FILES)).step("show the workspace")?;
        let (map, helper) = match self.maps.entry(owner) {
            Entry::Occupied(known) => (known.into_mut(), None),
            Entry::Vacant(free) => {
                let (map, process) = id_map(owner)?;
                (free.insert(map), Some(process))
            }
        };
        mount::map_ids(&tree, map.as_fd()).step("map the workspace's ids")?;
        Ok((tree, helper))
    }

    fn place(&self, id: MountId) -> PathBuf {
        self.directory.join(id.to_string())
    }
}

/// A user namespace that maps [`FILES_ID`] to `owner`. Its process only waits to be killed, which it has been.
fn id_map(owner: u32) -> Result<(OwnedFd, Process), Failure> {
    let (socket, childs) = UnixStream::pair().step("map of ids")?;
    let Some(id) = process::fork(libc::CLONE_NEWUSER).step("map of ids")? else {
        drop(socket);
        // Until the spawner closes its end, or kills this process.
        let _ = std::io::Read::read(&mut &childs, &mut [0]);
        child::exit()
    };
    let process = Process::new(id)?;
    let map = format!("{FILES_ID} {owner} 1\n");
    let namespace = process.map_ids(&map).and_then(|()| File::open(format!("/proc/{id}/ns/user")));
    process.kill();
    Ok((namespace.step("map of ids")?.into(), process))
}

/// Mounts the image at `place` and makes it tidy: no upload that was cut off stays, nor the place of a script.
fn mount_image(image: &Path, place: &Path, scripts: &[String]) -> Result<OwnedFd, Failure> {
    let image = locked(image)?;
    let mount = disk::mount_image(&image, "workspace")?;
    mount::follow_no_links(&mount).step("workspace's links")?;
    // Dropping it would unlock. This process ends at once; the device keeps the open file, and with it the lock.
    std::mem::forget(image);
    std::fs::create_dir(place).step("workspace's place")?;
    mount::move_mount(&mount, place).step("workspace's place")?;
    let tidied = tidy(place, scripts);
    let opened = tidied.and_then(|()| {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        nix::fcntl::open(place, flags, Mode::empty()).step("workspace")
    });
    if opened.is_err() {
        // It was said why; nothing else depends on this.
        let _ = umount2(place, MntFlags::MNT_DETACH);
        let _ = std::fs::remove_dir(place);
    }
    opened
}

fn tidy(place: &Path, scripts: &[String]) -> Result<(), Failure> {
    let (files, incoming) = (place.join(FILES), place.join(INCOMING));
    match std::fs::remove_dir(place.join("lost+found")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Failure::new("tidy the workspace", error)),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&incoming).step("tidy the workspace")?;
    File::open(&incoming).and_then(|left| trash::empty(left.as_fd())).step("tidy the workspace")?;
    if !files.exists() {
        std::fs::create_dir(&files).step("workspace's files")?;
        std::fs::set_permissions(&files, Permissions::from_mode(0o755)).step("workspace's files")?;
        chown(&files, Some(FILES_ID), Some(FILES_ID)).step("workspace's files")?;
    }
    let directory = File::open(&files).step("workspace's files")?;
    for script in scripts {
        crate::sandbox::script::remove_place(directory.as_fd(), script).step("tidy the workspace")?;
    }
    Ok(())
}

/// The image, once nobody else has it.
fn locked(path: &Path) -> Result<Flock<File>, Failure> {
    let mut image = File::options().read(true).write(true).open(path).step("workspace's image")?;
    let deadline = Instant::now() + LOCK_DEADLINE;
    loop {
        match Flock::lock(image, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((given_back, Errno::EWOULDBLOCK)) if Instant::now() < deadline => image = given_back,
            Err((_, errno)) => return Err(Failure::new("workspace's image is in use", errno)),
        }
        // The kernel tells nobody that it has given up a device; this is a process of its own, with a deadline.
        std::thread::sleep(LOCK_RETRY);
    }
}
