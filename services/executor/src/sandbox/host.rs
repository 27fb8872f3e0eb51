//! What this host can isolate with: the tier, each control, and how to mend what is missing.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cgroup::{self, Version};
use super::wire::Omitted;

/// How strongly runs are isolated on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// `root-cgroup-v1`, `root-cgroup-v2`, or a weaker one: `root-memory-disk`, `rootless-rlimits`.
    pub tier: String,
    pub controls: Vec<Control>,
}

/// One control and whether the host has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    pub name: String,
    pub present: bool,
    /// One line that mends its absence.
    pub mend: Option<String>,
}

/// The tiers, strongest first. A weaker one runs only when the operator names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Root, control groups, disks of their own.
    Root(Version),
    /// As above, but the working directory is in memory and counts as the run's memory.
    RootMemoryDisk(Version),
    /// An ordinary user: user namespaces and rlimits.
    Rootless,
}

impl Tier {
    pub fn name(self) -> &'static str {
        match self {
            Self::Root(Version::V1) => "root-cgroup-v1",
            Self::Root(Version::V2) => "root-cgroup-v2",
            Self::RootMemoryDisk(_) => "root-memory-disk",
            Self::Rootless => "rootless-rlimits",
        }
    }

    /// Whether the operator must have named it.
    pub fn is_weak(self) -> bool {
        !matches!(self, Self::Root(_))
    }

    pub fn has_groups(self) -> bool {
        !matches!(self, Self::Rootless)
    }

    pub fn has_disks(self) -> bool {
        matches!(self, Self::Root(_))
    }
}

/// Looks at the host without changing anything. The start of the engine tries each control for real.
pub fn inspect_host() -> Isolation {
    let (tier, controls) = look();
    Isolation { tier: tier.name().to_owned(), controls }
}

/// The tier that this host allows, and the state of each control.
pub fn look() -> (Tier, Vec<Control>) {
    let root = nix::unistd::geteuid().is_root();
    let groups = cgroup::inspect();
    let disks = has_loop_disks();
    let groups_version = groups.as_ref().ok().copied();
    let tier = match (root, &groups, &disks) {
        (true, Ok(version), Ok(_)) => Tier::Root(*version),
        (true, Ok(version), Err(_)) => Tier::RootMemoryDisk(*version),
        (true, Err(_), _) | (false, ..) => Tier::Rootless,
    };
    let control =
        |name: &str, missing: Option<String>| Control { name: name.to_owned(), present: missing.is_none(), mend: missing };
    let controls = vec![
        control("root", (!root).then(|| "run Kiln as root, or accept the tier rootless-rlimits by name".to_owned())),
        // An ordinary user uses neither, whatever the host has.
        control("cgroup", missing_groups(groups.err(), root)),
        control(
            "disk",
            disks.err().or((!root).then_some("run Kiln as root: a disk of its own is mounted for each run")).map(str::to_owned),
        ),
        control("no swap", missing_swap_limit(groups_version)),
        control("namespaces", missing_namespaces()),
        control("mounts", missing_mounts()),
        control("seccomp", missing_seccomp()),
        control("landlock", missing_landlock()),
    ];
    (tier, controls)
}

/// Where the program is that makes file systems.
pub fn has_loop_disks() -> Result<PathBuf, &'static str> {
    if !Path::new("/dev/loop-control").exists() {
        return Err("load the loop module (modprobe loop), or give the container /dev/loop-control");
    }
    if !std::fs::read_to_string("/proc/filesystems").is_ok_and(|text| text.lines().any(|line| line.trim() == "ext4")) {
        return Err("load the ext4 module (modprobe ext4)");
    }
    ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
        .ok_or("install e2fsprogs (apt-get install e2fsprogs)")
}

fn missing_groups(missing: Option<super::Failure>, root: bool) -> Option<String> {
    match missing {
        Some(failure) => Some(format!("mount cgroup v2 with memory, pids and cpu ({})", failure.detail)),
        None => (!root).then(|| "run Kiln as root: it limits memory, processes and CPU by control groups".to_owned()),
    }
}

/// Memory that is swapped out would not count.
fn missing_swap_limit(version: Option<Version>) -> Option<String> {
    // The first line is the heading.
    let has_swap = std::fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1);
    let is_counted = version.is_some_and(cgroup::counts_swap);
    (has_swap && !is_counted).then(|| "swapoff -a, or start the kernel with swapaccount=1".to_owned())
}

/// Whether the kernel changes mounts with all that is below them, and shows them with other owners.
#[expect(unsafe_code, reason = "asking for a system call by making it wrongly has no safe wrapper")]
fn missing_mounts() -> Option<String> {
    // SAFETY: a null structure of no size, which the kernel refuses before it looks at anything else.
    let answered = unsafe { libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, std::ptr::null::<u8>(), 0_usize) };
    let absent = answered < 0 && nix::errno::Errno::last() == nix::errno::Errno::ENOSYS;
    absent.then(|| "use a kernel of 5.12 or newer (mount_setattr)".to_owned())
}

fn missing_namespaces() -> Option<String> {
    let kinds = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];
    let missing: Vec<_> = kinds.into_iter().filter(|kind| !Path::new("/proc/self/ns").join(kind).exists()).collect();
    if !missing.is_empty() {
        return Some(format!("use a kernel with these namespaces: {}", missing.join(", ")));
    }
    let count = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").ok()?;
    (count.trim() == "0").then(|| "sysctl -w user.max_user_namespaces=10000".to_owned())
}

fn missing_seccomp() -> Option<String> {
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    (!actions.contains("errno")).then(|| "use a kernel with CONFIG_SECCOMP_FILTER".to_owned())
}

fn missing_landlock() -> Option<String> {
    (landlock_version() < 1).then(|| "use a kernel of 5.13 or newer with lsm=landlock".to_owned())
}

/// The kernel's landlock interface, 0 when it has none.
#[expect(unsafe_code, reason = "asking landlock for its version has no safe wrapper")]
pub fn landlock_version() -> i64 {
    const VERSION_FLAG: u32 = 1;
    // SAFETY: with this flag the call takes no pointer and answers with a number.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION_FLAG) };
    version.max(0)
}

impl Isolation {
    /// Treats a control of the program itself as if the host had none; the others are the spawner's.
    pub(super) fn leave_out(&mut self, omitted: Omitted) {
        let name = match omitted {
            Omitted::Seccomp => "seccomp",
            Omitted::Landlock => "landlock",
            Omitted::OwnUser => "root",
            Omitted::OwnNetwork | Omitted::HiddenProcesses => return,
        };
        for control in self.controls.iter_mut().filter(|control| control.name == name) {
            control.present = false;
        }
    }

    /// Whether the named control is there.
    pub fn has(&self, name: &str) -> bool {
        self.controls.iter().any(|control| control.name == name && control.present)
    }
}
