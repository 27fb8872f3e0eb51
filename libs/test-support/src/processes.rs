//! Looking at the machine's processes and cgroups from outside, by /proc and /sys alone.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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

/// Every live process that `pid` started itself.
pub fn children(pid: u32) -> Vec<u32> {
    all().into_iter().filter(|child| parent(*child) == Some(pid)).collect()
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

/// A name that the processes of one program bear, and by which they are found on the host.
///
/// A warm program is no new process image, so its arguments are not among those of any process.
#[derive(Debug)]
pub struct Marker(String);

impl Default for Marker {
    fn default() -> Self {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        // The kernel keeps fifteen bytes of a name.
        Self(format!("km{}", &unique[..13]))
    }
}

impl Marker {
    /// The program, after a line that names its process; children inherit the name.
    pub fn mark(&self, code: &str) -> String {
        let set_name = 15; // PR_SET_NAME
        format!("__import__('ctypes').CDLL(None).prctl({set_name}, b'{}', 0, 0, 0)\n{code}", self.0)
    }

    pub fn processes(&self) -> Vec<u32> {
        let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        live(&all()).into_iter().filter(|pid| name(*pid).trim_end() == self.0).collect()
    }
}

/// Ends processes at once; those that are gone already count as ended.
pub fn kill_all(pids: &[u32]) {
    for pid in pids {
        let _gone = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
    }
}

/// The cgroups that Kiln has made and these processes are in, each once, as directories.
pub fn cgroups_of(pids: &[u32]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = pids.iter().flat_map(|pid| memberships(*pid)).collect();
    found.retain(|path| path.iter().any(|part| part.to_string_lossy().starts_with("kiln")));
    found.sort();
    found.dedup();
    found
}

/// Lines of `/proc/<pid>/cgroup` are `number:controllers:path`; version 2 has no controllers.
fn memberships(pid: u32) -> Vec<PathBuf> {
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let place = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let controllers = controllers.trim_start_matches("name=");
        Some(Path::new("/sys/fs/cgroup").join(controllers).join(path.trim_start_matches('/')))
    };
    table.lines().filter_map(place).collect()
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
