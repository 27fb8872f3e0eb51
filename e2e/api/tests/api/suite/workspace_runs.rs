//! Runs on a workspace: what they leave stays, what is there cannot hurt the next, the quota holds

use kiln_test_support::assert_like;
use serde_json::{Value, json};

use super::workspace_files::Files;
use super::{SOON, visit};

const MIB: usize = 1 << 20;

impl Files<'_> {
    async fn run(&self, code: &str) -> Value {
        self.tenant.run_with(json!({"code": code, "workspace_id": self.id()})).await
    }
}

/// The files that a run lists.
pub fn names(run: &Value) -> Vec<String> {
    run["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn files_live_on_from_run_to_run() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("in.txt", "given").await.expect(201);
    let run = files.run("import os\nprint(os.getcwd(), open('in.txt').read())\nopen('out.txt', 'w').write('left')").await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "/workspace given\n", "workspace_id": files.id()}));
    assert_eq!(names(&run), ["out.txt"]);
    assert_eq!(files.get("out.txt").await.expect(200).text(), "left");
    let again = files.run("open('out.txt', 'a').write('!')\nprint(sorted(__import__('os').listdir('.')))").await;
    assert_like(&again, json!({"status": "succeeded", "stdout": "['in.txt', 'main.py', 'out.txt']\n"}));
    assert_eq!(names(&again), ["out.txt"]);
    assert_eq!(files.get("out.txt").await.expect(200).text(), "left!");
    let paths: Vec<_> = files.list("").await.into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["in.txt", "out.txt"], "a run leaves no program behind");
    assert!(files.used().await > 0);
    let listed = tenant.get("/workspaces").await.expect(200).json();
    assert_eq!(listed["data"][0]["used_bytes"].as_u64(), Some(files.used().await));
}

#[tokio::test]
async fn files_of_the_request_are_put_there_in_place_of_others() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("data", "old").await.expect(201);
    let body = json!({"code": "print(open('data').read(), open('d/x').read())", "workspace_id": files.id(),
        "files": [{"path": "data", "content": "bmV3"}, {"path": "d/x", "content": "eA=="}]});
    let run = tenant.run_with(body).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "new x\n", "files": []}));
    assert_eq!(files.get("data").await.expect(200).text(), "new");
}

#[tokio::test]
async fn a_program_of_the_workspaces_own_is_not_touched() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("main.py", "print('the workspace\\'s own')").await.expect(201);
    let run = files.run("print('this run', __file__)\nraise ValueError").await;
    assert_like(&run, json!({"status": "failed", "stdout": "this run /workspace/main.py\n"}));
    assert!(run["stderr"].as_str().unwrap().contains("/workspace/main.py\", line 2"), "{run}");
    assert_eq!(files.get("main.py").await.expect(200).text(), "print('the workspace\\'s own')");
}

#[tokio::test]
async fn modules_beside_the_program_are_found_and_those_that_pose_as_others_win_only_there() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("mine.py", "answer = 42").await.expect(201);
    assert_like(&files.run("import mine\nprint(mine.answer)").await, json!({"stdout": "42\n"}));
    for name in ["sitecustomize.py", "usercustomize.py", "evil.pth", "encodings.py", "os.py", "matplotlibrc"] {
        files.put(name, "import sys; print('poison'); sys.exit(3)").await.expect(201);
    }
    let run = files.run("print('clean')").await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "clean\n", "stderr": ""}));
    files.put("json.py", "loads = 'shadowed'").await.expect(201);
    assert_like(&files.run("import json\nprint(json.loads)").await, json!({"stdout": "shadowed\n"}));
}

#[tokio::test]
async fn two_runs_share_it_at_once_with_a_client() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    let code = "import os, time
name = 'from-%d' % os.getpid()
print('up', flush=True)
until = time.time() + 15
while not os.path.exists('go') and time.time() < until: time.sleep(0.01)
open(input(), 'w').write('x')
";
    let mut runs = Vec::new();
    for name in ["one", "two"] {
        runs.push(tenant.submit(json!({"code": code, "stdin": name, "workspace_id": files.id()})).await);
    }
    for run in &runs {
        tenant.printed(run, SOON).await;
    }
    files.put("go", "").await.expect(201);
    for run in &runs {
        assert_eq!(tenant.ended(run, SOON).await["status"], "succeeded");
    }
    let paths: Vec<_> = files.list("").await.into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["go", "one", "two"]);
}

#[tokio::test]
async fn a_full_quota_is_an_error_in_the_program_and_hurts_nothing() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_new(&tenant, json!({"name": "full", "quota_bytes": 8 * MIB})).await;
    files.put("kept", vec![1; MIB]).await.expect(201);
    let code = "import errno
try:
    with open('big', 'wb', buffering=0) as f:
        while True: f.write(b'x' * 65536)
except OSError as e:
    import os
    print(errno.errorcode[e.errno], os.path.getsize('big') > 6_000_000)
";
    let run = files.run(code).await;
    assert_like(&run, json!({"status": "succeeded"}));
    assert!(["ENOSPC True\n", "EDQUOT True\n"].contains(&run["stdout"].as_str().unwrap()), "{run}");
    files.put("more", vec![2; MIB]).await.problem(507);
    tenant.post(&files.path, &json!({"path": "d", "kind": "directory"})).await;
    assert_eq!(files.get("kept").await.expect(200).body, vec![1; MIB]);
    let failed = files.run("open('more', 'wb').write(b'x' * 3_000_000)").await;
    assert_like(&failed, json!({"status": "failed", "reason": {"code": "disk"}}));
    tenant.delete(&files.at("big")).await.expect(204);
    files.put("more", vec![2; MIB]).await.expect(200);
}

