//! `kill -9` of all of Kiln in the middle of a notebook that runs by itself

use std::time::Duration;

use kiln_test_support::{Installation, PASSWORD, assert_like, eventually};
use serde_json::{Value, json};

use crate::suite::notebook_runs::ended;
use crate::suite::notebooks::{code, notebook};

const SETTLED_WITHIN: Duration = Duration::from_mins(2);

fn cell(id: &str, after: &str) -> Value {
    code(id, &format!("with open('log', 'a') as log: print('{id}', file=log)\nprint('{id}', flush=True)\n{after}"))
}

#[tokio::test]
async fn what_was_done_stays_and_what_was_not_says_so() {
    let mut kiln = Installation::new();
    kiln.up();
    let tenant = kiln.sign_up().await;
    let workspace = crate::suite::workspaces::default_of(&tenant).await;
    let cells = [
        cell("one", ""),
        cell("two", "'value'"),
        cell("three", "import time; time.sleep(120)"),
        cell("four", ""),
        cell("five", ""),
    ];
    let body = json!({"name": "n", "content": notebook(&cells), "workspace_id": workspace});
    let path = format!("/notebooks/{}", tenant.post("/notebooks", &body).await.expect(201).json()["id"].as_str().unwrap());
    let begun = tenant.post(&format!("{path}/run"), &json!({"limits": {"timeout_ms": 300_000}})).await.expect(202).json();
    tenant.printed(begun["executions"][2].as_str().unwrap(), Duration::from_secs(30)).await;
    // The third has printed before Kiln goes; what the first two left is in the notebook already, cell by cell.
    let written = async || {
        let read = tenant.get(&path).await.expect(200).json();
        (read["content"]["cells"][1]["execution_count"] == 2).then_some(())
    };
    eventually(Duration::from_secs(10), "two cells are written", written).await;

    let killed = kiln.kill();
    let waited_for = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    let buried = async || killed.iter().all(waited_for).then_some(());
    eventually(Duration::from_secs(30), "the dead have been waited for", buried).await;
    kiln.up();

    let login = json!({"email": tenant.email, "password": PASSWORD});
    let token = kiln.api().post("/auth/login", &login).await.expect(200).json()["access_token"].clone();
    let again = kiln.api().with_bearer(token.as_str().unwrap());
    let run = ended(&again, &path, SETTLED_WITHIN).await;
    assert_like(
        &run,
        json!({"status": "lost", "executions": begun["executions"], "cells": [
            {"status": "succeeded"}, {"status": "succeeded"},
            {"status": "lost", "reason": {"code": "executor_lost", "message": "<string>"}},
            {"status": "not_run", "reason": {"code": "executor_lost"}}, {"status": "not_run", "reason": {"code": "executor_lost"}},
        ]}),
    );
    let document = again.get(&path).await.expect(200).json();
    assert_like(
        &document["content"]["cells"],
        json!([
            {"execution_count": 1, "outputs": [{"text": "one\n"}]},
            {"execution_count": 2, "outputs": [{"text": "two\n"}, {"data": {"text/plain": "'value'"}}]},
            {"outputs": [{"text": "three\n"}, {"output_type": "error", "ename": "Lost", "evalue": "<string>"}]},
            {"execution_count": null, "outputs": []}, {"execution_count": null, "outputs": []},
        ]),
    );
    let log = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let read = async || log(again.get(&format!("/workspaces/{workspace}/files/log")).await.expect(200).text());
    assert_eq!(read().await, ["one", "two", "three"], "a cell ran twice, or after the end");

    // It runs again, whole, when somebody asks for it.
    let shorter = [cell("one", ""), cell("two", "'value'"), cell("three", ""), cell("four", "")];
    let put = again.call(reqwest::Method::PUT, &path).header("if-match", "*").json(&json!({ "content": notebook(&shorter) }));
    put.await.expect(200);
    let run = again.post(&format!("{path}/run"), &json!({})).query("wait_ms", 60_000).await.expect(200).json();
    assert_like(&run, json!({"status": "succeeded"}));
    assert_eq!(read().await, ["one", "two", "three", "one", "two", "three", "four"]);
}
