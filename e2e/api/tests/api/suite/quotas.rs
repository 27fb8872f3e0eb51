//! Limits of a tenant's own, in force from submission to the end of a run

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kiln_e2e_api::WAITS;
use kiln_test_support::{Tenant, Visit, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use super::{SOON, visit};

/// A new limit is in force this soon.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// A platform admin, made as the operator makes one.
async fn admin(kiln: &Visit) -> Tenant {
    let admin = kiln.sign_up().await;
    kiln.operate(&["grant", &admin.email]).await;
    admin.refreshed().await
}

#[tokio::test]
async fn no_more_run_at_once_than_may() {
    let (kiln, tenant) = visit().await;
    let admin = admin(&kiln).await;
    admin.administer(&tenant, &json!({"quota": {"max_concurrent": 2, "max_queued": 3}})).await;
    let mut live = Vec::new();
    let refused = async || {
        let answer = tenant.post("/executions", &json!({"code": WAITS})).await;
        match answer.status {
            202 => Err(answer.json()["id"].as_str().unwrap().to_owned()),
            _ => Ok(answer.problem(429)),
        }
    };
    let problem = loop {
        match refused().await {
            Err(id) => live.push(id),
            Ok(problem) => break problem,
        }
        assert!(live.len() < 40, "nothing is refused");
    };
    assert_eq!((problem.code(), problem.header("retry-after").is_empty()), ("max_queued", false));
    let waiting = tenant.get(&format!("/executions/{}/why", live.last().unwrap())).await.expect(200).json();
    assert_eq!(waiting["waiting_for"], "tenant_concurrency");
    for id in &live {
        tenant.cancel(id).await.expect(202);
    }
    for id in &live {
        tenant.ended(id, SOON).await;
    }
    let at_rest = async || {
        let used = tenant.get("/tenant/quota").await.expect(200).json()["used"].clone();
        (used["max_concurrent"] == 0 && used["max_queued"] == 0).then_some(())
    };
    eventually(SOON, "every reservation is given back", at_rest).await;
}

#[tokio::test]
async fn a_spent_day_ends_what_runs_and_refuses_what_comes() {
    let (kiln, tenant) = visit().await;
    let admin = admin(&kiln).await;
    admin.administer(&tenant, &json!({"quota": {"cpu_ms_per_day": 1_500, "max_concurrent": 1}})).await;
    let heard = async || {
        let first = tenant.submit(json!({"code": "import time; time.sleep(60)"})).await;
        let second = tenant.submit(json!({"code": "print(1)"})).await;
        let why = tenant.get(&format!("/executions/{second}/why")).await.expect(200).json()["waiting_for"].clone();
        tenant.cancel(&second).await;
        tenant.cancel(&first).await;
        tenant.ended(&first, SOON).await;
        (why == "tenant_concurrency").then_some(())
    };
    eventually(HEARD_WITHIN * 4, "the limits are in force", heard).await;
    let begun = Instant::now();
    let spends = tenant.submit(json!({"code": "while True: pass"})).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(tenant.submit(json!({"code": "print('late')"})).await);
    }
    let run = tenant.ended(&spends, SOON).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!((&run["status"], &run["reason"]["code"]), (&json!("cancelled"), &json!("cpu_time")), "{run}");
    // What had been accepted waits for the next day, and says so.
    for id in &waiting {
        let why = tenant.get(&format!("/executions/{id}/why")).await.expect(200).json();
        assert_eq!((&why["state"], &why["waiting_for"]), (&json!("queued"), &json!("rate")), "{why}");
        assert!((1..=86_400_000).contains(&why["estimate_ms"].as_u64().unwrap()), "{why}");
    }
    let problem = tenant.post("/executions", &json!({"code": "print(1)"})).await.problem(429);
    assert_eq!(problem.code(), "cpu_ms_per_day");
    let wait_s: u64 = problem.header("retry-after").parse().unwrap();
    assert!((1..=86_400).contains(&wait_s), "{wait_s}");
    admin.administer(&tenant, &json!({"quota": {"cpu_ms_per_day": null}})).await;
    let accepted = async || (tenant.post("/executions", &json!({"code": "print(1)"})).await.status == 202).then_some(());
    eventually(HEARD_WITHIN, "it may run again", accepted).await;
    for id in &waiting {
        assert_eq!(tenant.ended(id, SOON).await["stdout"], "late\n");
    }
}

#[tokio::test]
async fn a_plan_bounds_what_one_run_may_ask_for() {
    let (kiln, tenant) = visit().await;
    let admin = admin(&kiln).await;
    admin.administer(&tenant, &json!({"plan": "free"})).await;
    let submit = async |limits: Value| tenant.post("/executions", &json!({"code": "print(1)", "limits": limits})).await;
    let refused = async || (submit(json!({"timeout_ms": 61_000})).await.status == 422).then_some(());
    eventually(HEARD_WITHIN, "the plan is in force", refused).await;
    submit(json!({"timeout_ms": 61_000})).await.problem(422).at("/limits/timeout_ms");
    submit(json!({"timeout_ms": 60_000})).await.expect(202);
    let limits = tenant.get("/limits").await.expect(200).json();
    assert_eq!((&limits["maximum"]["timeout_ms"], &limits["default"]["timeout_ms"]), (&json!(60_000), &json!(30_000)));
}

