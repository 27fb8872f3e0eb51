//! `kiln login`, `run`, `logs` and `cancel`

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use kiln_e2e_api::{GUESSING_GAME, WAITS};
use kiln_test_support::{Cli, PASSWORD, Tenant, Visit, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::MODE;

const SOON: Duration = Duration::from_secs(20);

/// A user with an account who has logged in.
async fn logged_in() -> (Visit, Tenant, Cli) {
    let visit = Visit::beside(MODE).await;
    let (tenant, cli) = (visit.sign_up().await, Cli::new());
    let arguments = ["login", "--server", &visit.addresses().auth, "--email", &tenant.email, "--password-stdin"];
    let login = cli.run_with(&arguments, PASSWORD).await;
    assert_eq!(login.code, Some(0), "{login:?}");
    (visit, tenant, cli)
}

fn program(cli: &Cli, code: &str) -> String {
    let path = cli.home().join("program.py");
    std::fs::write(&path, code).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn login_keeps_credentials_for_the_user_alone() {
    let (_visit, _tenant, cli) = logged_in().await;
    let kept = files(cli.home());
    assert!(!kept.is_empty());
    for path in kept {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        assert!(!std::fs::read_to_string(&path).unwrap().contains(PASSWORD));
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_plainly() {
    let visit = Visit::beside(MODE).await;
    let (tenant, cli) = (visit.sign_up().await, Cli::new());
    let arguments = ["login", "--server", &visit.addresses().auth, "--email", &tenant.email, "--password-stdin"];
    let login = cli.run_with(&arguments, "not that password").await;
    assert!(login.code.is_some_and(|code| code != 0), "{login:?}");
    assert!(!login.stderr.is_empty() && !login.stderr.contains('{') && !login.stderr.contains("panicked"), "{login:?}");
}

#[tokio::test]
async fn run_prints_both_streams_and_ends_as_the_program_did() {
    let (_visit, _tenant, cli) = logged_in().await;
    let code = "import sys\nprint('héllo', sys.argv[1:])\nprint('err', file=sys.stderr)\nraise SystemExit(3)";
    let run = cli.run(&["run", &program(&cli, code), "--arg", "a b"]).await;
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), "héllo ['a b']\n"), "{run:?}");
    assert!(run.stderr.starts_with("err\n"), "{run:?}");
    let run = cli.run(&["run", &program(&cli, "print('fine')")]).await;
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "fine\n", ""));
}

#[tokio::test]
async fn run_takes_the_program_and_its_input_as_asked() {
    let (_visit, _tenant, cli) = logged_in().await;
    let from_stdin = cli.run_with(&["run", "-"], "print('from stdin')").await;
    assert_eq!((from_stdin.code, from_stdin.stdout.as_str()), (Some(0), "from stdin\n"), "{from_stdin:?}");
    let input = cli.run(&["run", &program(&cli, "print(input()[::-1])"), "--stdin", "abc\n"]).await;
    assert_eq!((input.code, input.stdout.as_str()), (Some(0), "cba\n"), "{input:?}");
}

#[tokio::test]
async fn each_bad_end_has_its_exit_code_and_its_reason() {
    let (_visit, _tenant, cli) = logged_in().await;
    for (code, arguments, expected) in [
        ("import os\nos.kill(os.getpid(), 15)", vec![], 128 + 15),
        ("import time\ntime.sleep(60)", vec!["--timeout-ms", "500"], 124),
        ("x = bytearray(600 * 1024 * 1024)\nfor i in range(0, len(x), 4096): x[i] = 1", vec![], 137),
    ] {
        let path = program(&cli, code);
        let run = cli.run(&[&["run", path.as_str()], arguments.as_slice()].concat()).await;
        assert_eq!(run.code, Some(expected), "{code}: {run:?}");
        assert!(!run.stderr.trim().is_empty(), "{code}: {run:?}");
    }
    let run = cli.run(&["run", &program(&cli, "print(1)"), "--runtime", "python2.7"]).await;
    assert!(run.code.is_some_and(|code| code != 0) && run.stderr.contains("no such runtime"), "{run:?}");
    let run = cli.run(&["run", "/no/such/file.py"]).await;
    assert!(run.code.is_some_and(|code| code != 0) && run.stderr.contains("/no/such/file.py"), "{run:?}");
}

/// Reads until the text ends so.
async fn read_until(output: &mut (impl AsyncReadExt + Unpin), ending: &str) -> String {
    let mut text = Vec::new();
    let read = async {
        while !text.ends_with(ending.as_bytes()) {
            text.push(output.read_u8().await.unwrap_or_else(|error| panic!("{error} before {ending:?}")));
        }
    };
    let late = tokio::time::timeout(SOON, read).await.is_err();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(!late, "no {ending:?} but {text:?}");
    text
}

