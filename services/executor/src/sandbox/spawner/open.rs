//! The spawner's start: the data directory to itself, the host's controls, what a crash left, what sandboxes are made from.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::child::working_directory;
use super::disk::Makers;
use super::root;
use super::table::Table;
use super::workspace::Workspaces;
use crate::sandbox::cgroup::{self, Groups};
use crate::sandbox::host::{self, Isolation, Tier};
use crate::sandbox::wire::{Failure, Omitted, Step};

/// How long what a crash left may take to die.
const SWEEP_DEADLINE: Duration = Duration::from_secs(10);
/// File that names the directories of groups, for the sweep after a crash.
const GROUPS_FILE: &str = "cgroups";

/// The runner's crate as a library that an interpreter loads.
const ZYGOTE_LIBRARY_NAME: &str = "libkiln_runner.so";

/// Takes the data directory, checks the host, removes leftovers, builds what sandboxes are made from.
pub fn open(
    data_dir: &Path,
    runner_path: &Path,
    accept_tier: Option<&str>,
    without: Option<Omitted>,
) -> Result<(Table, Isolation), Failure> {
    let directory = working_directory(data_dir);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).step("data directory")?;
    let directory = directory.canonicalize().step("data directory")?;
    let lock = lock(&directory)?;
    let runner = open_runner(runner_path)?;
    let (tier, controls) = host::look();
    accept(tier, accept_tier, &controls)?;

    enter_own_namespaces(tier)?;
    sweep(&directory)?;
    let groups = tier.has_groups().then(|| Groups::open(&name(&directory))).transpose()?;
    remember(&directory, groups.as_ref())?;
    // Beside the runner, of the same crate. Without it every interpreter is executed cold.
    let library = Some(runner_path.with_file_name(ZYGOTE_LIBRARY_NAME)).filter(|path| tier.has_groups() && path.exists());
    let root = root::build(&directory.join("root"), library.as_deref())?;
    let makers = tier.has_disks().then(|| Makers::start(&directory)).transpose()?;
    let workspaces = tier.has_disks().then(|| Workspaces::open(&directory)).transpose()?;
    let isolation = Isolation { tier: tier.name().to_owned(), controls };
    let table = Table::new(tier, root, runner, groups, makers, workspaces, lock);
    Ok((table.without(without), isolation))
}

/// One engine a data directory. A spawner that is still dying lets go when it is done.
fn lock(directory: &Path) -> Result<Flock<File>, Failure> {
    let file = File::options().create(true).append(true).mode(0o600).open(directory.join("lock")).step("lock")?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| Failure::new("lock", errno))
}

fn open_runner(path: &Path) -> Result<File, Failure> {
    let runner = File::open(path).step(format!("open the runner {}", path.display()))?;
    let mode = runner.metadata().step("runner")?.permissions().mode();
    if mode & 0o001 == 0 {
        return Err(Failure::new("runner", format!("chmod a+x {}: it is executed by an unprivileged user", path.display())));
    }
    Ok(runner)
}

/// Fails closed: a missing control, or a tier weaker than the best, must have been accepted by name.
fn accept(tier: Tier, accepted: Option<&str>, controls: &[host::Control]) -> Result<(), Failure> {
    let needed_always = ["namespaces", "seccomp"];
    let missing = |control: &&host::Control| !control.present;
    if let Some(control) = controls.iter().filter(missing).find(|control| needed_always.contains(&control.name.as_str())) {
        return Err(Failure::new(&control.name, control.mend.as_deref().unwrap_or("missing")));
    }
    if tier.is_weak() && accepted != Some(tier.name()) {
        let mends: Vec<_> = controls.iter().filter_map(|control| control.mend.as_deref()).collect();
        return Err(Failure::new(format!("isolation would only be {}", tier.name()), mends.join("; ")));
    }
    Ok(())
}

/// A mount namespace of its own; for an ordinary user a user namespace around it.
fn enter_own_namespaces(tier: Tier) -> Result<(), Failure> {
    if tier == Tier::Rootless {
        let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
        unshare(CloneFlags::CLONE_NEWUSER).step("user namespace")?;
        std::fs::write("/proc/self/setgroups", "deny").step("user namespace")?;
        std::fs::write("/proc/self/uid_map", format!("0 {user} 1")).step("user namespace")?;
        std::fs::write("/proc/self/gid_map", format!("0 {group} 1")).step("user namespace")?;
    }
    unshare(CloneFlags::CLONE_NEWNS).step("mount namespace")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).step("private mounts")
}

/// Kills and removes what an earlier spawner of this data directory left. Its mounts, namespaces, loop
/// devices and images went with its processes; only groups stay.
fn sweep(directory: &Path) -> Result<(), Failure> {
    let text = match std::fs::read_to_string(directory.join(GROUPS_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::new("sweep", error)),
    };
    let name = name(directory);
    let bases = text.lines().map(PathBuf::from).filter(|base| base.ends_with(&name));
    let deadline = Instant::now() + SWEEP_DEADLINE;
    for base in bases {
        while !cgroup::sweep(&base) {
            if Instant::now() > deadline {
                return Err(Failure::new("sweep", format!("{} is still in use", base.display())));
            }
            // Nothing tells when a killed process has left its group; this is a start-up loop with a deadline.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

fn remember(directory: &Path, groups: Option<&Groups>) -> Result<(), Failure> {
    let bases = groups.map(Groups::bases).unwrap_or_default();
    let lines: Vec<_> = bases.iter().map(|base| base.display().to_string()).collect();
    std::fs::write(directory.join(GROUPS_FILE), lines.join("\n")).step("remember the groups")
}

/// The name of this engine's groups: the same for the same data directory (FNV-1a, 64 bits).
fn name(directory: &Path) -> String {
    let bytes = directory.as_os_str().as_encoded_bytes();
    let hash =
        bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("kiln-{hash:016x}")
}
