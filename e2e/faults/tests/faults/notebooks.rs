//! Services that die while a notebook runs by itself

use std::time::Duration;

use kiln_test_support::{Split, Tenant, assert_like, eventually};
use serde_json::{Value, json};

const RUN_WITHIN: Duration = Duration::from_mins(2);

fn code(id: &str, source: &str) -> Value {
    json!({"cell_type": "code", "id": id, "metadata": {}, "source": source, "outputs": [], "execution_count": null})
}

#[tokio::test]
async fn the_run_goes_on_when_its_keeper_and_its_scheduler_are_restarted() {
    let mut kiln = Split::start();
    let tenant = Tenant::sign_up(&kiln.api()).await;
    let cells: Vec<Value> =
        (0..12).map(|n| code(&format!("c{n}"), &format!("import time; time.sleep(0.5); print({n})"))).collect();
    let content = json!({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells});
    let made = tenant.post("/notebooks", &json!({"name": "n", "content": content})).await.expect(201).json();
    let path = format!("/notebooks/{}", made["id"].as_str().unwrap());
    tenant.post(&format!("{path}/run"), &json!({})).await.expect(202);
    for (service, cell) in [("result", 2), ("scheduler", 5), ("result", 8)] {
        let written = async || {
            let answer = tenant.get(&path).attempt().await.ok().filter(|answer| answer.status == 200)?;
            (answer.json()["content"]["cells"][cell]["execution_count"] == cell + 1).then_some(())
        };
        eventually(RUN_WITHIN, "a cell is written", written).await;
        kiln.kill_and_restart(service);
    }
    let ended = async || {
        let answer = tenant.get(&format!("{path}/run")).attempt().await.ok().filter(|answer| answer.status == 200)?;
        (answer.json()["state"] == "ended").then(|| answer.json())
    };
    let run = eventually(RUN_WITHIN, "the run has ended", ended).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let document = tenant.get(&path).await.expect(200).json();
    for (n, cell) in document["content"]["cells"].as_array().unwrap().iter().enumerate() {
        assert_like(cell, json!({"execution_count": n + 1, "outputs": [{"text": format!("{n}\n")}]}));
    }
}
