//! Each limit, by a program that goes a little beyond the corpus's and not beyond what a shared machine can bear.

use kiln_domain::{Limits, ReasonCode, Status};

use crate::fixture::{Outcome, fixture, spec};

const CORPUS: Limits = Limits {
    timeout_ms: 6_000,
    memory_bytes: 256 << 20,
    cpu_millis: 1_000,
    pids: 64,
    disk_bytes: 128 << 20,
    output_bytes: 1 << 20,
};
/// So large that the programs below do not meet them.
const ABSENT: Limits = Limits {
    timeout_ms: 60_000,
    memory_bytes: 2 << 30,
    cpu_millis: 2_000,
    pids: 256,
    disk_bytes: 1 << 30,
    output_bytes: 64 << 20,
};

const CHILDREN: &str = "
import os, time
for _ in range(100):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
print('ESCAPED: 100 children')
";
const MEMORY: &str = "
b = bytearray(400 << 20)
b[::4096] = b'x' * len(b[::4096])
print('ESCAPED: 400 MiB')
";
const DISK: &str = "
with open('f', 'wb', buffering=0) as f:
    for _ in range(200):
        f.write(b'x' * (1 << 20))
print('ESCAPED: 200 MiB on disk')
";
const OUTPUT: &str = "print('x' * (3 << 20))";
const WALL: &str = "import time\ntime.sleep(1.5)\nprint('ESCAPED: slept on')";
const CPU: &str = "
import time
begin = time.monotonic()
while time.monotonic() < begin + 1.5:
    pass
print('ESCAPED: more than its share' if time.process_time() > 0.5 else 'CONTAINED: its share')
";

/// The outcomes under the corpus's limits and without them.
async fn with_and_without(name: &str, code: &str, with: Limits) -> Option<[Outcome; 2]> {
    let fixture = fixture(name).await?;
    let mut outcomes = Vec::new();
    for limits in [with, ABSENT] {
        let mut spec = spec(code);
        spec.limits = limits;
        outcomes.push(fixture.run(spec).await);
    }
    fixture.close().await;
    outcomes.try_into().ok()
}

async fn is_held(name: &str, code: &str, with: Limits, verdict: (Status, ReasonCode)) {
    let Some([held, free]) = with_and_without(name, code, with).await else { return };
    assert_eq!(held.verdict(), (verdict.0, Some(verdict.1)), "{:?}", held.ended());
    assert!(!held.stdout().contains("ESCAPED: "), "{}", held.stdout());
    assert_eq!(free.verdict().0, Status::Succeeded, "{:?}\n{}", free.ended(), free.stderr());
    assert!(free.stdout().contains("ESCAPED: "), "without the limit: {}", free.stdout());
}

#[tokio::test]
async fn processes() {
    is_held("controls::processes", CHILDREN, CORPUS, (Status::Failed, ReasonCode::Pids)).await;
}

#[tokio::test]
async fn memory() {
    is_held("controls::memory", MEMORY, CORPUS, (Status::OutOfMemory, ReasonCode::Memory)).await;
}

#[tokio::test]
async fn disk() {
    is_held("controls::disk", DISK, CORPUS, (Status::Failed, ReasonCode::Disk)).await;
}

#[tokio::test]
async fn wall_time() {
    is_held("controls::wall", WALL, Limits { timeout_ms: 500, ..CORPUS }, (Status::TimedOut, ReasonCode::WallTime)).await;
}

#[tokio::test]
async fn share_of_the_cpu() {
    let with = Limits { cpu_millis: 200, ..CORPUS };
    let Some([held, free]) = with_and_without("controls::cpu", CPU, with).await else { return };
    assert_eq!(held.stdout(), "CONTAINED: its share\n");
    assert_eq!(free.stdout(), "ESCAPED: more than its share\n");
}

#[tokio::test]
async fn output() {
    let Some([held, free]) = with_and_without("controls::output", OUTPUT, CORPUS).await else { return };
    assert!(held.ended().stdout_truncated && held.stdout.len() == 1 << 20, "{}", held.stdout.len());
    assert!(!free.ended().stdout_truncated && free.stdout.len() > 3 << 20, "{}", free.stdout.len());
}
