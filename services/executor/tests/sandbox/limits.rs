//! Each limit holds, has its own reason, and keeps what was printed before.

use std::time::{Duration, Instant};

use kiln_domain::{Limits, ReasonCode, Status};

use crate::fixture::{fixture, spec};

const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn a_time_out_comes_at_its_limit_and_keeps_earlier_output() {
    let Some(fixture) = fixture("limits::time_out").await else { return };
    let loops = ["while True: pass", "import time; time.sleep(100)", "pow(7, 10**9)", "import os\nos.close(1)\nwhile True: pass"];
    for code in loops {
        let mut spec = spec(&format!("print('before')\n{code}"));
        spec.limits.timeout_ms = 2000;
        let start = Instant::now();
        let outcome = fixture.run(spec).await;
        assert!(start.elapsed() < Duration::from_millis(2900), "{:?} for {code}", start.elapsed());
        assert_eq!(outcome.verdict(), (Status::TimedOut, Some(ReasonCode::WallTime)), "{code}");
        assert_eq!((outcome.ended().exit_code, outcome.ended().signal.as_deref()), (None, Some("SIGKILL")));
        assert!((2000..=2300).contains(&outcome.ended().usage.wall_ms), "{:?}", outcome.ended().usage);
        assert_eq!(outcome.stdout(), "before\n");
    }
    fixture.close().await;
}

#[tokio::test]
async fn memory_over_the_limit_is_out_of_memory_with_its_peak() {
    let Some(fixture) = fixture("limits::memory").await else { return };
    let outcome = fixture.python("print('before')\nb = bytearray(600 << 20)\nprint('after')").await;
    assert_eq!(outcome.verdict(), (Status::OutOfMemory, Some(ReasonCode::Memory)));
    assert_eq!((outcome.ended().exit_code, outcome.ended().signal.as_deref()), (None, Some("SIGKILL")));
    assert_eq!(outcome.stdout(), "before\n");
    assert!((250 * MIB..=256 * MIB).contains(&outcome.ended().usage.memory_peak_bytes), "{:?}", outcome.ended().usage);
    fixture.close().await;
}

#[tokio::test]
async fn files_in_memory_count_as_memory() {
    let Some(fixture) = fixture("limits::files_in_memory").await else { return };
    let code = "for place in ('/tmp', '/dev/shm'):\n    with open(place + '/f', 'wb') as f:\n        for _ in range(30): f.write(b'x' * (1 << 20))";
    let mut spec = spec(code);
    spec.limits.memory_bytes = 48 * MIB;
    assert_eq!(fixture.run(spec).await.verdict().0, Status::OutOfMemory);
    let bounded = fixture.python("open('/dev/shm/f', 'wb').write(b'x' * (33 << 20))").await;
    assert_eq!(bounded.verdict(), (Status::Failed, Some(ReasonCode::ExitCode)));
    assert!(bounded.stderr().contains("No space left"));
    fixture.close().await;
}

#[tokio::test]
async fn a_child_killed_for_memory_is_a_warning_when_the_program_succeeds() {
    let Some(fixture) = fixture("limits::child_killed_for_memory").await else { return };
    let code = "import os, sys\npid = os.fork()\nif pid == 0:\n    b = bytearray(600 << 20)\n    os._exit(0)\nprint(os.waitpid(pid, 0)[1])\nsys.exit(int(sys.argv[1]))";
    let mut good = spec(code);
    good.args = vec!["0".to_owned()];
    let outcome = fixture.run(good).await.succeeded();
    assert_eq!(outcome.stdout(), "9\n");
    assert_eq!(outcome.ended().warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), [ReasonCode::Memory]);
    let mut bad = spec(code);
    bad.args = vec!["3".to_owned()];
    assert_eq!(fixture.run(bad).await.verdict(), (Status::OutOfMemory, Some(ReasonCode::Memory)));
    fixture.close().await;
}

#[tokio::test]
async fn a_fork_bomb_is_bounded_and_named() {
    let Some(fixture) = fixture("limits::fork_bomb").await else { return };
    let bomb = "import os, time\nwhile True:\n    if os.fork() == 0: time.sleep(100)";
    let start = Instant::now();
    let outcome = fixture.python(bomb).await;
    assert_eq!(outcome.verdict(), (Status::Failed, Some(ReasonCode::Pids)), "{}", outcome.stderr());
    assert!(start.elapsed() < Duration::from_secs(10));
    let mut spec = spec("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass");
    spec.limits.timeout_ms = 1000;
    assert_eq!(fixture.run(spec).await.verdict(), (Status::TimedOut, Some(ReasonCode::WallTime)));
    fixture.python("print(1)").await.succeeded();
    fixture.close().await;
}

