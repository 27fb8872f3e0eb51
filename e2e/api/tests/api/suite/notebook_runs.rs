//! POST /notebooks/{id}/run: notebooks that run on the server, with nobody there

use std::time::Duration;

use kiln_test_support::{Api, Tenant, assert_like, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use super::notebooks::{code, make, markdown, notebook, put};
use super::{SOON, visit};

/// The run once it has ended, by looking now and then.
pub async fn ended(api: &Api, path: &str, within: Duration) -> Value {
    let ended = async || {
        let run = api.get(&format!("{path}/run")).await.expect(200).json();
        (run["state"] == "ended").then_some(run)
    };
    eventually(within, "the run has ended", ended).await
}

async fn run(tenant: &Tenant, path: &str, body: Value) -> Value {
    tenant.post(&format!("{path}/run"), &body).query("wait_ms", 60_000).await.expect(200).json()
}

async fn cells(tenant: &Tenant, path: &str) -> Vec<Value> {
    tenant.get(path).await.expect(200).json()["content"]["cells"].as_array().unwrap().clone()
}

fn tagged(mut cell: Value, tag: &str) -> Value {
    cell["metadata"]["tags"] = json!([tag]);
    cell
}

fn statuses(run: &Value) -> Vec<&str> {
    run["cells"].as_array().unwrap().iter().map(|cell| cell["status"].as_str().unwrap_or("-")).collect()
}

#[tokio::test]
async fn every_cell_runs_and_leaves_its_outputs_in_the_document() {
    let (_kiln, tenant) = visit().await;
    let cells_ = [
        markdown("intro", "# Counting"),
        code("a", "x = 20\nprint('set')"),
        code("blank", " "),
        code("b", "import sys; print('oops', file=sys.stderr)\nx + 1"),
        tagged(code("skipped", "1/0"), "skip-execution"),
    ];
    let path = format!("/notebooks/{}", make(&tenant, &cells_).await);
    let begun = tenant.call(Method::POST, &format!("{path}/run")).await.expect(202).json();
    assert_like(
        &begun,
        json!({
            "id": "<uuid>", "session_id": "<uuid>", "executions": ["<uuid>", "<uuid>"], "cells": [{"cell_id": "a"}, {"cell_id": "b"}],
        }),
    );
    let run = ended(&tenant, &path, SOON).await;
    assert_like(
        &run,
        json!({"status": "succeeded", "session_id": begun["session_id"], "executions": begun["executions"],
        "cells": [{"status": "succeeded", "reason": null}, {"status": "succeeded"}], "ended_at": "<time>"}),
    );
    let read = tenant.get(&path).await.expect(200);
    let document = read.json();
    let timing = json!({"iopub.execute_input": "<time>", "iopub.status.busy": "<time>", "iopub.status.idle": "<time>", "shell.execute_reply": "<time>"});
    assert_like(
        &document["content"]["cells"],
        json!([
            {"id": "intro", "source": "# Counting"},
            {"id": "a", "execution_count": 1, "metadata": {"execution": timing}, "outputs": [{"output_type": "stream", "name": "stdout", "text": "set\n"}]},
            {"id": "blank", "execution_count": null, "outputs": []},
            {"id": "b", "execution_count": 2, "outputs": [
                {"output_type": "stream", "name": "stderr", "text": "oops\n"},
                {"output_type": "execute_result", "execution_count": 2, "data": {"text/plain": "21"}, "metadata": {}}]},
            {"id": "skipped", "execution_count": null, "outputs": []},
        ]),
    );
    assert_eq!(document["run_state"], "ended");
    // The state before the run is a version, and the run one more.
    let versions = tenant.get(&format!("{path}/versions")).await.expect(200).json();
    assert_like(&versions, json!({"data": [{"number": 2, "cause": "run"}, {"number": 1, "cause": "created"}]}));
    // Its executions are executions like others, in a session that has done its work.
    let first = tenant.execution(run["executions"][0].as_str().unwrap()).await;
    let id = path.rsplit('/').next().unwrap();
    assert_like(
        &first,
        json!({"status": "succeeded", "stdout": "set\n", "session_id": run["session_id"], "labels": {"notebook": id, "cell": "a"}}),
    );
    let session = tenant.get(&format!("/sessions/{}", run["session_id"].as_str().unwrap())).await.expect(200).json();
    assert_like(&session, json!({"status": "closed", "reason": {"code": "finished"}}));
}

#[tokio::test]
async fn the_first_error_ends_the_run_unless_it_is_expected() {
    let (_kiln, tenant) = visit().await;
    let cells_ = [
        tagged(code("expected", "1/0"), "raises-exception"),
        code("fine", "print('on')"),
        code("wrong", "print('before')\nraise ValueError('no')"),
        code("after", "print('never')"),
        code("last", "print('never')"),
    ];
    let path = format!("/notebooks/{}", make(&tenant, &cells_).await);
    for _ in 0..2 {
        let run = run(&tenant, &path, json!({})).await;
        assert_eq!(statuses(&run), ["failed", "succeeded", "failed", "not_run", "not_run"]);
        assert_like(&run, json!({"status": "failed"}));
        assert_like(&run["cells"][2], json!({"reason": {"code": "exception"}}));
        assert_like(&run["cells"][3], json!({"reason": {"code": "aborted", "message": "<string>"}}));
        let after = tenant.execution(run["executions"][3].as_str().unwrap()).await;
        assert_like(&after, json!({"status": "cancelled", "started_at": null, "stdout": "", "reason": {"code": "aborted"}}));
        assert_like(
            &json!(cells(&tenant, &path).await),
            json!([
                {"execution_count": 1, "outputs": [{"output_type": "error", "ename": "ZeroDivisionError"}]},
                {"execution_count": 2, "outputs": [{"text": "on\n"}]},
                {"execution_count": 3, "outputs": [{"text": "before\n"}, {"output_type": "error", "ename": "ValueError", "evalue": "no"}]},
                {"execution_count": null, "outputs": []},
                {"execution_count": null, "outputs": []},
            ]),
        );
    }
    let at_rest = async || {
        let used = tenant.get("/tenant/quota").await.expect(200).json()["used"].clone();
        (used["max_concurrent"] == 0 && used["max_queued"] == 0 && used["max_sessions"] == 0).then_some(())
    };
    eventually(SOON, "nothing is reserved any more", at_rest).await;
}

#[tokio::test]
async fn ends_that_the_program_does_not_tell_are_told() {
    let (_kiln, tenant) = visit().await;
    let path =
        format!("/notebooks/{}", make(&tenant, &[code("big", "print('on')\nx = bytearray(10**10)"), code("after", "1")]).await);
    let first = run(&tenant, &path, json!({})).await;
    let cells_ = cells(&tenant, &path).await;
    // Where the limit is by address space it is Python that says so.
    let outputs = cells_[0]["outputs"].as_array().unwrap();
    assert_eq!((outputs.len(), statuses(&first)[1]), (2, "not_run"), "{first} {outputs:?}");
    assert!(["OutOfMemory", "MemoryError"].contains(&outputs[1]["ename"].as_str().unwrap()), "{outputs:?}");

    let loops = notebook(&[code("big", "print('on')\nwhile True: pass"), code("after", "1")]);
    let tag = tenant.get(&path).await.header("etag").to_owned();
    put(&tenant, &path, &tag, &loops).await.expect(200);
    let second = run(&tenant, &path, json!({"limits": {"timeout_ms": 500}})).await;
    assert_eq!((&second["status"], statuses(&second)), (&json!("timed_out"), vec!["timed_out", "not_run"]));
    let cells_ = cells(&tenant, &path).await;
    let last = cells_[0]["outputs"].as_array().unwrap().last().unwrap().clone();
    assert_like(&last, json!({"output_type": "error", "ename": "TimedOut", "evalue": "<string>"}));
}

#[tokio::test]
async fn a_cancelled_cell_ends_the_run() {
    let (_kiln, tenant) = visit().await;
    let path =
        format!("/notebooks/{}", make(&tenant, &[code("a", "print('on')\nimport time; time.sleep(60)"), code("b", "1")]).await);
    let begun = tenant.post(&format!("{path}/run"), &json!({})).await.expect(202).json();
    let running = begun["executions"][0].as_str().unwrap();
    tenant.printed(running, SOON).await;
    assert_eq!(tenant.post(&format!("{path}/run"), &json!({})).await.problem(409).code(), "run_active");
    assert_eq!(tenant.delete(&path).await.problem(409).code(), "run_active");
    tenant.cancel(running).await.expect(202);
    let run = ended(&tenant, &path, SOON).await;
    assert_eq!((&run["status"], statuses(&run)), (&json!("cancelled"), vec!["cancelled", "not_run"]));
    let cells_ = cells(&tenant, &path).await;
    assert_like(&cells_[0]["outputs"][0], json!({"text": "on\n"}));
    assert_like(cells_[0]["outputs"].as_array().unwrap().last().unwrap(), json!({"ename": "Cancelled"}));
}

#[tokio::test]
async fn parameters_stand_behind_their_defaults() {
    let (_kiln, tenant) = visit().await;
    let cells_ =
        [tagged(code("defaults", "n = 1\nname = 'default'\nmore = None"), "parameters"), code("use", "print(n, name, more)")];
    let path = format!("/notebooks/{}", make(&tenant, &cells_).await);
    let parameters = json!({"n": 3, "name": "it's \"quoted\"\n", "more": {"a": [true, null, 1.5]}});
    let run_ = run(&tenant, &path, json!({ "parameters": parameters })).await;
    assert_eq!(statuses(&run_), ["succeeded"; 3]);
    let cells_ = cells(&tenant, &path).await;
    assert_like(&cells_[1], json!({"cell_type": "code", "execution_count": 2, "metadata": {"tags": ["injected-parameters"]}}));
    assert_eq!(cells_[2]["outputs"][0]["text"], "3 it's \"quoted\"\n {'a': [True, None, 1.5]}\n");
    run(&tenant, &path, json!({"parameters": {"n": 4}})).await;
    let again = cells(&tenant, &path).await;
    assert_eq!((again.len(), &again[1]["id"]), (3, &cells_[1]["id"]));
    assert_eq!(again[2]["outputs"][0]["text"], "4 default None\n");
    for (body, pointer) in [
        (json!({"parameters": {"1x": 1}}), "/parameters/1x"),
        (json!({"parameters": {"class": 1}}), "/parameters/class"),
        (json!({"parameters": [1]}), "/parameters"),
        (json!({"from": "nowhere"}), "/from"),
        (json!({"from": "use", "to": "defaults"}), "/to"),
        (json!({"session_id": "7"}), "/session_id"),
        (json!({"session_id": uuid::Uuid::now_v7()}), "/session_id"),
        (json!({"limits": {"timeout_ms": 1}}), "/limits/timeout_ms"),
        (json!({"cells": []}), "/cells"),
    ] {
        let problem = tenant.post(&format!("{path}/run"), &body).await.problem(422);
        assert!(problem.body["errors"].to_string().contains(pointer), "{body}: {}", problem.body);
    }
    // What was refused has left nothing.
    assert_eq!(cells(&tenant, &path).await, again);
    assert_eq!(tenant.get(&path).await.json()["run_state"], "ended");
}

#[tokio::test]
async fn a_part_runs_in_the_session_that_is_given() {
    let (kiln, tenant) = visit().await;
    let cells_ = [code("a", "x = 1"), code("b", "x += 1; print(x)"), code("c", "print('c', x)")];
    let path = format!("/notebooks/{}", make(&tenant, &cells_).await);
    let kept = run(&tenant, &path, json!({"to": "b", "keep_session": true})).await;
    assert_eq!(statuses(&kept), ["succeeded", "succeeded"]);
    let session = kept["session_id"].as_str().unwrap();
    let part = run(&tenant, &path, json!({"from": "b", "session_id": session})).await;
    assert_like(&part, json!({"session_id": session, "status": "succeeded", "cells": [{"cell_id": "b"}, {"cell_id": "c"}]}));
    assert_like(
        &json!(cells(&tenant, &path).await),
        json!([
            {"execution_count": 1}, {"execution_count": 3, "outputs": [{"text": "3\n"}]}, {"execution_count": 4, "outputs": [{"text": "c 3\n"}]},
        ]),
    );
    assert_eq!(tenant.get(&format!("/sessions/{session}")).await.json()["status"], "idle");
    tenant.delete(&format!("/sessions/{session}")).await.expect(204);
    tenant.post(&format!("{path}/run"), &json!({"session_id": session})).await.problem(422);
    let other = kiln.sign_up().await;
    let theirs = other.post("/sessions", &json!({})).await.expect(201).json()["id"].clone();
    tenant.post(&format!("{path}/run"), &json!({ "session_id": theirs })).await.problem(422);
    tenant.post(&format!("{path}/run"), &json!({"session_id": session, "keep_session": true})).await.problem(422);
}

#[tokio::test]
async fn who_edits_meanwhile_loses_nothing() {
    let (_kiln, tenant) = visit().await;
    let workspace = super::workspaces::default_of(&tenant).await;
    let waits = "import os, time\nprint('on', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)";
    let before = notebook(&[code("a", waits), code("b", "print('b ran')"), code("gone", "print('gone ran')")]);
    let body = json!({"name": "n", "content": before, "workspace_id": workspace});
    let made = tenant.post("/notebooks", &body).await.expect(201);
    let path = format!("/notebooks/{}", made.json()["id"].as_str().unwrap());
    let begun = tenant.post(&format!("{path}/run"), &json!({})).await.expect(202).json();
    tenant.printed(begun["executions"][0].as_str().unwrap(), SOON).await;

    // The run has moved the revision on, so what was read before it is stale.
    let edited = notebook(&[markdown("new", "added"), code("b", "edited"), code("a", waits)]);
    put(&tenant, &path, made.header("etag"), &edited).await.problem(412);
    let tag = tenant.get(&path).await.header("etag").to_owned();
    put(&tenant, &path, &tag, &edited).await.expect(200);
    tenant.call(Method::PUT, &format!("/workspaces/{workspace}/files/go")).body("application/octet-stream", "").await.expect(201);
    let run = ended(&tenant, &path, SOON).await;
    assert_eq!(statuses(&run), ["succeeded"; 3]);
    assert_like(
        &json!(cells(&tenant, &path).await),
        json!([
            {"id": "new", "source": "added"},
            {"id": "b", "source": "edited", "execution_count": 2, "outputs": [{"text": "b ran\n"}]},
            {"id": "a", "execution_count": 1, "outputs": [{"text": "on\n"}]},
        ]),
    );
    let gone = tenant.execution(run["executions"][2].as_str().unwrap()).await;
    assert_like(&gone, json!({"stdout": "gone ran\n"}));
}

#[tokio::test]
async fn a_repeat_with_the_same_key_runs_once() {
    let (_kiln, tenant) = visit().await;
    let path = format!("/notebooks/{}", make(&tenant, &[code("a", "1")]).await);
    let begin = || tenant.post(&format!("{path}/run"), &json!({})).header("idempotency-key", "k");
    let first = begin().await.expect(202).json();
    ended(&tenant, &path, SOON).await;
    let again = begin().await.expect(202);
    assert_eq!((again.json(), again.header("idempotency-replayed")), (first, "true"));
    assert_like(&tenant.get("/executions").await.json(), json!({"data": [{"labels": {"cell": "a"}}]}));
    let nothing = format!("/notebooks/{}", make(&tenant, &[markdown("m", "x")]).await);
    tenant.get(&format!("{nothing}/run")).await.problem(404);
    let empty = run(&tenant, &nothing, json!({})).await;
    assert_like(&empty, json!({"status": "succeeded", "session_id": null, "executions": []}));
}

#[tokio::test]
async fn many_cells_run_in_their_order() {
    let (_kiln, tenant) = visit().await;
    let mut all = vec![code("first", "seen = []")];
    all.extend((0..120).map(|n| code(&format!("c{n}"), &format!("seen.append({n}); len(seen)"))));
    all.push(code("last", "seen == list(range(120))"));
    let path = format!("/notebooks/{}", make(&tenant, &all).await);
    let run = run(&tenant, &path, json!({})).await;
    assert_eq!(run["status"], "succeeded");
    let cells_ = cells(&tenant, &path).await;
    for (index, cell) in cells_.iter().enumerate() {
        assert_eq!(cell["execution_count"], index + 1);
    }
    assert_eq!(cells_.last().unwrap()["outputs"][0]["data"]["text/plain"], "True");
}
