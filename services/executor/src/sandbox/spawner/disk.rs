//! A run's working directory is a disk of its own: a sparse ext4 image on a loop device.
//!
//! Why: the limit must hold for every process of the tree, bound the number of files as well, be its own
//! limit (a tmpfs would count as memory), and leave nothing behind. Project quotas would be cheaper, but
//! many kernels are built without them. The image is an unnamed file (`O_TMPFILE`) and the device detaches
//! itself, so that both vanish with the last reference, also after a crash. Making a file system takes
//! some 15 ms; so one empty image of each size is made once, and a disk is a copy of its few used blocks.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kiln_runner_protocol::DISK_MARK;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, unlinkat};
use serde::{Deserialize, Serialize};

use super::process::{self, Process};
use super::{child, mount};
use crate::sandbox::host;
use crate::sandbox::wire::{self, Failure, Step};

/// Files and directories that a run may make.
const INODES: u64 = 10_000;
/// What the file system itself takes: tables of inodes and a share that ext4 keeps for itself. It is
/// reckoned so that a program is refused only after it has used its limit, and at most some MiB later:
/// so "used the limit" is how a full disk is told.
const OVERHEAD_BYTES: u64 = 4 * 1024 * 1024;
const RESERVED_SHARE: u64 = 50;
/// Sizes of which an empty image is kept.
const MAX_TEMPLATES: usize = 16;
/// Others may take the device that was free a moment ago.
const MAX_TRIES: usize = 32;

/// Processes that make disks: one waits for a device while the other works.
const MAKERS: usize = 2;
/// Their name, as `ps` shows it.
const NAME: &std::ffi::CStr = c"kiln-disks";

/// What a maker is asked for; with it comes the socket over which the disk is sent.
#[derive(Serialize, Deserialize)]
struct Order {
    disk_bytes: u64,
    owner: u32,
}

/// The processes that make disks. A fork for each disk would cost more than the disk does.
pub struct Makers {
    directory: PathBuf,
    makers: VecDeque<Maker>,
}

struct Maker {
    process: Process,
    orders: OwnedFd,
}

impl Makers {
    pub fn start(directory: &Path) -> Result<Self, Failure> {
        host::has_loop_disks().step("disk")?;
        let mut makers = Self { directory: directory.to_path_buf(), makers: VecDeque::with_capacity(MAKERS) };
        for _ in 0..MAKERS {
            makers.add()?;
        }
        Ok(makers)
    }

    /// Gives the end where a disk of its own will come, mounted at no place yet, or the words why not.
    pub fn order(&mut self, disk_bytes: u64, owner: u32) -> Result<UnixStream, Failure> {
        let (socket, makers) = UnixStream::pair().step("disk's socket")?;
        for _ in 0..=MAKERS {
            let Some(maker) = self.makers.pop_front() else { break };
            if wire::send(maker.orders.as_fd(), &Order { disk_bytes, owner }, &[makers.as_raw_fd()]).is_ok() {
                self.makers.push_back(maker);
                return Ok(socket);
            }
            // It has died; who waits for a disk of it has been told by the end of its socket. Another takes its place.
            maker.process.reap();
            self.add()?;
        }
        Err(Failure::new("disk", "no process makes disks"))
    }

    fn add(&mut self) -> Result<(), Failure> {
        let kind = SockType::SeqPacket;
        let (orders, own) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).step("disk's socket")?;
        let Some(process) = process::fork(0).step("fork for the disks")? else {
            drop(orders);
            self.makers.clear();
            make_disks(&self.directory, &own)
        };
        self.makers.push_back(Maker { process: Process::new(process)?, orders });
        Ok(())
    }
}

/// A maker's work, until the spawner has gone.
fn make_disks(directory: &Path, orders: &OwnedFd) -> ! {
    let named = nix::sys::prctl::set_name(NAME).and_then(|()| nix::sys::prctl::set_pdeathsig(Signal::SIGKILL));
    if named.is_err() {
        child::exit()
    }
    let mut templates = Templates::new(directory);
    while let Ok(Some((order, descriptors))) = wire::receive::<Order>(orders.as_fd()) {
        let Some(socket) = descriptors.into_iter().next().map(UnixStream::from) else { continue };
        let template = templates.of_size(order.disk_bytes);
        match template.and_then(|template| mounted_copy(template, directory, order.owner)) {
            // When nobody takes it any more, it goes with its descriptor.
            Ok(mount) => drop(send_mount(&socket, &mount)),
            Err(failure) => drop((&socket).write_all(failure.to_string().as_bytes())),
        }
    }
    child::exit()
}

/// The disk that was ordered. Waits for it.
pub fn receive(socket: &UnixStream) -> Result<OwnedFd, Failure> {
    let mut said = [0; 256];
    let (count, descriptors) = wire::receive_bytes(socket.as_fd(), &mut said).step("disk")?;
    let said = said.get(..count).unwrap_or_default();
    let mount = descriptors.into_iter().next().filter(|_| said == [DISK_MARK]);
    mount.ok_or_else(|| Failure::new("disk", String::from_utf8_lossy(said)))
}

/// Empty images by size.
struct Templates {
    directory: PathBuf,
    images: BTreeMap<u64, File>,
}

