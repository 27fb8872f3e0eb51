//! Control groups: one a sandbox, with limits, counters and an end.
//!
//! Version 1 has a tree for each controller, version 2 one for all; [`Groups`] hides which. All groups
//! lie below one directory named after the data directory, so that what a crash left can be found.

mod v1;
mod v2;

use std::fs::File;
use std::path::{Path, PathBuf};

use super::wire::{Counters, Failure, SandboxId, Step};

/// The scheduler's period for CPU shares, in microseconds.
const PERIOD_US: u64 = 100_000;

/// Where the groups of this engine lie.
pub enum Groups {
    V1(v1::Trees),
    V2(v2::Tree),
}

/// The group of one sandbox: its directories, one a tree.
pub struct Group {
    directories: Vec<PathBuf>,
}

/// What a sandbox may use.
#[derive(Debug, Clone, Copy)]
pub struct GroupLimits {
    pub memory_bytes: u64,
    pub cpu_millis: u64,
    pub processes: u64,
}

impl GroupLimits {
    /// Microseconds of CPU time in each period.
    fn quota_us(self) -> u64 {
        (self.cpu_millis * PERIOD_US / 1000).max(1000)
    }
}

/// Which of the two the host offers, with the controllers memory, pids and cpu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// Looks, without changing anything. The error names what is missing.
pub fn inspect() -> Result<Version, Failure> {
    let (mounts, own) = read_own()?;
    match v1::Trees::find(&mounts, &own, "") {
        Ok(_) => Ok(Version::V1),
        Err(missing_v1) => v2::Tree::find(&mounts, &own, "").map(|_| Version::V2).map_err(|missing_v2| {
            Failure::new("cgroup", format!("version 1: {}; version 2: {}", missing_v1.detail, missing_v2.detail))
        }),
    }
}

/// Whether swapped memory counts in groups of this version here.
pub fn counts_swap(version: Version) -> bool {
    let Ok((mounts, own)) = read_own() else { return false };
    let (bases, file) = match version {
        Version::V1 => (v1::Trees::find(&mounts, &own, "").map(|trees| trees.bases()), "memory.memsw.limit_in_bytes"),
        Version::V2 => (v2::Tree::find(&mounts, &own, "").map(|tree| vec![tree.base]), "memory.swap.max"),
    };
    // The root group of version 2 has no limits, and then only its children do.
    bases.is_ok_and(|bases| {
        bases.iter().any(|base| base.join(file).exists() || (version == Version::V2 && !base.join("memory.max").exists()))
    })
}

fn read_own() -> Result<(String, String), Failure> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").step("cgroup")?;
    Ok((mounts, std::fs::read_to_string("/proc/self/cgroup").step("cgroup")?))
}

impl Groups {
    /// Finds or makes the directory below which this engine's groups lie.
    pub fn open(name: &str) -> Result<Self, Failure> {
        let (mounts, own) = read_own()?;
        let groups = match inspect()? {
            Version::V1 => Self::V1(v1::Trees::find(&mounts, &own, name)?),
            Version::V2 => Self::V2(v2::Tree::find(&mounts, &own, name)?),
        };
        match &groups {
            Self::V1(trees) => trees.prepare()?,
            Self::V2(tree) => tree.prepare()?,
        }
        Ok(groups)
    }

    /// The directories that hold the groups, one a tree.
    pub fn bases(&self) -> Vec<PathBuf> {
        match self {
            Self::V1(trees) => trees.bases(),
            Self::V2(tree) => vec![tree.base.clone()],
        }
    }

    /// Makes an empty group.
    pub fn make(&self, id: SandboxId) -> Result<Group, Failure> {
        let directories: Vec<_> = self.bases().into_iter().map(|base| base.join(format!("s{id}"))).collect();
        for directory in &directories {
            std::fs::create_dir(directory).step(format!("make {}", directory.display()))?;
        }
        Ok(Group { directories })
    }

