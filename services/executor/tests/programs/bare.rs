//! Every plain Python prints and ends as `python main.py` does outside of a sandbox.

use std::path::{Path, PathBuf};
use std::process::Command;

use kiln_executor::runtimes::Resolved;
use kiln_executor::sandbox::RuntimeCommand;

use crate::fixture::{finish, fixture, spec};
use crate::pythons;

/// Where the sandbox keeps the program.
const WORKSPACE: &str = "/workspace";

/// Each a way in which a launcher would show.
const PROGRAMS: [(&str, &str); 22] = [
    ("hello", "print('héllo 世界')"),
    ("names", "import sys\nprint(__name__, __file__, sys.argv, sys.path[0], __builtins__, sorted(k for k in globals()))"),
    ("exit code", "import sys\nprint('a'); sys.exit(3)"),
    ("exit with text", "raise SystemExit('bye')"),
    ("builtin exit", "exit(4)"),
    ("os._exit", "import os\nos._exit(5)"),
    ("exit in a function", "import argparse\nargparse.ArgumentParser(prog='p').parse_args(['--unknown'])"),
    ("exit of nothing", "import sys\nsys.exit()"),
    ("exit at exit", "import atexit\natexit.register(print, 'one'); atexit.register(print, 'two')\nprint('zero')"),
    (
        "finalizers",
        "class A:\n    def __init__(self, name):\n        self.name = name\n    def __del__(self):\n        print('gone', self.name)\ndef f():\n    return A\na = A('held by the module')\nb = A('in a circle'); b.self = b\nprint('end')",
    ),
    ("interrupted", "raise KeyboardInterrupt"),
    ("error of its own", "import sys\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    sys.excepthook(*sys.exc_info())"),
    ("exception", "def f():\n    raise ValueError('né')\nf()"),
    ("chained", "try:\n    {}['a']\nexcept KeyError as e:\n    raise RuntimeError('b') from e"),
    ("syntax error", "print(1)\nx = = 2\n"),
    ("indentation", "if 1:\nprint(2)\n"),
    ("recursion", "import sys\nsys.setrecursionlimit(150)\ndef f(n):\n    return f(n + 1)\nf(0)"),
    (
        "in a thread",
        "import threading\ndef f():\n    raise OSError('t')\nt = threading.Thread(target=f, name='one')\nt.start(); t.join()",
    ),
    ("unraisable", "class A:\n    def __del__(self):\n        raise TypeError('d')\nA()\nprint('after')"),
    (
        "own classes",
        "import pickle, inspect\nclass A:\n    x = 1\nprint(pickle.loads(pickle.dumps(A())).x, inspect.getsource(A), A)",
    ),
    (
        "processes",
        "import multiprocessing as m\ndef f(x):\n    return x * x\nif __name__ == '__main__':\n    p = m.get_context('fork').Process(target=print, args=(f(3),))\n    p.start(); p.join(); print(p.exitcode)",
    ),
    (
        "asyncio",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    print('ran')\nasyncio.get_event_loop_policy().new_event_loop().run_until_complete(f())",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_plain_python_runs_programs_as_it_does_bare() {
    let Some(fixture) = fixture("programs-bare").await else { return };
    for Resolved { id, command, .. } in pythons(&fixture).await {
        let outside = fixture.data_dir.join("outside");
        std::fs::create_dir_all(&outside).unwrap();
        fixture.sandboxes.prepare(&command).await;
        for (name, code) in PROGRAMS {
            let run = fixture.sandboxes.start(spec(code), &command).await.unwrap();
            let inside = finish(run).await;
            assert_eq!(inside.end.start, crate::START, "{name} by {id}");
            std::fs::write(outside.join("main.py"), code).unwrap();
            let bare = Command::new(on_host(&command, &id))
                .arg(outside.join("main.py"))
                .current_dir(&outside)
                .env_clear()
                .envs([("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin"), ("PYTHONDONTWRITEBYTECODE", "1")])
                .output()
                .unwrap();
            let expected = (translated(&bare.stdout, &outside), translated(&bare.stderr, &outside), bare.status.code());
            let found = (plain(&inside.stdout()), plain(&inside.stderr()), inside.ended().exit_code);
            assert_eq!(found, expected, "{name} by {id}, {:?}", command.argv);
        }
    }
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_to_an_open_file_is_there_at_every_end() {
    let Some(fixture) = fixture("programs-open-files").await else { return };
    for Resolved { id, command, .. } in pythons(&fixture).await {
        fixture.sandboxes.prepare(&command).await;
        for end in ["", "import sys; sys.exit(3)", "1 / 0", "import atexit; atexit.register(f.write, 'y' * 10)"] {
            let code = format!("f = open('left', 'w')\ndef g():\n    return f\nf.write('x' * 10)\n{end}");
            let outcome = finish(fixture.sandboxes.start(spec(&code), &command).await.unwrap()).await;
            let sizes: Vec<_> = outcome.ended().files.iter().map(|file| (file.path.as_str(), file.size_bytes)).collect();
            let expected = if end.contains("atexit") { 20 } else { 10 };
            assert_eq!(sizes, [("left", expected)], "{end:?} by {id}: {}", outcome.stderr());
        }
    }
    fixture.close().await;
}

/// Taking the interpreter apart would copy every page that it shares. What its libraries hold then goes with the process.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_succeeds_leaves_the_shared_interpreter_whole() {
    let Some(fixture) = fixture("programs-short-end").await else { return };
    let code = "import os\nclass A:\n    def __del__(self):\n        print('gone')\nos.held = A()\nprint('end')";
    for Resolved { id, command, .. } in pythons(&fixture).await {
        fixture.sandboxes.prepare(&command).await;
        let outcome = finish(fixture.sandboxes.start(spec(code), &command).await.unwrap()).await.succeeded();
        assert_eq!((outcome.stdout().as_str(), outcome.end.start), ("end\n", crate::START), "{id}");
    }
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_from_one_interpreter_share_nothing_random() {
    let Some(fixture) = fixture("programs-random").await else { return };
    let code = "import random, tempfile, uuid, os\nprint(random.random(), random.Random().random(), uuid.uuid4(), next(tempfile._get_candidate_names()), os.urandom(4).hex())";
    for Resolved { id, command, .. } in pythons(&fixture).await {
        fixture.sandboxes.prepare(&command).await;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..3 {
            let outcome = finish(fixture.sandboxes.start(spec(code), &command).await.unwrap()).await.succeeded();
            assert_eq!(outcome.end.start, crate::START, "{id}");
            seen.extend(outcome.stdout().split_whitespace().map(str::to_owned));
        }
        assert_eq!(seen.len(), 15, "{id}: {seen:?}");
    }
    fixture.close().await;
}

/// The program that the sandbox shows under another path.
fn on_host(command: &RuntimeCommand, id: &str) -> PathBuf {
    command.roots.first().unwrap().source.join("bin").join(id)
}

/// What a bare run prints, with its directory called as in a sandbox.
fn translated(output: &[u8], directory: &Path) -> String {
    let text = String::from_utf8(output.to_vec()).unwrap();
    plain(&text.replace(directory.to_str().unwrap(), WORKSPACE))
}

/// Without the addresses of objects, and with the standard library wherever it lies.
fn plain(text: &str) -> String {
    let without_addresses = text.split("0x").enumerate().map(|(index, part)| match index {
        0 => part.to_owned(),
        _ => format!("0x…{}", part.trim_start_matches(|digit: char| digit.is_ascii_hexdigit())),
    });
    let text: String = without_addresses.collect();
    let lines = text.lines().map(|line| match (line.find("  File \""), line.find("/lib/python3")) {
        (Some(file), Some(library)) if file < library => format!("  File \"…{}", line.get(library..).unwrap()),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
