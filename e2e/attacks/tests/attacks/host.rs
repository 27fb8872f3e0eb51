//! What can be seen of the runs from the host: processes, control groups, disks, memory, ports, files.
//!
//! A run's sandbox is known by its memory limit, which no other run of the drill has. One that waits for the next run
//! may have the same, and is known by its process 1: that has no program yet, and nothing outlives a process 1.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kiln_drill::{Check, Ended, Finding, Outside, Program};
use kiln_test_support::{Installation, children, descendants};

/// Host ids of sandboxes begin here and take two a sandbox; what a run could leave on the host would belong to one.
const FIRST_ID: u32 = 1_879_048_192;
const LAST_ID: u32 = FIRST_ID + 100_000;
/// Looks, ten milliseconds apart, after which a process is no passing one.
const STRAY_LOOKS: u32 = 50;
/// How soon the group of a run that has ended is gone.
const GROUP_GONE_WITHIN: Duration = Duration::from_secs(2);
const WORKSPACE_GONE_WITHIN: Duration = Duration::from_secs(10);
/// The corpus's bound for the executor's growth by one run.
const FLAT_BYTES: u64 = 32 << 20;
/// Caches and logs may grow by so much meanwhile.
const DISK_SLACK_BYTES: u64 = 16 << 20;
const ENTRIES_SLACK: usize = 8;
/// Where a process with the run of the host could leave a file.
const SHARED_PLACES: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];

/// The host of an installation.
pub struct Host {
    pid: u32,
    data: PathBuf,
    /// The memory limits of the runs that asked for a look.
    watched: Mutex<BTreeSet<u64>>,
}

/// What was there before a run.
pub struct Before {
    supervisors: BTreeSet<(u32, String)>,
    memory: u64,
    disk: u64,
    entries: usize,
    ports: Option<PortWatch>,
}

impl Host {
    pub fn of(kiln: &Installation) -> Self {
        let host = Self { pid: kiln.pid(), data: kiln.data(), watched: Mutex::default() };
        assert!(!host.bases().is_empty(), "there are no control groups to look at: these checks need root");
        host
    }

