//! How runs end: status, reason, exit code and signal of each kind of end

use std::time::Duration;

use kiln_test_support::{Marker, assert_like, eventually};
use serde_json::{Value, json};

use super::{visit, visit_alone};

#[tokio::test]
async fn exits() {
    let (_kiln, tenant) = visit().await;
    let failed = |code: i32| json!({"status": "failed", "exit_code": code, "signal": null, "reason": {"code": "exit_code", "message": "<string>"}});
    for (code, expected) in [
        ("raise SystemExit(3)", failed(3)),
        ("import os\nos._exit(256 + 7)", failed(7)),
        ("raise SystemExit(124)", failed(124)),
        ("raise SystemExit(137)", failed(137)),
        ("raise SystemExit(0)", json!({"status": "succeeded", "exit_code": 0, "reason": null, "signal": null})),
        ("import os\nos._exit(0)", json!({"status": "succeeded", "exit_code": 0, "reason": null})),
        ("print('Killed: out of memory, timed out')\nraise SystemExit(1)", failed(1)),
    ] {
        assert_like(&tenant.run(code).await, expected);
    }
}

#[tokio::test]
async fn an_exception_shows_an_ordinary_traceback() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("def f():\n    return 1 / 0\nprint('before')\nf()\n").await;
    assert_like(&run, json!({"status": "failed", "exit_code": 1, "reason": {"code": "exit_code"}, "stdout": "before\n"}));
    let stderr = run["stderr"].as_str().unwrap();
    assert!(stderr.starts_with("Traceback (most recent call last):\n"), "{stderr}");
    assert!(stderr.ends_with("ZeroDivisionError: division by zero\n"), "{stderr}");
    assert_eq!(stderr.matches("  File \"").count(), 2, "only the program's own frames: {stderr}");
}

#[tokio::test]
async fn signals() {
    let (_kiln, tenant) = visit().await;
    let kill = |name: &str| format!("import os, signal\nprint('before', flush=True)\nos.kill(os.getpid(), signal.{name})");
    for (code, signal) in [
        (kill("SIGKILL"), "SIGKILL"),
        (kill("SIGTERM"), "SIGTERM"),
        ("print('before', flush=True)\nimport os\nos.abort()".to_owned(), "SIGABRT"),
        ("print('before', flush=True)\nimport ctypes\nctypes.string_at(1)".to_owned(), "SIGSEGV"),
    ] {
        let expected =
            json!({"status": "failed", "exit_code": null, "signal": signal, "reason": {"code": "signal"}, "stdout": "before\n"});
        assert_like(&tenant.run(&code).await, expected);
    }
}

#[tokio::test]
async fn the_time_limit_is_kept_to_and_what_was_printed_too() {
    let (_kiln, tenant) = visit_alone().await;
    let code = "import time\nprint('kept', flush=True)\nprint('also kept', end='')\ntime.sleep(60)";
    let run = tenant.run_with(json!({"code": code, "limits": {"timeout_ms": 2_000}})).await;
    assert_like(
        &run,
        json!({
            "status": "timed_out", "reason": {"code": "wall_time", "message": "<string>"}, "exit_code": null, "signal": "SIGKILL",
            "stdout": "kept\nalso kept",
        }),
    );
    let wall_ms = run["usage"]["wall_ms"].as_u64().unwrap();
    assert!((2_000..=2_300).contains(&wall_ms), "{wall_ms}");
}

#[tokio::test]
async fn a_busy_loop_that_ignores_signals_is_timed_out_too() {
    let (_kiln, tenant) = visit().await;
    let code = "import signal\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\nwhile True: pass";
    let run = tenant.run_with(json!({"code": code, "limits": {"timeout_ms": 1_000}})).await;
    assert_like(&run, json!({"status": "timed_out", "exit_code": null, "signal": "SIGKILL"}));
    assert!(run["usage"]["cpu_ms"].as_u64().unwrap() > 300, "{run}");
}

#[tokio::test]
async fn cpu_time_beyond_the_share_counts_as_timed_out() {
    let (_kiln, tenant) = visit_alone().await;
    // Two busy processes under half a core cannot use more CPU than the share: the end is by the clock or by CPU time.
    let code = "import os\nos.fork()\nwhile True: pass";
    let run = tenant.run_with(json!({"code": code, "limits": {"timeout_ms": 1_500, "cpu_millis": 500}})).await;
    assert_like(&run, json!({"status": "timed_out", "exit_code": null}));
    let reason = run["reason"]["code"].as_str().unwrap();
    assert!(["wall_time", "cpu_time"].contains(&reason), "{run}");
    let cpu_ms = run["usage"]["cpu_ms"].as_u64().unwrap();
    assert!((300..1_300).contains(&cpu_ms), "half a core for 1.5 s, but {cpu_ms} ms of CPU");
}

