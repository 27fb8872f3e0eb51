//! /notebooks: kept, changed without losing anybody's change, and had again as they were

use kiln_test_support::{Answer, Api, Tenant, assert_like};
use reqwest::Method;
use serde_json::{Value, json};

use super::visit;

/// A cell of code that has not run.
pub fn code(id: &str, source: &str) -> Value {
    json!({"cell_type": "code", "id": id, "metadata": {}, "source": source, "outputs": [], "execution_count": null})
}

pub fn markdown(id: &str, source: &str) -> Value {
    json!({"cell_type": "markdown", "id": id, "metadata": {}, "source": source})
}

pub fn notebook(cells: &[Value]) -> Value {
    json!({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
}

/// Makes a notebook of these cells; its id.
pub async fn make(api: &Api, cells: &[Value]) -> String {
    let made = api.post("/notebooks", &json!({"name": "n", "content": notebook(cells)})).await.expect(201).json();
    made["id"].as_str().unwrap().to_owned()
}

pub async fn put(api: &Api, path: &str, tag: &str, content: &Value) -> Answer {
    api.call(Method::PUT, path).header("if-match", tag).json(&json!({ "content": content })).await
}

/// Somebody new in the tenant with this role.
async fn joined(kiln: &kiln_test_support::Visit, tenant: &Tenant, role: &str) -> Api {
    let person = kiln.sign_up().await;
    let invitation = tenant.post("/tenant/invitations", &json!({"email": person.email, "role": role})).await.expect(201).json();
    person.post("/invitations/accept", &json!({"token": invitation["token"]})).await.expect(200);
    let tokens = person.post("/auth/switch", &json!({"tenant_id": tenant.tenant_id()})).await.expect(200).json();
    person.with_bearer(tokens["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn they_are_made_read_changed_and_deleted() {
    let (_kiln, tenant) = visit().await;
    let content = notebook(&[markdown("intro", "# Hello"), code("one", "1 + 1")]);
    let answer = tenant.post("/notebooks", &json!({"name": "études", "content": content})).await.expect(201);
    let made = answer.json();
    assert_like(
        &made,
        json!({
            "id": "<uuid>", "name": "études", "runtime": "python", "workspace_id": null, "revision": 1, "version": 1,
            "run_state": null, "created_by": "<uuid>", "updated_by": "<uuid>", "created_at": "<time>", "updated_at": "<time>",
            "content": {"nbformat": 4, "nbformat_minor": 5, "cells": content["cells"]},
        }),
    );
    let path = format!("/notebooks/{}", made["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), format!("/api/v1{path}"));
    assert_eq!(answer.header("etag"), "\"1\"");
    let read = tenant.get(&path).await.expect(200);
    assert_eq!((read.json(), read.header("etag")), (made.clone(), "\"1\""));
    tenant.get(&path).header("if-none-match", "\"1\"").await.expect(304);

    let changed = notebook(&[code("one", "2 + 2"), code("two", "3")]);
    let answer = put(&tenant, &path, "\"1\"", &changed).await.expect(200);
    assert_eq!(answer.header("etag"), "\"2\"");
    assert_like(&answer.json(), json!({"name": "études", "content": {"cells": changed["cells"]}}));
    let patch = json!({"name": "renamed", "runtime": "python3.11"});
    let answer = tenant.call(Method::PATCH, &path).json(&patch).await.expect(200);
    assert_eq!(answer.header("etag"), "\"3\"");
    assert_like(&answer.json(), json!({"name": "renamed", "runtime": "python3.11", "content": {"cells": changed["cells"]}}));

    tenant.delete(&path).await.expect(204);
    tenant.get(&path).await.problem(404);
    tenant.delete(&path).await.problem(404);
}

#[tokio::test]
async fn a_change_that_was_not_seen_is_not_lost() {
    let (kiln, tenant) = visit().await;
    let other = joined(&kiln, &tenant, "member").await;
    let path = format!("/notebooks/{}", make(&tenant, &[code("a", "0")]).await);
    let (mine, theirs) = (notebook(&[code("a", "mine")]), notebook(&[code("a", "theirs")]));
    let missing = tenant.call(Method::PUT, &path).json(&json!({"content": mine})).await.problem(428);
    assert_eq!(missing.code(), "if_match_required");
    put(&other, &path, "\"1\"", &theirs).await.expect(200);
    let stale = put(&tenant, &path, "\"1\"", &mine).await.problem(412);
    assert_eq!((stale.code(), stale.header("etag")), ("stale", "\"2\""));
    let stale = tenant.call(Method::PATCH, &path).header("if-match", "\"1\"").json(&json!({"name": "x"})).await;
    stale.problem(412);
    assert_like(&tenant.get(&path).await.json(), json!({"name": "n", "content": {"cells": [{"source": "theirs"}]}}));

    // Of writers that have seen the same, one comes first.
    let contents: Vec<Value> = (0..8).map(|n| notebook(&[code("a", &n.to_string())])).collect();
    let answers = futures::future::join_all(contents.iter().map(|content| put(&tenant, &path, "\"2\"", content))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 7, "{statuses:?}");
}

#[tokio::test]
async fn the_list_is_paged_and_narrowed_by_name() {
    let (_kiln, tenant) = visit().await;
    for name in ["Alpha", "beta", "alphabet"] {
        tenant.post("/notebooks", &json!({ "name": name })).await.expect(201);
    }
    let names = |page: &Value| page["data"].as_array().unwrap().iter().map(|n| n["name"].clone()).collect::<Vec<_>>();
    let first = tenant.get("/notebooks").query("limit", 2).await.expect(200).json();
    assert_eq!(names(&first), ["alphabet", "beta"]);
    assert!(first["data"][0].get("content").is_none());
    let rest = tenant.get("/notebooks").query("cursor", first["next_cursor"].as_str().unwrap()).await.expect(200).json();
    assert_eq!((names(&rest), &rest["next_cursor"]), (vec![json!("Alpha")], &Value::Null));
    let found = tenant.get("/notebooks").query("name", "ALPHA").await.expect(200).json();
    assert_eq!(names(&found), ["alphabet", "Alpha"]);
    tenant.get("/notebooks").query("limit", 0).await.problem(400);
    tenant.get("/notebooks").query("nome", "x").await.problem(400);
}

#[tokio::test]
async fn versions_are_listed_compared_and_restored() {
    let (kiln, tenant) = visit().await;
    let other = joined(&kiln, &tenant, "admin").await;
    let path = format!("/notebooks/{}", make(&tenant, &[code("a", "one\ntwo\n")]).await);
    put(&tenant, &path, "\"1\"", &notebook(&[code("a", "one\nchanged\n")])).await.expect(200);
    // Saves of one person that follow each other are one version; another's are not.
    put(&tenant, &path, "\"2\"", &notebook(&[code("a", "one\nchanged\n"), code("b", "new")])).await.expect(200);
    put(&other, &path, "\"3\"", &notebook(&[code("b", "new")])).await.expect(200);
    let list = tenant.get(&format!("{path}/versions")).await.expect(200).json();
    assert_like(
        &list,
        json!({"next_cursor": null, "data": [
            {"number": 3, "cause": "saved", "current": true, "author": "<uuid>", "size_bytes": "<integer>", "created_at": "<time>"},
            {"number": 2, "cause": "saved", "current": false},
            {"number": 1, "cause": "created", "current": false},
        ]}),
    );
    let page = tenant.get(&format!("{path}/versions")).query("limit", 2).await.expect(200).json();
    let rest = tenant.get(&format!("{path}/versions")).query("cursor", page["next_cursor"].as_str().unwrap()).await.json();
    assert_like(&rest, json!({"next_cursor": null, "data": [{"number": 1}]}));

    let first = tenant.get(&format!("{path}/versions/1")).await.expect(200).json();
    assert_like(&first, json!({"number": 1, "content": {"cells": [{"id": "a", "source": "one\ntwo\n"}]}}));
    let diff = tenant.get(&format!("{path}/versions/2/diff")).await.expect(200).json();
    assert_like(
        &diff,
        json!({"from": 1, "to": 2, "metadata_changed": false, "cells": [
            {"cell_id": "a", "change": "changed", "fields": ["source"], "from_index": 0, "to_index": 0},
            {"cell_id": "b", "change": "added", "from_index": null, "to_index": 1},
        ]}),
    );
    assert!(diff["cells"][0]["source"].as_str().unwrap().contains("-two\n+changed\n"), "{diff}");
    let diff = tenant.get(&format!("{path}/versions/3/diff")).query("against", 1).await.expect(200).json();
    assert_like(
        &diff,
        json!({"from": 1, "to": 3, "cells": [
            {"cell_id": "b", "change": "added"}, {"cell_id": "a", "change": "removed"},
        ]}),
    );

    let restored = tenant.call(Method::POST, &format!("{path}/versions/1/restore")).await.expect(200);
    assert_like(&restored.json(), json!({"version": 4, "content": {"cells": [{"id": "a", "source": "one\ntwo\n"}]}}));
    let stale = tenant.call(Method::POST, &format!("{path}/versions/3/restore")).header("if-match", "\"1\"");
    stale.await.problem(412);
    put(&tenant, &path, restored.header("etag"), &notebook(&[])).await.expect(200);
    let list = tenant.get(&format!("{path}/versions")).await.expect(200).json();
    let causes: Vec<_> = list["data"].as_array().unwrap().iter().map(|version| version["cause"].clone()).collect();
    assert_eq!(causes, ["saved", "restored", "saved", "saved", "created"]);
    for bad in ["versions/9", "versions/0", "versions/x", "versions/9/diff", "versions/2/diff?against=9"] {
        tenant.get(&format!("{path}/{bad}")).await.problem(404);
    }
    tenant.call(Method::POST, &format!("{path}/versions/9/restore")).await.problem(404);
}

#[tokio::test]
async fn old_versions_go_when_there_are_too_many() {
    let (kiln, tenant) = visit().await;
    let other = joined(&kiln, &tenant, "member").await;
    let path = format!("/notebooks/{}", make(&tenant, &[]).await);
    for n in 1..=60 {
        let who: &Api = if n % 2 == 0 { &tenant } else { &other };
        put(who, &path, &format!("\"{n}\""), &notebook(&[code("a", &n.to_string())])).await.expect(200);
    }
    let list = tenant.get(&format!("{path}/versions")).query("limit", 200).await.expect(200).json();
    let numbers: Vec<i64> = list["data"].as_array().unwrap().iter().map(|version| version["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (12..=61).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_not_known_to_kiln_is_kept_as_it_came() {
    let (_kiln, tenant) = visit().await;
    let metadata =
        r#"{"big":123456789012345678901234567890,"exact":0.1000000000000000055511151231257827,"deep":[{"ü":[null,1e300]}]}"#;
    let shown = r#"{"application/vnd.x+json":{"n":[1.0,1e-7,18446744073709551616]},"text/plain":["a\n","b"]}"#;
    let body = format!(
        r#"{{"name":"n","content":{{"nbformat":4,"nbformat_minor":5,"metadata":{{"kernelspec":{{"name":"x","display_name":"X"}},
        "language_info":{{"name":"python"}},"mine":{metadata}}},"cells":[{{"cell_type":"code","id":"a","source":["x\n","y"],
        "execution_count":null,"metadata":{{"mine":{metadata}}},"outputs":[{{"output_type":"display_data","metadata":{{}},"data":{shown}}}]}}]}}}}"#
    );
    let made = tenant.call(Method::POST, "/notebooks").body("application/json", body).await.expect(201);
    let path = format!("/notebooks/{}", made.json()["id"].as_str().unwrap());
    let read = tenant.get(&path).await.expect(200).text();
    assert_eq!(read.matches(metadata).count(), 2, "{read}");
    assert!(read.contains(r#""n":[1.0,1e-7,18446744073709551616]"#), "{read}");
    assert!(read.contains(r#""text/plain":"a\nb""#) && read.contains(r#""source":"x\ny""#), "{read}");
    let exported = tenant.get(&format!("{path}/export")).await.expect(200).text();
    assert_eq!(exported.matches(metadata).count(), 2, "{exported}");
}

#[tokio::test]
async fn a_repeat_with_the_same_key_makes_one() {
    let (_kiln, tenant) = visit().await;
    for (path, body) in [("/notebooks", json!({"name": "once"})), ("/notebooks/import", notebook(&[]))] {
        let make = || tenant.post(path, &body).header("idempotency-key", "k");
        let first = make().await.expect(201).json();
        let again = make().await.expect(201);
        assert_eq!((again.json(), again.header("idempotency-replayed")), (first, "true"));
        tenant.post(path, &json!({"name": "other"})).header("idempotency-key", "k").await.problem(422);
    }
}

#[tokio::test]
async fn fields_that_cannot_be_are_refused_by_name() {
    let (kiln, tenant) = visit().await;
    let foreign = super::workspaces::default_of(&kiln.sign_up().await).await;
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!({"name": " "}), "/name"),
        (json!({"name": "a\u{0}b"}), "/name"),
        (json!({"name": "x".repeat(201)}), "/name"),
        (json!({"name": "n", "content": []}), "/content"),
        (json!({"name": "n", "content": 7}), "/content"),
        (json!({"name": "n", "runtime": "cobol"}), "/runtime"),
        (json!({"name": "n", "runtime": "bash"}), "/runtime"),
        (json!({"name": "n", "workspace_id": "7"}), "/workspace_id"),
        (json!({"name": "n", "workspace_id": foreign}), "/workspace_id"),
        (json!({"name": "n", "cells": []}), "/cells"),
    ] {
        let problem = tenant.post("/notebooks", &body).await.problem(422);
        assert!(problem.body["errors"].to_string().contains(pointer), "{body}: {}", problem.body);
    }
    let path = format!("/notebooks/{}", make(&tenant, &[]).await);
    let workspace = super::workspaces::default_of(&tenant).await;
    let with = tenant.call(Method::PATCH, &path).json(&json!({ "workspace_id": workspace })).await.expect(200).json();
    assert_eq!(with["workspace_id"], json!(workspace));
    let without = tenant.call(Method::PATCH, &path).json(&json!({"workspace_id": null})).await.expect(200).json();
    assert_eq!(without["workspace_id"], Value::Null);
    tenant.call(Method::PATCH, &path).json(&json!({"workspace_id": foreign})).await.problem(422);
    let other = uuid::Uuid::now_v7();
    let put = json!({"id": other, "content": notebook(&[])});
    tenant.call(Method::PUT, &path).header("if-match", "*").json(&put).await.problem(422);
    tenant.call(Method::POST, "/notebooks").body("application/json", "{").await.problem(400);
    tenant.call(Method::POST, "/notebooks").body("text/plain", "{}").await.problem(415);
    let large = json!({"name": "n", "content": notebook(&[markdown("a", &"x".repeat(33 << 20))])});
    tenant.post("/notebooks", &large).await.problem(413);
}

#[tokio::test]
async fn who_may_do_what_with_them() {
    let (kiln, tenant) = visit().await;
    let (viewer, member) = (joined(&kiln, &tenant, "viewer").await, joined(&kiln, &tenant, "member").await);
    let path = format!("/notebooks/{}", make(&tenant, &[]).await);
    viewer.get(&path).await.expect(200);
    viewer.get(&format!("{path}/versions")).await.expect(200);
    viewer.post("/notebooks", &json!({"name": "n"})).await.problem(403);
    put(&viewer, &path, "\"1\"", &notebook(&[])).await.problem(403);
    // What is shared is written by all who write, and deleted by whoever made it or manages.
    put(&member, &path, "\"1\"", &notebook(&[])).await.expect(200);
    member.delete(&path).await.problem(403);
    let own = format!("/notebooks/{}", make(&member, &[]).await);
    member.delete(&own).await.expect(204);
    let theirs = format!("/notebooks/{}", make(&member, &[]).await);
    tenant.delete(&theirs).await.expect(204);
    let reader = tenant.key(&["executions:read"]).await;
    reader.get(&path).await.expect(200);
    reader.post("/notebooks", &json!({"name": "n"})).await.problem(403);
    tenant.key(&["executions:write"]).await.post("/notebooks", &json!({"name": "n"})).await.expect(201);
    tenant.key(&["sessions:write"]).await.get(&path).await.problem(403);
    kiln.sign_up().await.get(&path).await.problem(404);
}
