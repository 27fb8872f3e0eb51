//! After runs, a close, a killed executor: no process, group, mount, device, directory or descriptor.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use kiln_executor::sandbox::Sandboxes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::fixture::{DEADLINE, config, finish, fixture, spec};

/// What an engine has on the host: groups below its data directory's name, loop devices on its images.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    groups: usize,
    disks: usize,
    mounts: usize,
    descriptors: usize,
}

fn held(data_dir: &Path) -> Held {
    let bases = std::fs::read_to_string(data_dir.join("sandbox/cgroups")).unwrap_or_default();
    let count = |base: &str| std::fs::read_dir(base).map_or(0, |entries| entries.flatten().filter(|e| e.path().is_dir()).count());
    let loops =
        std::fs::read_dir("/sys/block").into_iter().flatten().flatten().map(|entry| entry.path().join("loop/backing_file"));
    let of_ours = |path: PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(&*data_dir.to_string_lossy()));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    Held {
        groups: bases.lines().map(count).max().unwrap_or(0),
        disks: loops.filter(|path| of_ours(path.clone())).count(),
        mounts: mounts.lines().filter(|line| line.contains(&*data_dir.to_string_lossy())).count(),
        descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_thousand_runs_in_a_row_leave_nothing() {
    let Some(fixture) = fixture("nothing_left::a_thousand_runs").await else { return };
    let code = "import os\nif os.fork() == 0:\n    import time; time.sleep(100)\nopen('f', 'w').write('x' * 100000)\nprint(1)";
    for _ in 0..10 {
        fixture.python(code).await.succeeded();
    }
    let settled = |held: &Held| held.groups == held.disks && held.disks <= 2;
    until("the pool settles", || settled(&held(&fixture.data_dir))).await;
    let before = held(&fixture.data_dir).descriptors;
    for _ in 0..1000 {
        let outcome = fixture.python(code).await.succeeded();
        assert_eq!(outcome.stdout(), "1\n");
    }
    until("no group, disk or descriptor is left", || {
        let held = held(&fixture.data_dir);
        settled(&held) && held.mounts == 0 && held.descriptors <= before + 2
    })
    .await;
    let data_dir = fixture.data_dir.clone();
    fixture.close().await;
    assert_eq!(held(&data_dir).disks, 0);
}

/// The processes of an engine's sandboxes.
fn processes(data_dir: &Path) -> Vec<Pid> {
    let bases = std::fs::read_to_string(data_dir.join("sandbox/cgroups")).unwrap();
    let groups = bases.lines().filter_map(|base| std::fs::read_dir(base).ok()).flatten().flatten();
    let texts = groups.filter_map(|group| std::fs::read_to_string(group.path().join("cgroup.procs")).ok());
    let mut processes: Vec<i32> =
        texts.flat_map(|text| text.lines().map(|line| line.parse().unwrap()).collect::<Vec<_>>()).collect();
    processes.sort_unstable();
    processes.dedup();
    processes.into_iter().map(Pid::from_raw).collect()
}

#[tokio::test]
async fn a_sandbox_that_died_while_it_waited_costs_no_run() {
    let Some(fixture) = fixture("nothing_left::died_waiting").await else { return };
    for _ in 0..3 {
        until("a sandbox waits", || !processes(&fixture.data_dir).is_empty()).await;
        until("all that wait are dead", || {
            let alive = processes(&fixture.data_dir);
            for process in &alive {
                // One that has just ended is dead as well.
                let _ = kill(*process, Signal::SIGKILL);
            }
            alive.is_empty()
        })
        .await;
        // Cold, if one was killed while it was made.
        assert_eq!(finish(fixture.start(spec("print(1)")).await).await.succeeded().stdout(), "1\n");
    }
    fixture.close().await;
}

#[tokio::test]
async fn who_makes_disks_may_die() {
    let Some(fixture) = fixture("nothing_left::makers_die").await else { return };
    let makers = || {
        let is_maker =
            |process: &i32| std::fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name == "kiln-disks\n");
        children(spawner_of(&fixture.data_dir)).into_iter().filter(is_maker).collect::<Vec<_>>()
    };
    until("two make disks", || makers().len() == 2).await;
    for how_many in [1, 2] {
        let dead: Vec<_> = makers().into_iter().take(how_many).collect();
        for maker in &dead {
            kill(Pid::from_raw(*maker), Signal::SIGKILL).unwrap();
        }
        // More than wait: their disks are made by who took the places.
        for _ in 0..6 {
            finish(fixture.start(spec("open('f', 'w').write('x'); print(1)")).await).await.succeeded();
        }
        until("others took their places", || makers().iter().filter(|maker| !dead.contains(maker)).count() == 2).await;
    }
    fixture.close().await;
}

