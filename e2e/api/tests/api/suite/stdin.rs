//! POST /executions/{id}/stdin, and `stdin` and `interactive` of a request

use kiln_e2e_api::GUESSING_GAME;
use kiln_test_support::{Answer, Events, Tenant, assert_like};
use serde_json::{Value, json};

use super::{SOON, visit};

async fn send(tenant: &Tenant, id: &str, body: Value) -> Answer {
    tenant.post(&format!("/executions/{id}/stdin"), &body).await
}

async fn read_until(events: &mut Events, ending: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(ending) {
        text.push_str(events.next_of("stdout", SOON).await.text());
    }
    text
}

#[tokio::test]
async fn the_guessing_game_is_played_to_its_end() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": GUESSING_GAME, "interactive": true})).await;
    let mut events = tenant.events(&id).await;
    assert_eq!(read_until(&mut events, "Your guess: ").await, "I think of a number from 1 to 9.\nYour guess: ");
    for (guess, reply) in [("3", "Too low.\nYour guess: "), ("9", "Too high.\nYour guess: ")] {
        send(&tenant, &id, json!({"data": format!("{guess}\n"), "eof": false})).await.expect(204);
        assert_eq!(read_until(&mut events, "Your guess: ").await, reply);
    }
    send(&tenant, &id, json!({"data": "7\n"})).await.expect(204);
    assert_eq!(read_until(&mut events, "Right!\n").await, "Right!\n");
    let rest = events.rest(SOON).await;
    assert_like(&rest.last().unwrap().data, json!({"status": "succeeded", "exit_code": 0}));
}

#[tokio::test]
async fn given_input_comes_whole_and_ends() {
    let (_kiln, tenant) = visit().await;
    let code = "import sys\nprint(repr(sys.stdin.read()))";
    let run = tenant.run_with(json!({"code": code, "stdin": "héllo\n\n世界"})).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "'héllo\\n\\n世界'\n"}));
    assert_like(&tenant.run(code).await, json!({"stdout": "''\n"}));
    let code = "import sys\nprint(len(sys.stdin.read()))";
    assert_like(&tenant.run_with(json!({"code": code, "stdin": "x".repeat(1_000_000)})).await, json!({"stdout": "1000000\n"}));
}

#[tokio::test]
async fn what_was_given_comes_first_and_the_pipe_stays_open() {
    let (_kiln, tenant) = visit().await;
    let code = "print(input())\nprint(input())\nimport sys\nprint(repr(sys.stdin.read()))";
    let id = tenant.submit(json!({"code": code, "stdin": "first\n", "interactive": true})).await;
    // It may not have started yet: what comes before the start is kept.
    send(&tenant, &id, json!({"data": "second\n"})).await.expect(204);
    send(&tenant, &id, json!({"data": "third", "eof": true})).await.expect(204);
    assert_like(&tenant.ended(&id, SOON).await, json!({"status": "succeeded", "stdout": "first\nsecond\n'third'\n"}));
}

#[tokio::test]
async fn a_live_run_says_when_it_waits_for_input() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": "input()\nimport time\ntime.sleep(0.3)", "interactive": true})).await;
    let mut events = tenant.events(&id).await;
    let mut said = Vec::new();
    while said.last() != Some(&true) {
        said.extend(events.next_of("status", SOON).await.data["waiting_for_input"].as_bool());
    }
    send(&tenant, &id, json!({"data": "x\n"})).await.expect(204);
    let rest = events.rest(SOON).await;
    said.extend(rest.iter().filter(|event| event.kind == "status").filter_map(|event| event.data["waiting_for_input"].as_bool()));
    said.dedup();
    assert!(said.ends_with(&[true, false]), "{said:?}");
}

#[tokio::test]
async fn only_a_live_interactive_run_takes_input() {
    let (_kiln, tenant) = visit().await;
    let deaf = tenant.submit(json!({"code": "import time\ntime.sleep(60)"})).await;
    send(&tenant, &deaf, json!({"data": "x"})).await.problem(409);
    tenant.cancel(&deaf).await.expect(202);
    let over = tenant.run_with(json!({"code": "print(1)", "interactive": true})).await;
    send(&tenant, over["id"].as_str().unwrap(), json!({"data": "x"})).await.problem(409);
    send(&tenant, &uuid::Uuid::now_v7().to_string(), json!({"data": "x"})).await.problem(404);
    tenant.ended(&deaf, SOON).await;
}

#[tokio::test]
async fn a_call_takes_a_mebibyte() {
    let (_kiln, tenant) = visit().await;
    let code = "import sys\nprint(len(sys.stdin.read()))";
    let id = tenant.submit(json!({"code": code, "interactive": true})).await;
    let over = send(&tenant, &id, json!({"data": "x".repeat(1024 * 1024 + 1)})).await;
    let status = over.status;
    assert!(status == 413 || status == 422, "{status}");
    over.problem(status);
    send(&tenant, &id, json!({"data": "x".repeat(1024 * 1024), "eof": true})).await.expect(204);
    assert_like(&tenant.ended(&id, SOON).await, json!({"status": "succeeded", "stdout": "1048576\n"}));
}

#[tokio::test]
async fn bodies_are_checked() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": "input()", "interactive": true})).await;
    send(&tenant, &id, json!({"data": 7})).await.problem(422).at("/data");
    send(&tenant, &id, json!({"data": "x", "eof": "yes"})).await.problem(422).at("/eof");
    send(&tenant, &id, json!({"data": "x", "nope": 1})).await.problem(422).at("/nope");
    send(&tenant, &id, json!({"data": "x\n"})).await.expect(204);
    assert_eq!(tenant.ended(&id, SOON).await["status"], "succeeded");
}
