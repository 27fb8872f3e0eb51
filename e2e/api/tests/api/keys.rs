//! `kiln admin keys rotate` on a running `kiln up`

use std::time::Duration;

use kiln_e2e_api::WAITS;
use kiln_test_support::{Installation, Visit, descendants};
use reqwest::Method;
use serde_json::json;

use crate::MODE;

#[tokio::test]
async fn the_key_for_secrets_turns_over_without_a_restart() {
    let _alone = Visit::alone(MODE).await;
    let mut kiln = Installation::start();
    let tenant = kiln.sign_up().await;
    let put = async |name: &str| {
        tenant.call(Method::PUT, &format!("/tenant/secrets/{name}")).json(&json!({"value": "of the kiln"})).await.expect(204)
    };
    let keys =
        || std::fs::read_to_string(kiln.data().join("secret-keys")).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    put("BEFORE").await;
    let before = keys();
    let rotated = kiln.operator(&["keys", "rotate"]).output().unwrap();
    let said = String::from_utf8_lossy(&rotated.stdout).into_owned();
    assert!(
        rotated.status.success() && said.contains("1 were under another"),
        "{said} {}",
        String::from_utf8_lossy(&rotated.stderr)
    );
    let after = keys();
    assert!(before.len() == 1 && after.len() == 1 && before != after);
    put("AFTER").await;

    let reads = json!({"code": "import os\nprint(os.environ['BEFORE'], os.environ['AFTER'])", "secrets": ["BEFORE", "AFTER"]});
    assert_eq!(tenant.run_with(reads.clone()).await["stdout"], "of the kiln of the kiln\n");
    // Also by a process that has never known the earlier key.
    let tokens = json!({"email": tenant.email, "password": kiln_test_support::PASSWORD});
    kiln.stop();
    kiln.up();
    let again = kiln.api().post("/auth/login", &tokens).await.expect(200).json();
    let again = kiln.api().with_bearer(again["access_token"].as_str().unwrap());
    let run = again.post("/executions", &reads).query("wait_ms", 30_000).await.expect(200).json();
    assert_eq!(run["stdout"], "of the kiln of the kiln\n", "{run}");
    // Where a value may be seen by others: the arguments of any process, and the log.
    let live = again.post("/executions", &json!({"code": WAITS, "secrets": ["BEFORE"]})).await.expect(202).json();
    let printed = async || {
        let run = again.get(&format!("/executions/{}", live["id"].as_str().unwrap())).await.expect(200).json();
        (run["stdout"] == "waiting\n").then_some(())
    };
    kiln_test_support::eventually(Duration::from_secs(30), "it runs", printed).await;
    let arguments = descendants(kiln.pid()).into_iter().filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok());
    assert!(arguments.map(|words| String::from_utf8_lossy(&words).into_owned()).all(|words| !words.contains("of the kiln")));
    let logged = kiln.logged();
    assert!(!logged.contains("of the kiln"));
    assert!(!before.iter().chain(&after).any(|key| logged.contains(key)), "no key is logged");
}
