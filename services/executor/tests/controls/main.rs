//! What each control is for: with all of them a program of the attack corpus is held, with one left out it is not.
//!
//! Where several controls hold the same thing (a read-only root, its owner and landlock; capabilities and the user), no
//! single one can be shown this way: leaving it out changes nothing, as it should be. Limits are shown by their absence:
//! a program just over the corpus's limit, under that limit and under the largest there is.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

const START: kiln_domain::Start = kiln_domain::Start::Cold;

#[path = "../sandbox/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests of the sandbox")]
mod fixture;
mod limits;

use std::path::Path;

use fixture::{Fixture, config, fixture, python};
use kiln_executor::sandbox::{Omitted, Sandboxes};

/// A program of the corpus.
fn program(id: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/attacks/programs").join(format!("{id}.py"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the program says of its escape, if it says so.
async fn escape(fixture: &Fixture, id: &str) -> Option<String> {
    let outcome = fixture.python(&program(id)).await;
    let printed = outcome.stdout();
    assert!(printed.contains("CONTAINED: ") || printed.contains("ESCAPED: "), "{id} says neither: {printed}{}", outcome.stderr());
    printed.lines().find(|line| line.starts_with("ESCAPED: ")).map(str::to_owned)
}

async fn is_held_by(omitted: Omitted, programs: &[&str]) {
    let name = format!("controls::{omitted:?}");
    let Some(whole) = fixture(&name).await else { return };
    for id in programs {
        assert_eq!(escape(&whole, id).await, None, "{id} with every control");
    }
    whole.close().await;
    let data_dir = std::env::temp_dir().join(format!("kiln-test-{}-without-{omitted:?}", std::process::id()));
    let sandboxes = Sandboxes::open_without(config(data_dir.clone()), Some(omitted)).await.unwrap();
    let runtime = python(&data_dir).await;
    let weakened = Fixture { sandboxes, data_dir, runtime };
    for id in programs {
        let escaped = escape(&weakened, id).await;
        assert!(escaped.is_some(), "{id} is held without {omitted:?}: it cannot show what that is for");
        println!("without {omitted:?}, {id}: {}", escaped.unwrap());
    }
    weakened.close().await;
}

#[tokio::test]
async fn system_call_filters() {
    let programs = ["kern_syscall_sweep", "kern_namespaces", "net_families", "isolation_keyring", "kern_personality"];
    is_held_by(Omitted::Seccomp, &programs).await;
}

#[tokio::test]
async fn landlock() {
    is_held_by(Omitted::Landlock, &["fs_proc_write"]).await;
}

#[tokio::test]
async fn a_user_of_its_own() {
    is_held_by(Omitted::OwnUser, &["kern_status"]).await;
}

#[tokio::test]
async fn a_network_of_its_own() {
    is_held_by(Omitted::OwnNetwork, &["net_host_interfaces"]).await;
}

#[tokio::test]
async fn hidden_processes() {
    is_held_by(Omitted::HiddenProcesses, &["proc_visible"]).await;
}
