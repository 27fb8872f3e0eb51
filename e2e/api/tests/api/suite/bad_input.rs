//! POST /executions with what cannot work: a clear refusal or a clear failed run, never an error of the system

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kiln_test_support::assert_like;
use serde_json::{Value, json};

use super::visit;

fn file(path: &str) -> Value {
    json!({"path": path, "content": "eA=="})
}

#[tokio::test]
async fn a_program_that_cannot_be_decoded_fails_as_python_says() {
    let (_kiln, tenant) = visit().await;
    for codec in ["no-such-codec", "ascii", "utf-16", "hex", "undefined"] {
        let run = tenant.run(&format!("# -*- coding: {codec} -*-\nprint('é')\n")).await;
        assert_like(&run, json!({"status": "failed", "exit_code": 1, "reason": {"code": "exit_code"}, "stdout": ""}));
        assert!(run["stderr"].as_str().unwrap().contains("SyntaxError"), "{codec}: {run}");
    }
    assert_like(&tenant.run("\u{feff}print(1)").await, json!({"status": "succeeded", "stdout": "1\n"}));
    assert_like(&tenant.run("print(1)\r\nprint(2)\r").await, json!({"status": "succeeded", "stdout": "1\n2\n"}));
}

#[tokio::test]
async fn a_program_with_nul_fails_in_every_language() {
    let (_kiln, tenant) = visit().await;
    for code in ["\u{0}", "print(1)\u{0}", "'''\u{0}'''", "#\u{0}\nprint(2)"] {
        let run = tenant.run(code).await;
        assert_like(&run, json!({"status": "failed", "exit_code": 1, "reason": {"code": "exit_code"}, "stdout": ""}));
        assert!(run["stderr"].as_str().unwrap().contains("null bytes"), "{run}");
    }
    let run = tenant.run_with(json!({"code": "echo 1\u{0}; echo 2", "runtime": "bash"})).await;
    assert_like(&run, json!({"status": "failed", "exit_code": 126, "reason": {"code": "exit_code"}}));
}

#[tokio::test]
async fn a_program_without_statements_succeeds_and_blanks_are_none() {
    let (_kiln, tenant) = visit().await;
    for code in ["# a comment", "'''a docstring'''", "pass", "\u{feff}", "\u{c}1"] {
        assert_like(&tenant.run(code).await, json!({"status": "succeeded", "exit_code": 0, "stdout": "", "stderr": ""}));
    }
    assert_like(&tenant.run_with(json!({"code": "# nothing", "runtime": "bash"})).await, json!({"status": "succeeded"}));
    for code in ["\u{c}", "\u{2028}", "\u{a0}\t\r\n"] {
        tenant.post("/executions", &json!({"code": code})).await.problem(422).at("/code");
    }
}

#[tokio::test]
async fn a_program_that_no_parser_takes_fails() {
    let (_kiln, tenant) = visit().await;
    let deep = format!("x = {}1", "-".repeat(100_000));
    for code in ["(".repeat(300), deep, "1".repeat(5_000), "if 1:\n".to_owned(), "\\".to_owned(), "\u{1a}".to_owned()] {
        let run = tenant.run(&code).await;
        assert_like(&run, json!({"status": "failed", "exit_code": 1, "reason": {"code": "exit_code"}, "stdout": ""}));
        assert_ne!(run["stderr"], "", "{run}");
    }
}

#[tokio::test]
async fn a_runtime_that_is_not_there_is_422() {
    let (_kiln, tenant) = visit().await;
    for runtime in ["", "python9.9", "../python", "PYTHON3.13", "python3.13 ", "base/../python", "\u{0}", "python3.13\n"] {
        tenant.post("/executions", &json!({"code": "1", "runtime": runtime})).await.problem(422).at("/runtime");
    }
}

#[tokio::test]
async fn files_that_collide_or_nest_oddly_are_422_and_odd_names_are_names() {
    let (_kiln, tenant) = visit().await;
    let deep = ["d"; 33].join("/");
    for (files, at) in [
        (json!([file("a"), file("a")]), "/files/1/path"),
        (json!([file("a"), file("a/b")]), "/files/0/path"),
        (json!([file("a/b/c"), file("a/b")]), "/files/1/path"),
        (json!([file("main.py")]), "/files/0/path"),
        (json!([file("main.py/x")]), "/files/0/path"),
        (json!([file(&deep)]), "/files/0/path"),
        (json!([file(&"d/".repeat(2_000))]), "/files/0/path"),
    ] {
        tenant.post("/executions", &json!({"code": "print(1)", "files": files})).await.problem(422).at(at);
    }
    let deepest = ["d"; 32].join("/");
    let odd =
        ["\u{e9}", "e\u{301}", "A", "a", "a\\b", "C:", "x\ny", "-c", " ", "lost+found", "sitecustomize.py", deepest.as_str()];
    let files: Vec<_> = odd.into_iter().map(file).collect();
    let code = "import os\nprint(sum(len(f) for _, _, f in os.walk('.')) - 1)";
    let run = tenant.run_with(json!({"code": code, "files": files})).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": format!("{}\n", odd.len())}));
}

#[tokio::test]
async fn files_that_do_not_fit_their_disk_fail_for_it() {
    let (_kiln, tenant) = visit().await;
    let large = json!({"path": "large", "content": STANDARD.encode(vec![b'x'; 3 << 20])});
    let body = json!({"code": "print(1)", "files": [large], "limits": {"disk_bytes": 1 << 20}});
    let run = tenant.run_with(body).await;
    assert_like(&run, json!({"status": "failed", "exit_code": null, "reason": {"code": "disk"}, "stdout": ""}));
    assert!(run["reason"]["message"].as_str().unwrap().contains("large does not fit"), "{run}");
}

#[tokio::test]
async fn an_environment_that_breaks_the_interpreter_is_the_programs_own_failure() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run_with(json!({"code": "print(1)", "env": {"PYTHONHOME": "/nowhere"}})).await;
    assert_like(&run, json!({"status": "failed", "exit_code": 1, "reason": {"code": "exit_code"}}));
    let smallest = json!({"memory_bytes": 64 << 20, "pids": 4, "disk_bytes": 1 << 20, "output_bytes": 1024, "cpu_millis": 100});
    let run = tenant.run_with(json!({"code": "print(1)", "limits": smallest})).await;
    assert_like(&run, json!({"status": "succeeded", "stdout": "1\n"}));
}
