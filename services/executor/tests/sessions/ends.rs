//! Every way that a cell can end, and what is left of its session.

use kiln_domain::{Limits, ReasonCode, Status};
use kiln_executor::sandbox::SessionEvent;

use crate::fixture::fixture;
use crate::talk::{Talk, kernel, limits};

#[tokio::test]
async fn an_exception_keeps_the_state() {
    let Some(fixture) = fixture("session_exception").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    let told = talk.cell("kept = 1\n1/0").await;
    assert_eq!(told.verdict(), (Status::Failed, Some(ReasonCode::Exception), false));
    assert_eq!((told.ended.exit_code, told.ended.signal.as_deref()), (None, None));
    let told = talk.cell("raise SystemExit(3)").await;
    assert_eq!(told.verdict(), (Status::Failed, Some(ReasonCode::Exception), false));
    assert_eq!(talk.value("kept").await, "1");
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn an_interrupt_keeps_the_state() {
    let Some(fixture) = fixture("session_interrupt").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    // Without a cell it means nothing.
    talk.0.control.interrupt();
    talk.cell("kept = 1").await.succeeded();
    for busy in [
        "print(1)\nwhile True: pass",
        "print(1)\nimport time; time.sleep(60)",
        "while True: print('x' * 100)",
        "print(1)\nimport asyncio; await asyncio.sleep(60)",
        "print(1)\nasync def f():\n    while True: pass\nawait f()",
        "print(1)\nimport subprocess; subprocess.run(['sleep', '60'])",
    ] {
        let told = talk.meanwhile(busy, limits(), |session| session.control.interrupt()).await;
        assert_eq!(told.verdict(), (Status::Failed, Some(ReasonCode::Interrupted), false), "{busy}");
        assert_eq!(told.outputs.last().unwrap()["ename"], "KeyboardInterrupt", "{busy}");
    }
    assert_eq!(talk.value("kept").await, "1");
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn the_time_limit_interrupts_first_and_then_kills() {
    let Some(fixture) = fixture("session_time").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    let short = Limits { timeout_ms: 200, ..limits() };
    let told = talk.limited("kept = 1\nprint('seen')\nwhile True: pass", short).await;
    assert_eq!(told.verdict(), (Status::TimedOut, Some(ReasonCode::WallTime), false));
    assert!(told.text() == "seen\n" && (200..1_500).contains(&told.ended.usage.wall_ms), "{told:?}");
    assert_eq!(talk.value("kept").await, "1");
    let deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('deaf')\nwhile True: pass";
    let told = talk.limited(deaf, short).await;
    assert_eq!(told.verdict(), (Status::TimedOut, Some(ReasonCode::WallTime), true));
    assert_eq!(told.text(), "deaf\n");
    assert!((2_200..3_500).contains(&told.ended.usage.wall_ms), "{told:?}");
    let told = talk.cell("kept").await;
    assert_eq!(told.outputs[0]["ename"], "NameError");
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn a_cancel_names_its_cause() {
    let Some(fixture) = fixture("session_cancel").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    let told = talk
        .meanwhile("kept = 1\nprint(1)\nwhile True: pass", limits(), |session| {
            session.control.stop_cell(ReasonCode::CancelledByUser);
        })
        .await;
    assert_eq!(told.verdict(), (Status::Cancelled, Some(ReasonCode::CancelledByUser), false));
    assert_eq!(talk.value("kept").await, "1");
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn a_new_interpreter_comes_after_an_end() {
    let Some(fixture) = fixture("session_gone").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    talk.cell("open('file', 'w').write('x')").await.succeeded();
    let told = talk.cell("print('last words')\nimport os\nos.system('sleep 60 &')\nos._exit(7)").await;
    assert_eq!(told.verdict(), (Status::Failed, Some(ReasonCode::ExitCode), true));
    assert_eq!((told.ended.exit_code, told.text().as_str()), (Some(7), "last words\n"));
    assert_eq!(
        talk.value("import os; os.listdir('.'), {p for p in os.listdir('/proc') if p.isdigit()} <= {'1', str(os.getpid())}")
            .await,
        "(['file'], True)"
    );
    let told = talk.cell("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)").await;
    assert_eq!(told.verdict(), (Status::Failed, Some(ReasonCode::Signal), true));
    assert_eq!(told.ended.signal.as_deref(), Some("SIGSEGV"));
    let told = talk.cell("exit()").await;
    assert_eq!((told.verdict(), told.ended.exit_code), ((Status::Succeeded, None, true), Some(0)));
    assert_eq!(talk.value("1 + 1").await, "2");
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn memory_ends_the_cell_and_not_the_session() {
    let Some(fixture) = fixture("session_memory").await else { return };
    let limits = Limits { memory_bytes: 128 << 20, ..limits() };
    let mut talk = Talk::with(&fixture, &kernel(&fixture).await, limits).await;
    for _ in 0..2 {
        let told = talk.limited("block = bytearray(400 << 20)", limits).await;
        assert_eq!(told.verdict(), (Status::OutOfMemory, Some(ReasonCode::Memory), true));
        assert!(told.ended.usage.memory_peak_bytes > 100 << 20, "{told:?}");
        talk.limited("'block' in globals()", limits).await.succeeded();
    }
    let child = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'bytearray(400 << 20)']).returncode";
    let told = talk.limited(child, limits).await;
    assert_eq!((told.ended.status, told.ended.warnings.len(), told.ended.session_restarted), (Status::Succeeded, 1, false));
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn a_restart_drops_the_state_and_keeps_the_files() {
    let Some(fixture) = fixture("session_restart").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    talk.cell("kept = 1; open('file', 'w').write('x')").await.succeeded();
    talk.0.control.restart(ReasonCode::CancelledByUser).await.unwrap();
    assert!(matches!(talk.event().await, SessionEvent::Restarted));
    assert_eq!(talk.value("import os; ('kept' in globals(), os.listdir('.'))").await, "(False, ['file'])");
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn what_a_cell_forges_is_its_own_harm() {
    let Some(fixture) = fixture("session_forged").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    // No frame at all: the session loses its interpreter and nothing else.
    let told = talk.cell("import os, time\nos.write(3, b'\\xff' * 64)\ntime.sleep(30)").await;
    assert_eq!(told.verdict(), (Status::Failed, Some(ReasonCode::Signal), true));
    let told = talk.cell("import os, time\nos.close(3)\ntime.sleep(30)").await;
    assert_eq!(told.verdict(), (Status::Failed, Some(ReasonCode::Signal), true));
    // The end of a cell that is another's is nobody's; a claim that all went well does not stop the clock.
    let forged = "import os, struct, time\ndef say(kind, text):\n    os.write(3, struct.pack('<IB', len(text), kind) + text)\n\
                  say(4, b'{\"id\":99,\"outcome\":\"succeeded\",\"execution_count\":1}')\nsay(5, b'{\"id\":99,\"content\":1}')\nsay(7, b'{}')\nprint('on')\ntime.sleep(30)";
    let told = talk.limited(forged, Limits { timeout_ms: 300, ..limits() }).await;
    assert_eq!((told.verdict().0, told.text().as_str()), (Status::TimedOut, "on\n"));
    // Outputs that are none are left out.
    let odd = "say(3, b'no json')\nsay(3, b'{\"output_type\":\"stream\",\"name\":\"x\",\"text\":\"y\"}')\nsay(3, b'{\"output_type\":\"error\"}')\n7";
    let told = talk.cell(odd).await.succeeded();
    assert_eq!(told.types(), ["execute_result"]);
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn a_session_that_is_closed_ends_its_cell() {
    let Some(fixture) = fixture("session_closed").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    talk.0.control.run("print(1)\nwhile True: pass".to_owned(), false, false, limits()).await.unwrap();
    assert!(matches!(talk.event().await, SessionEvent::Output { .. }));
    talk.0.control.close(ReasonCode::TenantDeleted);
    let SessionEvent::CellEnded(report) = talk.event().await else { panic!("the cell ends") };
    assert_eq!((report.ended.status, report.ended.reason.unwrap().code), (Status::Cancelled, ReasonCode::TenantDeleted));
    assert!(matches!(talk.event().await, SessionEvent::Closed));
    fixture.close().await;
}