    pub fn limit(&self, group: &Group, limits: GroupLimits) -> Result<(), Failure> {
        match self {
            Self::V1(trees) => trees.limit(group, limits),
            Self::V2(_) => v2::limit(group, limits),
        }
    }

    pub fn counters(&self, group: &Group) -> Counters {
        match self {
            Self::V1(trees) => trees.counters(group),
            Self::V2(_) => v2::counters(group),
        }
    }
}

impl Group {
    /// Moves the calling process into the group. It must be single-threaded.
    pub fn enter(&self) -> Result<(), Failure> {
        self.directories.iter().try_for_each(|directory| write(directory, "cgroup.procs", "0"))
    }

    /// The files by which a process enters it, for one that may not open them itself: what counts is who opened them.
    pub fn entries(&self) -> Result<Vec<File>, Failure> {
        let open = |directory: &PathBuf| File::options().write(true).open(directory.join("cgroup.procs"));
        self.directories.iter().map(|directory| open(directory).step("open cgroup.procs")).collect()
    }

    /// Removes the group; false while a dying process still holds it.
    pub fn remove(&self) -> bool {
        // Each is tried, whatever became of the others.
        self.directories.iter().filter(|directory| !remove(directory)).count() == 0
    }
}

/// Kills whatever is in the groups below `base` and removes them, `base` included.
/// For what a crash left; returns false while something still holds on.
pub fn sweep(base: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(base) else { return true };
    let children = entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let left = children.filter(|child| !sweep(&child.path())).count();
    kill_members(base);
    remove(base) && left == 0
}

fn kill_members(directory: &Path) {
    // Version 2 has one word for all, from Linux 5.14 on; what it misses, or a host without, is killed one by one.
    let _ = std::fs::OpenOptions::new()
        .write(true)
        .open(directory.join("cgroup.kill"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"1"));
    let members = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    for process in members.lines().filter_map(|line| line.parse().ok()).filter(|&process| process > 0) {
        // A process that is already gone is what is wanted.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::Signal::SIGKILL);
    }
}

fn remove(directory: &Path) -> bool {
    match std::fs::remove_dir(directory) {
        Ok(()) => true,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn write(directory: &Path, file: &str, value: &str) -> Result<(), Failure> {
    std::fs::write(directory.join(file), value).step(format!("write {value} to {file}"))
}

fn read_number(directory: &Path, file: &str) -> Option<u64> {
    std::fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok()
}

/// The number after `key` in a file of `key number` lines.
fn read_keyed(directory: &Path, file: &str, key: &str) -> Option<u64> {
    keyed(&std::fs::read_to_string(directory.join(file)).ok()?, key)
}

fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Where a tree is mounted and which part of it: from one line of `mountinfo`.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

fn mounts(mountinfo: &str) -> impl Iterator<Item = Mount<'_>> {
    mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let mut after = after.split(' ');
        Some(Mount { root: before.next()?, point: before.next()?, kind: after.next()?, options: after.nth(1)? })
    })
}

/// The directory of this process's own group in a mounted tree.
fn own_directory(mount: &Mount<'_>, own: &str) -> PathBuf {
    let below = own.strip_prefix(mount.root.trim_end_matches('/')).unwrap_or("");
    Path::new(mount.point).join(below.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyed_numbers_are_found_by_their_whole_key() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(keyed(text, "oom_kill"), Some(3));
        assert_eq!(keyed(text, "oom"), None);
    }

    #[test]
    fn the_own_directory_respects_the_mounted_part() {
        let line = "30 24 0:26 /docker/1 /sys/fs/cgroup/memory rw,nosuid master:1 - cgroup cgroup rw,memory";
        let mount = mounts(line).next().unwrap();
        assert_eq!((mount.kind, mount.options), ("cgroup", "rw,memory"));
        assert_eq!(own_directory(&mount, "/docker/1/x"), Path::new("/sys/fs/cgroup/memory/x"));
        assert_eq!(own_directory(&mount, "/elsewhere"), Path::new("/sys/fs/cgroup/memory"));
    }
}
