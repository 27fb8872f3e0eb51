//! The controls that a run's program is confined by, from its limits and what the host has.

use kiln_domain::Limits;
use kiln_runner_protocol::Confinement;

use super::Isolation;
use super::pool::Key;
use super::spawner::{PROGRAM_ID, WORKSPACE};

/// Open files a process may have.
const OPEN_FILES: u64 = 256;
/// A single file may be this much larger than its disk, so that a full disk is what a program is told of.
const FILE_MARGIN_BYTES: u64 = 64 * 1024 * 1024;

/// The largest single file, on a disk where so much fits.
pub fn file_bytes(disk_bytes: u64) -> u64 {
    disk_bytes.saturating_add(FILE_MARGIN_BYTES)
}

/// What a waiting program is confined by depends on its kind alone, where the host has control groups.
pub fn confinement(isolation: &Isolation, limits: &Limits, key: &Key) -> Confinement {
    let groups = isolation.has("cgroup");
    let otherwise = |limit: u64| (!groups).then_some(limit);
    // Others see a workspace as well.
    let (own, shared) = if key.workspace.is_some() { (&[][..], &[WORKSPACE][..]) } else { (&[WORKSPACE][..], &[][..]) };
    let names = |directories: &[&str]| directories.iter().copied().map(str::to_owned).collect::<Vec<_>>();
    Confinement {
        user_id: isolation.has("root").then_some(PROGRAM_ID),
        landlock: isolation.has("landlock"),
        // A host without is refused at the start.
        seccomp: isolation.has("seccomp"),
        writable: names(&[own, &["/tmp", "/dev/shm"]].concat()),
        shared: names(shared),
        talks: key.talks,
        open_files: OPEN_FILES,
        file_bytes: key.file_bytes,
        data_bytes: otherwise(limits.memory_bytes),
        processes: otherwise(limits.pids),
        cpu_seconds: otherwise((limits.timeout_ms * limits.cpu_millis).div_ceil(1_000_000) + 1),
    }
}
