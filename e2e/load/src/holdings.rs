//! What a Kiln on this machine holds of the kernel: descriptors, mounts, control groups, memory.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;

use crate::memory;

/// Counts and bytes at one moment. Those of the whole machine are marked so: others move them too.
#[derive(Debug, Clone, Copy)]
pub struct Holdings {
    pub processes: u64,
    pub descriptors: u64,
    /// Of all mount namespaces of its processes together.
    pub mounts: u64,
    pub namespaces: u64,
    /// Control groups of the machine, those that are gone and still charged with a page included.
    pub machine_groups: u64,
    pub machine_loop_devices: u64,
    pub resident_bytes: u64,
    /// Slab memory of the machine that the kernel cannot give back.
    pub machine_slab_bytes: u64,
}

impl Holdings {
    /// Of that process and its descendants, less Postgres and NATS.
    pub fn of_tree(root: u32) -> anyhow::Result<Self> {
        let (mut processes, mut descriptors, mut mounts) = (0, 0, 0);
        let mut namespaces = BTreeSet::new();
        for pid in memory::tree(root)? {
            let directory = Path::new("/proc").join(pid.to_string());
            // A process may end while it is looked at.
            let Ok(open) = std::fs::read_dir(directory.join("fd")) else { continue };
            processes += 1;
            descriptors += open.count() as u64;
            if let Ok(namespace) = std::fs::read_link(directory.join("ns/mnt"))
                && namespaces.insert(namespace)
            {
                mounts += lines(&directory.join("mountinfo")).unwrap_or(0);
            }
        }
        let meminfo = std::fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
        Ok(Self {
            processes,
            descriptors,
            mounts,
            namespaces: namespaces.len() as u64,
            machine_groups: groups().context("/proc/cgroups")?,
            machine_loop_devices: backed_loop_devices()?,
            resident_bytes: memory::of_tree(root)?.resident,
            machine_slab_bytes: memory::field(&meminfo, "SUnreclaim:"),
        })
    }

    /// Its figures by name, with the growth beyond which something is kept that should not be.
    pub fn figures(&self) -> [(&'static str, u64, u64); 8] {
        [
            ("processes", self.processes, 8),
            ("descriptors", self.descriptors, 64),
            ("mounts", self.mounts, 200),
            ("mount namespaces", self.namespaces, 8),
            ("control groups (machine)", self.machine_groups, 200),
            ("loop devices in use (machine)", self.machine_loop_devices, 16),
            ("resident MiB", self.resident_bytes >> 20, 64),
            ("unreclaimable slab MiB (machine)", self.machine_slab_bytes >> 20, 64),
        ]
    }
}

fn lines(path: &Path) -> std::io::Result<u64> {
    Ok(std::fs::read_to_string(path)?.lines().count() as u64)
}

/// The largest number of groups that a controller has (the third field).
fn groups() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/cgroups")?;
    let counts = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2)?.parse().ok());
    counts.max().context("there are no controllers")
}

/// Those with a file behind them.
fn backed_loop_devices() -> anyhow::Result<u64> {
    let devices = std::fs::read_dir("/sys/block").context("/sys/block")?.flatten();
    Ok(devices.filter(|device| device.path().join("loop/backing_file").exists()).count() as u64)
}
