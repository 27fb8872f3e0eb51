//! /sessions: state from one execution to the next, the outputs of a notebook, and every way to end

use std::time::Duration;

use kiln_test_support::{Tenant, assert_like, eventually};
use serde_json::{Value, json};

use super::{SOON, visit};

/// A session of the default runtime.
pub async fn open(tenant: &Tenant) -> String {
    open_with(tenant, json!({})).await
}

async fn open_with(tenant: &Tenant, body: Value) -> String {
    let session = tenant.post("/sessions", &body).await.expect(201).json();
    assert_like(&session, json!({"status": "idle", "reason": null, "workspace_id": null}));
    session["id"].as_str().unwrap().to_owned()
}

/// Runs a cell to its end.
pub async fn cell(tenant: &Tenant, session: &str, code: &str) -> Value {
    cell_with(tenant, session, json!({"code": code})).await
}

async fn cell_with(tenant: &Tenant, session: &str, body: Value) -> Value {
    tenant.post(&format!("/sessions/{session}/executions?wait_ms=30000"), &body).await.expect(200).json()
}

/// Sends a cell and waits until it has printed a line.
async fn begun(tenant: &Tenant, session: &str, code: &str) -> String {
    let sent = tenant.post(&format!("/sessions/{session}/executions"), &json!({"code": code})).await.expect(202).json();
    let id = sent["id"].as_str().unwrap().to_owned();
    tenant.events(&id).await.next_of("stdout", SOON).await;
    id
}

async fn status(tenant: &Tenant, session: &str) -> Value {
    tenant.get(&format!("/sessions/{session}")).await.expect(200).json()
}

#[tokio::test]
async fn variables_live_on() {
    let (_kiln, tenant) = visit().await;
    let session = open(&tenant).await;
    assert_like(&cell(&tenant, &session, "xs = [1]").await, json!({"status": "succeeded", "session_id": session, "outputs": []}));
    let shown = cell(&tenant, &session, "xs.append(2)\nprint('now')\nxs").await;
    assert_like(
        &shown,
        json!({
            "status": "succeeded", "reason": null, "exit_code": null, "signal": null, "stdout": "now\n", "stderr": "",
            "execution_count": 2, "session_restarted": false,
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "now\n"},
                {"output_type": "execute_result", "execution_count": 2, "data": {"text/plain": "[1, 2]"}, "metadata": {}},
            ],
        }),
    );
    let failed = cell(&tenant, &session, "import sys\nprint('first', file=sys.stderr)\n1/0").await;
    assert_like(&failed, json!({"status": "failed", "reason": {"code": "exception"}, "exit_code": null, "stderr": "first\n"}));
    let error = &failed["outputs"][1];
    assert_like(error, json!({"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero"}));
    assert_like(&cell(&tenant, &session, "len(xs)").await, json!({"outputs": [{"data": {"text/plain": "2"}}]}));
    let listed = tenant.get(&format!("/executions?session_id={session}")).await.expect(200).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn cells_sent_at_once_run_in_their_order() {
    let (_kiln, tenant) = visit().await;
    let session = open(&tenant).await;
    let mut ids = Vec::new();
    for number in 0..12 {
        let body = json!({"code": format!("seen = globals().get('seen', []) + [{number}]\nseen")});
        let sent = tenant.post(&format!("/sessions/{session}/executions"), &body).await.expect(202).json();
        ids.push(sent["id"].as_str().unwrap().to_owned());
    }
    for (number, id) in ids.iter().enumerate() {
        let ended = tenant.ended(id, SOON).await;
        let expected = format!("{:?}", (0..=number).collect::<Vec<_>>());
        assert_like(&ended, json!({"status": "succeeded", "outputs": [{"data": {"text/plain": expected}}]}));
    }
}

