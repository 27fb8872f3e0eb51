//! The executor's settings, with their defaults.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Runs at once for each core: most programs wait more than they compute, and each has its own CPU share.
const SLOTS_PER_CORE: usize = 16;
/// Memory that a slot must find on the machine: the default limit of a run.
const MEMORY_PER_SLOT: u64 = 256 << 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Stable name of this executor, unique in the installation; the host's name unless set.
    pub id: Option<String>,
    /// Pool that it takes work from.
    pub pool: String,
    /// Runs at once; from the machine's cores and memory unless set.
    pub slots: Option<usize>,
    /// Sandboxes' disks and what is known of the interpreters.
    pub data_dir: PathBuf,
    /// Memory for sandboxes made ahead, in bytes; an eighth of the machine's unless set.
    pub waiting_bytes: Option<u64>,
    /// Runs of two tenants never come from the same waiting interpreter. Costs memory, and a cold start for a tenant's
    /// first run.
    pub separate_tenants: bool,
    /// A weaker isolation tier that the operator accepts, by name.
    pub accept_isolation: Option<String>,
    /// Environments to make and offer, of `base` and `ml`.
    pub environments: Vec<String>,
    /// How long runs may go on after a stop was asked for.
    pub drain_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: None,
            pool: "default".to_owned(),
            slots: None,
            data_dir: PathBuf::from("/var/lib/kiln/executor"),
            waiting_bytes: None,
            separate_tenants: false,
            accept_isolation: None,
            environments: vec!["base".to_owned()],
            drain_ms: 5_000,
        }
    }
}

impl Config {
    /// The name as a token of a subject.
    pub(crate) fn id(&self) -> String {
        let name = self
            .id
            .clone()
            .or_else(|| nix::unistd::gethostname().ok()?.into_string().ok())
            .unwrap_or_else(|| "executor".to_owned());
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect()
    }

    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes.unwrap_or_else(|| machine_memory().map_or(WAITING_BYTES, |bytes| bytes / 8))
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.unwrap_or_else(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let by_memory =
                machine_memory().map_or(usize::MAX, |bytes| usize::try_from(bytes / MEMORY_PER_SLOT).unwrap_or(usize::MAX));
            (SLOTS_PER_CORE * cores).min(by_memory).max(1)
        })
    }
}

/// Where the machine does not tell its memory.
const WAITING_BYTES: u64 = 256 << 20;

/// `MemTotal` of /proc/meminfo, in bytes.
fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