impl Templates {
    fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf(), images: BTreeMap::new() }
    }

    /// The empty image for a disk on which `disk_bytes` fit; made when it is the first of its size.
    fn of_size(&mut self, disk_bytes: u64) -> Result<&File, Failure> {
        if !self.images.contains_key(&disk_bytes) {
            if self.images.len() == MAX_TEMPLATES {
                self.images.pop_first();
            }
            let image = self.make(disk_bytes)?;
            self.images.insert(disk_bytes, image);
        }
        self.images.get(&disk_bytes).ok_or_else(|| Failure::new("disk", "no image"))
    }

    fn make(&self, disk_bytes: u64) -> Result<File, Failure> {
        let make_file_system = host::has_loop_disks().step("disk")?;
        let path = self.directory.join(format!("template-{}.img", std::process::id()));
        let image =
            File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path).step("disk image")?;
        let size = OVERHEAD_BYTES + disk_bytes + disk_bytes / (RESERVED_SHARE - 1);
        image.set_len(size.next_multiple_of(4096)).step("disk image")?;
        let made = Command::new(make_file_system)
            .args(["-q", "-F", "-b", "4096", "-I", "256", "-m", "0", "-N"])
            .arg(INODES.to_string())
            .args(["-O", "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard"])
            .arg(&path)
            .env_clear()
            .env("MKE2FS_CONFIG", "/dev/null")
            .stdin(Stdio::null())
            .output()
            .step("mkfs.ext4")?;
        std::fs::remove_file(&path).step("disk image")?;
        if made.status.success() { Ok(image) } else { Err(Failure::new("mkfs.ext4", String::from_utf8_lossy(&made.stderr))) }
    }
}

/// Copies the empty image and mounts the copy, at no place yet, for `owner`. May wait for the device.
fn mounted_copy(template: &File, directory: &Path, owner: u32) -> Result<OwnedFd, Failure> {
    let image =
        File::options().read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(directory).step("disk copy")?;
    copy_used_blocks(template, &image).step("disk copy")?;
    let mount = mount_image(&image, "disk")?;
    unlinkat(&mount, "lost+found", UnlinkatFlags::RemoveDir).step("empty disk")?;
    let (user, group) = (Uid::from_raw(owner), Gid::from_raw(owner));
    fchownat(&mount, "", Some(user), Some(group), AtFlags::AT_EMPTY_PATH).step("working directory's owner")?;
    Ok(mount)
}

/// Mounts a file system in a file, at no place yet. The device holds the open file, with its lock, for as long as
/// anything of the mount is there.
pub fn mount_image(image: &File, what: &str) -> Result<OwnedFd, Failure> {
    let device = attach(image).step("loop device")?;
    let mount = mount::detached("ext4", &device.path, "noinit_itable").step(format!("mount the {what}"))?;
    be_quiet(&device);
    Ok(mount)
}

/// That a disk is shut down when its run is over would be a kernel alert each time, on the host's console.
fn be_quiet(device: &Device) {
    let name = device.path.file_name().unwrap_or_default().to_string_lossy();
    // A kernel without this setting says it.
    let _ = std::fs::write(format!("/sys/fs/ext4/{name}/msg_ratelimit_burst"), "0");
}

pub fn send_mount(socket: &UnixStream, mount: &OwnedFd) -> nix::Result<()> {
    let descriptors = [mount.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let mark = [IoSlice::new(&[DISK_MARK])];
    sendmsg::<()>(socket.as_raw_fd(), &mark, &rights, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

fn copy_used_blocks(from: &File, to: &File) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    let size = from.metadata()?.len();
    to.set_len(size)?;
    let (mut at, mut buffer) = (0, vec![0; 64 * 1024]);
    while let Some(start) = seek(from, at, libc::SEEK_DATA)? {
        let end = seek(from, start, libc::SEEK_HOLE)?.unwrap_or(size);
        at = start;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            let count = from.read_at(buffer.get_mut(..wanted).unwrap_or_default(), at)?;
            if count == 0 {
                return Ok(());
            }
            to.write_all_at(buffer.get(..count).unwrap_or_default(), at)?;
            at += count as u64;
        }
    }
    Ok(())
}

/// The next data or hole from `at`; `None` when there is none.
#[expect(unsafe_code, reason = "lseek for data and holes has no safe wrapper here")]
fn seek(file: &File, at: u64, what: i32) -> std::io::Result<Option<u64>> {
    let at = i64::try_from(at).map_err(std::io::Error::other)?;
    // SAFETY: lseek touches no memory.
    match Errno::result(unsafe { libc::lseek(file.as_raw_fd(), at, what) }) {
        Ok(found) => Ok(u64::try_from(found).ok()),
        Err(Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// A loop device; it detaches when the file system on it has been unmounted and this handle closed.
struct Device {
    path: PathBuf,
    _open: File,
}

// The kernel's interface, include/uapi/linux/loop.h.
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

#[repr(C)]
#[derive(Clone, Copy)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

#[repr(C)]
struct LoopConfig {
    descriptor: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

#[expect(unsafe_code, reason = "loop devices are controlled by ioctl")]
fn attach(image: &File) -> std::io::Result<Device> {
    let control = File::options().read(true).write(true).open("/dev/loop-control")?;
    for _ in 0..MAX_TRIES {
        // SAFETY: this request takes no argument.
        let number = Errno::result(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) })?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = File::options().read(true).write(true).open(&path)?;
        let config = configuration(image);
        // SAFETY: the structure is laid out as the kernel's and outlives the call.
        match Errno::result(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) }) {
            Ok(_) => return Ok(Device { path, _open: device }),
            Err(Errno::EBUSY) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::EBUSY.into())
}

fn configuration(image: &File) -> LoopConfig {
    let info = LoopInfo {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        // Direct I/O: what the run writes is cached once, and counts as the run's own memory only.
        flags: LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
    LoopConfig { descriptor: image.as_raw_fd().unsigned_abs(), block_size: 4096, info, reserved: [0; 8] }
}
