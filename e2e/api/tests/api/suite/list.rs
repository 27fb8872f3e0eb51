//! GET /executions

use kiln_test_support::{Tenant, assert_like};
use serde_json::{Value, json};

use super::{SOON, visit};

async fn list(tenant: &Tenant, query: &str) -> Value {
    tenant.get(&format!("/executions{query}")).await.expect(200).json()
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Ended runs, newest first.
async fn runs(tenant: &Tenant, bodies: &[Value]) -> Vec<String> {
    let mut made = Vec::new();
    for body in bodies {
        made.insert(0, tenant.submit(body.clone()).await);
    }
    for id in &made {
        tenant.ended(id, SOON).await;
    }
    made
}

#[tokio::test]
async fn newest_comes_first_in_pages_without_gap_or_repeat() {
    let (_kiln, tenant) = visit().await;
    assert_like(&list(&tenant, "").await, json!({"data": [], "next_cursor": null}));
    let made = runs(&tenant, &vec![json!({"code": "print(1)"}); 5]).await;
    assert_eq!(ids(&list(&tenant, "").await), made);

    let first = list(&tenant, "?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    // One more in between must not shift the pages.
    runs(&tenant, &[json!({"code": "print(2)"})]).await;
    let second = list(&tenant, &format!("?limit=2&cursor={cursor}")).await;
    let third = list(&tenant, &format!("?limit=2&cursor={}", second["next_cursor"].as_str().unwrap())).await;
    assert_eq!([ids(&first), ids(&second), ids(&third)].concat(), made);
    assert_eq!(third["next_cursor"], Value::Null);
    assert_like(&first["data"][0], json!({"id": "<uuid>", "status": "succeeded", "runtime": "<string>", "created_at": "<time>"}));
}

#[tokio::test]
async fn an_exact_page_has_no_next() {
    let (_kiln, tenant) = visit().await;
    runs(&tenant, &vec![json!({"code": "print(1)"}); 2]).await;
    assert_eq!(list(&tenant, "?limit=2").await["next_cursor"], Value::Null);
}

#[tokio::test]
async fn filters_narrow() {
    let (_kiln, tenant) = visit().await;
    let bodies = [
        json!({"code": "print(1)", "labels": {"team": "a", "n": "1"}}),
        json!({"code": "raise SystemExit(3)", "labels": {"team": "a", "n": "2"}}),
        json!({"code": "import time\ntime.sleep(9)", "limits": {"timeout_ms": 100}, "labels": {"team": "b=c"}}),
    ];
    let made = runs(&tenant, &bodies).await;
    let [timed_out, failed, succeeded] = [0, 1, 2].map(|index| vec![made[index].clone()]);
    for (query, expected) in [
        ("?status=succeeded", &succeeded),
        ("?status=failed,timed_out", &[timed_out.clone(), failed.clone()].concat()),
        ("?status=queued,running,lost", &vec![]),
        ("?label=team=a", &[failed.clone(), succeeded.clone()].concat()),
        ("?label=team=a&label=n=2", &failed),
        ("?label=team=b=c", &timed_out),
        ("?label=team=nobody", &vec![]),
        ("?label=team=a&status=succeeded", &succeeded),
        ("?runtime=bash", &vec![]),
    ] {
        assert_eq!(ids(&list(&tenant, query).await), *expected, "{query}");
    }
    let runtime = tenant.execution(&made[0]).await["runtime"].as_str().unwrap().to_owned();
    assert_eq!(ids(&list(&tenant, &format!("?runtime={runtime}")).await), made);
}

#[tokio::test]
async fn bad_queries_are_refused() {
    let (_kiln, tenant) = visit().await;
    for query in ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "cursor=x", "cursor=%00"] {
        tenant.get(&format!("/executions?{query}")).await.problem(400);
    }
    for query in ["status=done", "label=nokey"] {
        let answer = tenant.get(&format!("/executions?{query}")).await;
        let status = answer.status;
        assert!(status == 400 || status == 422, "{query}: {status}");
        answer.problem(status);
    }
    list(&tenant, "?limit=200").await;
}

#[tokio::test]
async fn a_cursor_shows_nothing_of_another_tenant() {
    let (kiln, tenant) = visit().await;
    runs(&tenant, &vec![json!({"code": "print(1)"}); 3]).await;
    let cursor = list(&tenant, "?limit=1").await["next_cursor"].as_str().unwrap().to_owned();
    let other = kiln.sign_up().await;
    assert_like(&list(&other, "").await, json!({"data": []}));
    let answer = other.get(&format!("/executions?cursor={cursor}")).await;
    if answer.status != 400 {
        assert_like(&answer.expect(200).json(), json!({"data": []}));
    }
}

#[tokio::test]
async fn a_cursor_from_another_tenant_shows_nothing_of_it() {
    let (kiln, tenant) = visit().await;
    let other = kiln.sign_up().await;
    for _ in 0..2 {
        tenant.run("print('mine')").await;
    }
    let cursor = list(&tenant, "?limit=1").await["next_cursor"].as_str().unwrap().to_owned();
    // It names a place in time and no row: whoever holds it reads their own rows before that.
    assert_like(&list(&other, &format!("?cursor={cursor}")).await, json!({"data": [], "next_cursor": null}));
    let own = other.run("print('theirs')").await;
    assert_like(&list(&other, &format!("?cursor={cursor}")).await, json!({"data": []}));
    assert_like(&list(&other, "").await, json!({"data": [{"id": own["id"]}]}));
}
