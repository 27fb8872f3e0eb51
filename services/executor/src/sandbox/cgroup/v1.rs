//! Version 1: a tree for memory, one for pids, one for cpu and one for cpuacct (the last two often the same).

use std::path::{Path, PathBuf};

use super::{Group, GroupLimits, Mount, PERIOD_US, mounts, own_directory, read_keyed, read_number, write};
use crate::sandbox::wire::{Counters, Failure, Step};

const CONTROLLERS: [&str; 4] = ["memory", "pids", "cpu", "cpuacct"];

/// The base directory in each distinct tree, and which of them serves each controller.
pub struct Trees {
    bases: Vec<PathBuf>,
    serving: [usize; 4],
}

impl Trees {
    /// Finds the trees of all controllers; the error names the missing one.
    pub fn find(mountinfo: &str, own: &str, name: &str) -> Result<Self, Failure> {
        let (mut bases, mut serving) = (Vec::new(), [0; 4]);
        for (slot, controller) in serving.iter_mut().zip(CONTROLLERS) {
            let mount = mounts(mountinfo).find(|mount| has(mount, controller));
            let own = own_path(own, controller);
            let (Some(mount), Some(own)) = (mount, own) else {
                return Err(Failure::new("cgroup", format!("the controller {controller} is not mounted")));
            };
            let base = own_directory(&mount, own).join(name);
            *slot = bases.iter().position(|known| *known == base).unwrap_or_else(|| {
                bases.push(base);
                bases.len() - 1
            });
        }
        Ok(Self { bases, serving })
    }

    pub fn prepare(&self) -> Result<(), Failure> {
        self.bases.iter().try_for_each(|base| std::fs::create_dir_all(base).step(format!("make {}", base.display())))
    }

    pub fn bases(&self) -> Vec<PathBuf> {
        self.bases.clone()
    }

    /// The group's directory in the tree of memory, pids, cpu and cpuacct.
    fn directories<'a>(&self, group: &'a Group) -> Option<[&'a Path; 4]> {
        let [memory, pids, cpu, cpuacct] = self.serving;
        let directory = |index: usize| group.directories.get(index).map(PathBuf::as_path);
        Some([directory(memory)?, directory(pids)?, directory(cpu)?, directory(cpuacct)?])
    }

    pub fn limit(&self, group: &Group, limits: GroupLimits) -> Result<(), Failure> {
        let [memory, pids, cpu, _] =
            self.directories(group).ok_or_else(|| Failure::new("cgroup", "the group has no directories"))?;
        let bytes = limits.memory_bytes.to_string();
        // Memory with swap may never be below memory alone, so the order depends on the direction.
        let swap = memory.join("memory.memsw.limit_in_bytes").exists();
        if write(memory, "memory.limit_in_bytes", &bytes).is_err() {
            write(memory, "memory.memsw.limit_in_bytes", &bytes)?;
            write(memory, "memory.limit_in_bytes", &bytes)?;
        }
        if swap {
            write(memory, "memory.memsw.limit_in_bytes", &bytes)?;
        } else {
            // Where nobody counts swap, it is kept out of it as far as the kernel allows; `kiln doctor` names it.
            write(memory, "memory.swappiness", "0")?;
        }
        // What making the sandbox took is not the program's peak.
        write(memory, "memory.max_usage_in_bytes", "0")?;
        write(pids, "pids.max", &limits.processes.to_string())?;
        write(cpu, "cpu.cfs_period_us", &PERIOD_US.to_string())?;
        write(cpu, "cpu.cfs_quota_us", &limits.quota_us().to_string())
    }

    pub fn counters(&self, group: &Group) -> Counters {
        let Some([memory, pids, cpu, cpuacct]) = self.directories(group) else { return Counters::default() };
        Counters {
            memory_kills: read_keyed(memory, "memory.oom_control", "oom_kill"),
            process_refusals: read_keyed(pids, "pids.events", "max"),
            cpu_us: read_number(cpuacct, "cpuacct.usage").map(|nanoseconds| nanoseconds / 1000),
            memory_peak_bytes: read_number(memory, "memory.max_usage_in_bytes"),
            // Told in nanoseconds (Documentation/scheduler/sched-bwc.rst).
            throttled_us: read_keyed(cpu, "cpu.stat", "throttled_time").map(|nanoseconds| nanoseconds / 1000),
            // From Linux 6.11 on.
            processes_peak: read_number(pids, "pids.peak"),
        }
    }
}

fn has(mount: &Mount<'_>, controller: &str) -> bool {
    mount.kind == "cgroup" && mount.options.split(',').any(|option| option == controller)
}

/// This process's path in the tree of `controller`: from `number:controller,…:path` lines.
fn own_path<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
25 24 0:22 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
26 24 0:23 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
27 24 0:24 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
28 24 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
    const OWN: &str = "4:memory:/a/b\n3:cpu,cpuacct:/\n2:pids:/a\n0::/";

    #[test]
    fn controllers_in_one_tree_share_a_directory() {
        let trees = Trees::find(MOUNTS, OWN, "kiln").unwrap();
        let bases = ["/sys/fs/cgroup/memory/a/b/kiln", "/sys/fs/cgroup/pids/a/kiln", "/sys/fs/cgroup/cpu,cpuacct/kiln"];
        assert_eq!(trees.bases(), bases.map(PathBuf::from));
        assert_eq!(trees.serving, [0, 1, 2, 2]);
    }

    #[test]
    fn a_missing_controller_is_named() {
        let without = MOUNTS.replace("pids", "rdma");
        assert!(Trees::find(&without, OWN, "kiln").err().unwrap().detail.contains("pids"));
    }
}
