//! GET /executions/{id}/events

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kiln_test_support::{Event, Events, Tenant, assert_like};
use serde_json::json;

use super::{SOON, visit, visit_alone};

fn text(events: &[Event], kind: &str) -> String {
    events.iter().filter(|event| event.kind == kind).map(Event::text).collect()
}

async fn resumed(tenant: &Tenant, id: &str, header: Option<&str>, query: Option<&str>) -> Vec<Event> {
    let mut call = tenant.get(&format!("/executions/{id}/events"));
    if let Some(after) = header {
        call = call.header("last-event-id", after);
    }
    if let Some(after) = query {
        call = call.query("after", after);
    }
    Events::open(call).await.unwrap_or_else(|answer| panic!("{} {}", answer.status, answer.text())).rest(SOON).await
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.id.as_str()).collect()
}

#[tokio::test]
async fn follow_a_run_from_queue_to_end() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": "import sys\nprint('out')\nprint('err', file=sys.stderr)\nraise SystemExit(3)"})).await;
    let events = tenant.events(&id).await.rest(SOON).await;
    assert_eq!((text(&events, "stdout").as_str(), text(&events, "stderr").as_str()), ("out\n", "err\n"));
    assert!(events.iter().all(|event| !event.id.is_empty()), "{events:?}");
    let running = events.iter().position(|event| event.kind == "status" && event.data["status"] == "running").unwrap();
    let output = events.iter().position(|event| event.kind == "stdout").unwrap();
    assert!(running < output, "{events:?}");
    let (end, before) = events.split_last().unwrap();
    assert_eq!(end.kind, "end");
    assert!(before.iter().all(|event| event.kind != "end"));
    assert_like(&end.data, json!({"id": id, "status": "failed", "exit_code": 3, "stdout": "out\n", "stderr": "err\n"}));
    assert_eq!(end.data, tenant.execution(&id).await, "`end` equals GET");
}

#[tokio::test]
async fn output_comes_within_100_ms_of_the_write() {
    let (_kiln, tenant) = visit_alone().await;
    let code = "import os, time\nfor _ in range(3):\n    os.write(1, b'%f\\n' % time.time())\n    time.sleep(0.5)\n";
    let id = tenant.submit(json!({"code": code})).await;
    let mut events = tenant.events(&id).await;
    let mut written = Vec::new();
    for _ in 0..3 {
        let event = events.next_of("stdout", SOON).await;
        let write: f64 = event.text().trim().parse().unwrap_or_else(|_| panic!("one print an event: {event:?}"));
        let arrival = event.at.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((0.0..0.1).contains(&(arrival - write)), "arrived {} s after the write", arrival - write);
        written.push(write);
    }
    assert!(written[2] - written[0] > 0.9, "{written:?}");
    // Before the program's last pause is over, so output did not wait for the end.
    assert!(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() - written[2] < 0.4);
    assert_eq!(events.rest(SOON).await.last().unwrap().kind, "end");
}

#[tokio::test]
async fn a_prompt_without_a_line_feed_is_not_held_back() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": "input('name? ')", "interactive": true})).await;
    let mut events = tenant.events(&id).await;
    assert_eq!(events.next_of("stdout", SOON).await.text(), "name? ");
    tenant.post(&format!("/executions/{id}/stdin"), &json!({"data": "x\n", "eof": false})).await.expect(204);
    assert_eq!(events.rest(SOON).await.last().unwrap().data["status"], "succeeded");
}

#[tokio::test]
async fn after_the_end_everything_comes_again() {
    let (_kiln, tenant) = visit().await;
    let code = "import sys\nfor n in range(50):\n    print(n, flush=True)\n    print(-n, file=sys.stderr, flush=True)";
    let run = tenant.run(code).await;
    let id = run["id"].as_str().unwrap();
    let (first, second) = (tenant.events(id).await.rest(SOON).await, tenant.events(id).await.rest(SOON).await);
    assert_eq!(ids(&first), ids(&second));
    assert_eq!(text(&first, "stdout"), run["stdout"].as_str().unwrap());
    assert_eq!(text(&first, "stderr"), run["stderr"].as_str().unwrap());
    assert_eq!(first.last().unwrap().data, run);
}

