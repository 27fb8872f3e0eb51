//! What a program can see and reach: nothing of the host, of the runner, of another run.

use crate::fixture::{fixture, spec};

#[tokio::test]
async fn nothing_of_the_host_is_visible() {
    let Some(fixture) = fixture("isolation::nothing_of_the_host").await else { return };
    let code = "import os\nprint(sorted(os.listdir('/')))\nprint(os.listdir('/run'), os.listdir('/workspace'), os.listdir('/tmp'))\nprint(sorted(p for p in os.listdir('/proc') if p.isdigit() and p != str(os.getpid())))\nprint(os.uname().nodename, os.path.exists('/root'), os.path.exists('/home'), os.path.exists('/sys'))";
    let outcome = fixture.python(code).await.succeeded();
    let text = outcome.stdout();
    let lines: Vec<_> = text.lines().collect();
    assert!(!lines[0].contains("root") && !lines[0].contains("home"), "{text}");
    assert_eq!(lines[1..], ["[] ['main.py'] []", "[]", "sandbox False False False"]);
    fixture.close().await;
}

#[tokio::test]
async fn there_is_no_network_and_only_local_sockets() {
    let Some(fixture) = fixture("isolation::no_network").await else { return };
    let code = "import socket\nfor family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, 38, 40):\n    try:\n        socket.socket(family, socket.SOCK_RAW if family in (16, 17) else socket.SOCK_STREAM)\n        print('ESCAPED', family)\n    except OSError as e: print(e.errno)\na, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))";
    let outcome = fixture.python(code).await.succeeded();
    assert_eq!(outcome.stdout(), "1\n1\n1\n1\n1\n1\nb'x'\n");
    fixture.close().await;
}

#[tokio::test]
async fn no_descriptor_is_inherited_but_the_four() {
    let Some(fixture) = fixture("isolation::descriptors").await else { return };
    let code = "import os\nfor fd in range(256):\n    try: print(fd, os.readlink('/proc/self/fd/%d' % fd).split(':')[0])\n    except OSError: pass";
    assert_eq!(fixture.python(code).await.succeeded().stdout(), "0 pipe\n1 pipe\n2 pipe\n3 pipe\n");
    fixture.close().await;
}

#[tokio::test]
async fn refused_calls_are_refused_whatever_their_number() {
    let Some(fixture) = fixture("isolation::refused_calls").await else { return };
    let code = r"
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    ctypes.set_errno(0)
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in args]), ctypes.get_errno()
assert platform.machine() == 'x86_64'
refused = {'unshare': 272, 'mount': 165, 'ptrace': 101, 'bpf': 321, 'io_uring_setup': 425, 'keyctl': 250, 'perf_event_open': 298,
  'userfaultfd': 323, 'setns': 308, 'seccomp': 317, 'open_tree': 428, 'chroot': 161, 'shmget': 29, 'mq_open': 240}
for name, number in refused.items():
    assert call(number, 0, 0, 0, 0, 0) == (-1, errno.EPERM), name
assert call(435, 0, 0) == (-1, errno.ENOSYS), 'clone3'
assert call(56, 0x10000000 | 17, 0, 0, 0, 0) == (-1, errno.EPERM), 'clone with a user namespace'
for number in (9999, 470, 0x40000000, 0x40000000 | 39, 0x40000000 | 101):
    assert call(number, 0, 0, 0, 0, 0) == (-1, errno.ENOSYS), number
assert call(16, 0, 0x5412, 0) == (-1, errno.ENOTTY), 'TIOCSTI'
print('refused')
";
    if cfg!(target_arch = "x86_64") {
        assert_eq!(fixture.python(code).await.succeeded().stdout(), "refused\n");
    }
    fixture.close().await;
}

#[tokio::test]
async fn landlock_holds_beside_the_read_only_root() {
    let Some(fixture) = fixture("isolation::landlock").await else { return };
    let code = "import os\nfor path in ('/proc/self/oom_score_adj', '/proc/self/comm', '/dev/shm/../x', '/etc/x', '/usr/x'):\n    try:\n        open(path, 'w').write('0'); print('ESCAPED', path)\n    except OSError: pass\nfor place in ('/workspace', '/tmp', '/dev/shm'): open(place + '/x', 'w').write('x')\nopen('/dev/null', 'w').write('x')\nos.rename('/workspace/x', '/workspace/y')\nos.mkdir('/workspace/d'); os.rename('/workspace/y', '/workspace/d/y')\nprint('ok')";
    assert_eq!(fixture.python(code).await.succeeded().stdout(), "ok\n");
    fixture.close().await;
}

#[tokio::test]
async fn a_run_finds_nothing_of_the_one_before() {
    let Some(fixture) = fixture("isolation::nothing_of_the_one_before").await else { return };
    let code = "import os\nfor place in ('/workspace', '/tmp', '/dev/shm'):\n    for name in os.listdir(place): print(place, name)\n    open(place + '/mark', 'w').close()";
    for _ in 0..6 {
        assert_eq!(fixture.python(code).await.succeeded().stdout(), "/workspace main.py\n");
    }
    fixture.close().await;
}

#[tokio::test]
async fn programs_of_several_processes_and_threads_work() {
    let Some(fixture) = fixture("isolation::several_processes").await else { return };
    let code = "import multiprocessing as m, concurrent.futures as f, subprocess, tempfile, asyncio\ndef double(x): return 2 * x\nif __name__ == '__main__':\n    print(m.get_context('fork').Pool(2).map(double, [1, 2]))\n    print(list(f.ThreadPoolExecutor(4).map(double, range(4))))\n    print(subprocess.run('echo $((1 + 1)) | cat', shell=True, capture_output=True, text=True).stdout)\n    print(tempfile.NamedTemporaryFile().name.startswith('/tmp'))\n    asyncio.run(asyncio.sleep(0))";
    let outcome = fixture.run(spec(code)).await.succeeded();
    assert_eq!(outcome.stdout(), "[2, 4]\n[0, 2, 4, 6]\n2\n\nTrue\n");
    fixture.close().await;
}
