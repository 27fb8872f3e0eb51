//! `kill -9` of all of Kiln in the middle of 50 runs

use std::time::Duration;

use kiln_test_support::{Event, Installation, Marker, PASSWORD, Tenant, Visit, assert_like, eventually};
use serde_json::{Value, json};

use crate::MODE;

const RUNS: usize = 50;
/// Few enough that most of the runs still wait when the crash comes, however fast the machine is.
const SLOTS: (&str, &str) = ("KILN_EXECUTOR__SLOTS", "8");
/// By when every run has ended after the restart: leases run out, the rest is run.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);

async fn statuses(tenants: &[Tenant], runs: &[(usize, String)]) -> Vec<String> {
    let mut statuses = Vec::new();
    for (tenant, id) in runs {
        statuses.push(tenants[*tenant].execution(id).await["status"].as_str().unwrap().to_owned());
    }
    statuses
}

fn is_over(status: &str) -> bool {
    status != "queued" && status != "running"
}

#[tokio::test]
async fn every_accepted_run_ends_in_one_terminal_state() {
    let _alone = Visit::alone(MODE).await;
    let mut kiln = Installation::with_settings(&[SLOTS]);
    kiln.up();
    let mut tenants = Vec::new();
    for _ in 0..3 {
        tenants.push(kiln.sign_up().await);
    }
    let marker = Marker::default();
    let code = "import time\nfor n in range(8):\n    print('line', n, flush=True)\n    time.sleep(0.1)";
    let mut runs = Vec::new();
    for n in 0..RUNS {
        runs.push((n % 3, tenants[n % 3].submit(json!({"code": marker.mark(code)})).await));
    }
    let middle = async || {
        let statuses = statuses(&tenants, &runs).await;
        let over = statuses.iter().filter(|status| is_over(status)).count();
        let running = statuses.iter().filter(|status| *status == "running").count();
        (over >= 3 && running >= 1).then_some(over)
    };
    let over = eventually(Duration::from_mins(1), "some have ended and some run", middle).await;
    assert!(over < RUNS - 5, "the crash comes too late to be in the middle: {over} have ended");
    let mut before = Vec::new();
    for (tenant, id) in &runs {
        before.push(tenants[*tenant].execution(id).await);
    }

    let killed = kiln.kill();
    // That a start comes before the dead have been waited for is a test of its own, in `up`.
    let waited_for = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    let buried = async || killed.iter().all(waited_for).then_some(());
    eventually(Duration::from_secs(30), "the dead have been waited for", buried).await;
    kiln.up();

    let mut again = Vec::new();
    for tenant in &tenants {
        let body = json!({"email": tenant.email, "password": PASSWORD});
        let token = kiln.api().post("/auth/login", &body).await.expect(200).json()["access_token"].clone();
        again.push(kiln.api().with_bearer(token.as_str().unwrap()));
    }
    let read = async |tenant: usize, id: &str| again[tenant].get(&format!("/executions/{id}")).await.expect(200).json();
    let settled = async || {
        let mut ended = Vec::new();
        for (tenant, id) in &runs {
            let run = read(*tenant, id).await;
            if !is_over(run["status"].as_str().unwrap()) {
                return None;
            }
            ended.push(run);
        }
        Some(ended)
    };
    let ended = eventually(SETTLED_WITHIN, "every run has ended", settled).await;
    for (before, after) in before.iter().zip(&ended) {
        check(before, after);
    }
    let waited = before.iter().zip(&ended).filter(|(before, _)| before["status"] == "queued");
    let run_after: Vec<_> = waited.filter(|(_, after)| after["status"] == "succeeded").collect();
    assert!(!run_after.is_empty(), "no run that had waited was run after the restart");

    // Each has one end in its stream, and the ends stay.
    for ((tenant, id), run) in runs.iter().zip(&ended) {
        let call = again[*tenant].get(&format!("/executions/{id}/events"));
        let mut events = kiln_test_support::Events::open(call).await.unwrap_or_else(|answer| panic!("{}", answer.text()));
        let events = events.rest(Duration::from_secs(20)).await;
        let ends: Vec<&Event> = events.iter().filter(|event| event.kind == "end").collect();
        assert_eq!(ends.len(), 1, "{events:?}");
        assert_eq!(ends[0].data, *run);
        let live: String = events.iter().filter(|event| event.kind == "stdout").map(Event::text).collect();
        assert_eq!(run["stdout"], live);
        assert_eq!(read(*tenant, id).await, *run);
    }
    assert_eq!(marker.processes(), Vec::<u32>::new());
    for api in &again {
        let at_rest = async || (api.get("/tenant/quota").await.json()["used"]["max_concurrent"] == 0).then_some(());
        eventually(Duration::from_secs(10), "no reservation is left", at_rest).await;
        let run = api.post("/executions", &json!({"code": "print('well')"})).query("wait_ms", 30_000).await.expect(200).json();
        assert_like(&run, json!({"status": "succeeded", "stdout": "well\n"}));
    }
}

