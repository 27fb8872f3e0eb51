//! Version 2: one tree. A group that holds processes cannot give controllers to its children, so this
//! process first moves itself and its siblings into a leaf of their own.

use std::path::{Path, PathBuf};

use super::{Group, GroupLimits, PERIOD_US, keyed, mounts, own_directory, read_keyed, read_number, write};
use crate::sandbox::wire::{Counters, Failure, Step};

const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];
/// Leaf for the processes that are Kiln's own.
const SUPERVISORS: &str = "kiln-supervisors";

pub struct Tree {
    /// The group this process is in.
    own: PathBuf,
    /// The directory that holds the sandboxes' groups.
    pub base: PathBuf,
}

impl Tree {
    /// Finds the tree; the error names the missing controller.
    pub fn find(mountinfo: &str, own: &str, name: &str) -> Result<Self, Failure> {
        let missing = |what: &str| Failure::new("cgroup", format!("{what} is not there"));
        let mount = mounts(mountinfo).find(|mount| mount.kind == "cgroup2").ok_or_else(|| missing("the tree"))?;
        let path = own.lines().find_map(|line| line.strip_prefix("0::")).ok_or_else(|| missing("the own group"))?;
        let own = own_directory(&mount, path.strip_suffix(&format!("/{SUPERVISORS}")).unwrap_or(path));
        let offered = std::fs::read_to_string(own.join("cgroup.controllers")).step("cgroup")?;
        for controller in CONTROLLERS {
            if !offered.split_whitespace().any(|name| name == controller) {
                return Err(missing(&format!("the controller {controller}")));
            }
        }
        Ok(Self { base: own.join(name), own })
    }

    pub fn prepare(&self) -> Result<(), Failure> {
        let enable = CONTROLLERS.map(|controller| format!("+{controller}")).join(" ");
        if write(&self.own, "cgroup.subtree_control", &enable).is_err() {
            self.leave_own_group()?;
            write(&self.own, "cgroup.subtree_control", &enable)?;
        }
        std::fs::create_dir_all(&self.base).step(format!("make {}", self.base.display()))?;
        write(&self.base, "cgroup.subtree_control", &enable)
    }

    fn leave_own_group(&self) -> Result<(), Failure> {
        let leaf = self.own.join(SUPERVISORS);
        std::fs::create_dir_all(&leaf).step(format!("make {}", leaf.display()))?;
        let members = std::fs::read_to_string(self.own.join("cgroup.procs")).step("read cgroup.procs")?;
        members.lines().try_for_each(|process| write(&leaf, "cgroup.procs", process))
    }
}

pub fn limit(group: &Group, limits: GroupLimits) -> Result<(), Failure> {
    let directory = only(group)?;
    write(directory, "memory.max", &limits.memory_bytes.to_string())?;
    if directory.join("memory.swap.max").exists() {
        write(directory, "memory.swap.max", "0")?;
    }
    write(directory, "pids.max", &limits.processes.to_string())?;
    write(directory, "cpu.max", &format!("{} {PERIOD_US}", limits.quota_us()))
}

pub fn counters(group: &Group) -> Counters {
    let Ok(directory) = only(group) else { return Counters::default() };
    let cpu = std::fs::read_to_string(directory.join("cpu.stat")).ok();
    Counters {
        memory_kills: read_keyed(directory, "memory.events", "oom_kill"),
        process_refusals: read_keyed(directory, "pids.events", "max"),
        cpu_us: cpu.as_ref().and_then(|text| keyed(text, "usage_usec")),
        memory_peak_bytes: read_number(directory, "memory.peak"),
        throttled_us: cpu.as_ref().and_then(|text| keyed(text, "throttled_usec")),
        processes_peak: read_number(directory, "pids.peak"),
    }
}

fn only(group: &Group) -> Result<&Path, Failure> {
    group.directories.first().map(PathBuf::as_path).ok_or_else(|| Failure::new("cgroup", "the group has no directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_counters_use_the_files_of_version_2() {
        let directory = std::env::temp_dir().join(format!("kiln-cgroup-v2-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        for (file, text) in [
            ("memory.swap.max", "max"),
            ("memory.events", "low 0\nmax 4\noom 1\noom_kill 2\n"),
            ("pids.events", "max 7\n"),
            ("cpu.stat", "usage_usec 1234\nuser_usec 1000\nnr_throttled 3\nthrottled_usec 77\n"),
            ("memory.peak", "4096\n"),
            ("pids.peak", "5\n"),
        ] {
            std::fs::write(directory.join(file), text).unwrap();
        }
        let group = Group { directories: vec![directory.clone()] };
        limit(&group, GroupLimits { memory_bytes: 64 << 20, cpu_millis: 500, processes: 9 }).unwrap();
        let written = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
        assert_eq!(written("memory.max"), (64 << 20).to_string());
        assert_eq!(written("memory.swap.max"), "0");
        assert_eq!(written("cpu.max"), "50000 100000");
        let expected = Counters {
            memory_kills: Some(2),
            process_refusals: Some(7),
            cpu_us: Some(1234),
            memory_peak_bytes: Some(4096),
            throttled_us: Some(77),
            processes_peak: Some(5),
        };
        assert_eq!(counters(&group), expected);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
