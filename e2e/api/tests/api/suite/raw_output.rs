//! GET /executions/{id}/stdout and /stderr

use kiln_e2e_api::WAITS;
use kiln_test_support::assert_like;
use serde_json::json;

use super::{SOON, visit};

#[tokio::test]
async fn bytes_are_exact() {
    let (_kiln, tenant) = visit().await;
    let code = "import os\nos.write(1, bytes(range(256)) * 3)\nos.write(2, b'\\xff\\x00\\r\\n')";
    let run = tenant.run(code).await;
    let path = format!("/executions/{}", run["id"].as_str().unwrap());
    let whole: Vec<u8> = (0..3).flat_map(|_| 0..=255).collect();
    for (stream, expected) in [("stdout", whole.as_slice()), ("stderr", b"\xff\x00\r\n")] {
        let answer = tenant.get(&format!("{path}/{stream}")).await.expect(200);
        assert_eq!(answer.body, expected, "{stream}");
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(run["stdout"], String::from_utf8_lossy(&whole).into_owned());
    assert_eq!(run["stderr"], "\u{fffd}\u{0}\r\n");
}

#[tokio::test]
async fn a_live_run_gives_what_there_is() {
    let (_kiln, tenant) = visit().await;
    let id = tenant.submit(json!({"code": WAITS})).await;
    tenant.printed(&id, SOON).await;
    assert_eq!(tenant.get(&format!("/executions/{id}/stdout")).await.expect(200).text(), "waiting\n");
    assert_eq!(tenant.get(&format!("/executions/{id}/stderr")).await.expect(200).body, b"");
    tenant.cancel(&id).await.expect(202);
    tenant.ended(&id, SOON).await;
}

#[tokio::test]
async fn past_the_limit_the_first_bytes_are_kept_and_the_run_goes_on() {
    let (_kiln, tenant) = visit().await;
    let code = "
import sys
sys.stdout.write('a' * 1000 + 'b' * 100_000)
sys.stdout.flush()
print('short', file=sys.stderr)
open('after', 'w').write('x')
";
    let run = tenant.run_with(json!({"code": code, "limits": {"output_bytes": 1024}})).await;
    let expected = "a".repeat(1000) + &"b".repeat(24);
    assert_like(
        &run,
        json!({
            "status": "succeeded", "stdout": expected, "stdout_truncated": true, "stderr": "short\n", "stderr_truncated": false,
            "files": [{"path": "after", "size_bytes": 1}],
        }),
    );
    let raw = tenant.get(&format!("/executions/{}/stdout", run["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(raw.text(), expected);
}

#[tokio::test]
async fn unknown_runs_are_404() {
    let (_kiln, tenant) = visit().await;
    for stream in ["stdout", "stderr"] {
        tenant.get(&format!("/executions/{}/{stream}", uuid::Uuid::now_v7())).await.problem(404);
        tenant.get(&format!("/executions/7/{stream}")).await.problem(404);
    }
}
