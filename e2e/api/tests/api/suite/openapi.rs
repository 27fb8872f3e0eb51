//! GET /api/v1/openapi.json and /docs, and what the description says against what is served

use std::collections::BTreeSet;

use kiln_test_support::Visit;
use reqwest::Method;
use serde_json::{Value, json};

/// One operation of the description; its path as written there.
#[derive(Debug)]
pub struct Operation {
    pub method: Method,
    pub path: String,
}

/// The descriptions that the deployment's addresses serve, as one.
pub async fn served(kiln: &Visit) -> Value {
    let mut whole = json!({"paths": {}});
    for address in kiln.addresses().each() {
        let text = reqwest::get(format!("{address}/api/v1/openapi.json"))
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .text()
            .await
            .unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
        for (path, item) in document["paths"].as_object().unwrap() {
            whole["paths"][path] = item.clone();
        }
    }
    whole
}

pub fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for name in item.as_object().unwrap().keys() {
            if let "get" | "post" | "put" | "patch" | "delete" = name.as_str() {
                operations.push(Operation { method: name.to_uppercase().parse().unwrap(), path: path.clone() });
            }
        }
    }
    operations
}

#[tokio::test]
async fn describes_every_operation_of_the_contract() {
    let kiln = Visit::beside(crate::MODE).await;
    let document = served(&kiln).await;
    let described: BTreeSet<String> = operations(&document).iter().map(|o| format!("{} {}", o.method, o.path)).collect();
    let contract = "
        POST /auth/signup, POST /auth/login, POST /auth/refresh, POST /auth/logout, GET /auth/me, POST /auth/switch, GET /auth/sessions,
        DELETE /auth/sessions/{id}, POST /auth/ticket, GET /api-keys, POST /api-keys, DELETE /api-keys/{id}, GET /tenant, GET /tenant/quota,
        GET /runtimes, GET /limits, POST /executions, GET /executions, GET /executions/{id}, DELETE /executions/{id},
        POST /executions/{id}/cancel, POST /executions/{id}/retry, GET /executions/{id}/why, GET /executions/{id}/events,
        POST /auth/password, POST /auth/password-reset, POST /auth/password-reset/confirm, PATCH /tenant, DELETE /tenant, POST /tenants,
        GET /tenant/members, PATCH /tenant/members/{user_id}, DELETE /tenant/members/{user_id}, GET /tenant/invitations,
        POST /tenant/invitations, DELETE /tenant/invitations/{id}, POST /invitations/accept, GET /tenant/usage, GET /tenant/audit-log,
        GET /tenant/secrets, PUT /tenant/secrets/{name}, DELETE /tenant/secrets/{name}, GET /admin/tenants, GET /admin/tenants/{id},
        PATCH /admin/tenants/{id}, GET /admin/executors, POST /executions/{id}/stdin, GET /executions/{id}/attach, GET /executions/{id}/stdout, GET /executions/{id}/stderr,
        GET /executions/{id}/files/{path}";
    let missing: Vec<_> = contract
        .split(',')
        .map(|operation| operation.trim().replacen(" /", " /api/v1/", 1))
        .filter(|operation| !described.contains(operation))
        .collect();
    assert!(missing.is_empty(), "not described: {missing:?}\ndescribed: {described:?}");
}

#[tokio::test]
async fn every_operation_but_the_open_ones_asks_for_a_credential() {
    let kiln = Visit::beside(crate::MODE).await;
    let open = ["/auth/signup", "/auth/login", "/auth/refresh", "/auth/password-reset", "/openapi.json"];
    let mut asked = 0;
    for operation in operations(&served(&kiln).await) {
        let Some(route) = operation.path.strip_prefix("/api/v1") else { continue };
        if open.iter().any(|open| route.starts_with(open)) || route.ends_with("/attach") {
            continue;
        }
        let path = route
            .split('/')
            .map(|part| if part.starts_with('{') { "0199f0a0-0000-7000-8000-000000000000" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        // Whether the body would do or not: who is asking comes first.
        for body in [None, Some(json!({})), Some(json!({"code": "print(1)"}))] {
            let call = kiln.api().call(operation.method.clone(), &path);
            let call = if let Some(body) = &body { call.json(body) } else { call };
            call.await.problem(401);
        }
        asked += 1;
    }
    assert!(asked >= 20, "only {asked} operations were asked");
}

#[tokio::test]
async fn is_readable() {
    let kiln = Visit::beside(crate::MODE).await;
    let mut page = kiln.api().get("/docs").await;
    if (300..400).contains(&page.status) {
        page = kiln.api().get(page.header("location")).await;
    }
    let page = page.expect(200);
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    for outside in ["src=\"http", "src=\"//", "href=\"http"] {
        assert!(!page.text().contains(outside), "the page loads something from elsewhere: {}", page.text());
    }
}
