//! The commands that need no running Kiln, driven as a user does.

#![expect(clippy::unwrap_used, reason = "a test that cannot run its program has failed")]

use std::path::Path;
use std::process::{Command, Output};

fn kiln(arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KILN_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(directory).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn reset_touches_only_what_is_its_own() {
    let scratch = tempfile::tempdir().unwrap();
    let foreign = scratch.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("letter.txt"), "dear").unwrap();
    let refused = kiln(&["reset", "--yes", "--data", "foreign"], scratch.path());
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("no data directory of Kiln"), "{}", stderr(&refused));
    assert!(foreign.join("letter.txt").exists());

    let ours = scratch.path().join("ours");
    std::fs::create_dir(&ours).unwrap();
    std::fs::write(ours.join(".kiln-data"), "").unwrap();
    let unconfirmed = kiln(&["reset", "--data", "ours"], scratch.path());
    assert_eq!(unconfirmed.status.code(), Some(1));
    assert!(stderr(&unconfirmed).contains("--yes") && ours.exists(), "{}", stderr(&unconfirmed));
    assert!(kiln(&["reset", "--yes", "--data", "ours"], scratch.path()).status.success());
    assert!(!ours.exists());
}

#[test]
fn up_refuses_a_directory_that_holds_something_else() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("letter.txt"), "dear").unwrap();
    let refused = kiln(&["up", "--no-open", "--listen", "127.0.0.1:0", "--data", "."], scratch.path());
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("choose another with --data"), "{}", stderr(&refused));
}

#[test]
fn what_does_not_run_is_said_so() {
    let scratch = tempfile::tempdir().unwrap();
    assert_eq!(kiln(&["status", "--data", "none"], scratch.path()).status.code(), Some(3));
    assert_eq!(kiln(&["down", "--data", "none"], scratch.path()).status.code(), Some(0));
}

#[test]
fn wrong_settings_are_named() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("kiln.toml"), "[nats]\nurll = \"nats://localhost\"\n").unwrap();
    let refused = kiln(&["serve", "--target", "auth", "--config", "kiln.toml"], scratch.path());
    assert_eq!(refused.status.code(), Some(1));
    let text = stderr(&refused);
    assert!(text.contains("nats.urll") && text.contains("kiln.toml"), "{text}");

    let refused = kiln(&["serve", "--target", "auth", "--listen", "127.0.0.1:0"], scratch.path());
    assert!(stderr(&refused).contains("KILN_DATABASE__AUTH"), "{}", stderr(&refused));
    std::fs::write(scratch.path().join("kiln.toml"), "listen = \"nonsense\"\n").unwrap();
    let with = |name: &str, value: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(["serve", "--target", "auth", "--config", "kiln.toml"]).current_dir(scratch.path());
        stderr(&command.env(name, value).output().unwrap())
    };
    // The environment wins over the file, and is named when it is wrong itself.
    assert!(with("KILN_LISTEN", "127.0.0.1:0").contains("KILN_DATABASE__AUTH"));
    assert!(with("KILN_LISTEN", "all of them").contains("KILN_LISTEN"));
    std::fs::write(scratch.path().join("kiln.toml"), "").unwrap();
    assert!(with("KILN_QUEUE__DEPTH", "1").contains("KILN_QUEUE"));

    let refused = kiln(&["serve", "--target", "cook"], scratch.path());
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_child_without_its_parent_does_not_start() {
    let scratch = tempfile::tempdir().unwrap();
    let marker = scratch.path().join("marker");
    let script = format!("echo > {}", marker.display());
    let refused = kiln(&["exec-child", "--parent=1", "--orphan-signal=9", "--", "/bin/sh", "-c", &script], scratch.path());
    // In a container the test itself may be started by process 1; a child of ours never is.
    assert_eq!(refused.status.code(), Some(1));
    assert!(!marker.exists());
}

#[test]
fn a_closed_pipe_breaks_nothing() {
    let mut command = Command::new("sh");
    command.args(["-c", "\"$0\" openapi | head -c 1 >/dev/null"]).arg(env!("CARGO_BIN_EXE_kiln"));
    let output = command.output().unwrap();
    assert_eq!(stderr(&output), "");
}