#[tokio::test]
async fn the_limit_of_a_file_holds_for_programs_too() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_new(&tenant, json!({"name": "small files", "max_file_bytes": MIB})).await;
    let code = "import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try: open('f', 'wb').write(b'x' * (1 << 21))
except OSError as e: print(e.strerror)
";
    assert_like(&files.run(code).await, json!({"stdout": "File too large\n"}));
}

#[tokio::test]
async fn what_a_program_makes_of_names_and_kinds_harms_neither_client_nor_next_run() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    let code = r"
import os
os.symlink('/etc/passwd', 'out')
os.symlink('/proc/self/root', 'root')
os.symlink('..', 'up')
os.symlink('loop', 'loop')
os.symlink('target', 'dangling')
os.mkfifo('pipe')
os.makedirs('deep')
for n in range(300):
    os.mkdir('d'); os.chdir('d')
os.chdir('/workspace')
open(b'not\xffutf8', 'w').write('x')
open('x' * 255, 'w').write('x')
open('hard', 'w').write('linked'); os.link('hard', 'hard2')
with open('sparse', 'wb') as f: f.truncate(1 << 29)
open('suid', 'w').write('#!/bin/sh'); os.chmod('suid', 0o6777)
os.mkdir('closed'); open('closed/in', 'w').write('x'); os.chmod('closed', 0)
open('mute', 'w').write('x'); os.chmod('mute', 0)
try: os.mknod('null', 0o20666, os.makedev(1, 3)); print('a device')
except OSError: pass
try: os.rename('main.py', 'mine'); print('moved')
except OSError: pass
try: os.remove('main.py'); print('removed')
except OSError: pass
";
    let run = files.run(code).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": ""}));
    let listed = files.list("?limit=200").await;
    let kind = |name: &str| listed.iter().find(|(path, _)| path == name).map(|(_, kind)| kind.clone());
    for name in ["out", "root", "up", "loop", "dangling"] {
        assert_eq!(kind(name).as_deref(), Some("symlink"), "{name}");
        files.get(name).await.problem(404);
    }
    assert_eq!(kind("pipe").as_deref(), Some("other"));
    assert_eq!(kind("not\\xFFutf8").as_deref(), Some("file"));
    assert_eq!(kind("main.py"), None);
    for name in ["pipe", "out/passwd", "root/etc/passwd", "up/etc/passwd", "loop/x"] {
        files.get(name).await.problem(404);
    }
    tenant.get(&files.path).query("path", "root").await.problem(404);
    files.put("root/tmp/escaped", "x").await.problem(409);
    files.put("dangling", "now a file").await.expect(200);
    assert_eq!(files.get("dangling").await.expect(200).text(), "now a file");
    files.get("target").await.problem(404);
    assert_eq!(files.get("mute").await.expect(200).text(), "x");
    assert_eq!(files.list("?path=closed").await.len(), 1);
    assert_eq!(files.get("hard2").await.expect(200).text(), "linked");
    assert!(files.used().await < 64 << 20, "a sparse file takes what it has");
    assert!(files.list("?recursive=true&limit=200").await.len() > 100);

    let next = files.run("import os\nprint(os.stat('suid').st_mode & 0o7777 >= 0, os.path.islink('out'))").await;
    assert_like(&next, json!({"status": "succeeded", "stdout": "True True\n"}));
    for name in ["d", "closed", "deep"] {
        tenant.delete(&files.at(&format!("{name}?recursive=true"))).await.expect(204);
    }
    for name in ["out", "root", "up", "loop", "pipe", "sparse", "suid", "mute"] {
        tenant.delete(&files.at(name)).await.expect(204);
    }
}

#[tokio::test]
async fn a_directory_or_a_link_in_the_programs_place_is_told() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("main.py/x", "a directory").await.expect(201);
    let run = files.run("print(1)").await;
    assert_eq!(run["status"], "failed", "{run}");
    assert!(run["reason"]["message"].as_str().unwrap().contains("main.py"), "{run}");
}

#[tokio::test]
async fn no_more_files_than_there_may_be() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_new(&tenant, json!({"name": "many", "quota_bytes": 16 * MIB})).await;
    let code = "import os
os.mkdir('d')
try:
    for n in range(100_000): open(f'd/{n}', 'x').close()
except OSError as e: print(e.strerror, n < 2000)
";
    let run = files.run(code).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "No space left on device True\n"}));
    tenant.delete(&files.at("d?recursive=true")).await.expect(204);
    files.put("x", "x").await.expect(201);
}

#[tokio::test]
async fn a_directory_goes_although_a_program_goes_on_in_it() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("busy/one", "x").await.expect(201);
    let code = "import os\nos.makedirs('busy/in/deep', exist_ok=True)\nif os.fork() == 0: os.chdir('busy/in')\nelse: os.chdir('busy')\nn = 0\nprint('begins')\nwhile True:\n    n += 1\n    try:\n        open(str(n), 'w').close()\n        os.mkdir('d' + str(n))\n    except OSError: pass";
    let body = json!({"code": code, "workspace_id": files.id(), "limits": {"timeout_ms": 20_000}});
    let id = tenant.submit(body).await;
    tenant.printed(&id, SOON).await;
    let began = std::time::Instant::now();
    tenant.delete(&files.at("busy?recursive=true")).await.expect(204);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(files.list("").await.is_empty());
    tenant.cancel(&id).await.expect(202);
}