#[tokio::test]
async fn all_who_watch_see_the_same_and_a_client_may_leave() {
    let (_kiln, tenant) = visit().await;
    let session = open(&tenant).await;
    let code = "for i in range(5):\n    print(i)\n    display(i)\n'end'";
    let sent = tenant.post(&format!("/sessions/{session}/executions"), &json!({"code": code})).await.expect(202).json();
    let id = sent["id"].as_str().unwrap();
    let (mut one, mut other) = (tenant.events(id).await, tenant.events(id).await);
    let (one, other) = (one.rest(SOON).await, other.rest(SOON).await);
    let told = |events: &[kiln_test_support::Event]| {
        events.iter().map(|event| (event.id.clone(), event.data.clone())).collect::<Vec<_>>()
    };
    assert_eq!(told(&one), told(&other));
    let outputs = one.last().unwrap().data["outputs"].as_array().unwrap().clone();
    let types: Vec<_> = outputs.iter().map(|output| output["output_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["stream", "display_data"].repeat(5).into_iter().chain(["execute_result"]).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_interrupt_keeps_the_state_and_a_restart_drops_it() {
    let (_kiln, tenant) = visit().await;
    let session = open(&tenant).await;
    tenant.post(&format!("/sessions/{session}/interrupt"), &json!({})).await.expect(202);
    cell(&tenant, &session, "kept = 1\nopen('file', 'w').write('x')").await;
    let id = begun(&tenant, &session, "print('on')\nwhile True: pass").await;
    assert_like(&status(&tenant, &session).await, json!({"status": "busy"}));
    tenant.post(&format!("/sessions/{session}/interrupt"), &json!({})).await.expect(202);
    let ended = tenant.ended(&id, SOON).await;
    assert_like(&ended, json!({"status": "failed", "reason": {"code": "interrupted"}, "session_restarted": false}));
    assert_like(&cell(&tenant, &session, "kept").await, json!({"outputs": [{"data": {"text/plain": "1"}}]}));

    let id = begun(&tenant, &session, "print('on')\nwhile True: pass").await;
    tenant.post(&format!("/sessions/{session}/restart"), &json!({})).await.expect(202);
    assert_like(&tenant.ended(&id, SOON).await, json!({"status": "cancelled", "session_restarted": true}));
    let after = cell(&tenant, &session, "import os; ('kept' in globals(), os.listdir('.'))").await;
    assert_like(&after, json!({"status": "succeeded", "outputs": [{"data": {"text/plain": "(False, ['file'])"}}]}));
}

#[tokio::test]
async fn limits_end_the_cell_and_not_the_session() {
    let (_kiln, tenant) = visit().await;
    let session = open_with(&tenant, json!({"limits": {"memory_bytes": 128 << 20}, "name": "small"})).await;
    let slow = cell_with(&tenant, &session, json!({"code": "kept = 1\nwhile True: pass", "limits": {"timeout_ms": 300}})).await;
    assert_like(&slow, json!({"status": "timed_out", "reason": {"code": "wall_time"}, "session_restarted": false}));
    assert_like(&cell(&tenant, &session, "kept").await, json!({"status": "succeeded"}));
    let large = cell(&tenant, &session, "bytearray(400 << 20)").await;
    assert_like(&large, json!({"status": "out_of_memory", "reason": {"code": "memory"}, "session_restarted": true}));
    let gone = cell(&tenant, &session, "import os\nos._exit(3)").await;
    assert_like(&gone, json!({"status": "failed", "reason": {"code": "exit_code"}, "exit_code": 3, "session_restarted": true}));
    assert_like(&status(&tenant, &session).await, json!({"status": "idle", "name": "small"}));
}

#[tokio::test]
async fn a_cell_is_cancelled_as_a_run_is() {
    let (_kiln, tenant) = visit().await;
    let session = open(&tenant).await;
    let id = begun(&tenant, &session, "kept = 1\nprint('on')\nwhile True: pass").await;
    let next = tenant.post(&format!("/sessions/{session}/executions"), &json!({"code": "kept"})).await.expect(202).json();
    tenant.post(&format!("/executions/{id}/cancel"), &json!({})).await.expect(202);
    assert_like(&tenant.ended(&id, SOON).await, json!({"status": "cancelled", "reason": {"code": "cancelled_by_user"}}));
    let next = tenant.ended(next["id"].as_str().unwrap(), SOON).await;
    assert_like(&next, json!({"status": "succeeded", "outputs": [{"data": {"text/plain": "1"}}]}));
}

#[tokio::test]
async fn an_interactive_cell_is_answered() {
    let (_kiln, tenant) = visit().await;
    let session = open(&tenant).await;
    let body = json!({"code": "name = input('Who? ')\nprint('Hello', name)", "interactive": true});
    let sent = tenant.post(&format!("/sessions/{session}/executions"), &body).await.expect(202).json();
    let id = sent["id"].as_str().unwrap();
    let mut events = tenant.events(id).await;
    assert_eq!(events.next_of("stdout", SOON).await.text(), "Who? ");
    tenant.post(&format!("/executions/{id}/stdin"), &json!({"data": "Ada\n"})).await.expect(204);
    assert_like(&tenant.ended(id, SOON).await, json!({"status": "succeeded", "stdout": "Who? Hello Ada\n"}));
    let refused = cell(&tenant, &session, "input()").await;
    assert_like(&refused, json!({"reason": {"code": "exception"}, "outputs": [{"ename": "StdinNotImplementedError"}]}));
}

#[tokio::test]
async fn names_are_completed_and_explained() {
    let (_kiln, tenant) = visit().await;
    let session = open(&tenant).await;
    cell(&tenant, &session, "def measure(width, height=2):\n    'The area.'\nvalues = []").await;
    let complete = |body: Value| tenant.post(&format!("/sessions/{session}/complete"), &body);
    let answer = complete(json!({"code": "x = values.app", "cursor": 14})).await.expect(200).json();
    assert_eq!(answer, json!({"matches": ["values.append"], "cursor_start": 4, "cursor_end": 14}));
    complete(json!({"code": "x", "cursor": 2})).await.expect(422);
    let inspect = |code: &str| tenant.post(&format!("/sessions/{session}/inspect"), &json!({"code": code}));
    let answer = inspect("measure").await.expect(200).json();
    assert!(answer["data"]["text/plain"].as_str().unwrap().contains("The area."), "{answer}");
    assert_like(&inspect("nowhere").await.expect(200).json(), json!({"found": false}));
}

#[tokio::test]
async fn a_session_is_closed_when_idle_and_gone_when_deleted() {
    let (_kiln, tenant) = visit().await;
    let idle = open_with(&tenant, json!({"idle_timeout_ms": 1000})).await;
    let closed = eventually(Duration::from_secs(15), "the idle session is closed", async || {
        let session = status(&tenant, &idle).await;
        (session["status"] == "closed").then_some(session)
    })
    .await;
    assert_like(&closed, json!({"reason": {"code": "idle_timeout"}}));
    let path = format!("/sessions/{idle}/executions");
    assert_like(&tenant.post(&path, &json!({"code": "1"})).await.expect(409).json(), json!({"code": "session_closed"}));
    tenant.post(&format!("/sessions/{idle}/interrupt"), &json!({})).await.expect(409);

    let session = open(&tenant).await;
    let running = begun(&tenant, &session, "print('on')\nwhile True: pass").await;
    let waiting = tenant.post(&format!("/sessions/{session}/executions"), &json!({"code": "1"})).await.expect(202).json();
    tenant.delete(&format!("/sessions/{session}")).await.expect(204);
    assert_like(&tenant.ended(&running, SOON).await, json!({"status": "cancelled"}));
    assert_like(&tenant.ended(waiting["id"].as_str().unwrap(), SOON).await, json!({"status": "cancelled"}));
    tenant.get(&format!("/sessions/{session}")).await.expect(404);
    tenant.post(&format!("/sessions/{session}/executions"), &json!({"code": "1"})).await.expect(404);
    let listed = tenant.get("/sessions").await.expect(200).json();
    let ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [idle.as_str()]);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (kiln, tenant) = visit().await;
    let body =
        json!({"runtime": "bash", "workspace_id": "x", "idle_timeout_ms": 1, "limits": {"pids": 1}, "name": "x".repeat(300)});
    let problem = tenant.post("/sessions", &body).await.expect(422).json();
    let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/runtime", "/workspace_id", "/name", "/idle_timeout_ms", "/limits/pids"]);
    tenant.post("/sessions", &json!({"runtime": "cobol"})).await.expect(422);
    tenant.post("/sessions", &json!({"kernel": "x"})).await.expect(422);

    let session = open(&tenant).await;
    let path = format!("/sessions/{session}/executions");
    for body in
        [json!({"code": " "}), json!({"code": "1", "limits": {"memory_bytes": 1 << 30}}), json!({"code": "1", "files": []})]
    {
        tenant.post(&path, &body).await.expect(422);
    }
    let other = kiln.sign_up().await;
    other.get(&format!("/sessions/{session}")).await.expect(404);
    other.post(&path, &json!({"code": "1"})).await.expect(404);
    other.delete(&format!("/sessions/{session}")).await.expect(404);
    tenant.get("/sessions/x").await.expect(404);
}

#[tokio::test]
async fn sessions_are_counted() {
    let (_kiln, tenant) = visit().await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(open(&tenant).await);
    }
    let refused = tenant.post("/sessions", &json!({})).await.expect(429).json();
    assert_like(&refused, json!({"code": "max_sessions"}));
    let quota = tenant.get("/tenant/quota").await.expect(200).json();
    assert_like(&quota, json!({"limits": {"max_sessions": 8}, "used": {"max_sessions": 8}}));
    for session in sessions {
        tenant.delete(&format!("/sessions/{session}")).await.expect(204);
    }
    open(&tenant).await;
}

#[tokio::test]
async fn a_repeat_with_the_same_key_makes_no_second_session() {
    let (_kiln, tenant) = visit().await;
    let make = || tenant.post("/sessions", &json!({"name": "once"})).header("Idempotency-Key", "one");
    let (first, second) = (make().await.expect(201).json(), make().await.expect(201).json());
    assert_eq!(first["id"], second["id"]);
    let session = first["id"].as_str().unwrap();
    let path = format!("/sessions/{session}/executions?wait_ms=30000");
    let run = || tenant.post(&path, &json!({"code": "n = globals().get('n', 0) + 1\nn"})).header("Idempotency-Key", "two");
    let (first, second) = (run().await.expect(200).json(), run().await.expect(200).json());
    assert_eq!((&first["id"], &first["outputs"]), (&second["id"], &second["outputs"]));
}
