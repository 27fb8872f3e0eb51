//! Many runs in a row from three tenants: all end, and nothing is left

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use kiln_test_support::{Installation, Marker, Tenant, Visit, assert_like, cgroups_of, descendants, eventually};
use serde_json::json;

use crate::MODE;

const RUNS: usize = 101;
const AT_ONCE: usize = 6;
/// Few, so that the stock of sandboxes that wait for the next runs is soon as large as it becomes.
const SLOTS: (&str, &str) = ("KILN_EXECUTOR__SLOTS", "2");

/// What an installation has in use; none of it may grow with the number of runs.
#[derive(Debug, PartialEq, Eq)]
struct InUse {
    processes: usize,
    cgroups: usize,
    mounts: usize,
    entries: usize,
    descriptors: usize,
}

impl InUse {
    fn of(kiln: &Installation) -> Self {
        let own = services(kiln.pid());
        let data = kiln.data();
        let mounts = own.iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok());
        Self {
            processes: own.len(),
            cgroups: cgroups(&own),
            mounts: mounts.map(|table| table.lines().count()).sum(),
            entries: entries(&data),
            descriptors: fs::read_dir(format!("/proc/{}/fd", kiln.pid())).map_or(0, Iterator::count),
        }
    }

    /// Whether there is no more than there was; pools and connections may differ by a few.
    fn is_within(&self, before: &Self) -> bool {
        self.processes <= before.processes + 4
            && self.cgroups <= before.cgroups + 4
            && self.mounts <= before.mounts + 200
            && self.entries <= before.entries + 8
            && self.descriptors <= before.descriptors + 24
    }
}

/// Kiln's own processes, with the sandboxes but without the servers.
fn services(pid: u32) -> Vec<u32> {
    let name = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let server = |pid: &u32| ["postgres", "nats-server"].contains(&name(pid).trim());
    let mut own: Vec<_> = descendants(pid).into_iter().filter(|pid| !server(pid)).collect();
    own.push(pid);
    own
}

/// Directories beside those in which these processes are: a run's cgroup that was left has no process any more.
fn cgroups(pids: &[u32]) -> usize {
    let mut parents: Vec<_> = cgroups_of(pids).iter().filter_map(|group| group.parent().map(Path::to_owned)).collect();
    parents.sort();
    parents.dedup();
    let directories = |parent: &Path| fs::read_dir(parent).into_iter().flatten().flatten().filter(|e| e.path().is_dir()).count();
    parents.iter().filter(|parent| parent.to_string_lossy().contains("kiln")).map(|parent| directories(parent)).sum()
}

/// Files and directories of the installation, but for those of the two servers, which keep the data.
fn entries(directory: &Path) -> usize {
    let server = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        ["postgres", "pg", "nats", "jetstream"].iter().any(|server| name.contains(server))
    };
    let inside = fs::read_dir(directory).into_iter().flatten().flatten();
    inside
        .map(|entry| entry.path())
        .filter(|path| !server(path))
        .map(|path| if path.is_dir() && !path.is_symlink() { 1 + entries(&path) } else { 1 })
        .sum()
}

async fn runs(tenants: &[Tenant], marker: &Marker, count: usize) {
    let one = async |n: usize| {
        let code = format!("import os\nopen('left', 'w').write('x')\nif os.fork() == 0: os.setsid()\nprint({n})");
        let run = tenants[n % tenants.len()].run_with(json!({"code": marker.mark(&code)})).await;
        assert_like(&run, json!({"status": "succeeded", "exit_code": 0, "files": [{"path": "left"}]}));
        assert!(run["stdout"].as_str().unwrap().starts_with(&n.to_string()), "{run}");
    };
    futures::stream::iter(0..count).map(one).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn a_hundred_and_one_leave_nothing() {
    let _alone = Visit::alone(MODE).await;
    let mut kiln = Installation::with_settings(&[SLOTS]);
    kiln.up();
    let mut tenants = Vec::new();
    for _ in 0..3 {
        tenants.push(kiln.sign_up().await);
    }
    let marker = Marker::default();
    runs(&tenants, &marker, 2 * AT_ONCE).await;
    let settled = async || {
        let first = InUse::of(&kiln);
        tokio::time::sleep(Duration::from_millis(200)).await;
        (InUse::of(&kiln) == first).then_some(first)
    };
    let before = eventually(Duration::from_secs(20), "the stock has been made", settled).await;

    runs(&tenants, &marker, RUNS).await;

    eventually(Duration::from_secs(5), "no process is left", async || marker.processes().is_empty().then_some(())).await;
    let mut last = InUse::of(&kiln);
    for _ in 0..250 {
        if last.is_within(&before) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        last = InUse::of(&kiln);
    }
    assert!(last.is_within(&before), "before {before:?}, after {RUNS} runs {last:?}");
    for tenant in &tenants {
        let used = tenant.get("/tenant/quota").await.expect(200).json()["used"].clone();
        assert_like(&used, json!({"max_concurrent": 0, "max_queued": 0}));
    }
}