#[tokio::test]
async fn closing_removes_what_runs() {
    let Some(fixture) = fixture("nothing_left::closing").await else { return };
    let run = fixture.start(spec("import time; time.sleep(100)")).await;
    let start = Instant::now();
    fixture.sandboxes.close().await;
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(finish(run).await.verdict().0, kiln_domain::Status::Lost);
    let bases = std::fs::read_to_string(fixture.data_dir.join("sandbox/cgroups")).unwrap();
    assert!(bases.lines().all(|base| !Path::new(base).exists()), "{bases}");
    until("every disk is gone", || held(&fixture.data_dir).disks == 0).await;
    std::fs::remove_dir_all(&fixture.data_dir).unwrap();
}

#[tokio::test]
async fn dropping_a_run_kills_it() {
    let Some(fixture) = fixture("nothing_left::dropping").await else { return };
    let run = fixture.start(spec("import time; time.sleep(100)")).await;
    drop(run);
    let settled = |held: &Held| held.groups == held.disks && held.disks <= 2;
    until("the dropped run is gone", || settled(&held(&fixture.data_dir))).await;
    fixture.close().await;
}

/// The test's own program again, as an executor that is killed: see [`an_executor_that_is_killed_leaves_nothing`].
#[tokio::test]
async fn an_executor_to_be_killed() {
    let Ok(data_dir) = std::env::var("KILN_TEST_DATA_DIR").map(PathBuf::from) else { return };
    let runtime = crate::fixture::python(&data_dir).await;
    let sandboxes = Sandboxes::open(config(data_dir)).await.unwrap();
    sandboxes.prepare(&runtime).await;
    let run = sandboxes.start(spec("import time; time.sleep(1000)"), &runtime).await.unwrap();
    println!("\nRUNNING");
    finish(run).await;
}

#[tokio::test]
async fn an_executor_that_is_killed_leaves_nothing() {
    let Some(fixture) = fixture("nothing_left::killed_executor").await else { return };
    fixture.sandboxes.close().await;
    let data_dir = fixture.data_dir.join("killed");
    for everything in [false, true] {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "nothing_left::an_executor_to_be_killed", "--nocapture"])
            .env("KILN_TEST_DATA_DIR", &data_dir)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while lines.next_line().await.unwrap().expect("the child says that it runs") != "RUNNING" {}
        assert!(held(&data_dir).disks > 0);
        let spawner = everything.then(|| children(child.id().unwrap()));
        child.start_kill().unwrap();
        for process in spawner.into_iter().flatten() {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        child.wait().await.unwrap();
        until("the sandboxes die with their executor", || held(&data_dir).disks == 0).await;
        let next = Sandboxes::open(config(data_dir.clone())).await.unwrap();
        until("the next start has swept", || held(&data_dir).groups == held(&data_dir).disks).await;
        next.close().await;
        assert_eq!((held(&data_dir).groups, held(&data_dir).disks), (0, 0));
    }
    std::fs::remove_dir_all(&fixture.data_dir).unwrap();
}

#[tokio::test]
async fn a_runner_that_hangs_is_killed_from_outside() {
    let Some(fixture) = fixture("nothing_left::hanging_runner").await else { return };
    let mut spec = spec("import time; time.sleep(100)");
    spec.limits.timeout_ms = 1000;
    let run = fixture.start(spec).await;
    // Every runner is stopped, the waiting ones too: the next run must not be lost with them.
    let spawner = spawner_of(&fixture.data_dir);
    for runner in children(spawner) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(runner), nix::sys::signal::Signal::SIGSTOP).unwrap();
    }
    let start = Instant::now();
    let outcome = finish(run).await;
    assert_eq!(outcome.verdict().0, kiln_domain::Status::TimedOut);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    fixture.close().await;
}

#[tokio::test]
async fn a_spawner_that_dies_ends_its_runs_as_lost() {
    let Some(fixture) = fixture("nothing_left::dead_spawner").await else { return };
    let run = fixture.start(spec("import time; time.sleep(100)")).await;
    let spawner = i32::try_from(spawner_of(&fixture.data_dir)).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(spawner), nix::sys::signal::Signal::SIGKILL).unwrap();
    let outcome = finish(run).await;
    assert_eq!(outcome.verdict(), (kiln_domain::Status::Lost, Some(kiln_domain::ReasonCode::ExecutorLost)));
    tokio::time::timeout(DEADLINE, fixture.sandboxes.ended()).await.unwrap();
    let refused = fixture.sandboxes.start(spec("print(1)"), &fixture.runtime).await.unwrap_err();
    // One that had waited died with its spawner; another cannot be made.
    use kiln_executor::sandbox::SandboxError::{Runner, Unavailable};
    assert!(matches!(refused, Unavailable(_) | Runner(_)), "{refused:?}");
    let next = Sandboxes::open(config(fixture.data_dir.clone())).await.unwrap();
    next.close().await;
    fixture.close().await;
}

/// This process's child that holds the lock of the data directory.
fn spawner_of(data_dir: &Path) -> u32 {
    let lock = data_dir.join("sandbox/lock");
    let holds = |process: &i32| {
        let open = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|target| target == lock)
    };
    children(std::process::id()).into_iter().find(holds).unwrap().try_into().unwrap()
}

fn children(process: u32) -> Vec<i32> {
    let text = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let lists = text.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}
