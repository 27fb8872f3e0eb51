//! The file that holds a workspace: an ext4 file system of exactly the size of its quota, in a sparse file.
//!
//! Exactly: a program can write its quota and not a block more. What ext4 takes for itself depends on the size, so the
//! size is found by making the file system, reading what it leaves, and making it again; two or three times, a few
//! milliseconds each. The host never gives more for a workspace than its quota and some MiB.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::sandbox::has_loop_disks;

const BLOCK: u64 = 4096;
/// A file for so many bytes of quota, within these bounds; directories count as files.
const BYTES_PER_FILE: u64 = 16 * 1024;
const FILES: std::ops::RangeInclusive<u64> = 1024..=65_536;
const FEATURES: &str = "has_journal,extents,flex_bg,uninit_bg,dir_nlink,extra_isize,^resize_inode";
const JOURNAL: &str = "size=4";
/// ext4 keeps this share of its blocks for its own emergencies, at most so many (fs/ext4/super.c,
/// `ext4_calculate_resv_clusters`).
const KEPT_SHARE: u64 = 50;
const MAX_KEPT: u64 = 4096;
/// lost+found is removed, two directories are made.
const FREED: u64 = 4;
const MADE: u64 = 2;
const MAX_TRIES: usize = 8;
/// A file system may leave so many blocks more than was asked for.
const SLACK: u64 = 8;
const LOCK_DEADLINE: Duration = Duration::from_secs(10);

/// The programs of e2fsprogs.
#[derive(Debug, Clone)]
pub struct Tools {
    directory: PathBuf,
}

impl Tools {
    /// None where this host cannot mount images, with what it lacks.
    pub fn find() -> Result<Self, &'static str> {
        let make = has_loop_disks()?;
        Ok(Self { directory: make.parent().map(Path::to_path_buf).unwrap_or_default() })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.directory.join(name));
        command.env_clear().env("MKE2FS_CONFIG", "/dev/null").stdin(Stdio::null());
        command
    }

    /// Makes an empty file system on which `quota_bytes` fit, in a file that is not there yet. Blocks for some 30 ms.
    pub fn make(&self, path: &Path, quota_bytes: u64) -> anyhow::Result<()> {
        let unfinished = path.with_extension("new");
        let image = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        let files = (quota_bytes / BYTES_PER_FILE).clamp(*FILES.start(), *FILES.end());
        fit(&image, quota_bytes, FREED - MADE, |size| {
            image.set_len(0)?;
            image.set_len(size)?;
            let mut make = self.command("mkfs.ext4");
            make.args(["-q", "-F", "-b", "4096", "-I", "256", "-m", "0", "-N"]).arg(files.to_string());
            make.args(["-O", FEATURES, "-J", JOURNAL, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"]);
            succeeded(make.arg(&unfinished).output()?, &[0]).context("mkfs.ext4")
        })?;
        image.sync_all()?;
        std::fs::rename(&unfinished, path).context("put the image in place")
    }

    /// Gives a file system that is mounted nowhere, or soon not any more, another size. Blocks; fails when what is there,
    /// `used_bytes`, does not fit.
    pub fn resize(&self, path: &Path, quota_bytes: u64, used_bytes: u64) -> anyhow::Result<()> {
        let image = locked(path)?;
        // resize2fs wants it looked at first; 1 says that something was put right.
        let checked = self.command("e2fsck").args(["-f", "-p"]).arg(path).output()?;
        succeeded(checked, &[0, 1]).context("e2fsck")?;
        fit(&image, quota_bytes, used_bytes / BLOCK, |size| {
            let blocks = (size / BLOCK).to_string();
            let resized = self.command("resize2fs").arg("-f").arg(path).arg(blocks).output()?;
            succeeded(resized, &[0]).context("resize2fs")
        })
    }
}

/// Has the file system made in one size after the other until it leaves what was asked for; `theirs` are blocks that are
/// taken now and count as left.
fn fit(image: &File, quota_bytes: u64, theirs: u64, mut make: impl FnMut(u64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let wanted = quota_bytes.div_ceil(BLOCK);
    let mut blocks = wanted + 2048 + wanted / (KEPT_SHARE - 1);
    for _ in 0..MAX_TRIES {
        make(blocks * BLOCK)?;
        let leaves = Superblock::read(image)?.leaves() + theirs;
        if (wanted..=wanted + SLACK).contains(&leaves) {
            return Ok(());
        }
        blocks = (blocks + wanted).saturating_sub(leaves).max(1);
    }
    anyhow::bail!("no size of the file system leaves {quota_bytes} bytes")
}

/// What a file system says of its blocks.
struct Superblock {
    blocks: u64,
    free: u64,
}

impl Superblock {
    fn read(image: &File) -> std::io::Result<Self> {
        // Documentation/filesystems/ext4/super.rst: at 1024, blocks at 0x4, free at 0xC.
        let mut block = [0; 0x10];
        image.read_exact_at(&mut block, 1024)?;
        let number = |at: usize| {
            let bytes = block.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            u64::from(u32::from_le_bytes(bytes))
        };
        Ok(Self { blocks: number(0x4), free: number(0xC) })
    }

    /// Blocks that can still be written.
    fn leaves(&self) -> u64 {
        self.free.saturating_sub((self.blocks / KEPT_SHARE).min(MAX_KEPT))
    }
}

/// The image, once no device has it any more.
fn locked(path: &Path) -> anyhow::Result<Flock<File>> {
    let mut image = File::options().read(true).write(true).open(path)?;
    let deadline = Instant::now() + LOCK_DEADLINE;
    loop {
        match Flock::lock(image, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((given_back, Errno::EWOULDBLOCK)) if Instant::now() < deadline => image = given_back,
            Err((_, errno)) => return Err(errno.into()),
        }
        // The kernel tells nobody that it has given up a device; this is a blocking thread, with a deadline.
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn succeeded(output: Output, good: &[i32]) -> anyhow::Result<()> {
    let ended_well = output.status.code().is_some_and(|code| good.contains(&code));
    anyhow::ensure!(ended_well, "{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
