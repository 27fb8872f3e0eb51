//! Another tenant's execution is 404 on every route

use kiln_e2e_api::WAITS;
use kiln_test_support::{Api, assert_like};
use reqwest::Method;
use serde_json::{Value, json};

use super::openapi::{operations, served};
use super::{SOON, visit};

/// The statuses and bodies, without what tells two requests apart.
async fn answers(api: &Api, id: &str) -> Vec<(String, u16, Value)> {
    let paths = [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::GET, "/events"),
        (Method::GET, "/stdout"),
        (Method::GET, "/stderr"),
        (Method::GET, "/files/f"),
        (Method::GET, "/why"),
        (Method::POST, "/cancel"),
        (Method::POST, "/retry"),
    ];
    let mut answers = Vec::new();
    for (method, rest) in paths {
        let name = format!("{method} {rest}");
        let problem = api.call(method, &format!("/executions/{id}{rest}")).await.problem(404);
        answers.push((name, 404, problem.without_request_id()));
    }
    let problem = api.post(&format!("/executions/{id}/stdin"), &json!({"data": "x\n"})).await.problem(404);
    answers.push(("POST /stdin".to_owned(), 404, problem.without_request_id()));
    answers
}

#[tokio::test]
async fn a_foreign_run_is_as_unknown_as_one_that_is_not_there() {
    let (kiln, tenant) = visit().await;
    let other = kiln.sign_up().await;
    let ended = tenant.run("open('f', 'w').write('secret')\nprint('secret')").await;
    let live = tenant.submit(json!({"code": WAITS, "interactive": true})).await;
    tenant.printed(&live, SOON).await;
    let nowhere = answers(&other, &uuid::Uuid::now_v7().to_string()).await;
    for id in [ended["id"].as_str().unwrap(), &live] {
        assert_eq!(answers(&other, id).await, nowhere);
        let key = other.key(&["executions:read", "executions:write", "files:read"]).await;
        assert_eq!(answers(&key, id).await, nowhere);
    }
    assert_like(&other.get("/executions").await.expect(200).json(), json!({"data": []}));
    // Nothing of that has touched the runs.
    assert_eq!(tenant.execution(ended["id"].as_str().unwrap()).await, ended);
    assert_eq!(tenant.execution(&live).await["status"], "running");
    tenant.cancel(&live).await.expect(202);
    tenant.ended(&live, SOON).await;
}

#[tokio::test]
async fn every_operation_with_an_id_knows_only_own_ones() {
    let (kiln, tenant) = visit().await;
    let other = kiln.sign_up().await;
    let run = tenant.run("print(1)").await;
    let key = tenant.post("/api-keys", &json!({"name": "k", "scopes": ["executions:read"]})).await.expect(201).json();
    let sign_in = tenant.get("/auth/sessions").await.expect(200).json()["data"][0]["id"].clone();
    let workspace = tenant.get("/workspaces").await.expect(200).json()["data"][0]["id"].clone();
    let session = tenant.post("/sessions", &json!({})).await.expect(201).json()["id"].clone();
    let document = json!({"name": "n", "content": {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}});
    let notebook = tenant.post("/notebooks", &document).await.expect(201).json()["id"].clone();
    let script = tenant.post("/scripts", &json!({"name": "s", "code": "print(1)"})).await.expect(201).json()["id"].clone();
    let secret = json!("MINE");
    tenant.call(Method::PUT, "/tenant/secrets/MINE").json(&json!({"value": "x"})).await.expect(204);
    let guest = json!({"email": kiln_test_support::unique_email()});
    let invitation = tenant.post("/tenant/invitations", &guest).await.expect(201).json();
    let mut asked = 0;
    for operation in operations(&served(&kiln).await) {
        let Some(route) = operation.path.strip_prefix("/api/v1") else { continue };
        // A secret that is put belongs to whoever puts it; a member's new role is read before the member is looked for.
        let by_name = operation.method == Method::PUT || operation.method == Method::PATCH;
        if !route.contains('{') || route.contains("/attach") || by_name {
            continue;
        }
        let id = match route.split('/').nth(1).unwrap() {
            "executions" => &run["id"],
            "api-keys" => &key["id"],
            "workspaces" => &workspace,
            "sessions" => &session,
            "notebooks" => &notebook,
            "scripts" => &script,
            "auth" => &sign_in,
            "tenant" if route.contains("secrets") => &secret,
            "tenant" if route.contains("invitations") => &invitation["id"],
            "tenant" => &tenant.signup["user"]["id"],
            "admin" => &tenant.signup["tenant"]["id"],
            part => panic!("say here which id belongs into {part} of {route}"),
        };
        let path = route
            .split('/')
            .map(|part| {
                if ["{id}", "{user_id}", "{name}"].contains(&part) {
                    id.as_str().unwrap()
                } else if part == "{number}" {
                    "1"
                } else if part.starts_with('{') {
                    "f"
                } else {
                    part
                }
            })
            .collect::<Vec<_>>()
            .join("/");
        let body = match route.rsplit('/').next() {
            Some("stdin") => json!({"data": "x"}),
            Some("executions" | "complete" | "inspect") => json!({"code": "x"}),
            _ => json!({}),
        };
        let query = match route.rsplit('/').next() {
            Some("diff") => "?against=1",
            Some("export") => "?format=py",
            _ => "",
        };
        let call = other.call(operation.method.clone(), &format!("{path}{query}"));
        let call = if operation.method == Method::GET { call } else { call.json(&body) };
        call.await.problem(404);
        asked += 1;
    }
    assert!(asked >= 11, "only {asked} operations were asked");
    tenant.get("/auth/me").await.expect(200);
    assert_eq!(tenant.execution(run["id"].as_str().unwrap()).await, run);
}
