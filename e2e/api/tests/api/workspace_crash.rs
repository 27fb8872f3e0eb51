//! `kill -9` of all of Kiln in the middle of an upload: the old file stays, nothing of the new one

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use kiln_test_support::{Installation, PASSWORD, Visit, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::MODE;

const MIB: usize = 1 << 20;
const PIECE: usize = 64 * 1024;
/// More than sockets hold between the client and the file.
const BUFFERED: usize = 32 * MIB;

#[tokio::test]
async fn files_outlive_all_of_kiln_and_an_upload_that_is_cut_off_leaves_the_old_one() {
    let _alone = Visit::alone(MODE).await;
    let mut kiln = Installation::new();
    kiln.up();
    let tenant = kiln.sign_up().await;
    let list = tenant.get("/workspaces").await.expect(200).json();
    let workspace = format!("/workspaces/{}", list["data"][0]["id"].as_str().unwrap());
    let file = format!("{workspace}/files/kept.bin");
    tenant.call(Method::PUT, &file).body("text/plain", vec![b'o'; 2 * MIB]).await.expect(201);
    let run = json!({"code": "open('by a run', 'w').write('x' * 5000)", "workspace_id": list["data"][0]["id"]});
    assert_eq!(tenant.run_with(run).await["status"], "succeeded");
    let used = async |api: &kiln_test_support::Api| {
        let answer: Value = api.get(&workspace).await.expect(200).json();
        answer["used_bytes"].as_u64().unwrap()
    };
    let before = used(&tenant).await;

    // Pieces without an end: it is in the middle for as long as anybody listens.
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let pieces = futures::stream::repeat_with(move || {
        count.fetch_add(PIECE, Ordering::Relaxed);
        Ok::<_, std::io::Error>(vec![b'n'; PIECE])
    });
    let pieces = pieces.then(|piece| async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        piece
    });
    let upload = tenant.call(Method::PUT, &file).body("text/plain", reqwest::Body::wrap_stream(pieces));
    let upload = tokio::spawn(upload.attempt());
    let under_way = async || (sent.load(Ordering::Relaxed) > BUFFERED).then_some(());
    eventually(Duration::from_secs(20), "the upload is under way", under_way).await;
    assert_eq!(used(&tenant).await, before, "what is not whole yet does not count");
    let killed = kiln.kill();
    assert!(upload.await.unwrap().is_err());
    let waited_for = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    let buried = async || killed.iter().all(waited_for).then_some(());
    eventually(Duration::from_secs(30), "the dead have been waited for", buried).await;
    kiln.up();

    let body = json!({"email": tenant.email, "password": PASSWORD});
    let token = kiln.api().post("/auth/login", &body).await.expect(200).json()["access_token"].clone();
    let again = kiln.api().with_bearer(token.as_str().unwrap());
    assert_eq!(again.get(&file).await.expect(200).body, vec![b'o'; 2 * MIB]);
    assert_eq!(again.get(&format!("{workspace}/files/by%20a%20run")).await.expect(200).body.len(), 5000);
    let paths = again.get(&format!("{workspace}/files?recursive=true")).await.expect(200).json();
    assert_eq!(paths["data"].as_array().unwrap().len(), 2, "{paths}");
    assert_eq!(used(&again).await, before);
}
