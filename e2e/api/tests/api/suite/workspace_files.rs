//! /workspaces/{id}/files: list, PUT, GET, DELETE, move

use kiln_test_support::{Answer, Tenant, assert_like};
use reqwest::Method;
use serde_json::{Value, json};

use super::visit;
use super::workspaces::{default_of, make};

const MIB: usize = 1 << 20;

/// One workspace's files, as a client sees them.
pub struct Files<'a> {
    pub tenant: &'a Tenant,
    pub path: String,
}

impl<'a> Files<'a> {
    pub async fn of_new(tenant: &'a Tenant, body: Value) -> Self {
        let id = make(tenant, body).await;
        Self { tenant, path: format!("/workspaces/{id}/files") }
    }

    pub async fn of_default(tenant: &'a Tenant) -> Self {
        Self { tenant, path: format!("/workspaces/{}/files", default_of(tenant).await) }
    }

    pub fn id(&self) -> &str {
        self.path.trim_start_matches("/workspaces/").trim_end_matches("/files")
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.path)
    }

    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.tenant.call(Method::PUT, &self.at(path)).body("application/octet-stream", body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.tenant.get(&self.at(path)).await
    }

    /// Path and kind of what is there.
    pub async fn list(&self, query: &str) -> Vec<(String, String)> {
        let list = self.tenant.get(&format!("{}{query}", self.path)).await.expect(200).json();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        list["data"].as_array().unwrap().iter().map(|entry| (text(entry, "path"), text(entry, "kind"))).collect()
    }

    pub async fn used(&self) -> u64 {
        let workspace = self.path.strip_suffix("/files").unwrap();
        self.tenant.get(workspace).await.expect(200).json()["used_bytes"].as_u64().unwrap()
    }
}

fn entries(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(path, kind)| ((*path).to_owned(), (*kind).to_owned())).collect()
}

#[tokio::test]
async fn a_file_is_put_replaced_read_and_removed() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    let made = files.put("deep/er/é ü.bin", vec![7; 3 * MIB]).await.expect(201).json();
    assert_like(&made, json!({"path": "deep/er/é ü.bin", "kind": "file", "size_bytes": 3 * MIB, "modified_at": "<string>"}));
    let used = files.used().await;
    assert!((3 * MIB as u64..4 * MIB as u64).contains(&used), "{used}");
    let answer = files.get("deep/er/%C3%A9%20%C3%BC.bin").await.expect(200);
    assert_eq!(answer.body, vec![7; 3 * MIB]);
    assert_eq!(answer.header("content-disposition"), "attachment; filename*=UTF-8''%C3%A9%20%C3%BC.bin");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    files.put("deep/er/é ü.bin", "small").await.expect(200);
    assert_eq!(files.get("deep/er/é ü.bin").await.expect(200).text(), "small");
    assert!(files.used().await < MIB as u64);
    files.put("empty", "").await.expect(201);
    assert_eq!(files.get("empty").await.expect(200).body, b"");
    tenant.delete(&files.at("empty")).await.expect(204);
    files.get("empty").await.problem(404);
    tenant.delete(&files.at("empty")).await.problem(404);
}

#[tokio::test]
async fn a_part_can_be_asked_for() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("digits", "0123456789").await.expect(201);
    let part = async |range: &str| tenant.get(&files.at("digits")).header("range", range).await;
    for (range, text, told) in
        [("bytes=2-4", "234", "bytes 2-4/10"), ("bytes=7-", "789", "bytes 7-9/10"), ("bytes=-2", "89", "bytes 8-9/10")]
    {
        let answer = part(range).await.expect(206);
        assert_eq!((answer.text().as_str(), answer.header("content-range")), (text, told));
    }
    assert_eq!(part("bytes=10-").await.problem(416).headers["content-range"], "bytes */10");
    assert_eq!(part("bytes=0-1,3-4").await.expect(200).text(), "0123456789");
    let tag = files.get("digits").await.header("etag").to_owned();
    tenant.get(&files.at("digits")).header("if-none-match", &tag).await.expect(304);
    files.put("digits", "9876543210").await.expect(200);
    assert_eq!(tenant.get(&files.at("digits")).header("if-none-match", &tag).await.expect(200).text(), "9876543210");
    let changed = tenant.get(&files.at("digits")).header("range", "bytes=0-1").header("if-range", &tag).await.expect(200);
    assert_eq!(changed.text(), "9876543210");
}

