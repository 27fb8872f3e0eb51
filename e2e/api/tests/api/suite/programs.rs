//! Real programs, and hostile ones that must hurt nobody else

use std::time::{Duration, Instant};

use kiln_e2e_api::{VERSION_SAMPLE, VERSION_SAMPLE_PRINTS};
use kiln_test_support::{Event, Marker, Tenant, assert_like, eventually};
use serde_json::{Value, json};

use super::runtimes::pythons;
use super::{SOON, visit, visit_alone};

#[tokio::test]
async fn the_version_sample_runs_from_3_10_on() {
    let (_kiln, tenant) = visit().await;
    for minor in pythons(&tenant).await {
        let run = tenant.run_with(json!({"code": VERSION_SAMPLE, "runtime": format!("python3.{minor}")})).await;
        if minor >= 10 {
            assert_like(&run, json!({"status": "succeeded", "stdout": VERSION_SAMPLE_PRINTS, "stderr": ""}));
        } else {
            assert_like(&run, json!({"status": "failed", "exit_code": 1, "reason": {"code": "exit_code"}, "stdout": ""}));
            assert!(run["stderr"].as_str().unwrap().contains("SyntaxError: invalid syntax"), "{run}");
        }
    }
}

#[tokio::test]
async fn text_is_byte_exact() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("print('héllo 世界')").await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "héllo 世界\n", "stderr": ""}));
    let raw = tenant.get(&format!("/executions/{}/stdout", run["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(raw.body, "héllo 世界\n".as_bytes());
}

#[tokio::test]
async fn twenty_thousand_lines_arrive_whole() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": "for n in range(20000): print('line', n)"})).await;
    let events = tenant.events(&id).await.rest(SOON).await;
    let expected = (0..20_000).fold(String::new(), |text, n| text + &format!("line {n}\n"));
    let live: String = events.iter().filter(|event| event.kind == "stdout").map(Event::text).collect();
    assert!(live == expected, "live: {} of {} bytes", live.len(), expected.len());
    let run = tenant.execution(&id).await;
    assert!(run["stdout"] == expected, "stored: {} of {} bytes", run["stdout"].as_str().unwrap().len(), expected.len());
    assert_like(&run, json!({"status": "succeeded", "stdout_truncated": false}));
}

#[tokio::test]
async fn a_run_finds_the_surroundings_it_was_promised() {
    let (_kiln, tenant) = visit().await;
    let code = "
import os, signal, sys, json
print(json.dumps({
    'env': sorted(os.environ), 'pid1': os.getpid() == 1, 'uid0': os.getuid() == 0, 'name': __name__,
    'cwd_writable': os.access('.', os.W_OK), 'sigpipe': str(signal.getsignal(signal.SIGPIPE)), 'tmp': os.access('/tmp', os.W_OK),
    'kiln': [name for name in os.environ if 'KILN' in name or 'TOKEN' in name or 'SECRET' in name],
    'blocked': sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), 'fds': len(os.listdir('/proc/self/fd')),
}))
";
    let run = tenant.run(code).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let seen: Value = serde_json::from_str(run["stdout"].as_str().unwrap()).unwrap();
    assert_like(
        &seen,
        json!({"pid1": false, "uid0": false, "name": "__main__", "cwd_writable": true, "tmp": true, "kiln": [], "blocked": []}),
    );
    assert!(seen["fds"].as_u64().unwrap() <= 6, "{seen}");
}

#[tokio::test]
async fn a_run_has_no_network() {
    let (kiln, tenant) = visit().await;
    let port = kiln.addresses().auth.rsplit(':').next().unwrap().to_owned();
    let code = "
import socket, sys
for family, address in ((socket.AF_INET, ('127.0.0.1', int(sys.argv[1]))), (socket.AF_INET, ('1.1.1.1', 53)), (socket.AF_INET6, ('::1', 80))):
    try:
        socket.socket(family).connect(address)
        print('reached', address)
    except OSError:
        pass
print('done')
";
    let run = tenant.run_with(json!({"code": code, "args": [port]})).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "done\n"}));
}

#[tokio::test]
async fn two_runs_share_nothing() {
    let (_kiln, tenant) = visit().await;
    let code = "
import os, random
print(os.path.exists('/tmp/left'), os.path.exists('left'), os.path.exists('/dev/shm/left'), random.random())
for path in ('/tmp/left', 'left', '/dev/shm/left'): open(path, 'w').write('x')
";
    let (first, second) = (tenant.run(code).await, tenant.run(code).await);
    for run in [&first, &second] {
        assert!(run["stdout"].as_str().unwrap().starts_with("False False False "), "{run}");
    }
    assert_ne!(first["stdout"], second["stdout"]);
}