#[tokio::test]
async fn too_much_memory() {
    let (_kiln, tenant) = visit().await;
    let code = "print('before', flush=True)\nx = bytearray(600 * 1024 * 1024)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint('after')";
    let run = tenant.run_with(json!({"code": code, "limits": {"memory_bytes": 268_435_456}})).await;
    assert_like(
        &run,
        json!({"status": "out_of_memory", "reason": {"code": "memory"}, "exit_code": null, "signal": "SIGKILL", "stdout": "before\n"}),
    );
    let peak = run["usage"]["memory_peak_bytes"].as_u64().unwrap();
    assert!((200 * 1024 * 1024..=268_435_456).contains(&peak), "{peak}");
}

#[tokio::test]
async fn memory_of_a_child_counts() {
    let (_kiln, tenant) = visit().await;
    let child = "
import os, sys
if os.fork() == 0:
    x = bytearray(600 * 1024 * 1024)
    for i in range(0, len(x), 4096): x[i] = 1
    os._exit(0)
_, status = os.wait()
print(os.WIFSIGNALED(status))
";
    let fails = tenant.run(&format!("{child}\nsys.exit(5)")).await;
    assert_like(&fails, json!({"status": "out_of_memory", "reason": {"code": "memory"}, "stdout": "True\n"}));
    let survives = tenant.run(child).await;
    assert_like(&survives, json!({"status": "succeeded", "reason": null, "exit_code": 0, "stdout": "True\n"}));
    let warnings: Vec<_> = survives["warnings"].as_array().unwrap().iter().map(|warning| &warning["code"]).collect();
    assert_eq!(warnings, ["memory"]);
}

#[tokio::test]
async fn temporary_files_in_memory_count_as_memory() {
    let (_kiln, tenant) = visit().await;
    let code = "
import itertools
kept = bytearray(40 * 1024 * 1024)
for i in range(0, len(kept), 4096): kept[i] = 1
with open('/dev/shm/x', 'wb') as f:
    for _ in range(31): f.write(b'x' * 1024 * 1024); f.flush()
";
    let run = tenant.run_with(json!({"code": code, "limits": {"memory_bytes": 67_108_864}})).await;
    assert_like(&run, json!({"status": "out_of_memory", "reason": {"code": "memory"}}));
}

#[tokio::test]
async fn too_many_processes() {
    let (_kiln, tenant) = visit().await;
    let code = "import os, time\nfor n in range(100):\n    if os.fork() == 0: time.sleep(60)\n";
    let run = tenant.run_with(json!({"code": code, "limits": {"pids": 16}})).await;
    assert_like(&run, json!({"status": "failed", "exit_code": 1, "reason": {"code": "pids"}}));
    assert!(run["stderr"].as_str().unwrap().contains("BlockingIOError"), "{run}");
    let caught = "
import os, time
try:
    for n in range(100):
        if os.fork() == 0: time.sleep(60)
except BlockingIOError:
    print('full')
";
    let run = tenant.run_with(json!({"code": caught, "limits": {"pids": 16}})).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "full\n"}));
    // A failure for another reason is not blamed on the limit.
    let run = tenant.run_with(json!({"code": "raise SystemExit(1)", "limits": {"pids": 16}})).await;
    assert_like(&run, json!({"status": "failed", "reason": {"code": "exit_code"}}));
}

#[tokio::test]
async fn a_full_disk() {
    let (_kiln, tenant) = visit().await;
    let code = "f = open('big', 'wb')\nfor n in range(64):\n    f.write(b'x' * 1024 * 1024)\n    f.flush()\n";
    let limits = json!({"disk_bytes": 8 * 1024 * 1024});
    let run = tenant.run_with(json!({"code": code, "limits": limits})).await;
    assert_like(&run, json!({"status": "failed", "exit_code": 1, "reason": {"code": "disk"}}));
    let stderr = run["stderr"].as_str().unwrap();
    assert!(stderr.contains("OSError: [Errno"), "{stderr}");
    let fits = tenant.run_with(json!({"code": "open('ok', 'wb').write(b'x' * 6 * 1024 * 1024)", "limits": limits})).await;
    assert_like(&fits, json!({"status": "succeeded"}));
}

#[tokio::test]
async fn what_the_main_program_leaves_running_is_killed_at_once() {
    let (_kiln, tenant) = visit().await;
    let marker = Marker::default();
    let code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\nprint('done')";
    let begun = std::time::Instant::now();
    let run = tenant.run_with(json!({"code": marker.mark(code)})).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "done\n"}));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    eventually(Duration::from_secs(1), "nobody is left", async || marker.processes().is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_terminal_status_never_changes() {
    let (_kiln, tenant) = visit().await;
    let codes = ["print(1)", "raise SystemExit(1)", "import os\nos.kill(os.getpid(), 9)"];
    let mut runs: Vec<Value> = Vec::new();
    for code in codes {
        runs.push(tenant.run(code).await);
    }
    for run in &runs {
        let id = run["id"].as_str().unwrap();
        tenant.cancel(id).await.problem(409);
        assert_eq!(tenant.execution(id).await, *run);
    }
}
