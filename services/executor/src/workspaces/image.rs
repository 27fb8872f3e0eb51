//! The file that holds a workspace: an ext4 file system in a sparse file, of which programs can use exactly the quota.
//!
//! Exactly: a program can write its quota and not a block more. The file system is about twice as large, and what is over
//! the quota is reserved for root (`tune2fs -r`): so a client can replace a file that is larger than what is left, since
//! the old one stays until the new one is whole. The host never gives more for a workspace than that.

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
/// What is beside the files in a file system twice as large as the quota: less than the file system's own tables take, for
/// no more than half of its blocks can be reserved.
const BESIDE: u64 = 1024;
/// Below this size mkfs makes no journal.
const MIN_BLOCKS: u64 = 2304;
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

    /// Makes an empty file system for `quota_bytes` of files, in a file that is not there yet. Blocks for some 30 ms.
    pub fn make(&self, path: &Path, quota_bytes: u64) -> anyhow::Result<()> {
        let unfinished = path.with_extension("new");
        let image = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        let files = (quota_bytes / BYTES_PER_FILE).clamp(*FILES.start(), *FILES.end());
        image.set_len(blocks_for(quota_bytes) * BLOCK)?;
        let mut make = self.command("mkfs.ext4");
        make.args(["-q", "-F", "-b", "4096", "-I", "256", "-m", "0", "-N"]).arg(files.to_string());
        make.args(["-O", FEATURES, "-J", JOURNAL, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"]);
        succeeded(&make.arg(&unfinished).output()?, &[0]).context("mkfs.ext4")?;
        self.reserve(&image, &unfinished, quota_bytes, FREED - MADE)?;
        image.sync_all()?;
        std::fs::rename(&unfinished, path).context("put the image in place")
    }

    /// Gives a file system that is mounted nowhere, or soon not any more, another size. Blocks; fails when what is there,
    /// `used_bytes`, does not fit.
    pub fn resize(&self, path: &Path, quota_bytes: u64, used_bytes: u64) -> anyhow::Result<()> {
        let image = locked(path)?;
        // resize2fs wants it looked at first; 1 says that something was put right.
        let checked = self.command("e2fsck").args(["-f", "-p"]).arg(path).output()?;
        succeeded(&checked, &[0, 1]).context("e2fsck")?;
        let resized = self.command("resize2fs").arg("-f").arg(path).arg(blocks_for(quota_bytes).to_string()).output()?;
        if let Err(error) = succeeded(&resized, &[0]) {
            // A large one can have a small quota as well, only not a very small one.
            tracing::debug!(error = format!("{error:#}"), "an image keeps its size");
        }
        self.reserve(&image, path, quota_bytes, used_bytes / BLOCK)
    }

    /// Reserves what is over the quota; `theirs` are blocks that are taken now and count as left.
    fn reserve(&self, image: &File, path: &Path, quota_bytes: u64, theirs: u64) -> anyhow::Result<()> {
        let wanted = quota_bytes.div_ceil(BLOCK);
        let leaves = Superblock::read(image)?.leaves() + theirs;
        let reserved = leaves.checked_sub(wanted).context("the file system is too small")?;
        let done = self.command("tune2fs").arg("-r").arg(reserved.to_string()).arg(path).output()?;
        succeeded(&done, &[0]).context("tune2fs")
    }
}

fn blocks_for(quota_bytes: u64) -> u64 {
    (2 * quota_bytes.div_ceil(BLOCK) + BESIDE).max(MIN_BLOCKS)
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

    /// Blocks that can still be written when none is reserved.
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

fn succeeded(output: &Output, good: &[i32]) -> anyhow::Result<()> {
    let ended_well = output.status.code().is_some_and(|code| good.contains(&code));
    anyhow::ensure!(ended_well, "{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
