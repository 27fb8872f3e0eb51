//! The table of permissions, as the description tells it, against what is served to every kind of caller

use kiln_test_support::{Api, Installation, PASSWORD, Tenant, Visit, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use super::openapi::served;
use super::{REVOKED_WITHIN, SOON, visit};

/// One operation with who may use it.
struct Operation {
    method: Method,
    /// With ids that are nobody's.
    path: String,
    access: Value,
}

/// Every operation but those that end the caller's own credential, and streams, whose callers have tests of their own.
async fn operations(kiln: &Visit) -> Vec<Operation> {
    let document = served(kiln).await;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(route) = path.strip_prefix("/api/v1") else { continue };
        if route == "/auth/logout" || route.ends_with("/attach") {
            continue;
        }
        let nobodys = |part: &str| match part {
            "{name}" => "NOBODYS".to_owned(),
            id if id.starts_with('{') => uuid::Uuid::now_v7().to_string(),
            part => part.to_owned(),
        };
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let access = operation["x-kiln-access"].clone();
            assert!(!access.is_null(), "{method} {path} does not say who may");
            let path = route.split('/').map(nobodys).collect::<Vec<_>>().join("/");
            operations.push(Operation { method, path, access });
        }
    }
    assert!(operations.len() > 50, "only {} operations", operations.len());
    operations
}

impl Operation {
    /// With a body that no operation acts on.
    async fn ask(&self, api: &Api) -> u16 {
        let call = api.call(self.method.clone(), &self.path);
        let call = if self.method == Method::GET { call } else { call.json(&json!({"nothing": true})) };
        let answer = call.await;
        assert!(answer.status < 500, "{}: answered {} {}", answer.request, answer.status, answer.text());
        answer.status
    }

    fn is_for_the_platform(&self) -> bool {
        self.path.starts_with("/admin/")
    }

    fn lets_in(&self, kind: &str, name: &str) -> bool {
        self.access[kind].as_array().is_some_and(|names| names.iter().any(|found| found == name))
    }
}

/// Somebody new in the tenant with this role.
async fn joined(kiln: &Visit, tenant: &Tenant, role: &str) -> Api {
    let person = kiln.sign_up().await;
    let invitation = tenant.post("/tenant/invitations", &json!({"email": person.email, "role": role})).await.expect(201).json();
    person.post("/invitations/accept", &json!({"token": invitation["token"]})).await.expect(200);
    let tokens = person.post("/auth/switch", &json!({"tenant_id": tenant.tenant_id()})).await.expect(200).json();
    person.with_bearer(tokens["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn who_is_nobody_gets_nowhere() {
    let (kiln, tenant) = visit().await;
    let login = json!({"email": tenant.email, "password": PASSWORD});
    let tokens = tenant.post("/auth/login", &login).await.expect(200).json();
    let revoked = tenant.with_bearer(tokens["access_token"].as_str().unwrap());
    revoked.call(Method::POST, "/auth/logout").await.expect(204);
    let operations = operations(&kiln).await;
    for path in ["/auth/me", "/limits", "/executions/0199f0a0-0000-7000-8000-000000000000"] {
        let refused = async || (revoked.get(path).await.status == 401).then_some(());
        eventually(REVOKED_WITHIN, "the revocation is in force", refused).await;
    }
    for operation in operations.iter().filter(|operation| operation.access != "public") {
        for nobody in [&kiln.api(), &kiln.api().with_bearer("nonsense"), &revoked] {
            assert_eq!(operation.ask(nobody).await, 401, "{} {}", operation.method, operation.path);
        }
    }
}

#[tokio::test]
async fn each_role_gets_as_far_as_the_table_says() {
    let (kiln, tenant) = visit().await;
    let operations = operations(&kiln).await;
    for role in ["viewer", "member", "admin", "owner"] {
        let api = joined(&kiln, &tenant, role).await;
        for operation in operations.iter().filter(|operation| operation.access != "public") {
            let status = operation.ask(&api).await;
            let what = format!("{role}: {} {} answered {status}", operation.method, operation.path);
            if operation.is_for_the_platform() {
                assert_eq!(status, 404, "{what}");
            } else if operation.lets_in("roles", role) {
                // To make somebody else leave takes more than to leave.
                let leaves = operation.path.starts_with("/tenant/members/") && operation.method == Method::DELETE;
                assert!(status != 401 && (status != 403 || leaves), "{what}");
            } else {
                assert_eq!(status, 403, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn each_scope_gets_as_far_as_the_table_says() {
    let (kiln, tenant) = visit().await;
    let operations = operations(&kiln).await;
    for scope in ["executions:write", "executions:read", "files:write", "files:read", "sessions:write", "tenant:admin"] {
        let key = tenant.key(&[scope]).await;
        for operation in operations.iter().filter(|operation| operation.access != "public") {
            let status = operation.ask(&key).await;
            let what = format!("{scope}: {} {} answered {status}", operation.method, operation.path);
            if operation.lets_in("scopes", scope) {
                assert!(status != 401 && status != 403, "{what}");
            } else {
                assert_eq!(status, 403, "{what}");
            }
        }
    }
}

/// Of an installation of its own, whose access tokens live a second.
#[tokio::test]
async fn who_was_somebody_gets_nowhere() {
    let (kiln, _) = visit().await;
    let operations = operations(&kiln).await;
    let brief = Installation::start_with(&[("KILN_AUTH__ACCESS_TOKEN_S", "1")]);
    let tenant = brief.sign_up().await;
    let expired = async || (tenant.get("/auth/me").await.status == 401).then_some(());
    eventually(SOON, "the token has expired", expired).await;
    for operation in operations.iter().filter(|operation| operation.access != "public") {
        assert_eq!(operation.ask(&tenant).await, 401, "{} {}", operation.method, operation.path);
    }
}
