//! Servers that a killed Kiln left behind. Only called with the data directory's lock in hand, so that whatever still
//! runs in it has lost its Kiln.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const GONE_WITHIN: Duration = Duration::from_secs(20);

/// Ends every `program` whose working directory is `directory`, and waits until all are gone.
///
/// Pid files are not asked: they name the first process only, and a process that nobody has waited for yet looks alive
/// to those who ask by its number.
pub fn end(directory: &Path, program: &str, signal: Signal) -> anyhow::Result<()> {
    for pid in working_in(directory, program)? {
        tracing::warn!(program, pid, "left over from a Kiln that was killed; ending it");
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot end the left-over {program} {pid}")),
        }
        anyhow::ensure!(wait_gone(pid, GONE_WITHIN)?, "the left-over {program} {pid} does not end: kill -9 {pid}");
    }
    Ok(())
}

fn working_in(directory: &Path, program: &str) -> anyhow::Result<Vec<i32>> {
    let Ok(directory) = directory.canonicalize() else { return Ok(Vec::new()) };
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc").context("cannot list /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Both are unreadable for a process that has ended or is somebody else's.
        let here = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|found| found == directory);
        if here && std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.trim_end() == program) {
            pids.push(pid);
        }
    }
    pids.sort_unstable();
    Ok(pids)
}

/// Waits until no process `pid` is left; false when it outlives `within`.
pub fn wait_gone(pid: i32, within: Duration) -> anyhow::Result<bool> {
    let pid = rustix::process::Pid::from_raw(pid).context("no pid")?;
    let handle = match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(true),
        Err(error) => return Err(error).context("pidfd_open"),
    };
    let mut waited = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
    let within = rustix::event::Timespec::try_from(within).context("a wait too long")?;
    loop {
        match rustix::event::poll(&mut waited, Some(&within)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("poll"),
        }
    }
}