#[tokio::test]
async fn a_suspended_tenant_runs_nothing() {
    let (kiln, tenant) = visit().await;
    let admin = admin(&kiln).await;
    let live = tenant.submit(json!({"code": WAITS})).await;
    tenant.printed(&live, SOON).await;
    admin.administer(&tenant, &json!({"suspended": true})).await;
    let ended = tenant.ended(&live, SOON).await;
    assert_eq!(ended["reason"]["code"], "tenant_suspended");
    let problem = tenant.post("/executions", &json!({"code": "print(1)"})).await.problem(403);
    assert_eq!(problem.code(), "tenant_suspended");
    // Nothing of it can be changed; what there is can still be read.
    for (path, body) in [
        ("/api-keys", json!({"name": "k", "scopes": ["executions:read"]})),
        ("/tenant/invitations", json!({"email": "somebody@example.org"})),
    ] {
        assert_eq!(tenant.post(path, &body).await.problem(403).code(), "tenant_suspended", "{path}");
    }
    let retried = tenant.call(Method::POST, &format!("/executions/{live}/retry")).await.problem(403);
    assert_eq!(retried.code(), "tenant_suspended");
    assert_eq!(tenant.get("/tenant").await.expect(200).json()["suspended"], true);
    tenant.execution(&live).await;
    admin.administer(&tenant, &json!({"suspended": false})).await;
    let accepted = async || (tenant.post("/executions", &json!({"code": "print(1)"})).await.status == 202).then_some(());
    eventually(HEARD_WITHIN, "it may run again", accepted).await;
}

#[tokio::test]
async fn the_operator_sees_the_executors() {
    let (kiln, tenant) = visit().await;
    let admin = admin(&kiln).await;
    tenant.get("/admin/executors").await.problem(404);
    let executors = admin.get("/admin/executors").await.expect(200).json();
    assert_eq!((&executors["data"][0]["live"], executors["data"].as_array().unwrap().len()), (&json!(true), 1), "{executors}");
}

/// How long a thousand short runs may take, ten at a time, beside other tests.
const THOUSAND_WITHIN: Duration = Duration::from_mins(4);

#[tokio::test]
async fn of_a_thousand_at_once_never_an_eleventh_runs() {
    let (kiln, tenant) = visit().await;
    let admin = admin(&kiln).await;
    admin.administer(&tenant, &json!({"quota": {"max_concurrent": 10}})).await;
    let heard = async || (tenant.get("/tenant/quota").await.json()["limits"]["max_concurrent"] == 10).then_some(());
    eventually(HEARD_WITHIN, "the limit is known", heard).await;
    // The scheduler hears by event; one run later it has.
    tenant.run("print(1)").await;
    let body = json!({"code": "import time\nbegun = time.monotonic()\ntime.sleep(0.02)\nprint(begun, time.monotonic())"});
    let submitted = futures::stream::iter(0..1000).map(async |number| {
        let id = tenant.submit(body.clone()).await;
        if number % 10 == 0 {
            let status = tenant.cancel(&id).await.status;
            assert!(status == 202 || status == 409, "{status}");
        }
        id
    });
    let ids: Vec<String> = submitted.buffer_unordered(64).collect().await;
    let ended = futures::stream::iter(&ids).map(async |id| tenant.ended(id, THOUSAND_WITHIN).await).buffer_unordered(16);
    let runs: Vec<Value> = ended.collect().await;
    assert!(runs.iter().all(|run| run["status"] == "succeeded" || run["status"] == "cancelled"));
    // A run that begins counts one more, one that has ended one less.
    let mut steps: Vec<(f64, i32)> = runs
        .iter()
        .filter(|run| run["status"] == "succeeded")
        .flat_map(|run| {
            let times: Vec<f64> = run["stdout"].as_str().unwrap().split_whitespace().map(|time| time.parse().unwrap()).collect();
            [(times[0], 1), (times[1], -1)]
        })
        .collect();
    steps.sort_by(|one, other| one.0.total_cmp(&other.0));
    let most = steps
        .iter()
        .scan(0, |running, (_, step)| {
            *running += step;
            Some(*running)
        })
        .max()
        .unwrap();
    assert!((2..=10).contains(&most), "{most} ran at once");
    let used = tenant.get("/tenant/quota").await.expect(200).json()["used"].clone();
    assert_eq!((&used["max_concurrent"], &used["max_queued"]), (&json!(0), &json!(0)));
}