#[tokio::test]
async fn a_stream_resumes_anywhere_with_nothing_lost_or_repeated() {
    let (_kiln, tenant) = visit().await;
    let code = "import time\nfor n in range(12):\n    print(n, flush=True)\n    time.sleep(0.03)";
    let id = tenant.submit(json!({"code": code})).await;
    let mut live = tenant.events(&id).await;
    let mut seen = vec![live.next_of("stdout", SOON).await];
    seen.push(live.next_of("stdout", SOON).await);
    drop(live); // the connection goes in the middle
    let last = seen.last().unwrap().id.clone();
    seen.extend(resumed(&tenant, &id, Some(&last), None).await);
    let whole = (0..12).fold(String::new(), |text, n| text + &format!("{n}\n"));
    assert_eq!(text(&seen, "stdout"), whole);

    let all = tenant.events(&id).await.rest(SOON).await;
    assert_eq!(text(&all, "stdout"), whole);
    for (index, event) in all.iter().enumerate() {
        let rest = ids(&all[index + 1..]);
        assert_eq!(ids(&resumed(&tenant, &id, Some(&event.id), None).await), rest, "by header after {index}");
        assert_eq!(ids(&resumed(&tenant, &id, None, Some(&event.id)).await), rest, "by query after {index}");
    }
}

#[tokio::test]
async fn the_header_wins_over_the_query_and_an_unknown_id_is_refused() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("print(1)").await;
    let id = run["id"].as_str().unwrap();
    let all = tenant.events(id).await.rest(SOON).await;
    let (first, last) = (all.first().unwrap().id.as_str(), all.last().unwrap().id.as_str());
    assert!(resumed(&tenant, id, Some(last), None).await.is_empty(), "after the last there is nothing");
    assert_eq!(ids(&resumed(&tenant, id, Some(first), Some(last)).await), ids(&all[1..]));
    let path = format!("/executions/{id}/events");
    for unknown in ["nonsense", "999999999", "-1", "18446744073709551616"] {
        Events::open(tenant.get(&path).header("last-event-id", unknown)).await.err().expect(unknown).problem(400);
        Events::open(tenant.get(&path).query("after", unknown)).await.err().expect(unknown).problem(400);
    }
}

#[tokio::test]
async fn a_character_is_never_split() {
    let (_kiln, tenant) = visit().await;
    let code = "
import os, time
for byte in 'é€😀'.encode():
    os.write(1, bytes([byte]))
    time.sleep(0.06)
os.write(1, b'\\xff|\\xe2\\x82')
";
    let id = tenant.submit(json!({"code": code})).await;
    let events = tenant.events(&id).await.rest(SOON).await;
    let whole = text(&events, "stdout");
    // A character that had been split would have become two replacement characters.
    assert!(whole.starts_with("é€😀\u{fffd}|\u{fffd}"), "{whole:?}");
    assert_eq!(events.last().unwrap().data["stdout"], whole);
}

#[tokio::test]
async fn two_clients_see_the_same() {
    let (_kiln, tenant) = visit().await;
    let id =
        tenant.submit(json!({"code": "import time\nfor n in range(10):\n    print(n, flush=True)\n    time.sleep(0.02)"})).await;
    let (mut one, mut two) = (tenant.events(&id).await, tenant.events(&id).await);
    let (one, two) = tokio::join!(one.rest(SOON), two.rest(SOON));
    assert_eq!(ids(&one), ids(&two));
    assert_eq!(text(&one, "stdout"), text(&two, "stdout"));
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_up() {
    let (_kiln, tenant) = visit().await;
    let code = "import sys\nfor n in range(40000):\n    sys.stdout.write('x' * 99 + '\\n')";
    let id = tenant.submit(json!({"code": code})).await;
    let _unread = tenant.events(&id).await;
    let ended = tenant.ended(&id, SOON).await;
    assert_like(&ended, json!({"status": "succeeded", "stdout_truncated": false}));
    assert_eq!(ended["stdout"].as_str().unwrap().len(), 4_000_000);
    let events = tenant.events(&id).await.rest(Duration::from_secs(30)).await;
    assert_eq!(text(&events, "stdout").len(), 4_000_000);
}

#[tokio::test]
async fn an_unknown_run_is_404_and_a_stranger_401() {
    let (_kiln, tenant) = visit().await;
    let path = format!("/executions/{}/events", uuid::Uuid::now_v7());
    Events::open(tenant.get(&path)).await.err().unwrap().problem(404);
    Events::open(tenant.anonymous().get(&path)).await.err().unwrap().problem(401);
}
