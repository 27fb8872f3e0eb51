//! POST /executions

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kiln_test_support::{Problem, Tenant, assert_like};
use serde_json::{Value, json};

use super::{SOON, visit};

const MIB: usize = 1024 * 1024;

async fn refused(tenant: &Tenant, body: Value) -> Problem {
    tenant.post("/executions", &body).await.problem(422)
}

#[tokio::test]
async fn is_accepted_with_its_place() {
    let (_kiln, tenant) = visit().await;
    let answer = tenant.post("/executions", &json!({"code": "print('hi')"})).await.expect(202);
    let execution = answer.json();
    let id = execution["id"].as_str().unwrap();
    assert!(answer.header("location").ends_with(&format!("/api/v1/executions/{id}")), "{:?}", answer.header("location"));
    assert_like(
        &execution,
        json!({"id": "<uuid>", "status": "<string>", "attempt": "<integer>", "created_at": "<time>", "labels": {}}),
    );
    let ended = tenant.ended(id, SOON).await;
    assert_like(&ended, json!({"id": id, "status": "succeeded", "stdout": "hi\n"}));
}

#[tokio::test]
async fn arguments_environment_and_labels_reach_the_run() {
    let (_kiln, tenant) = visit().await;
    let code = "import os, sys\nprint(sys.argv[1:])\nprint(os.environ['COLOUR'])";
    let body = json!({
        "code": code, "args": ["a b", "", "--x=é"], "env": {"COLOUR": "grün\nrot"}, "labels": {"team": "kiln", "n": "1"},
        "priority": "normal", "max_attempts": 1,
    });
    let run = tenant.run_with(body).await;
    assert_like(
        &run,
        json!({"status": "succeeded", "stdout": "['a b', '', '--x=é']\ngrün\nrot\n", "labels": {"team": "kiln", "n": "1"}, "attempt": 1}),
    );
}

#[tokio::test]
async fn sent_files_are_in_the_working_directory() {
    let (_kiln, tenant) = visit().await;
    let bytes: Vec<u8> = (0..=255).collect();
    let file = |path: &str, content: &[u8]| json!({"path": path, "content": STANDARD.encode(content)});
    let code = "import mine\nprint(mine.ANSWER, open('data/deep/x.bin','rb').read() == bytes(range(256)), open('é ü').read())";
    let files = json!([file("mine.py", b"ANSWER = 42\n"), file("data/deep/x.bin", &bytes), file("é ü", b"named")]);
    let run = tenant.run_with(json!({"code": code, "files": files})).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "42 True named\n", "files": []}));
}

#[tokio::test]
async fn only_code_is_required_and_it_must_be_something() {
    let (_kiln, tenant) = visit().await;
    refused(&tenant, json!({})).await.at("/code");
    for code in [json!(""), json!("  \n\t\n"), json!(null), json!(7)] {
        refused(&tenant, json!({"code": code})).await.at("/code");
    }
    let end = "\nprint('all of it')";
    let longest = format!("#{}{end}", "x".repeat(1_000_000 - 1 - end.len()));
    assert_like(&tenant.run(&longest).await, json!({"status": "succeeded", "stdout": "all of it\n"}));
    refused(&tenant, json!({"code": format!("{longest}\n")})).await.at("/code");
}

#[tokio::test]
async fn nul_is_a_byte_of_input_and_no_part_of_a_program() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run_with(json!({"code": "import sys\nprint(repr(sys.stdin.read()))", "stdin": "a\u{0}b"})).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "'a\\x00b'\n"}));
    let answer = tenant.post("/executions", &json!({"code": "print(1)\u{0}"})).query("wait_ms", 30_000).await;
    if answer.status == 422 {
        answer.problem(422).at("/code");
    } else {
        assert_like(&answer.expect(200).json(), json!({"status": "failed", "exit_code": 1}));
    }
    refused(&tenant, json!({"code": "print(1)", "labels": {"a": "\u{0}"}})).await.within("/labels");
}

