//! What cells show, in the order in which they showed it.

use kiln_domain::Limits;
use serde_json::json;

use crate::fixture::fixture;
use crate::talk::{Talk, kernel, limits};

#[tokio::test]
async fn streams_displays_and_children_keep_their_order() {
    let Some(fixture) = fixture("session_order").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    let told = talk
        .cell(
            "import subprocess, sys, os\nfor i in range(3):\n    print('out', i)\n    print('err', i, file=sys.stderr)\n    \
             display(i)\nprint('before')\nsubprocess.run(['echo', 'child'])\nprint('between')\nos.system('echo shell')\nprint('after')",
        )
        .await
        .succeeded();
    let mut expected = Vec::new();
    for i in 0..3 {
        expected.push(json!({"output_type": "stream", "name": "stdout", "text": format!("out {i}\n")}));
        expected.push(json!({"output_type": "stream", "name": "stderr", "text": format!("err {i}\n")}));
        expected.push(json!({"output_type": "display_data", "data": {"text/plain": i.to_string()}, "metadata": {}}));
    }
    expected.push(json!({"output_type": "stream", "name": "stdout", "text": "before\nchild\nbetween\nshell\nafter\n"}));
    assert_eq!(told.outputs, expected);
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn errors_have_their_traceback_without_the_launchers_frames() {
    let Some(fixture) = fixture("session_errors").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    talk.cell("def inner():\n    raise ValueError('no')").await.succeeded();
    let told = talk.cell("print('first')\ninner()").await;
    assert_eq!(told.types(), ["stream", "error"]);
    let error = &told.outputs[1];
    assert_eq!((error["ename"].as_str(), error["evalue"].as_str()), (Some("ValueError"), Some("no")));
    let traceback: Vec<_> = error["traceback"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let traceback = traceback.join("\n");
    assert!(traceback.contains("\x1b[") && traceback.contains("raise ValueError"), "{traceback}");
    assert!(!traceback.contains("kiln"), "{traceback}");
    let told = talk.cell("def g(\n").await;
    assert_eq!((told.types(), told.outputs[0]["ename"].as_str()), (vec!["error"], Some("SyntaxError")));
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn what_is_too_much_is_cut_and_counted() {
    let Some(fixture) = fixture("session_much").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    let few = Limits { output_bytes: 4096, ..limits() };
    let told = talk.limited("for i in range(10000): print('x' * 99)\nimport sys\nprint('end', file=sys.stderr)", few).await;
    assert_eq!(told.text().len(), 4096 + "end\n".len());
    assert!(told.ended.stdout_truncated && !told.ended.stderr_truncated);
    // The next cell has its own measure.
    assert_eq!(talk.limited("print('again')", few).await.text(), "again\n");
    let told = talk.cell("display({'text/html': 'x' * 9_000_000, 'text/plain': 'short'}, raw=True)").await.succeeded();
    let data = &told.outputs[0]["data"];
    assert!(data.get("text/html").is_none() && data["text/plain"].as_str().unwrap().starts_with("short\n[Left out"), "{data}");
    let told = talk.cell("for i in range(600): display(i)").await.succeeded();
    assert_eq!(told.outputs.len(), 500);
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn what_comes_between_cells_is_the_next_ones() {
    let Some(fixture) = fixture("session_between").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    talk.cell("import threading, subprocess\ndef later():\n    gate.wait()\n    print('late')\n    done.set()\ngate, done = threading.Event(), threading.Event()\nthreading.Thread(target=later, daemon=True).start()\nimport atexit").await.succeeded();
    talk.cell("threading.Timer(0.1, gate.set).start()").await.succeeded();
    let told = talk.cell("done.wait(5)\nprint('now')").await.succeeded();
    assert_eq!(told.text(), "late\nnow\n");
    talk.close().await;
    fixture.close().await;
}