/// Runs small programs of another tenant until the hostile run has ended; the longest time that one took.
async fn bystander(tenant: &Tenant, hostile: impl Future<Output = Value>) -> (Value, Duration) {
    let mut hostile = std::pin::pin!(hostile);
    let mut longest = Duration::ZERO;
    loop {
        let begun = Instant::now();
        let small = async {
            let run = tenant.run("print(sum(range(1000)))").await;
            assert_like(&run, json!({"status": "succeeded", "stdout": "499500\n"}));
        };
        tokio::select! {
            ended = &mut hostile => return (ended, longest),
            () = small => longest = longest.max(begun.elapsed()),
        }
    }
}

#[tokio::test]
async fn a_fork_bomb_hurts_nobody_else() {
    let (kiln, tenant) = visit_alone().await;
    let other = kiln.sign_up().await;
    let marker = Marker::default();
    let code = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n";
    let bomb = tenant.run_with(json!({"code": marker.mark(code), "limits": {"timeout_ms": 3_000}}));
    let (run, longest) = bystander(&other, bomb).await;
    assert_like(&run, json!({"status": "timed_out", "exit_code": null}));
    assert!(run["usage"]["wall_ms"].as_u64().unwrap() <= 3_300, "{run}");
    assert!(longest > Duration::ZERO && longest < Duration::from_secs(2), "a bystander waited {longest:?}");
    eventually(Duration::from_secs(1), "the bomb is gone", async || marker.processes().is_empty().then_some(())).await;
}

#[tokio::test]
async fn an_output_flood_hurts_nobody_else() {
    let (kiln, tenant) = visit_alone().await;
    let other = kiln.sign_up().await;
    let code = "import sys\nwhile True: sys.stdout.write('x' * 65536)\n";
    let flood = tenant.run_with(json!({"code": code, "limits": {"timeout_ms": 3_000}}));
    let (run, longest) = bystander(&other, flood).await;
    assert_like(&run, json!({"status": "timed_out", "stdout_truncated": true, "stderr": ""}));
    assert_eq!(run["stdout"].as_str().unwrap().len(), 8 * 1024 * 1024);
    assert!(longest > Duration::ZERO && longest < Duration::from_secs(2), "a bystander waited {longest:?}");
}

#[tokio::test]
async fn a_full_disk_hurts_nobody_else() {
    let (kiln, tenant) = visit_alone().await;
    let other = kiln.sign_up().await;
    let code = "
import os, time
for place in ('.', '/tmp', '/dev/shm'):
    try:
        with open(place + '/fill', 'wb') as f:
            while True: f.write(b'x' * 65536); f.flush()
    except OSError as error: print(place, os.strerror(error.errno), flush=True)
time.sleep(1)
";
    let filler = tenant.run_with(json!({"code": code, "limits": {"disk_bytes": 16_777_216, "timeout_ms": 20_000}}));
    let files = "open('mine', 'wb').write(b'x' * 4 * 1024 * 1024)";
    let (run, longest) = bystander(&other, filler).await;
    let stdout = run["stdout"].as_str().unwrap();
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(stdout.lines().count(), 3, "{stdout}");
    assert!(longest > Duration::ZERO && longest < Duration::from_secs(2), "a bystander waited {longest:?}");
    assert_eq!(other.run(files).await["status"], "succeeded");
}

#[tokio::test]
async fn threads_processes_and_asyncio_work() {
    let (_kiln, tenant) = visit().await;
    let code = "
import asyncio, threading, subprocess, sys, concurrent.futures, multiprocessing, tempfile
class Point:
    def __init__(self, x): self.x = x
def double(point): return Point(point.x * 2)
if __name__ == '__main__':
    threads = [threading.Thread(target=lambda: None) for _ in range(8)]
    [t.start() for t in threads]; [t.join() for t in threads]
    with multiprocessing.Pool(2) as pool: print([p.x for p in pool.map(double, [Point(1), Point(2)])])
    print(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True).stdout.strip())
    async def main(): return await asyncio.gather(*(asyncio.sleep(0, n) for n in range(3)))
    print(asyncio.run(main()))
    with tempfile.NamedTemporaryFile() as f: print(f.write(b'abc'))
";
    let run = tenant.run(code).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "[2, 4]\n42\n[0, 1, 2]\n3\n", "stderr": ""}));
}

#[tokio::test]
async fn many_tenants_at_once_get_their_own() {
    let (kiln, tenant) = visit().await;
    let others = [kiln.sign_up().await, kiln.sign_up().await];
    let tenants = [&tenant, &others[0], &others[1]];
    let runs =
        futures::future::join_all(
            (0..30).map(|n| {
                let tenant = tenants[n % 3];
                async move {
                    (n, tenant.run(&format!("import sys\nfor _ in range(20): print({n}); print({n}, file=sys.stderr)")).await)
                }
            }),
        );
    for (n, run) in tokio::time::timeout(Duration::from_mins(1), runs).await.unwrap() {
        let own = format!("{n}\n").repeat(20);
        assert_like(&run, json!({"status": "succeeded", "stdout": own, "stderr": own}));
    }
}
