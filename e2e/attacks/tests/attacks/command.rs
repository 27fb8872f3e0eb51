//! `kiln drill`, as an operator types it.

use kiln_test_support::{Cli, Installation};

use crate::ONE_AT_A_TIME;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_was_held_and_what_was_not() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let kiln = Installation::start();
    let tenant = kiln.sign_up().await;
    let cli = Cli::new();
    let access = ["--server", kiln.url(), "--api-key", tenant.access_token()];
    let drill = async |arguments: &[&str]| cli.run(&[&["drill"], &access[..], arguments].concat()).await;

    let report = drill(&["--only", "life_hello"]).await;
    assert_eq!(report.code, Some(0), "{report:?}");
    assert!(report.stdout.contains("life_hello") && report.stdout.ends_with("1 held, 0 not held, 0 not run\n"), "{report:?}");

    let report = drill(&["--only", "isolation_neighbour"]).await;
    assert!(report.stdout.contains("it needs 2 tenants"), "{report:?}");
    let report = drill(&["--only", "isolation_neighbour", "--sign-up", "--json"]).await;
    assert_eq!(report.code, Some(0), "{report:?}");
    let document: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!((&document["not_held"], &document["not_run"]), (&0.into(), &0.into()), "{document}");

    let own = tempfile::tempdir().unwrap();
    std::fs::write(own.path().join("mine.py"), "# expect: contained\nprint('ESCAPED: by way of example')\n").unwrap();
    let report = drill(&["--programs", own.path().to_str().unwrap()]).await;
    assert_eq!(report.code, Some(1), "{report:?}");
    assert!(report.stdout.contains("NOT HELD") && report.stdout.contains("printed: ESCAPED: by way of example"), "{report:?}");

    let report = drill(&["--only", "no_such_group"]).await;
    assert_eq!((report.code, report.stderr.contains("no_such_group")), (Some(2), true), "{report:?}");
}
