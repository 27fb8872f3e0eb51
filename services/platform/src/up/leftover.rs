//! Servers that a killed Kiln left behind. Only called with the data directory's lock in hand, so that whatever still
//! runs in it has lost its Kiln.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const GONE_WITHIN: Duration = Duration::from_secs(20);

/// Ends the process whose pid is in the first line of `pid_file`, when it is a `program` that works in the file's
/// directory, and waits until it is gone.
pub fn end(pid_file: &Path, program: &str, signal: Signal) -> anyhow::Result<()> {
    let text = match std::fs::read_to_string(pid_file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", pid_file.display())),
    };
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()).filter(|pid| *pid > 1) else {
        return Ok(());
    };
    if !is_ours(pid, program, pid_file.parent().context("a pid file has a directory")?) {
        return Ok(());
    }
    tracing::warn!(program, pid, "left over from a Kiln that was killed; ending it");
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => return Err(error).with_context(|| format!("cannot end the left-over {program} {pid}")),
    }
    anyhow::ensure!(wait_gone(pid, GONE_WITHIN)?, "the left-over {program} {pid} does not end: kill -9 {pid}");
    Ok(())
}

fn is_ours(pid: i32, program: &str, directory: &Path) -> bool {
    let Ok(words) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let mut words = words.split(|byte| *byte == 0);
    let named = words.next().is_some_and(|word| word.ends_with(program.as_bytes()));
    named && words.any(|word| word.starts_with(directory.as_os_str().as_encoded_bytes()))
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