    /// Sandboxes of runs that have ended long ago, and processes outside of every sandbox's group.
    pub async fn left_after_two_seconds(&self) -> Vec<String> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let watched = self.watched.lock().unwrap().clone();
        let groups = watched.iter().flat_map(|limit| self.groups(*limit)).map(|group| group.display().to_string());
        groups.chain(self.strays().await).collect()
    }

    /// The directories that hold the sandboxes' groups, the memory tree's first.
    fn bases(&self) -> Vec<PathBuf> {
        let list = fs::read_to_string(self.data.join("executor/sandboxes/sandbox/cgroups")).unwrap_or_default();
        list.lines().map(PathBuf::from).filter(|base| base.is_dir()).collect()
    }

    /// The groups of the run with this memory limit, in every tree.
    fn groups(&self, memory_bytes: u64) -> Vec<PathBuf> {
        let limit = |group: &Path| {
            let file = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
            file("memory.limit_in_bytes").or_else(|| file("memory.max"))
        };
        let bases = self.bases();
        let named = bases.iter().flat_map(|base| subdirectories(base)).filter(|group| limit(group) == Some(memory_bytes));
        let names: Vec<_> = named.filter_map(|group| group.file_name().map(ToOwned::to_owned)).collect();
        let everywhere = names.iter().flat_map(|name| bases.iter().map(move |base| base.join(name)));
        everywhere.filter(|group| group.is_dir() && !waits(group)).collect()
    }

    /// Processes of this Kiln in a process namespace of their own that stay in no sandbox's group: one that is being made
    /// is there for a moment.
    async fn strays(&self) -> Vec<String> {
        let mut strays = self.outside_of_groups();
        for _ in 0..STRAY_LOOKS {
            if strays.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            let now = self.outside_of_groups();
            strays.retain(|process| now.contains(process));
        }
        strays.into_iter().map(|(pid, _)| format!("process {pid} is in no sandbox's group")).collect()
    }

    fn outside_of_groups(&self) -> BTreeSet<(u32, String)> {
        let own = namespace(self.pid);
        let bases: Vec<_> =
            self.bases().iter().filter_map(|base| base.file_name().map(|n| n.to_string_lossy().into_owned())).collect();
        let sandboxed = |pid: &u32| namespace(*pid).is_some_and(|namespace| Some(namespace) != own);
        let in_group = |pid: &u32| {
            let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            // A process that has just ended has no table any more.
            table.is_empty() || bases.iter().any(|base| table.contains(&format!("{base}/s")))
        };
        let stray = descendants(self.pid).into_iter().filter(|pid| sandboxed(pid) && !in_group(pid));
        stray.filter_map(|pid| Some((pid, started(pid)?))).collect()
    }

    async fn survivors(&self, memory_bytes: u64) -> Finding {
        let groups = self.groups(memory_bytes);
        // The runner itself is Kiln's; it has a moment to end, with its group.
        let programs = groups.iter().flat_map(|group| members(group)).filter(|pid| !is_first(*pid));
        let living: BTreeSet<u32> = programs.filter(|pid| lives(*pid)).collect();
        let strays = self.strays().await;
        Finding::of(living.is_empty() && strays.is_empty(), || format!("{living:?} live on; {strays:?}"))
    }

    async fn until(&self, within: Duration, what: &str, holds: impl Fn() -> bool) -> Finding {
        let begun = Instant::now();
        while !holds() {
            if begun.elapsed() > within {
                return Finding::Fault(format!("{what} after {within:?}"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Finding::Fine
    }

    /// Kiln's own processes on this host, each with the time of its start; not the servers, and not what the spawner has
    /// just forked to become a sandbox.
    fn supervisors(&self) -> BTreeSet<(u32, String)> {
        let own = namespace(self.pid);
        let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
        let all = children(self.pid).into_iter().chain([self.pid]);
        let ours = all.filter(|pid| namespace(*pid) == own && name(*pid) == "kiln");
        ours.filter_map(|pid| Some((pid, started(pid)?))).collect()
    }

    fn memory(&self) -> u64 {
        let status = |pid: u32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let resident = |pid: u32| {
            let text = status(pid);
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.supervisors().into_iter().filter_map(|(pid, _)| resident(pid)).sum::<u64>() * 1024
    }

    /// Disks of sandboxes that are attached.
    fn disks(&self) -> usize {
        let files =
            fs::read_dir("/sys/block").into_iter().flatten().flatten().map(|entry| entry.path().join("loop/backing_file"));
        let data = self.data.to_string_lossy().into_owned();
        files.filter(|file| fs::read_to_string(file).is_ok_and(|text| text.starts_with(&data))).count()
    }

    fn sandboxes(&self) -> usize {
        self.bases().first().map_or(0, |base| subdirectories(base).count())
    }
}

impl Outside for Host {
    type Before = Before;

    async fn before(&self, program: &Program) -> Before {
        let (disk, entries) = usage(&self.data.join("executor"));
        let ports = program.after.contains(&Check::HostPortsUnaffected).then(|| PortWatch::start(self.pid));
        Before { supervisors: self.supervisors(), memory: self.memory(), disk, entries, ports }
    }

    async fn after(&self, before: Before, program: &Program, _: &Ended, memory_bytes: u64) -> Vec<(Check, Finding)> {
        self.watched.lock().unwrap().insert(memory_bytes);
        let executor = self.data.join("executor");
        let mut ports = before.ports;
        let mut findings = Vec::new();
        for check in &program.after {
            let finding = match check {
                Check::NoSurvivors => self.survivors(memory_bytes).await,
                Check::CgroupGone => {
                    self.until(GROUP_GONE_WITHIN, "its group is there", || self.groups(memory_bytes).is_empty()).await
                }
                Check::SupervisorAlive => {
                    let now = self.supervisors();
                    Finding::of(now.is_superset(&before.supervisors), || format!("of {:?} there is {now:?}", before.supervisors))
                }
                Check::WorkspaceRemoved => {
                    self.until(WORKSPACE_GONE_WITHIN, "more disks than sandboxes", || self.disks() <= self.sandboxes()).await
                }
                Check::DiskFreed => {
                    let most = before.disk + DISK_SLACK_BYTES;
                    self.until(WORKSPACE_GONE_WITHIN, "the disk is not freed", || usage(&executor).0 <= most).await
                }
                Check::HostInodesRestored => {
                    let most = before.entries + ENTRIES_SLACK;
                    self.until(WORKSPACE_GONE_WITHIN, "files are left", || usage(&executor).1 <= most).await
                }
                Check::HostMemoryFlat => {
                    let grown = self.memory().saturating_sub(before.memory);
                    Finding::of(grown < FLAT_BYTES, || format!("Kiln's processes grew by {} KiB", grown / 1024))
                }
                Check::HostSysvipcUnchanged => sysvipc(),
                Check::HostPortsUnaffected => match ports.take() {
                    Some(watch) => watch.stop(),
                    None => continue,
                },
                Check::NoFileOutsideWorkspace => left_files(|_, metadata| is_sandboxes(metadata.uid()), &[]),
                Check::NoMarkerFile => left_files(
                    |path, _| path.file_name().is_some_and(|name| name == "PICKLE_EXECUTED"),
                    &[&self.data, Path::new(".")],
                ),
                _ => continue,
            };
            findings.push((check.clone(), finding));
        }
        findings
    }
}

fn is_sandboxes(id: u32) -> bool {
    (FIRST_ID..LAST_ID).contains(&id)
}

fn subdirectories(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_dir())
}

fn namespace(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

fn members(group: &Path) -> Vec<u32> {
    let list = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    list.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Whether it is the group of a sandbox that has not been given a program.
fn waits(group: &Path) -> bool {
    let first = members(group).into_iter().find(|pid| is_first(*pid));
    first.is_some_and(|pid| status(pid, "Name:").as_deref() == Some("kiln-runner"))
}

/// Whether it is process 1 of a process namespace.
fn is_first(pid: u32) -> bool {
    status(pid, "NSpid:").as_deref() == Some("1")
}

/// The last word of a line of `/proc/<pid>/status`.
fn status(pid: u32, name: &str) -> Option<String> {
    let table = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    table.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().last().map(str::to_owned))
}

/// Whether it runs: a dead process that nobody has waited for does not.
fn lives(pid: u32) -> bool {
    kiln_test_support::live(&[pid]) == [pid]
}

/// The 22nd field of `/proc/<pid>/stat`: with it a process id means one process only.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// Bytes and entries below a directory.
fn usage(directory: &Path) -> (u64, usize) {
    let mut sum = (0, 0);
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        sum.0 += metadata.blocks() * 512;
        sum.1 += 1;
        if metadata.is_dir() {
            let (bytes, entries) = usage(&entry.path());
            sum = (sum.0 + bytes, sum.1 + entries);
        }
    }
    sum
}

/// No object of the host's own System V tables belongs to a sandbox.
fn sysvipc() -> Finding {
    let table = |name: &str| fs::read_to_string(format!("/proc/sysvipc/{name}")).unwrap_or_default();
    let owned = |line: &str| line.split_whitespace().filter_map(|field| field.parse().ok()).any(is_sandboxes);
    let rows: Vec<_> = ["shm", "sem", "msg"]
        .into_iter()
        .flat_map(|name| table(name).lines().skip(1).filter(|line| owned(line)).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    Finding::of(rows.is_empty(), || format!("there is {rows:?}"))
}

/// Files in the shared places of the host that must not be there.
fn left_files(wrong: impl Fn(&Path, &fs::Metadata) -> bool, also: &[&Path]) -> Finding {
    let mut waiting: Vec<(PathBuf, usize)> = SHARED_PLACES.iter().map(|place| (PathBuf::from(place), 0)).collect();
    waiting.extend(also.iter().map(|place| (place.to_path_buf(), 0)));
    let mut found = Vec::new();
    while let Some((directory, depth)) = waiting.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if wrong(&entry.path(), &metadata) {
                found.push(entry.path());
            }
            if metadata.is_dir() && depth < 3 {
                waiting.push((entry.path(), depth + 1));
            }
        }
    }
    Finding::of(found.is_empty(), || format!("there is {found:?}"))
}

/// Looks at the host's listening sockets for as long as a program runs.
struct PortWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
    server: Vec<(u32, String)>,
    pid: u32,
}

impl PortWatch {
    fn start(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::Relaxed) {
                seen.extend(foreign_listeners());
                std::thread::sleep(Duration::from_millis(20));
            }
            seen
        });
        Self { stop, thread, server: servers(pid), pid }
    }

    fn stop(self) -> Finding {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join().unwrap();
        let now = servers(self.pid);
        Finding::of(seen.is_empty() && now == self.server, || {
            format!("sandboxes listened on the host: {seen:?}; the servers were {:?} and are {now:?}", self.server)
        })
    }
}

/// NATS and Postgres of this Kiln.
fn servers(pid: u32) -> Vec<(u32, String)> {
    let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let mut servers: Vec<_> = descendants(pid).into_iter().filter(|pid| name(*pid).trim() == "nats-server").collect();
    servers.sort_unstable();
    servers.into_iter().filter_map(|pid| Some((pid, started(pid)?))).collect()
}

/// Listening sockets of the host's network that belong to a sandbox: state 0A, user id in the eighth field.
fn foreign_listeners() -> Vec<String> {
    let table = |name: &str| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let foreign = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.get(3) == Some(&"0A") && fields.get(7).and_then(|id| id.parse().ok()).is_some_and(is_sandboxes)
    };
    let rows = |name: &str| table(name).lines().skip(1).filter(foreign).map(str::to_owned).collect::<Vec<_>>();
    [rows("tcp"), rows("tcp6")].concat()
}
