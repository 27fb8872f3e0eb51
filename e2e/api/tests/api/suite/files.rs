//! GET /executions/{id}/files/{path}, and `files` of an execution

use std::collections::BTreeMap;

use kiln_test_support::assert_like;
use serde_json::{Value, json};

use super::visit;

fn sizes(run: &Value) -> BTreeMap<String, u64> {
    let files = run["files"].as_array().unwrap();
    files.iter().map(|file| (file["path"].as_str().unwrap().to_owned(), file["size_bytes"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn what_the_run_left_can_be_read() {
    let (_kiln, tenant) = visit().await;
    let code = "
import os
open('out.csv', 'w').write('a,b\\n1,2\\n3,4\\n')
os.makedirs('deep/er')
open('deep/er/x.bin', 'wb').write(bytes(range(256)))
open('é ü.txt', 'w').write('named')
open('empty', 'w')
";
    let run = tenant.run(code).await;
    let expected = [("out.csv", 12), ("deep/er/x.bin", 256), ("é ü.txt", 5), ("empty", 0)];
    assert_eq!(sizes(&run), expected.map(|(path, size)| (path.to_owned(), size)).into());
    let path = format!("/executions/{}/files", run["id"].as_str().unwrap());
    assert_eq!(tenant.get(&format!("{path}/out.csv")).await.expect(200).text(), "a,b\n1,2\n3,4\n");
    assert_eq!(tenant.get(&format!("{path}/deep/er/x.bin")).await.expect(200).body, (0..=255).collect::<Vec<u8>>());
    assert_eq!(tenant.get(&format!("{path}/%C3%A9%20%C3%BC.txt")).await.expect(200).text(), "named");
    assert_eq!(tenant.get(&format!("{path}/empty")).await.expect(200).body, b"");
    assert_eq!(tenant.get(&format!("{path}/out.csv")).await.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn only_new_or_changed_regular_files_count() {
    let (_kiln, tenant) = visit().await;
    let code = "
import os
open('changed', 'a').write('!')
os.symlink('/etc/passwd', 'link')
os.symlink('changed', 'inner')
os.mkfifo('pipe')
os.mkdir('emptied')
open('/tmp/elsewhere', 'w').write('x')
";
    let files = json!([{"path": "same", "content": "eA=="}, {"path": "changed", "content": "eA=="}]);
    let run = tenant.run_with(json!({"code": code, "files": files})).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(sizes(&run), [("changed".to_owned(), 2)].into());
    let path = format!("/executions/{}/files", run["id"].as_str().unwrap());
    assert_eq!(tenant.get(&format!("{path}/changed")).await.expect(200).text(), "x!");
    for missing in ["link", "inner", "pipe", "same", "nothing", "..%2Fchanged", "%2Fetc%2Fpasswd", "%00", "changed/x"] {
        tenant.get(&format!("{path}/{missing}")).await.problem(404);
    }
}

#[tokio::test]
async fn files_of_a_failed_run_are_kept_too() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("open('partial', 'w').write('abc')\nraise SystemExit(1)").await;
    assert_like(&run, json!({"status": "failed", "files": [{"path": "partial", "size_bytes": 3}]}));
}

#[tokio::test]
async fn there_are_at_most_a_thousand() {
    let (_kiln, tenant) = visit().await;
    let many = tenant.run("for n in range(1001): open(f'f{n:04}', 'w').write('x')").await;
    assert_eq!(many["files"].as_array().unwrap().len(), 1000);
    assert_eq!(many["files_truncated"], true);
    let enough = tenant.run("for n in range(1000): open(f'f{n:04}', 'w').write('x')").await;
    assert_eq!(enough["files"].as_array().unwrap().len(), 1000);
    assert_ne!(enough["files_truncated"], true);
}

#[tokio::test]
async fn they_have_at_most_50_mib_together() {
    let (_kiln, tenant) = visit().await;
    let code = "for n in range(7): open(f'f{n}', 'wb').write(b'x' * 10 * 1024 * 1024)";
    let run = tenant.run_with(json!({"code": code, "limits": {"memory_bytes": 536_870_912}})).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert!(sizes(&run).values().sum::<u64>() <= 50 * 1024 * 1024);
    assert!(!sizes(&run).is_empty());
    assert_eq!(run["files_truncated"], true);
    let path = format!("/executions/{}/files/f0", run["id"].as_str().unwrap());
    assert_eq!(tenant.get(&path).await.expect(200).body.len(), 10 * 1024 * 1024);
}

#[tokio::test]
async fn names_that_are_not_utf8_are_escaped() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("open(b'a\\xffb', 'w').write('x')").await;
    let sizes = sizes(&run);
    let (name, size) = sizes.first_key_value().unwrap();
    assert!(
        sizes.len() == 1 && *size == 1 && name.starts_with('a') && name.ends_with('b') && !name.contains('\u{fffd}'),
        "{run}"
    );
}
