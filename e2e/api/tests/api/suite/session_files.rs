//! Sessions and files: what a cell changed is listed with it, and in a workspace it lives on

use kiln_test_support::{Tenant, assert_like};
use serde_json::{Value, json};

use super::sessions::{cell, open};
use super::workspace_files::Files;
use super::workspace_runs::names;
use super::workspaces::make;
use super::{SOON, visit};

async fn open_in(files: &Files<'_>) -> String {
    let session = files.tenant.post("/sessions", &json!({"workspace_id": files.id()})).await.expect(201).json();
    assert_like(&session, json!({"status": "idle", "workspace_id": files.id()}));
    session["id"].as_str().unwrap().to_owned()
}

/// The value that a cell shows.
fn value(ended: &Value) -> &str {
    assert_like(ended, json!({"status": "succeeded", "outputs": [{"output_type": "execute_result"}]}));
    ended["outputs"][0]["data"]["text/plain"].as_str().unwrap()
}

async fn kept(tenant: &Tenant, ended: &Value, path: &str) -> String {
    tenant.get(&format!("/executions/{}/files/{path}", ended["id"].as_str().unwrap())).await.expect(200).text()
}

#[tokio::test]
async fn the_files_of_a_cell_are_what_it_changed() {
    let (_kiln, tenant) = visit().await;
    let session = open(&tenant).await;
    let first = cell(&tenant, &session, "import os\n_ = open('a', 'w').write('one')").await;
    assert_eq!(names(&first), ["a"]);
    let both = cell(&tenant, &session, "os.mkdir('d')\nfor name in ['a', 'd/b']: open(name, 'w').write('two')").await;
    assert_eq!(names(&both), ["a", "d/b"]);
    assert_like(&cell(&tenant, &session, "len(open('a').read())").await, json!({"files": [], "files_truncated": false}));
    for number in 0..8 {
        let ended = cell(&tenant, &session, &format!("_ = open('{number}', 'w').write('x')")).await;
        assert_eq!(names(&ended), [number.to_string()], "what the cell before changed is not listed again");
    }
    let failed = cell(&tenant, &session, "open('left', 'w').write('before')\n1/0").await;
    assert_eq!(names(&failed), ["left"]);
    let gone = cell(&tenant, &session, "open('last', 'w').write('words')\nos._exit(1)").await;
    assert_like(&gone, json!({"status": "failed", "session_restarted": true}));
    tenant.delete(&format!("/sessions/{session}")).await.expect(204);
    assert_eq!(kept(&tenant, &first, "a").await, "one");
    assert_eq!(kept(&tenant, &both, "d/b").await, "two");
    assert_eq!(kept(&tenant, &failed, "left").await, "before");
    assert_eq!(kept(&tenant, &gone, "last").await, "words");
}

#[tokio::test]
async fn a_session_works_in_its_workspace() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("mine.py", "answer = 42").await.expect(201);
    let session = open_in(&files).await;
    let found = cell(&tenant, &session, "import os, mine\n(os.getcwd(), mine.answer, os.listdir('.'))").await;
    assert_eq!(value(&found), "('/workspace', 42, ['mine.py'])");
    assert_like(&found, json!({"workspace_id": files.id(), "files": []}));
    let left = cell(&tenant, &session, "_ = open('of the cell', 'w').write('x' * 100_000)").await;
    assert_eq!(names(&left), ["of the cell"]);
    assert_eq!(files.get("of the cell").await.expect(200).body.len(), 100_000);
    let listed = tenant.get("/workspaces").await.expect(200).json();
    assert_eq!(listed["data"][0]["used_bytes"].as_u64(), Some(files.used().await), "its use is told after each cell");

    files.put("of the client", "given").await.expect(201);
    let run = json!({"code": "import os\nprint(len(os.listdir('.')))\nopen('of the run', 'w').write('run')",
        "workspace_id": files.id()});
    assert_like(&tenant.run_with(run.clone()).await, json!({"status": "succeeded", "stdout": "4\n"}));
    let read = cell(&tenant, &session, "open('of the client').read() + open('of the run').read()").await;
    assert_eq!(value(&read), "'givenrun'");

    tenant.post(&format!("/sessions/{session}/restart"), &json!({})).await.expect(202);
    let again = cell(&tenant, &session, "import os\n(os.getcwd(), os.path.exists('of the run'))").await;
    assert_eq!(value(&again), "('/workspace', True)");
    tenant.delete(&format!("/sessions/{session}")).await.expect(204);
    assert_like(&tenant.run_with(run).await, json!({"status": "succeeded", "stdout": "5\n", "files": [{"path": "of the run"}]}));
    let session = open_in(&files).await;
    assert_eq!(value(&cell(&tenant, &session, "open('of the run').read()").await), "'run'");
}

#[tokio::test]
async fn a_workspace_is_not_deleted_under_its_session() {
    let (kiln, tenant) = visit().await;
    let files = Files::of_new(&tenant, json!({"name": "held"})).await;
    let workspace = format!("/workspaces/{}", files.id());
    let session = open_in(&files).await;
    assert_eq!(tenant.delete(&workspace).await.problem(409).code(), "in_use");
    tenant.delete(&format!("/sessions/{session}")).await.expect(204);
    tenant.delete(&workspace).await.expect(204);
    let wanted = json!({"workspace_id": files.id()});
    tenant.post("/sessions", &wanted).await.problem(422).at("/workspace_id");
    let stranger = kiln.sign_up().await;
    let foreign = make(&stranger, json!({"name": "not yours"})).await;
    tenant.post("/sessions", &json!({"workspace_id": foreign})).await.problem(422).at("/workspace_id");
    assert_eq!(tenant.get("/sessions").await.expect(200).json()["data"], json!([]), "nothing of them is left");
}

#[tokio::test]
async fn a_full_workspace_is_an_error_in_the_cell_and_not_the_end() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_new(&tenant, json!({"name": "full", "quota_bytes": 8 << 20})).await;
    let session = open_in(&files).await;
    let code = "kept = 1\nwith open('big', 'wb', buffering=0) as f:\n    while True: f.write(b'x' * 65536)";
    assert_like(&cell(&tenant, &session, code).await, json!({"status": "failed", "reason": {"code": "disk"}}));
    let freed = cell(&tenant, &session, "import os; os.remove('big'); _ = open('small', 'w').write('x'); kept").await;
    assert_eq!((value(&freed), names(&freed)), ("1", vec!["small".to_owned()]));
}

#[tokio::test]
async fn files_with_the_names_of_its_own_modules_do_not_hurt_a_session() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    for name in ["sitecustomize.py", "encodings.py", "os.py", "asyncio.py", "json.py", "kiln_kernel.py", "IPython.py", "main.py"]
    {
        files.put(name, "import sys; print('poison'); sys.exit(3)").await.expect(201);
    }
    let session = open_in(&files).await;
    assert_eq!(value(&cell(&tenant, &session, "1 + 1").await), "2");
    tenant.post(&format!("/sessions/{session}/restart"), &json!({})).await.expect(202);
    assert_eq!(value(&cell(&tenant, &session, "open('main.py').read()[:10]").await), "'import sys'");
    let sent = tenant.post(&format!("/sessions/{session}/executions"), &json!({"code": "2 + 2"})).await.expect(202).json();
    assert_eq!(value(&tenant.ended(sent["id"].as_str().unwrap(), SOON).await), "4");
}