/// What may become of one run: what had ended stays; the others succeed, with all of their lines, or are lost.
fn check(before: &Value, after: &Value) {
    if is_over(before["status"].as_str().unwrap()) {
        assert_eq!(before, after, "a terminal state has changed");
        return;
    }
    let whole = (0..8).fold(String::new(), |text, n| text + &format!("line {n}\n"));
    match after["status"].as_str().unwrap() {
        "succeeded" => assert_like(after, json!({"stdout": whole, "exit_code": 0, "reason": null})),
        "lost" => {
            assert_like(after, json!({"reason": {"code": "executor_lost", "message": "<string>"}, "exit_code": null}));
            assert!(whole.starts_with(after["stdout"].as_str().unwrap()), "{after}");
        }
        other => panic!("{other}: {after}"),
    }
}

#[tokio::test]
async fn sessions_end_with_their_executor_and_say_so() {
    let _alone = Visit::alone(MODE).await;
    let mut kiln = Installation::with_settings(&[SLOTS]);
    kiln.up();
    let tenant = kiln.sign_up().await;
    let session = tenant.post("/sessions", &json!({})).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    let path = format!("/sessions/{session}/executions");
    let sent = |code: &str| tenant.post(&path, &json!({ "code": code }));
    let running = sent("print('on')\nimport time; time.sleep(60)").await.expect(202).json();
    let waiting = sent("1").await.expect(202).json();
    let running = running["id"].as_str().unwrap();
    tenant.events(running).await.next_of("stdout", Duration::from_secs(20)).await;

    let killed = kiln.kill();
    let waited_for = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    let buried = async || killed.iter().all(waited_for).then_some(());
    eventually(Duration::from_secs(30), "the dead have been waited for", buried).await;
    kiln.up();

    let body = json!({"email": tenant.email, "password": PASSWORD});
    let token = kiln.api().post("/auth/login", &body).await.expect(200).json()["access_token"].clone();
    let again = kiln.api().with_bearer(token.as_str().unwrap());
    let closed = async || {
        let session = again.get(&format!("/sessions/{session}")).await.expect(200).json();
        (session["status"] == "closed").then_some(session)
    };
    let closed = eventually(Duration::from_mins(1), "the session is closed", closed).await;
    assert_like(&closed, json!({"reason": {"code": "executor_lost", "message": "<string>"}}));
    for id in [running, waiting["id"].as_str().unwrap()] {
        let over = async || {
            let run = again.get(&format!("/executions/{id}")).await.expect(200).json();
            is_over(run["status"].as_str().unwrap()).then_some(run)
        };
        let run = eventually(Duration::from_mins(1), "what it had is over", over).await;
        assert_like(&run, json!({"status": "lost", "reason": {"code": "executor_lost"}}));
    }
    assert_like(&again.post(&path, &json!({"code": "1"})).await.expect(409).json(), json!({"code": "session_closed"}));
    let session = again.post("/sessions", &json!({})).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    let path = format!("/sessions/{session}/executions");
    let run = again.post(&path, &json!({"code": "1 + 1"})).query("wait_ms", 30_000).await.expect(200).json();
    assert_like(&run, json!({"status": "succeeded"}));
}