#[tokio::test]
async fn directories_are_listed_by_name_and_page() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    for path in ["b/2", "b/1/x", "a", "c-", "b.txt"] {
        files.put(path, "x").await.expect(201);
    }
    tenant.post(&files.path, &json!({"path": "d/e", "kind": "directory"})).await.expect(201);
    let top = entries(&[("a", "file"), ("b", "directory"), ("b.txt", "file"), ("c-", "file"), ("d", "directory")]);
    assert_eq!(files.list("").await, top);
    assert_eq!(files.list("?path=b").await, entries(&[("b/1", "directory"), ("b/2", "file")]));
    let all = [
        ("a", "file"),
        ("b", "directory"),
        ("b/1", "directory"),
        ("b/1/x", "file"),
        ("b/2", "file"),
        ("b.txt", "file"),
        ("c-", "file"),
        ("d", "directory"),
        ("d/e", "directory"),
    ];
    assert_eq!(files.list("?recursive=true").await, entries(&all));
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = tenant.get(&format!("{}?recursive=true&limit=2{cursor}", files.path)).await.expect(200).json();
        paged.extend(page["data"].as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all.map(|(path, _)| path));
    tenant.get(&files.path).query("path", "nothing").await.problem(404);
    tenant.get(&files.path).query("path", "../x").await.problem(422);
}

#[tokio::test]
async fn directories_are_in_the_way_of_files_and_the_other_way_round() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("d/f", "x").await.expect(201);
    let make = async |path: &str| tenant.post(&files.path, &json!({"path": path, "kind": "directory"})).await;
    assert_eq!(files.put("d", "x").await.problem(409).code(), "is_directory");
    assert_eq!(files.put("d/f/g", "x").await.problem(409).code(), "not_a_directory");
    assert_eq!(make("d").await.problem(409).code(), "exists");
    assert_eq!(make("d/f/g").await.problem(409).code(), "not_a_directory");
    assert_eq!(files.get("d").await.problem(409).code(), "is_directory");
    assert_eq!(tenant.delete(&files.at("d")).await.problem(409).code(), "not_empty");
    tenant.delete(&files.at("d?recursive=true")).await.expect(204);
    assert_eq!(files.list("").await, []);
}

#[tokio::test]
async fn files_and_directories_are_moved() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    for path in ["a", "b", "d/x"] {
        files.put(path, path).await.expect(201);
    }
    let go = async |from: &str, body: Value| tenant.post(&files.at(&format!("{from}/move")), &body).await;
    assert_like(&go("a", json!({"to": "new/place/a"})).await.expect(200).json(), json!({"path": "new/place/a", "kind": "file"}));
    assert_eq!(go("b", json!({"to": "new/place/a"})).await.problem(409).code(), "exists");
    go("b", json!({"to": "new/place/a", "overwrite": true})).await.expect(200);
    assert_eq!(files.get("new/place/a").await.expect(200).text(), "b");
    go("d", json!({"to": "new/d"})).await.expect(200);
    assert_eq!(files.get("new/d/x").await.expect(200).text(), "d/x");
    go("new", json!({"to": "new/d/inside"})).await.problem(422);
    go("new", json!({"to": "../out"})).await.problem(422);
    go("new", json!({})).await.problem(422);
    go("nothing", json!({"to": "x"})).await.problem(404);
    go("new/d", json!({"to": "new/place/a", "overwrite": true})).await.problem(409);
    files.put("move", "a file of that name").await.expect(201);
    go("move", json!({"to": "moved"})).await.expect(200);
}

#[tokio::test]
async fn names_that_cannot_be_are_refused() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    let long = "x".repeat(300);
    for name in ["..%2Fx", "a%2F..%2F..%2Fx", "%2Fetc%2Fpasswd", "a%00b", "%FF", "a//b", "a/", &long] {
        files.put(name, "x").await.problem(422);
        files.get(name).await.problem(422);
        tenant.delete(&files.at(name)).await.problem(422);
    }
    files.put(&"x".repeat(255), "x").await.expect(201);
    tenant.post(&files.path, &json!({"path": "a\u{0}", "kind": "directory"})).await.problem(422);
    tenant.post(&files.path, &json!({"path": "a", "kind": "file"})).await.problem(422);
    assert_eq!(files.list("").await.len(), 1);
}

