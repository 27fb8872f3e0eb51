//! How programs end: by themselves, by a signal, by cancel, and what is then killed.

use std::time::{Duration, Instant};

use kiln_domain::{ReasonCode, Status};

use crate::fixture::{finish, fixture, other_pythons, read_until, spec};

#[tokio::test]
async fn hello_and_exit_codes() {
    let Some(fixture) = fixture("ends::hello_and_exit_codes").await else { return };
    let hello = fixture.python("print('héllo 世界')").await.succeeded();
    assert_eq!(hello.stdout(), "héllo 世界\n");
    assert_eq!((hello.ended().exit_code, hello.ended().signal.as_deref()), (Some(0), None));
    assert!(hello.ended().usage.memory_peak_bytes > 1 << 20);
    assert!(hello.ended().usage.cpu_ms > 0);

    let seven = fixture.python("import sys; sys.stderr.write('oh'); sys.exit(256 + 7)").await;
    assert_eq!((seven.verdict(), seven.ended().exit_code), ((Status::Failed, Some(ReasonCode::ExitCode)), Some(7)));
    assert_eq!(seven.stderr(), "oh");
    fixture.close().await;
}

#[tokio::test]
async fn arguments_environment_and_place() {
    let Some(fixture) = fixture("ends::arguments_environment_and_place").await else { return };
    let mut spec = spec("import os, sys; print(sys.argv, os.getcwd(), sorted(os.environ.items()), os.getuid(), os.getpid() > 1)");
    spec.args = vec!["a b".to_owned(), "ü".to_owned()];
    spec.env.insert("COLOUR".to_owned(), "red".to_owned());
    spec.env.insert("HOME".to_owned(), "/workspace".to_owned());
    let outcome = fixture.run(spec).await.succeeded();
    let path = &fixture.runtime.env.iter().find(|(name, _)| name == "PATH").unwrap().1;
    let expected = format!(
        "['/workspace/main.py', 'a b', 'ü'] /workspace [('COLOUR', 'red'), ('HOME', '/workspace'), ('LANG', 'C.UTF-8'), \
         ('PATH', '{path}'), ('PYTHONDONTWRITEBYTECODE', '1'), ('PYTHONUNBUFFERED', '1'), ('TMPDIR', '/tmp')] 1000 True\n"
    );
    assert_eq!(outcome.stdout(), expected);
    fixture.close().await;
}

#[tokio::test]
async fn signals_end_a_program_by_their_name() {
    let Some(fixture) = fixture("ends::signals_end_a_program_by_their_name").await else { return };
    for (signal, name) in [("SIGKILL", "SIGKILL"), ("SIGTERM", "SIGTERM"), ("SIGPIPE", "SIGPIPE"), ("SIGUSR1", "SIGUSR1")] {
        let code =
            format!("import os, signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL); os.kill(os.getpid(), signal.{signal})");
        let outcome = fixture.python(&code).await;
        assert_eq!(outcome.verdict(), (Status::Failed, Some(ReasonCode::Signal)));
        assert_eq!((outcome.ended().exit_code, outcome.ended().signal.as_deref()), (None, Some(name)));
    }
    fixture.close().await;
}

#[tokio::test]
async fn dispositions_and_mask_are_the_default() {
    let Some(fixture) = fixture("ends::dispositions_and_mask_are_the_default").await else { return };
    let code = "for line in open('/proc/self/status'):\n    if line.startswith(('SigBlk', 'ShdPnd', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp:')): print(line.split()[1])";
    let outcome = fixture.python(code).await.succeeded();
    let zero = "0000000000000000";
    assert_eq!(outcome.stdout(), format!("{zero}\n{zero}\n{zero}\n{zero}\n1\n2\n"));
    fixture.close().await;
}

#[tokio::test]
async fn the_end_of_the_main_program_ends_the_run() {
    let Some(fixture) = fixture("ends::the_end_of_the_main_program_ends_the_run").await else { return };
    let code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(100)\nprint('main done')";
    let start = Instant::now();
    let outcome = fixture.python(code).await.succeeded();
    assert!(start.elapsed() < Duration::from_secs(10), "an orphan that holds the pipes delays nothing");
    assert_eq!(outcome.stdout(), "main done\n");
    fixture.close().await;
}

#[tokio::test]
async fn cancel_ends_the_tree_within_a_second_and_keeps_what_was_printed() {
    let Some(fixture) = fixture("ends::cancel").await else { return };
    let code = "import os, signal, time\nfor s in (signal.SIGTERM, signal.SIGINT): signal.signal(s, signal.SIG_IGN)\nfor _ in range(5):\n    if os.fork() == 0: break\nprint('r', end='')\ntime.sleep(100)";
    let mut run = fixture.start(spec(code)).await;
    read_until(&mut run, "r").await;
    let start = Instant::now();
    run.control.cancel(ReasonCode::CancelledByUser);
    let outcome = finish(run).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(outcome.verdict(), (Status::Cancelled, Some(ReasonCode::CancelledByUser)));
    assert_eq!((outcome.ended().exit_code, outcome.ended().signal.as_deref()), (None, Some("SIGKILL")));
    fixture.close().await;
}

#[tokio::test]
async fn an_interrupt_reaches_the_program() {
    let Some(fixture) = fixture("ends::an_interrupt_reaches_the_program").await else { return };
    // Many short sleeps: the interpreter does not notice a signal that comes in the moment before it goes to sleep.
    let code = "import time\ntry:\n    print('ready', flush=True)\n    while True: time.sleep(0.01)\nexcept KeyboardInterrupt:\n    print('interrupted')";
    let mut run = fixture.start(spec(code)).await;
    read_until(&mut run, "ready\n").await;
    run.control.signal("SIGINT").unwrap();
    assert!(run.control.signal("SIGNOTHING").is_err());
    assert_eq!(finish(run).await.succeeded().stdout(), "interrupted\n");
    fixture.close().await;
}

#[tokio::test]
async fn a_runtime_that_is_not_there_is_told_from_a_program_that_fails() {
    let Some(fixture) = fixture("ends::a_runtime_that_is_not_there").await else { return };
    let mut runtime = kiln_executor::sandbox::RuntimeCommand::clone(&fixture.runtime);
    runtime.argv[0] = "/opt/nothing/bin/python3".to_owned();
    let error = fixture.sandboxes.start(spec("print(1)"), &runtime.into()).await.unwrap_err();
    assert!(matches!(error, kiln_executor::sandbox::SandboxError::Runtime(_)), "{error:?}");
    fixture.python("print(1)").await.succeeded();
    fixture.close().await;
}

#[tokio::test]
async fn every_interpreter_of_the_machine_runs() {
    let Some(fixture) = fixture("ends::every_interpreter_of_the_machine_runs").await else { return };
    for runtime in other_pythons() {
        let program = spec(
            "import ctypes, json, os, socket, sqlite3, ssl, subprocess, sys, tempfile, threading\nprint('%d.%d' % sys.version_info[:2], subprocess.check_output(['echo', 'child']).decode())",
        );
        let outcome = finish(fixture.sandboxes.start(program, &runtime).await.unwrap()).await.succeeded();
        assert!(outcome.stdout().ends_with("child\n\n"), "{:?}", runtime.roots);
    }
    fixture.close().await;
}
