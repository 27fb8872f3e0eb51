//! Standard input and files, in and out.

use std::io::Read;

use bytes::Bytes;
use kiln_executor::sandbox::{InputError, RunEvent, SandboxError};
use tokio::time::timeout;

use crate::fixture::{DEADLINE, file, finish, fixture, read_until, spec};

#[tokio::test]
async fn given_input_comes_whole_and_then_the_end() {
    let Some(fixture) = fixture("inputs::given_input").await else { return };
    let mut spec =
        spec("import sys, hashlib\ndata = sys.stdin.buffer.read()\nprint(len(data), data == bytes(range(256)) * 20000)");
    spec.stdin = (0..=255).collect::<Vec<u8>>().repeat(20_000);
    let run = fixture.start(spec).await;
    assert_eq!(run.control.stdin(Bytes::from_static(b"x")).await, Err(InputError::NotInteractive));
    assert_eq!(finish(run).await.succeeded().stdout(), "5120000 True\n");
    fixture.close().await;
}

#[tokio::test]
async fn input_that_nobody_reads_blocks_nothing() {
    let Some(fixture) = fixture("inputs::unread_input").await else { return };
    let mut spec = spec("print('done')");
    spec.stdin = vec![b'x'; 8 << 20];
    assert_eq!(fixture.run(spec).await.succeeded().stdout(), "done\n");
    fixture.close().await;
}

#[tokio::test]
async fn a_guessing_game_is_played_prompt_by_prompt() {
    let Some(fixture) = fixture("inputs::guessing_game").await else { return };
    let code =
        "first = input('first? ')\nsecond = input('second? ')\nprint(first, second)\nimport sys; print(repr(sys.stdin.read()))";
    let mut spec = spec(code);
    spec.interactive = true;
    spec.stdin = b"from the start\n".to_vec();
    let mut run = fixture.start(spec).await;
    read_until(&mut run, "second? ").await;
    await_waiting(&mut run, true).await;
    run.control.stdin(Bytes::from_static(b"7\n")).await.unwrap();
    await_waiting(&mut run, false).await;
    read_until(&mut run, "from the start 7\n").await;
    run.control.stdin(Bytes::from_static(b"rest")).await.unwrap();
    run.control.close_stdin().unwrap();
    assert_eq!(run.control.stdin(Bytes::new()).await, Err(InputError::Closed));
    assert_eq!(finish(run).await.succeeded().stdout(), "'rest'\n");
    fixture.close().await;
}

async fn await_waiting(run: &mut kiln_executor::sandbox::Run, expected: bool) {
    let event = timeout(DEADLINE, run.events.recv()).await.unwrap().unwrap();
    assert!(
        matches!(event, RunEvent::WaitingForInput(waiting) if waiting == expected),
        "{event:?} instead of waiting {expected}"
    );
}

#[tokio::test]
async fn a_program_that_does_not_read_is_not_waiting() {
    let Some(fixture) = fixture("inputs::not_waiting").await else { return };
    let mut spec = spec("import time\ntime.sleep(0.3)\nprint('done')");
    spec.interactive = true;
    let outcome = fixture.run(spec).await.succeeded();
    assert_eq!(outcome.events.len(), 1, "{:?}", outcome.events);
    fixture.close().await;
}

#[tokio::test]
async fn files_go_in_and_new_ones_come_out() {
    let Some(fixture) = fixture("inputs::files").await else { return };
    let code = "import os, sys\nsys.path.insert(0, '')\nimport helper\nprint(open('in/data.csv').read(), helper.x)\nopen('in/data.csv', 'a').write('!')\nos.makedirs('out/deep')\nopen('out/deep/r.txt', 'w').write('result')\nos.symlink('/etc/passwd', 'link')\nos.mkfifo('pipe')\nopen(b'odd\\xff', 'w').close()\nos.chmod('out/deep/r.txt', 0)";
    let mut spec = spec(code);
    spec.files = vec![file("in/data.csv", b"1,2"), file("same.txt", b"same"), file("helper.py", b"x = 5")];
    let outcome = fixture.run(spec).await.succeeded();
    assert_eq!(outcome.stdout(), "1,2 5\n");
    let listed: Vec<_> = outcome.ended().files.iter().map(|file| (file.path.as_str(), file.size_bytes)).collect();
    assert_eq!(listed, [("in/data.csv", 4), ("odd\\xFF", 0), ("out/deep/r.txt", 6)]);
    assert!(!outcome.ended().files_truncated);
    let mut text = String::new();
    let mut artifacts = outcome.end.artifacts;
    artifacts[2].file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "result");
    drop(artifacts);
    fixture.close().await;
}

#[tokio::test]
async fn what_a_run_leaves_is_bounded() {
    let Some(fixture) = fixture("inputs::bounded_files").await else { return };
    let many = fixture.python("for i in range(1500): open('%05d' % i, 'w').close()").await.succeeded();
    assert_eq!((many.ended().files.len(), many.ended().files_truncated), (1000, true));
    let large = fixture
        .python("f = open('a', 'wb'); f.truncate(60 << 20)\nfor n in 'bc': open(n, 'wb').write(b'x' * (30 << 20))")
        .await
        .succeeded();
    let listed: Vec<_> = large.ended().files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!((listed, large.ended().files_truncated), (vec!["b"], true));
    fixture.close().await;
}

#[tokio::test]
async fn bad_paths_and_values_are_refused_by_field() {
    let Some(fixture) = fixture("inputs::bad_paths").await else { return };
    for path in ["../x", "/x", "a/../x", "", "main.py", "a\0b", "a/"] {
        let mut spec = spec("print(1)");
        spec.files = vec![file(path, b"")];
        let error = fixture.sandboxes.start(spec, &fixture.runtime).await.unwrap_err();
        assert!(matches!(error, SandboxError::Spec { field: "files", .. }), "{path:?}: {error:?}");
    }
    let mut args = spec("print(1)");
    args.args = vec!["a\0b".to_owned()];
    assert!(matches!(
        fixture.sandboxes.start(args, &fixture.runtime).await.unwrap_err(),
        SandboxError::Spec { field: "args", .. }
    ));
    let mut env = spec("print(1)");
    env.env.insert("A=B".to_owned(), String::new());
    assert!(matches!(fixture.sandboxes.start(env, &fixture.runtime).await.unwrap_err(), SandboxError::Spec { field: "env", .. }));
    fixture.close().await;
}
