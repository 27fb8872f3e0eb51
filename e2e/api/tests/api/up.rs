//! `kiln up`, `status`, `down`, `reset` and `doctor`

use std::net::TcpListener;
use std::time::{Duration, Instant};

use kiln_test_support::{
    Cli, Installation, PASSWORD, Visit, assert_like, cgroups_of, descendants, eventually, kill_all, live, processes_with,
};
use serde_json::json;

use crate::MODE;

const GONE_WITHIN: Duration = Duration::from_secs(5);

fn data(installation: &Installation) -> String {
    installation.data().to_str().unwrap().to_owned()
}

/// No process of it is left: its servers name its data directory.
async fn gone(installation: &Installation) {
    let data = data(installation);
    eventually(GONE_WITHIN, "every process has gone", async || processes_with(&data).is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_second_start_finds_the_data() {
    let _alone = Visit::alone(MODE).await;
    let mut kiln = Installation::start();
    assert!(kiln.ready_after < Duration::from_secs(5), "first start: {:?}", kiln.ready_after);
    let tenant = kiln.sign_up().await;
    let run = tenant.run("open('f', 'w').write('kept')\nprint('kept')").await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let id = run["id"].as_str().unwrap();

    let cgroups = cgroups_of(&descendants(kiln.pid()));
    assert!(!cgroups.is_empty(), "sandboxes are made ahead, each in cgroups of its own");
    let begun = Instant::now();
    let status = kiln.stop();
    assert!(status.success(), "{status}: {}", kiln.logged());
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?} to stop", begun.elapsed());
    gone(&kiln).await;
    let left: Vec<_> = cgroups.into_iter().filter(|group| group.exists()).collect();
    assert!(left.is_empty(), "{left:?}");

    kiln.up();
    assert!(kiln.ready_after < Duration::from_secs(3), "second start: {:?}", kiln.ready_after);
    let login = kiln.api().post("/auth/login", &json!({"email": tenant.email, "password": PASSWORD})).await.expect(200).json();
    let api = kiln.api().with_bearer(login["access_token"].as_str().unwrap());
    assert_eq!(api.get(&format!("/executions/{id}")).await.expect(200).json(), run);
    assert_eq!(api.get(&format!("/executions/{id}/files/f")).await.expect(200).text(), "kept");
    // Signing keys live on: a token from before the restart is still good.
    kiln.api().with_bearer(tenant.access_token()).get("/auth/me").await.expect(200);
    let again = api.post("/executions", &json!({"code": "print(2)"})).query("wait_ms", 30_000).await.expect(200).json();
    assert_like(&again, json!({"status": "succeeded", "stdout": "2\n"}));
}

#[tokio::test]
async fn a_kill_of_the_process_alone_leaves_nothing_that_blocks_the_next_start() {
    let _alone = Visit::alone(MODE).await;
    let mut kiln = Installation::start();
    let children = descendants(kiln.pid());
    assert!(children.len() >= 2, "Postgres and NATS are children");
    kiln.kill_process_only();
    kiln.up();
    assert_eq!(live(&children), Vec::<u32>::new(), "left from before");
    assert_eq!(kiln.sign_up().await.run("print(1)").await["stdout"], "1\n");
}

#[tokio::test]
async fn a_stale_server_of_a_crash_does_not_block_the_next_start() {
    let _alone = Visit::alone(MODE).await;
    let mut kiln = Installation::start();
    kiln.kill();
    kiln.up();
    assert_eq!(kiln.sign_up().await.run("print(1)").await["stdout"], "1\n");
}

#[tokio::test]
async fn another_live_one_is_named() {
    let _alone = Visit::alone(MODE).await;
    let (cli, kiln) = (Cli::new(), Installation::start());
    let second = cli.run(&["up", "--listen", "127.0.0.1:0", "--no-open", "--data", &data(&kiln)]).await;
    assert!(second.code.is_some_and(|code| code != 0), "{second:?}");
    let said = second.stdout + &second.stderr;
    assert!(said.contains(&kiln.pid().to_string()) && said.contains(kiln.url()), "{said}");
    kiln.api().get("/livez").await.expect(200);
}

#[tokio::test]
async fn a_port_in_use_is_named_and_nothing_is_left() {
    let _alone = Visit::alone(MODE).await;
    let (cli, kiln) = (Cli::new(), Installation::new());
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = cli.run(&["up", "--listen", &format!("127.0.0.1:{port}"), "--no-open", "--data", &data(&kiln)]).await;
    assert!(refused.code.is_some_and(|code| code != 0), "{refused:?}");
    let said = refused.stdout + &refused.stderr;
    assert!(said.contains(&port) && said.contains("--listen"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    gone(&kiln).await;
}

#[tokio::test]
async fn status_and_down_say_how_it_is() {
    let _alone = Visit::alone(MODE).await;
    let (cli, mut kiln) = (Cli::new(), Installation::start());
    let data = data(&kiln);
    let up = cli.run(&["status", "--data", &data]).await;
    assert_eq!(up.code, Some(0), "{up:?}");
    assert!(up.stdout.contains(kiln.url()) && up.stdout.contains(&data), "{up:?}");

    let down = cli.run(&["down", "--data", &data]).await;
    assert_eq!(down.code, Some(0), "{down:?}");
    assert!(kiln.ended().success());
    gone(&kiln).await;
    let status = cli.run(&["status", "--data", &data]).await;
    assert_eq!(status.code, Some(3), "{status:?}");
}

#[tokio::test]
async fn reset_removes_only_what_is_kilns_and_only_on_demand() {
    let _alone = Visit::alone(MODE).await;
    let (cli, mut kiln) = (Cli::new(), Installation::start());
    let directory = data(&kiln);
    let refused = async |arguments: &[&str]| {
        let finished = cli.run(arguments).await;
        assert!(finished.code.is_some_and(|code| code != 0), "{arguments:?}: {finished:?}");
    };
    refused(&["reset", "--yes", "--data", &directory]).await;
    kiln.stop();
    refused(&["reset", "--data", &directory]).await;
    assert!(kiln.data().exists());
    let foreign = kiln.scratch().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis"), "x").unwrap();
    refused(&["reset", "--yes", "--data", foreign.to_str().unwrap()]).await;
    assert!(foreign.join("thesis").exists());

    let reset = cli.run(&["reset", "--yes", "--data", &directory]).await;
    assert_eq!(reset.code, Some(0), "{reset:?}");
    let left = std::fs::read_dir(kiln.data()).map_or(0, Iterator::count);
    assert_eq!(left, 0, "{:?}", kiln.data());
}

#[tokio::test]
async fn doctor_finds_this_machine_fit_and_names_what_is_missing() {
    let _alone = Visit::alone(MODE).await;
    let cli = Cli::new();
    let fit = cli.run(&["doctor"]).await;
    assert_eq!(fit.code, Some(0), "{fit:?}");
    for part in ["postgres", "nats", "python", "isolation"] {
        assert!(fit.stdout.to_lowercase().contains(part), "{part} is not in {}", fit.stdout);
    }
    let broken = cli.run_in(("KILN_PG_BIN", "/nowhere"), &["doctor"]).await;
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(broken.stdout.contains("/nowhere") || broken.stderr.contains("/nowhere"), "{broken:?}");
}

#[tokio::test]
async fn a_missing_prerequisite_and_a_wrong_setting_are_named() {
    let _alone = Visit::alone(MODE).await;
    let (cli, kiln) = (Cli::new(), Installation::new());
    let data = data(&kiln);
    for (name, value, named) in [
        ("KILN_PG_BIN", "/nowhere", "/nowhere"),
        ("KILN_NATS_SERVER", "/nowhere/nats-server", "/nowhere/nats-server"),
        ("KILN_NO_SUCH_SETTING", "1", "KILN_NO_SUCH_SETTING"),
        ("KILN_LISTEN", "nonsense", "KILN_LISTEN"),
    ] {
        let refused = cli.run_in((name, value), &["up", "--no-open", "--data", &data]).await;
        assert!(refused.code.is_some_and(|code| code != 0), "{name}: {refused:?}");
        assert!(refused.stderr.contains(named) && !refused.stderr.contains("panicked"), "{name}: {refused:?}");
    }
    gone(&kiln).await;
    kill_all(&processes_with(&data));
}
