//! Resident memory of a process and its descendants, as the kernel counts it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

/// Servers that Kiln starts and that are counted apart.
const SERVERS: [&str; 2] = ["postgres", "nats-server"];

/// In bytes; shared pages count in full once a process in `resident`, and in part in `proportional`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    pub processes: usize,
    pub resident: u64,
    pub proportional: u64,
}

/// The process and its descendants, less Postgres and NATS.
pub fn tree(root: u32) -> anyhow::Result<Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut tree, mut waiting) = (Vec::new(), vec![root]);
    while let Some(pid) = waiting.pop() {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if SERVERS.contains(&name.trim()) {
            continue;
        }
        waiting.extend(children.get(&pid).into_iter().flatten());
        tree.push(pid);
    }
    Ok(tree)
}

/// The memory of the tree's processes together.
pub fn of_tree(root: u32) -> anyhow::Result<Memory> {
    let mut memory = Memory::default();
    for pid in tree(root)? {
        // A process may have ended meanwhile; the root may not.
        match std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("smaps_rollup")) {
            Ok(text) => {
                memory.processes += 1;
                memory.resident += field(&text, "Rss:");
                memory.proportional += field(&text, "Pss:");
            }
            Err(error) if pid == root => return Err(error).with_context(|| format!("the memory of process {root}")),
            Err(_) => {}
        }
    }
    Ok(memory)
}

/// The fourth field of stat, after the name in parentheses, which may hold anything.
fn parent(pid: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

pub fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