#[tokio::test]
async fn a_file_over_its_limit_or_the_quota_changes_nothing() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_new(&tenant, json!({"name": "small", "quota_bytes": 8 * MIB, "max_file_bytes": 5 * MIB})).await;
    files.put("kept", vec![1; 5 * MIB]).await.expect(201);
    files.put("kept", vec![2; 5 * MIB + 1]).await.problem(413);
    assert_eq!(files.put("more", vec![2; 4 * MIB]).await.problem(507).code(), "quota_exceeded");
    // Without a length to judge by before.
    let unknown =
        |size: usize| reqwest::Body::wrap_stream(futures::stream::iter(vec![Ok::<_, std::io::Error>(vec![3_u8; size])]));
    files.put("kept", unknown(5 * MIB + 1)).await.problem(413);
    files.put("more", unknown(4 * MIB)).await.problem(507);
    assert_eq!(files.get("kept").await.expect(200).body, vec![1; 5 * MIB]);
    assert_eq!(files.list("").await, entries(&[("kept", "file")]));
    files.put("fits", vec![4; 2 * MIB]).await.expect(201);
    // The old one gives way only when the new one is whole, and they need not both fit.
    files.put("kept", vec![5; 5 * MIB]).await.expect(200);
    assert!(files.used().await <= 8 * MIB as u64);
}

#[tokio::test]
async fn a_quota_can_grow_and_shrink_around_what_is_there() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_new(&tenant, json!({"name": "elastic", "quota_bytes": 4 * MIB})).await;
    files.put("a", vec![1; 3 * MIB]).await.expect(201);
    files.put("b", vec![2; 3 * MIB]).await.problem(507);
    let workspace = files.path.strip_suffix("/files").unwrap();
    let change = async |bytes: usize| tenant.call(Method::PATCH, workspace).json(&json!({"quota_bytes": bytes})).await;
    assert_eq!(change(2 * MIB).await.problem(409).code(), "quota_below_use");
    change(16 * MIB).await.expect(200);
    files.put("b", vec![2; 10 * MIB]).await.expect(201);
    assert_eq!(files.get("a").await.expect(200).body, vec![1; 3 * MIB]);
    tenant.delete(&files.at("b")).await.expect(204);
    change(5 * MIB).await.expect(200);
    files.put("b", vec![2; 3 * MIB]).await.problem(507);
    assert_eq!(files.get("a").await.expect(200).body, vec![1; 3 * MIB]);
    let code = "import os
f = os.open('b', os.O_CREAT | os.O_WRONLY)
try:
    while True: os.write(f, b'x' * 4096)
except OSError: print(os.fstat(f).st_size)";
    let id = workspace.trim_start_matches("/workspaces/");
    let run = tenant.run_with(json!({"code": code, "workspace_id": id})).await;
    let written: usize = run["stdout"].as_str().unwrap().trim().parse().unwrap();
    assert!((2 * MIB - 64 * 1024..=2 * MIB + 64 * 1024).contains(&written), "{written}");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_the_old_file() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("f", "old").await.expect(201);
    let pieces = vec![Ok(vec![b'n'; MIB]), Err(std::io::Error::other("the client goes"))];
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let broken = tenant.call(Method::PUT, &files.at("f")).body("text/plain", body).attempt().await;
    assert!(broken.is_err());
    assert_eq!(files.get("f").await.expect(200).text(), "old");
    assert_eq!(files.list("?recursive=true").await, entries(&[("f", "file")]));
}

#[tokio::test]
async fn what_is_stored_counts_for_the_tenant() {
    let (_kiln, tenant) = visit().await;
    let files = Files::of_default(&tenant).await;
    files.put("f", vec![1; 6 * MIB]).await.expect(201);
    let used = tenant.get("/tenant/quota").await.expect(200).json()["used"]["storage_bytes"].as_u64().unwrap();
    assert_eq!(used, files.used().await);
    assert!(used >= 6 * MIB as u64, "{used}");
    let usage = tenant.get("/tenant/usage").await.expect(200).json();
    assert_eq!(usage["storage_bytes"].as_u64(), Some(used));
}
