//! GET /executions/{id}/attach, a WebSocket

use kiln_e2e_api::{GUESSING_GAME, WAITS};
use kiln_test_support::{Attached, assert_like};
use serde_json::{Value, json};

use super::{SOON, visit};

fn text(frames: &[Value], stream: &str) -> String {
    frames.iter().filter(|frame| frame["type"] == stream).filter_map(|frame| frame["text"].as_str()).collect()
}

#[tokio::test]
async fn the_guessing_game_is_played_to_its_end() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": GUESSING_GAME, "interactive": true})).await;
    let mut game = tenant.attach(&id).await;
    let opening = game.output_until("stdout", "Your guess: ", SOON).await;
    assert_eq!(opening, "I think of a number from 1 to 9.\nYour guess: ");
    for (guess, reply) in [("3", "Too low.\nYour guess: "), ("9", "Too high.\nYour guess: ")] {
        game.send(&json!({"type": "stdin", "data": format!("{guess}\n")})).await;
        assert_eq!(game.output_until("stdout", "Your guess: ", SOON).await, reply);
    }
    game.send(&json!({"type": "stdin", "data": "7\n"})).await;
    let rest = game.rest(SOON).await;
    assert_eq!(text(&rest, "stdout"), "Right!\n");
    let end = rest.last().unwrap();
    assert_like(end, json!({"type": "end", "id": "<string>", "execution": {"id": id, "status": "succeeded", "exit_code": 0}}));
    assert_eq!(end["execution"], tenant.execution(&id).await, "`end` equals GET");
    assert_eq!(game.close_code, Some(1000));
}

#[tokio::test]
async fn every_frame_has_type_and_id_and_matches_the_event_stream() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("import sys\nprint('out')\nprint('err', file=sys.stderr)").await;
    let id = run["id"].as_str().unwrap();
    let frames = tenant.attach(id).await.rest(SOON).await;
    let events = tenant.events(id).await.rest(SOON).await;
    let of_frames: Vec<_> = frames.iter().map(|frame| (frame["type"].as_str().unwrap(), frame["id"].as_str().unwrap())).collect();
    let of_events: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.id.as_str())).collect();
    assert_eq!(of_frames, of_events);
    assert_eq!((text(&frames, "stdout").as_str(), text(&frames, "stderr").as_str()), ("out\n", "err\n"));
    assert!(frames.iter().any(|frame| frame["type"] == "status" && frame["status"] == "running"), "{frames:?}");
}

#[tokio::test]
async fn resumes_after_an_id() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("for n in range(5): print(n, flush=True)").await;
    let path = format!("/executions/{}/attach", run["id"].as_str().unwrap());
    let all = Attached::open(&tenant, &path).await.unwrap().rest(SOON).await;
    let after = all[1]["id"].as_str().unwrap();
    let rest = Attached::open(&tenant, &format!("{path}?after={after}")).await.unwrap().rest(SOON).await;
    assert_eq!(rest, all[2..]);
    let last = all.last().unwrap()["id"].as_str().unwrap();
    let mut nothing = Attached::open(&tenant, &format!("{path}?after={last}")).await.unwrap();
    assert_eq!(nothing.rest(SOON).await, Vec::<Value>::new());
    assert_eq!(nothing.close_code, Some(1000));
    assert_eq!(Attached::open(&tenant, &format!("{path}?after=nonsense")).await.err(), Some(400));
}

#[tokio::test]
async fn the_end_of_input_reaches_the_program() {
    let (_kiln, tenant) = visit().await;
    let code = "import sys\nprint('ready', flush=True)\nprint(repr(sys.stdin.read()))";
    let id = tenant.submit(json!({"code": code, "interactive": true})).await;
    let mut socket = tenant.attach(&id).await;
    socket.output_until("stdout", "ready\n", SOON).await;
    socket.send(&json!({"type": "stdin", "data": "héllo\n"})).await;
    socket.send(&json!({"type": "stdin", "data": "two"})).await;
    socket.send(&json!({"type": "eof"})).await;
    let rest = socket.rest(SOON).await;
    assert_eq!(text(&rest, "stdout"), "'héllo\\ntwo'\n");
}

#[tokio::test]
async fn a_signal_interrupts() {
    let (_kiln, tenant) = visit().await;
    let code = "import time\ntry:\n    print('ready', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('interrupted')";
    let id = tenant.submit(json!({"code": code})).await;
    let mut socket = tenant.attach(&id).await;
    socket.output_until("stdout", "ready\n", SOON).await;
    socket.send(&json!({"type": "signal", "signal": "SIGINT"})).await;
    let rest = socket.rest(SOON).await;
    assert_eq!(text(&rest, "stdout"), "interrupted\n");
    assert_like(rest.last().unwrap(), json!({"execution": {"status": "succeeded"}}));
}

#[tokio::test]
async fn says_when_the_program_waits_for_input() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": "input()\nprint('got it')", "interactive": true})).await;
    let mut socket = tenant.attach(&id).await;
    let waits = loop {
        let frame = socket.next(SOON).await.expect("still open");
        if frame.get("waiting_for_input").is_some() {
            break frame;
        }
    };
    assert_like(&waits, json!({"type": "status", "status": "running", "waiting_for_input": true}));
    socket.send(&json!({"type": "stdin", "data": "x\n"})).await;
    let rest = socket.rest(SOON).await;
    assert_eq!(text(&rest, "stdout"), "got it\n");
}

#[tokio::test]
async fn a_wrong_frame_does_not_end_the_run() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": "print(input('? '))", "interactive": true})).await;
    let mut bad = tenant.attach(&id).await;
    bad.output_until("stdout", "? ", SOON).await;
    for frame in [json!({"type": "nope"}), json!([]), json!({"type": "signal", "signal": "SIGWHAT"}), json!({"type": "stdin"})] {
        bad.send(&frame).await;
        // The server may close this socket for it.
        drop(std::mem::replace(&mut bad, tenant.attach(&id).await));
    }
    let mut good = tenant.attach(&id).await;
    good.output_until("stdout", "? ", SOON).await;
    good.send(&json!({"type": "stdin", "data": "fine\n"})).await;
    let rest = good.rest(SOON).await;
    assert_eq!(text(&rest, "stdout"), "fine\n");
}

#[tokio::test]
async fn a_client_that_leaves_does_not_end_the_run() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": WAITS})).await;
    tenant.attach(&id).await.output_until("stdout", "waiting\n", SOON).await;
    assert_eq!(tenant.execution(&id).await["status"], "running");
    tenant.cancel(&id).await.expect(202);
    assert_eq!(tenant.ended(&id, SOON).await["status"], "cancelled");
}

#[tokio::test]
async fn needs_a_credential_and_a_run() {
    let (kiln, tenant) = visit().await;
    let run = tenant.run("print(1)").await;
    let path = format!("/executions/{}/attach", run["id"].as_str().unwrap());
    assert_eq!(Attached::open(&kiln.api(), &path).await.err(), Some(401));
    let other = kiln.sign_up().await;
    assert_eq!(Attached::open(&other, &path).await.err(), Some(404));
    assert_eq!(Attached::open(&tenant, &format!("/executions/{}/attach", uuid::Uuid::now_v7())).await.err(), Some(404));
}