#[tokio::test]
async fn a_full_disk_has_its_own_reason() {
    let Some(fixture) = fixture("limits::full_disk").await else { return };
    let code = "with open('big', 'wb') as f:\n    while True: f.write(b'x' * (1 << 20))";
    for disk_bytes in [MIB, 16 * MIB] {
        let mut spec = spec(code);
        spec.limits.disk_bytes = disk_bytes;
        let outcome = fixture.run(spec).await;
        assert_eq!(outcome.verdict(), (Status::Failed, Some(ReasonCode::Disk)), "{}", outcome.stderr());
        assert!(outcome.stderr().contains("No space left"), "{}", outcome.stderr());
    }
    let files = "i = 0\nwhile True:\n    open(str(i), 'w').close()\n    i += 1";
    assert_eq!(fixture.python(files).await.verdict(), (Status::Failed, Some(ReasonCode::Disk)));
    let fits = "open('fits', 'wb').write(b'x' * (15 << 20)); print(1)";
    let mut spec = spec(fits);
    spec.limits = Limits { disk_bytes: 16 * MIB, ..spec.limits };
    fixture.run(spec).await.succeeded();
    fixture.close().await;
}

#[tokio::test]
async fn the_cpu_share_holds_for_the_whole_tree() {
    let Some(fixture) = fixture("limits::cpu_share").await else { return };
    let mut spec = spec("import os\nfor _ in range(3): os.fork()\nwhile True: pass");
    spec.limits = Limits { timeout_ms: 2000, cpu_millis: 250, ..spec.limits };
    let outcome = fixture.run(spec).await;
    assert_eq!(outcome.verdict().0, Status::TimedOut);
    assert!(outcome.ended().usage.cpu_ms <= 700, "{:?}", outcome.ended().usage);
    fixture.close().await;
}

#[tokio::test]
async fn the_places_in_memory_are_bounded_in_size_and_number() {
    let Some(fixture) = fixture("limits::places_in_memory").await else { return };
    for (place, size) in [("/tmp", 64), ("/dev/shm", 32)] {
        let code = format!(
            "import os\nf = open('{place}/big', 'wb')\nn = 0\ntry:\n    while True: n += f.write(b'x' * (1 << 20))\nexcept OSError as e: print(n >> 20, e.errno)\nf.close(); os.unlink('{place}/big')\nn = 0\ntry:\n    while True:\n        open(f'{place}/{{n}}', 'w').close(); n += 1\nexcept OSError as e: print(9000 < n < 10000, e.errno)"
        );
        assert_eq!(fixture.python(&code).await.succeeded().stdout(), format!("{size} 28\nTrue 28\n"), "{place}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_single_file_open_files_and_waiting_signals_are_bounded() {
    let Some(fixture) = fixture("limits::files_and_signals").await else { return };
    let code = "import os, resource\ntry: open('f', 'wb').truncate((16 << 20) + (64 << 20) + 1)\nexcept OSError as e: print(e.errno)\nn = []\ntry:\n    while True: n.append(os.dup(0))\nexcept OSError as e: print(len(n), e.errno)\nprint([resource.getrlimit(w) for w in (resource.RLIMIT_NOFILE, resource.RLIMIT_SIGPENDING, resource.RLIMIT_CORE)])";
    let mut spec = spec(code);
    spec.limits.disk_bytes = 16 * MIB;
    let outcome = fixture.run(spec).await.succeeded();
    assert_eq!(outcome.stdout(), "27\n252\n24\n[(256, 256), (256, 256), (1, 1)]\n".replace("252\n", "252 "));
    fixture.close().await;
}

#[tokio::test]
async fn the_wait_for_the_cpu_and_the_most_processes_are_told() {
    let Some(fixture) = fixture("limits::told").await else { return };
    let code = "import os, time\nfor _ in range(5):\n    if os.fork() == 0:\n        time.sleep(0.3)\n        os._exit(0)\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass";
    let mut spec = spec(code);
    spec.limits.cpu_millis = 200;
    let usage = fixture.run(spec).await.succeeded().ended().usage;
    assert_eq!(usage.pids_peak, Some(6), "{usage:?}");
    assert!(usage.throttled_ms.is_some_and(|waited| (100..2000).contains(&waited)), "{usage:?}");
    fixture.close().await;
}
