//! Looking at the machine's processes and cgroups from outside, by /proc and /sys alone.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Depth below /sys/fs/cgroup at which a cgroup of ours is looked for.
const CGROUP_DEPTH: usize = 8;

/// Every live process that `pid` started, directly or not.
pub fn descendants(pid: u32) -> Vec<u32> {
    let parents: HashMap<u32, u32> = all().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let comes_from = |mut child: u32| {
        // A chain longer than the number of processes would be a loop, made by ids re-used while we looked.
        for _ in 0..parents.len() {
            match parents.get(&child) {
                Some(parent) if *parent == pid => return true,
                Some(parent) => child = *parent,
                None => return false,
            }
        }
        false
    };
    parents.keys().copied().filter(|child| comes_from(*child)).collect()
}

/// Those of the processes that still run; one that is dead and not yet waited for does not.
pub fn live(pids: &[u32]) -> Vec<u32> {
    let runs = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    pids.iter().copied().filter(runs).collect()
}

/// The processes that have this text among their arguments, but for this one.
pub fn processes_with(argument: &str) -> Vec<u32> {
    let has =
        |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(argument));
    all().into_iter().filter(|pid| *pid != std::process::id()).filter(has).collect()
}

/// Ends processes at once; those that are gone already count as ended.
pub fn kill_all(pids: &[u32]) {
    for pid in pids {
        let _gone = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
    }
}

/// The cgroups, in any hierarchy, whose own name contains the text.
pub fn cgroups_named(text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(Path::new("/sys/fs/cgroup"), text, CGROUP_DEPTH, &mut found);
    found
}

fn collect(directory: &Path, text: &str, depth: usize, found: &mut Vec<PathBuf>) {
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name().to_string_lossy().contains(text) {
                found.push(entry.path());
            }
            collect(&entry.path(), text, depth - 1, found);
        }
    }
}

fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The fourth field of `/proc/<pid>/stat`; the second may itself contain spaces and parentheses.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_by_parent_and_by_argument_until_it_is_killed() {
        let marker = format!("kiln-marker-{}", uuid::Uuid::now_v7());
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 60; :", &marker]).spawn().unwrap();
        assert!(descendants(std::process::id()).contains(&child.id()));
        while processes_with(&marker) != [child.id()] {
            std::thread::yield_now(); // until it has become `sh`
        }
        kill_all(&descendants(child.id()));
        kill_all(&[child.id()]);
        child.wait().unwrap();
        assert!(processes_with(&marker).is_empty());
    }
}
