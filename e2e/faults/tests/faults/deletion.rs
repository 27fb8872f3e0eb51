//! What a deleted tenant leaves

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use kiln_test_support::{Split, Tenant, eventually, unique_email};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::{SOON, admin, database, shared};

const GONE_WITHIN: Duration = Duration::from_mins(2);
/// In what the tenant's programs are, print and leave.
const MARK: &str = "of-the-tenant-that-goes";
/// What stays, on purpose: the record of who did what, and the mark by which the scheduler refuses what comes late.
const STAYS: [&str; 2] = ["auth.audit_log", "scheduler.tenant"];

/// Rows that belong to the tenant or were handed out for it, by table; none of those that have none.
async fn rows(database: &mut PgConnection, tenant: uuid::Uuid) -> BTreeMap<String, i64> {
    let columns =
        "SELECT c.table_schema::text || '.' || c.table_name::text, c.column_name::text FROM information_schema.columns c
                   JOIN information_schema.tables t USING (table_schema, table_name)
                   WHERE c.table_schema IN ('auth', 'scheduler', 'result') AND t.table_type = 'BASE TABLE'
                     AND c.column_name IN ('tenant_id', 'for_tenant')";
    let columns: Vec<(String, String)> = sqlx::query_as(columns).fetch_all(&mut *database).await.unwrap();
    assert!(columns.len() >= 15, "{columns:?}");
    let mut rows = BTreeMap::new();
    for (table, column) in columns {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE {column} = $1"));
        let count: i64 = sqlx::query(count).bind(tenant).fetch_one(&mut *database).await.unwrap().get(0);
        if count > 0 {
            rows.insert(table, count);
        }
    }
    rows
}

/// Tables in which any row mentions the mark, as text or as bytes.
async fn mentions(database: &mut PgConnection) -> Vec<String> {
    let tables = "SELECT table_schema::text || '.' || table_name::text FROM information_schema.tables
                  WHERE table_schema IN ('auth', 'scheduler', 'result') AND table_type = 'BASE TABLE'";
    let tables: Vec<(String,)> = sqlx::query_as(tables).fetch_all(&mut *database).await.unwrap();
    let marks = format!("ARRAY['%{MARK}%', '%' || encode('{MARK}', 'hex') || '%']");
    let mut found = Vec::new();
    for (table,) in tables {
        let query = format!("SELECT EXISTS (SELECT FROM {table} AS t WHERE t::text LIKE ANY ({marks}))");
        if sqlx::query(AssertSqlSafe(query)).fetch_one(&mut *database).await.unwrap().get(0) {
            found.push(table);
        }
    }
    found
}

/// Messages of the tenant's executions that the bus holds, and objects that belong to them.
async fn held_by_the_bus(kiln: &Split, tenant: &str, executions: &[String]) -> (usize, usize) {
    let (url, user, password) = kiln.nats();
    let client = async_nats::ConnectOptions::new().user_and_password(user.to_owned(), password.to_owned()).connect(url).await;
    let jetstream = async_nats::jetstream::new(client.unwrap());
    let output = jetstream.get_stream("KILN_OUTPUT").await.unwrap();
    let messages: usize = output
        .info_with_subjects(format!("kiln.output.v1.{tenant}.>"))
        .await
        .unwrap()
        .map(|subject| subject.unwrap().1)
        .collect::<Vec<usize>>()
        .await
        .into_iter()
        .sum();
    let mut stores = jetstream.stream_names();
    let mut objects = 0;
    while let Some(stream) = stores.next().await {
        let stream = stream.unwrap();
        let Some(bucket) = stream.strip_prefix("OBJ_") else { continue };
        let mut listed = jetstream.get_object_store(bucket).await.unwrap().list().await.unwrap();
        while let Some(object) = listed.next().await {
            let name = object.unwrap().name;
            objects += usize::from(executions.iter().any(|id| name.contains(id)));
        }
    }
    (messages, objects)
}

