//! Output: whole, in order, at once, bounded; displays; a reader that is slow.

use std::time::{Duration, Instant};

use kiln_domain::{ReasonCode, Status};
use kiln_executor::sandbox::{RunEvent, Stream};
use tokio::time::timeout;

use crate::fixture::{DEADLINE, Seen, finish, fixture, spec};

#[tokio::test]
async fn twenty_thousand_lines_arrive_whole_in_few_events() {
    let Some(fixture) = fixture("outputs::twenty_thousand_lines").await else { return };
    let outcome = fixture.python("for i in range(20000): print('line', i)").await.succeeded();
    let text = outcome.stdout();
    assert_eq!(text.lines().count(), 20_000);
    assert!(text.lines().enumerate().all(|(i, line)| line == format!("line {i}")));
    assert!(outcome.events.len() < 100, "{} events", outcome.events.len());
    fixture.close().await;
}

#[tokio::test]
async fn a_flood_keeps_its_first_bytes_and_the_run_goes_on() {
    let Some(fixture) = fixture("outputs::flood").await else { return };
    let mut spec = spec("import sys\nfor i in range(200): sys.stdout.write('x' * (1 << 20))\nsys.stderr.write('end')");
    spec.limits.output_bytes = 1 << 20;
    let outcome = fixture.run(spec).await.succeeded();
    assert_eq!(outcome.stdout.len(), 1 << 20);
    assert_eq!(outcome.stderr(), "end");
    assert!(outcome.ended().stdout_truncated && !outcome.ended().stderr_truncated);
    assert!(outcome.events.len() <= 200, "{} events", outcome.events.len());
    fixture.close().await;
}

#[tokio::test]
async fn prints_arrive_as_they_happen() {
    let Some(fixture) = fixture("outputs::prints_arrive_as_they_happen").await else { return };
    let code = "import time\nfor _ in range(4):\n    print(repr(time.time()))\n    time.sleep(0.3)";
    let mut run = fixture.start(spec(code)).await;
    let mut delays = Vec::new();
    while let Some(event) = timeout(DEADLINE, run.events.recv()).await.unwrap() {
        if let RunEvent::Output { bytes, .. } = event {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
            delays.push(now - std::str::from_utf8(&bytes).unwrap().trim().parse::<f64>().unwrap());
        }
    }
    assert_eq!(delays.len(), 4, "each print is an event of its own");
    delays.sort_by(f64::total_cmp);
    assert!(delays[1] < 0.02 && delays[3] < 0.1, "{delays:?}");
    fixture.close().await;
}

#[tokio::test]
async fn characters_are_never_cut() {
    let Some(fixture) = fixture("outputs::characters_are_never_cut").await else { return };
    let code = "import os, time\nfor b in '世é🦀'.encode() * 3:\n    os.write(1, bytes([b]))\n    time.sleep(0.015)\nos.write(1, b'\\xf0\\x9f')";
    let outcome = fixture.python(code).await.succeeded();
    assert_eq!(outcome.stdout, ["世é🦀".as_bytes().repeat(3), b"\xf0\x9f".to_vec()].concat());
    for event in &outcome.events {
        let Seen::Output(_, bytes) = event else { continue };
        assert!(std::str::from_utf8(bytes).is_ok() || bytes.ends_with(b"\xf0\x9f"), "{bytes:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_slow_reader_blocks_the_program_and_nothing_grows() {
    let Some(fixture) = fixture("outputs::slow_reader").await else { return };
    let mut spec =
        spec("import sys\nfor i in range(60):\n    sys.stdout.write('x' * (1 << 20))\n    open('at', 'w').write(str(i))");
    spec.limits.output_bytes = 64 << 20;
    let mut run = fixture.start(spec).await;
    let mut kept = 0;
    // One event is taken, and then none for a while: the program must not be able to write all of it.
    let start = Instant::now();
    while let Some(event) = timeout(DEADLINE, run.events.recv()).await.unwrap() {
        match event {
            RunEvent::Output { bytes, .. } => {
                assert!(bytes.len() <= 256 * 1024, "an event is bounded");
                if kept == 0 {
                    tokio::time::sleep(Duration::from_millis(700)).await;
                }
                kept += bytes.len();
            }
            RunEvent::Ended(end) => assert_eq!(end.ended.status, Status::Succeeded),
            RunEvent::WaitingForInput(_) | RunEvent::Display(_) => {}
        }
    }
    assert_eq!(kept, 60 << 20);
    assert!(start.elapsed() > Duration::from_millis(700));
    fixture.close().await;
}

#[tokio::test]
async fn the_time_limit_holds_while_nobody_reads() {
    let Some(fixture) = fixture("outputs::limit_while_nobody_reads").await else { return };
    let mut spec = spec("while True: print('x' * 1000)");
    spec.limits.timeout_ms = 500;
    spec.limits.output_bytes = 64 << 20;
    let run = fixture.start(spec).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let outcome = finish(run).await;
    assert_eq!(outcome.verdict(), (Status::TimedOut, Some(ReasonCode::WallTime)));
    assert!((500..=800).contains(&outcome.ended().usage.wall_ms), "{:?}", outcome.ended().usage);
    fixture.close().await;
}

#[tokio::test]
async fn displays_come_after_the_output_before_them_and_bad_ones_are_dropped() {
    let Some(fixture) = fixture("outputs::displays").await else { return };
    let code = "import json, os\nprint('before')\nos.write(3, json.dumps({'output_type': 'display_data', 'data': {'text/plain': 'x'}, 'metadata': {}}).encode() + b'\\nnot json\\n{}\\n')";
    let outcome = fixture.python(code).await.succeeded();
    let display = serde_json::json!({"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}});
    assert_eq!(outcome.events, [Seen::Output(Stream::Stdout, "before\n".into()), Seen::Display(display)]);
    fixture.close().await;
}