#[tokio::test]
async fn each_wrong_field_is_pointed_at() {
    let (_kiln, tenant) = visit().await;
    for (field, value, pointer) in [
        ("runtime", json!("python2.7"), "/runtime"),
        ("runtime", json!(3), "/runtime"),
        ("args", json!("a b"), "/args"),
        ("args", json!(["a", 1]), "/args/1"),
        ("args", json!(["nul\u{0}"]), "/args"),
        ("env", json!({"N": 1}), "/env/N"),
        ("env", json!({"A=B": "x"}), "/env/A=B"),
        ("env", json!({"A": "x\u{0}"}), "/env"),
        ("stdin", json!(["x"]), "/stdin"),
        ("interactive", json!("yes"), "/interactive"),
        ("priority", json!("urgent"), "/priority"),
        ("max_attempts", json!(0), "/max_attempts"),
        ("max_attempts", json!(1_000_000), "/max_attempts"),
        ("labels", json!({"a": 1}), "/labels/a"),
        ("labels", json!([]), "/labels"),
        ("workspace_id", json!(uuid::Uuid::now_v7()), "/workspace_id"),
        ("workspace_id", json!("7"), "/workspace_id"),
        ("secrets", json!(["NONE"]), "/secrets/0"),
        ("nope", json!(1), "/nope"),
        ("tenant_id", json!(uuid::Uuid::now_v7()), "/tenant_id"),
        ("limits", json!([]), "/limits"),
    ] {
        let mut body = json!({"code": "print(1)"});
        body[field] = value;
        refused(&tenant, body).await.within(pointer);
    }
}

#[tokio::test]
async fn file_names_stay_below_the_working_directory() {
    let (_kiln, tenant) = visit().await;
    let long = "x".repeat(256);
    let wrong = ["", ".", "..", "../x", "a/../b", "/etc/passwd", "a//b", "a/", "./a", "a\u{0}b", &long];
    for path in wrong {
        let body = json!({"code": "print(1)", "files": [{"path": "ok", "content": ""}, {"path": path, "content": ""}]});
        refused(&tenant, body).await.at("/files/1/path");
    }
    let file = |path: &str| json!({"path": path, "content": ""});
    for (first, second) in [("same", "same"), ("dir", "dir/inside"), ("dir/inside", "dir")] {
        refused(&tenant, json!({"code": "print(1)", "files": [file(first), file(second)]})).await.within("/files/");
    }
    refused(&tenant, json!({"code": "1", "files": [{"path": "a", "content": "not base64!"}]})).await.at("/files/0/content");
    refused(&tenant, json!({"code": "1", "files": [{"path": "a"}]})).await.at("/files/0/content");
    refused(&tenant, json!({"code": "1", "files": [{"path": "a", "content": "", "mode": 511}]})).await.at("/files/0/mode");
}

#[tokio::test]
async fn files_have_a_size_alone_and_together() {
    let (_kiln, tenant) = visit().await;
    let file = |name: usize, bytes: usize| json!({"path": name.to_string(), "content": STANDARD.encode(vec![b'x'; bytes])});
    let largest = json!({"code": "import os\nprint(os.path.getsize('0'))", "files": [file(0, 5 * MIB)]});
    assert_like(&tenant.run_with(largest).await, json!({"stdout": format!("{}\n", 5 * MIB)}));
    tenant.post("/executions", &json!({"code": "1", "files": [file(0, 5 * MIB + 1)]})).await.problem(413);
    let many: Vec<_> = (0..10).map(|name| file(name, 5 * MIB)).collect();
    let code = "import os\nprint(sum(os.path.getsize(str(n)) for n in range(10)))";
    let run = tenant.run_with(json!({"code": code, "files": many})).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": format!("{}\n", 50 * MIB)}));
    let too_many: Vec<_> = (0..11).map(|name| file(name, 5 * MIB)).collect();
    tenant.post("/executions", &json!({"code": "1", "files": too_many})).await.problem(413);
}

#[tokio::test]
async fn needs_a_credential() {
    let (kiln, _tenant) = visit().await;
    kiln.api().post("/executions", &json!({"code": "print(1)"})).await.problem(401);
}
