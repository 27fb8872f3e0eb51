//! POST, GET, PATCH and DELETE /workspaces

use kiln_e2e_api::WAITS;
use kiln_test_support::{Tenant, assert_like};
use reqwest::Method;
use serde_json::{Value, json};

use super::{SOON, visit};

const GIB: u64 = 1 << 30;

/// A workspace's id.
pub async fn make(tenant: &Tenant, body: Value) -> String {
    let made = tenant.post("/workspaces", &body).await.expect(201).json();
    made["id"].as_str().unwrap().to_owned()
}

pub async fn default_of(tenant: &Tenant) -> String {
    let list = tenant.get("/workspaces").await.expect(200).json();
    let found = list["data"].as_array().unwrap().iter().find(|workspace| workspace["name"] == "default").cloned();
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn they_are_made_read_changed_and_deleted() {
    let (_kiln, tenant) = visit().await;
    let answer = tenant.post("/workspaces", &json!({"name": "données"})).await.expect(201);
    let made = answer.json();
    let expected = json!({"id": "<string>", "name": "données", "used_bytes": 0, "quota_bytes": GIB, "max_file_bytes": null});
    assert_like(&made, expected.clone());
    let path = format!("/workspaces/{}", made["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), format!("/api/v1{path}"));
    assert_like(&tenant.get(&path).await.expect(200).json(), expected);

    let change = json!({"name": "data", "quota_bytes": 2 * GIB, "max_file_bytes": 1000});
    let changed = tenant.call(Method::PATCH, &path).json(&change).await.expect(200).json();
    assert_like(&changed, change);
    let changed = tenant.call(Method::PATCH, &path).json(&json!({"max_file_bytes": null})).await.expect(200).json();
    assert_like(&changed, json!({"name": "data", "quota_bytes": 2 * GIB, "max_file_bytes": null}));

    tenant.delete(&path).await.expect(204);
    tenant.get(&path).await.problem(404);
    tenant.delete(&path).await.problem(404);
}

#[tokio::test]
async fn every_tenant_has_a_default_one_that_stays() {
    let (_kiln, tenant) = visit().await;
    let list = tenant.get("/workspaces").await.expect(200).json();
    assert_like(&list, json!({"data": [{"name": "default", "quota_bytes": GIB, "used_bytes": 0}], "next_cursor": null}));
    let path = format!("/workspaces/{}", default_of(&tenant).await);
    assert_eq!(tenant.delete(&path).await.problem(409).code(), "is_default");
    assert_eq!(tenant.call(Method::PATCH, &path).json(&json!({"name": "mine"})).await.problem(409).code(), "is_default");
    tenant.call(Method::PATCH, &path).json(&json!({"quota_bytes": 2 * GIB})).await.expect(200);
}

#[tokio::test]
async fn the_list_is_paged_newest_first() {
    let (_kiln, tenant) = visit().await;
    default_of(&tenant).await;
    for name in ["a", "b", "c"] {
        make(&tenant, json!({"name": name})).await;
    }
    let names = |page: &Value| page["data"].as_array().unwrap().iter().map(|w| w["name"].clone()).collect::<Vec<_>>();
    let first = tenant.get("/workspaces").query("limit", 3).await.expect(200).json();
    assert_eq!(names(&first), ["c", "b", "a"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = tenant.get("/workspaces").query("limit", 3).query("cursor", cursor).await.expect(200).json();
    assert_eq!(names(&second), ["default"]);
    assert!(second["next_cursor"].is_null());
    tenant.get("/workspaces").query("limit", 0).await.problem(400);
    tenant.get("/workspaces").query("cursor", "?").await.problem(400);
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let (_kiln, tenant) = visit().await;
    make(&tenant, json!({"name": "taken"})).await;
    assert_eq!(tenant.post("/workspaces", &json!({"name": "taken"})).await.problem(409).code(), "name_taken");
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!({"name": " "}), "/name"),
        (json!({"name": "a\u{0}b"}), "/name"),
        (json!({"name": "x".repeat(201)}), "/name"),
        (json!({"name": "q", "quota_bytes": 0}), "/quota_bytes"),
        (json!({"name": "q", "quota_bytes": 100 * GIB}), "/quota_bytes"),
        (json!({"name": "q", "max_file_bytes": 0}), "/max_file_bytes"),
        (json!({"name": "q", "size": 1}), "/size"),
    ] {
        let problem = tenant.post("/workspaces", &body).await.problem(422);
        assert!(problem.body["errors"].to_string().contains(pointer), "{body}: {}", problem.body);
    }
    tenant.get("/workspaces/nonsense").await.problem(404);
}

#[tokio::test]
async fn a_repeat_with_the_same_key_makes_one() {
    let (_kiln, tenant) = visit().await;
    let make = || tenant.post("/workspaces", &json!({"name": "once"})).header("idempotency-key", "k");
    let first = make().await.expect(201);
    let second = make().await.expect(201);
    assert_eq!((first.body, second.header("idempotency-replayed")), (second.body.clone(), "true"));
}

#[tokio::test]
async fn nobody_elses_is_there() {
    let (kiln, tenant) = visit().await;
    let stranger = kiln.sign_up().await;
    let theirs = make(&stranger, json!({"name": "theirs"})).await;
    let path = format!("/workspaces/{theirs}");
    for call in [
        tenant.get(&path),
        tenant.delete(&path),
        tenant.call(Method::PATCH, &path).json(&json!({"name": "mine"})),
        tenant.get(&format!("{path}/files")),
        tenant.get(&format!("{path}/files/x")),
        tenant.call(Method::PUT, &format!("{path}/files/x")).body("text/plain", "x"),
        tenant.delete(&format!("{path}/files/x")),
        tenant.post(&format!("{path}/files/x/move"), &json!({"to": "y"})),
        tenant.post(&format!("{path}/files"), &json!({"path": "d", "kind": "directory"})),
    ] {
        call.await.problem(404);
    }
    let problem = tenant.post("/executions", &json!({"code": "1", "workspace_id": theirs})).await.problem(422);
    assert!(problem.body["errors"].to_string().contains("/workspace_id"), "{}", problem.body);
    tenant.post("/executions", &json!({"code": "1", "workspace_id": "nonsense"})).await.problem(422);
}

#[tokio::test]
async fn viewers_read_and_members_change_their_own() {
    let (kiln, tenant) = visit().await;
    let owners = make(&tenant, json!({"name": "the owner's"})).await;
    let readers = tenant.key(&["files:read"]).await;
    readers.get("/workspaces").await.expect(200);
    readers.get(&format!("/workspaces/{owners}/files")).await.expect(200);
    readers.post("/workspaces", &json!({"name": "no"})).await.problem(403);
    readers.call(Method::PUT, &format!("/workspaces/{owners}/files/x")).body("text/plain", "x").await.problem(403);
    tenant.key(&["executions:write"]).await.get("/workspaces").await.problem(403);

    let person = kiln.sign_up().await;
    let invitation =
        tenant.post("/tenant/invitations", &json!({"email": person.email, "role": "member"})).await.expect(201).json();
    person.post("/invitations/accept", &json!({"token": invitation["token"]})).await.expect(200);
    let tokens = person.post("/auth/switch", &json!({"tenant_id": tenant.tenant_id()})).await.expect(200).json();
    let member = person.with_token(tokens["access_token"].as_str().unwrap());
    member.call(Method::PUT, &format!("/workspaces/{owners}/files/x")).body("text/plain", "x").await.expect(201);
    member.delete(&format!("/workspaces/{owners}")).await.problem(403);
    member.call(Method::PATCH, &format!("/workspaces/{owners}")).json(&json!({"name": "n"})).await.problem(403);
    let own = make(&member, json!({"name": "the member's"})).await;
    tenant.call(Method::PATCH, &format!("/workspaces/{own}")).json(&json!({"name": "both's"})).await.expect(200);
    member.delete(&format!("/workspaces/{own}")).await.expect(204);
}

#[tokio::test]
async fn one_in_use_is_not_deleted() {
    let (_kiln, tenant) = visit().await;
    let id = make(&tenant, json!({"name": "busy"})).await;
    let run = tenant.submit(json!({"code": WAITS, "workspace_id": id})).await;
    tenant.printed(&run, SOON).await;
    assert_eq!(tenant.delete(&format!("/workspaces/{id}")).await.problem(409).code(), "in_use");
    tenant.cancel(&run).await.expect(202);
    tenant.ended(&run, SOON).await;
    tenant.delete(&format!("/workspaces/{id}")).await.expect(204);
    tenant.call(Method::POST, &format!("/executions/{run}/retry")).await.problem(409);
}