/// Something in every table that can hold something of a tenant; the tenant's executions.
async fn fill(kiln: &Split, tenant: &Tenant) -> Vec<String> {
    admin(kiln).await.administer(tenant, &json!({"plan": "team", "quota": {"max_concurrent": 9}})).await;
    tenant.key(&["executions:read"]).await;
    tenant.post("/tenant/invitations", &json!({"email": unique_email()})).await.expect(201);
    tenant.call(Method::PUT, "/tenant/secrets/TOKEN").json(&json!({"value": "x"})).await.expect(204);
    let keyed = json!({"name": "keyed", "scopes": ["files:read"]});
    tenant.call(Method::POST, "/api-keys").json(&keyed).header("idempotency-key", "once").await.expect(201);
    let code = format!("open('{MARK}', 'w').write('{MARK}')\nprint('{MARK}')\n");
    let large = format!("{code}#{}", "x".repeat(300 * 1024));
    let waits = format!("{code}import sys, time\nsys.stdout.flush()\ntime.sleep(120)");
    let mut executions = Vec::new();
    for code in [code, large] {
        let body = json!({"code": code, "labels": {"of": MARK}});
        let call = tenant.post("/executions", &body).header("idempotency-key", &uuid::Uuid::now_v7().to_string());
        executions.push(call.await.expect(202).json()["id"].as_str().unwrap().to_owned());
    }
    let workspace = tenant.get("/workspaces").await.expect(200).json()["data"][0]["id"].clone();
    let session = tenant.post("/sessions", &json!({"workspace_id": workspace})).await.expect(201).json();
    let cell = format!("/sessions/{}/executions", session["id"].as_str().unwrap());
    let cell = tenant.post(&cell, &json!({"code": format!("print('{MARK}')")})).await.expect(202).json();
    executions.push(cell["id"].as_str().unwrap().to_owned());
    let cell = json!({"cell_type": "code", "id": "a", "metadata": {}, "source": format!("print('{MARK}')"), "outputs": [], "execution_count": null});
    let content = json!({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]});
    let notebook = tenant.post("/notebooks", &json!({"name": MARK, "content": content})).await.expect(201).json();
    let run = format!("/notebooks/{}/run", notebook["id"].as_str().unwrap());
    let run = tenant.post(&run, &json!({})).query("wait_ms", 60_000).await.expect(200).json();
    executions.push(run["executions"][0].as_str().unwrap().to_owned());
    tenant.post("/scripts", &json!({"name": MARK, "description": MARK, "code": MARK})).await.expect(201);
    for id in &executions {
        assert_eq!(tenant.ended(id, SOON).await["status"], "succeeded");
    }
    let live = tenant.submit(json!({"code": waits, "interactive": true, "stdin": MARK})).await;
    tenant.printed(&live, SOON).await;
    executions.push(live);
    executions
}

#[tokio::test]
async fn a_deleted_tenant_leaves_no_row_no_message_and_no_object() {
    let kiln = shared();
    let tenant = Tenant::sign_up(&kiln.api()).await;
    let id: uuid::Uuid = tenant.tenant_id().parse().unwrap();
    let executions = fill(kiln, &tenant).await;
    let mut database = database(kiln).await;
    let before = rows(&mut database, id).await;
    let filled = [
        "auth.api_keys",
        "auth.secrets",
        "auth.refresh_tokens",
        "auth.idempotency",
        "scheduler.execution",
        "scheduler.session",
        "scheduler.usage",
        "scheduler.workspace",
        "result.frame",
        "result.library",
        "result.library_entry",
        "result.library_version",
        "result.notebook_run",
        "result.notebook_run_cell",
    ];
    assert!(filled.iter().all(|table| before.contains_key(*table)), "{before:?}");
    assert!(!mentions(&mut database).await.is_empty());
    let (messages, objects) = held_by_the_bus(kiln, tenant.tenant_id(), &executions).await;
    assert!(messages > 0 && objects > 0, "{messages} messages, {objects} objects");

    let slug = &tenant.signup["tenant"]["slug"];
    tenant.call(Method::DELETE, "/tenant").json(&json!({"confirm": slug})).await.expect(204);

    let gone = async || {
        let mut database = crate::database(kiln).await;
        let left: Vec<_> = rows(&mut database, id).await.into_keys().filter(|table| !STAYS.contains(&table.as_str())).collect();
        let bus = held_by_the_bus(kiln, tenant.tenant_id(), &executions).await;
        let proven = "SELECT removed FROM auth.tenant_deletions WHERE former_tenant = $1";
        let proven: Value = sqlx::query(proven).bind(id).fetch_one(&mut database).await.unwrap().get(0);
        let both = proven.get("scheduler").is_some() && proven.get("result").is_some();
        (left.is_empty() && bus == (0, 0) && both).then_some(proven)
    };
    let proven = eventually(GONE_WITHIN, "nothing is left", gone).await;
    assert_eq!(proven["scheduler"]["executions"], json!(executions.len()), "{proven}");
    assert_eq!(mentions(&mut database).await, Vec::<String>::new());
    let closed =
        sqlx::query("SELECT suspended AND deleted AND active = 0 AND queued = 0 FROM scheduler.tenant WHERE tenant_id = $1");
    assert!(closed.bind(id).fetch_one(&mut database).await.unwrap().get::<bool, _>(0));
    let told = sqlx::query("SELECT count(*) FROM auth.audit_log WHERE tenant_id = $1 AND action = 'tenant.purged'").bind(id);
    assert_eq!(told.fetch_one(&mut database).await.unwrap().get::<i64, _>(0), 2);
}