#[tokio::test]
async fn output_is_shown_as_it_comes() {
    let (_visit, _tenant, cli) = logged_in().await;
    let code = "import time\nprint('first', flush=True)\ntime.sleep(1.5)\nprint('second')";
    let mut child = cli.command(&["run", &program(&cli, code)]).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    read_until(&mut output, "first\n").await;
    let begun = Instant::now();
    read_until(&mut output, "second\n").await;
    assert!(begun.elapsed() > Duration::from_secs(1), "the first line came {:?} before the second", begun.elapsed());
    assert!(tokio::time::timeout(SOON, child.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn the_guessing_game_is_played_with_i() {
    let (_visit, _tenant, cli) = logged_in().await;
    let mut child = cli.command(&["run", &program(&cli, GUESSING_GAME), "-i"]).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    assert!(read_until(&mut output, "Your guess: ").await.ends_with("from 1 to 9.\nYour guess: "));
    for (guess, reply) in [("3\n", "Too low.\nYour guess: "), ("9\n", "Too high.\nYour guess: "), ("7\n", "Right!\n")] {
        input.write_all(guess.as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut output, reply).await, reply);
    }
    assert!(tokio::time::timeout(SOON, child.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn control_c_cancels_the_run() {
    let (_visit, tenant, cli) = logged_in().await;
    let mut child = cli.command(&["run", &program(&cli, WAITS)]).spawn().unwrap();
    read_until(&mut child.stdout.take().unwrap(), "waiting\n").await;
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().unwrap().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let status = tokio::time::timeout(SOON, child.wait()).await.unwrap().unwrap();
    assert!(!status.success(), "{status}");
    let cancelled = async || {
        let newest = tenant.get("/executions?limit=1").await.json()["data"][0].clone();
        (newest["status"] == "cancelled").then_some(())
    };
    eventually(Duration::from_secs(2), "the run is cancelled", cancelled).await;
}

#[tokio::test]
async fn logs_and_cancel_reach_a_run_by_its_id() {
    let (_visit, tenant, cli) = logged_in().await;
    let id = tenant.submit(serde_json::json!({"code": WAITS})).await;
    tenant.printed(&id, SOON).await;
    let cancel = cli.run(&["cancel", &id]).await;
    assert_eq!(cancel.code, Some(0), "{cancel:?}");
    assert_eq!(tenant.ended(&id, SOON).await["status"], "cancelled");
    let logs = cli.run(&["logs", &id]).await;
    assert_eq!(logs.stdout, "waiting\n", "{logs:?}");
    let unknown = cli.run(&["logs", &uuid::Uuid::now_v7().to_string()]).await;
    assert!(unknown.code.is_some_and(|code| code != 0) && !unknown.stderr.is_empty(), "{unknown:?}");
}

#[tokio::test]
async fn without_a_login_it_says_how_to_log_in() {
    let cli = Cli::new();
    let run = cli.run(&["run", &program(&cli, "print(1)")]).await;
    assert!(run.code.is_some_and(|code| code != 0), "{run:?}");
    assert!(run.stderr.contains("kiln login"), "{run:?}");
}

#[tokio::test]
async fn notebooks_are_put_run_and_got() {
    let (_visit, _tenant, cli) = logged_in().await;
    let done = async |arguments: &[&str]| {
        let finished = cli.run(arguments).await;
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
        finished.stdout
    };
    let cell = |source: &str| serde_json::json!({"cell_type": "code", "id": "a", "metadata": {}, "source": source, "outputs": [], "execution_count": null});
    let put = async |source: &str| {
        let notebook = serde_json::json!({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell(source)]});
        std::fs::write(cli.home().join("lab.ipynb"), notebook.to_string()).unwrap();
        done(&["notebooks", "put", "lab.ipynb"]).await;
    };
    put("print('old')").await;
    put("print('n is', n)").await;
    let listed = done(&["notebooks", "ls"]).await;
    assert!(
        listed.lines().count() == 1
            && listed.ends_with(
                "  lab
"
            ),
        "{listed}"
    );
    let ran = done(&["notebooks", "run", "lab", "-p", "n=[1, 2]"]).await;
    assert!(ran.lines().count() == 2 && ran.contains("succeeded"), "{ran}");
    done(&["notebooks", "get", "lab", "got.ipynb"]).await;
    assert!(std::fs::read_to_string(cli.home().join("got.ipynb")).unwrap().contains("n is [1, 2]"));
    assert!(done(&["notebooks", "export", "lab", "-", "--format", "py"]).await.contains("print('n is', n)"));
    put("1/0").await;
    assert_eq!(cli.run(&["notebooks", "run", "lab"]).await.code, Some(1));
    let wrong = cli.run(&["notebooks", "get", "nobody's"]).await;
    assert!(wrong.code != Some(0) && wrong.stderr.contains("nobody's"), "{wrong:?}");
}

#[tokio::test]
async fn files_of_a_workspace_are_put_listed_run_on_got_and_removed() {
    let (_visit, tenant, cli) = logged_in().await;
    let done = async |arguments: &[&str]| {
        let finished = cli.run(arguments).await;
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
        finished.stdout
    };
    std::fs::write(cli.home().join("in.txt"), "given").unwrap();
    done(&["files", "put", "in.txt", "d/é 1.txt"]).await;
    let listed = done(&["files", "ls", "-r"]).await;
    assert!(listed.contains("d/\n") && listed.contains("d/é 1.txt\n"), "{listed}");
    let path = program(&cli, "open('out.txt', 'w').write(open('d/é 1.txt').read() + ' back')");
    done(&["run", "--workspace", "default", &path]).await;
    done(&["files", "get", "out.txt"]).await;
    assert_eq!(std::fs::read_to_string(cli.home().join("out.txt")).unwrap(), "given back");
    assert_eq!(done(&["files", "get", "out.txt", "-"]).await, "given back");
    assert_ne!(cli.run(&["files", "rm", "d"]).await.code, Some(0));
    done(&["files", "rm", "-r", "d"]).await;
    done(&["files", "rm", "out.txt"]).await;
    assert_eq!(done(&["files", "ls"]).await, "");
    let wrong = cli.run(&["files", "ls", "--workspace", "nobody's"]).await;
    assert!(wrong.code != Some(0) && wrong.stderr.contains("nobody's"), "{wrong:?}");
    drop(tenant);
}
