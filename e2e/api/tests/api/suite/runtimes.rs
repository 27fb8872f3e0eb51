//! GET /runtimes

use kiln_test_support::{Tenant, assert_like};
use serde_json::{Value, json};

use super::visit;

/// The second number of the version of each plain Python there is, `13` for `python3.13`.
pub async fn pythons(tenant: &Tenant) -> Vec<u32> {
    let runtimes = tenant.get("/runtimes").await.expect(200).json();
    let ids = runtimes["data"].as_array().unwrap().iter().filter_map(|runtime| runtime["id"].as_str());
    ids.filter_map(|id| id.strip_prefix("python3.")?.parse().ok()).collect()
}

#[tokio::test]
async fn every_interpreter_is_named() {
    let (_kiln, tenant) = visit().await;
    let answer = tenant.get("/runtimes").await.expect(200).json();
    let runtimes = answer["data"].as_array().unwrap();
    for runtime in runtimes {
        assert_like(
            runtime,
            json!({
                "id": "<string>", "language": "<string>", "version": "<string>", "title": "<string>", "aliases": "<any>",
                "packages": "<any>", "default": "<boolean>", "available": "<boolean>",
            }),
        );
        for package in runtime["packages"].as_array().unwrap() {
            assert_like(package, json!({"name": "<string>", "version": "<string>"}));
        }
    }
    assert_eq!(runtimes.iter().filter(|runtime| runtime["default"] == true).count(), 1, "{answer}");
    let named: Vec<&Value> = runtimes.iter().filter(|r| r["aliases"].as_array().unwrap().contains(&json!("python"))).collect();
    let newest = pythons(&tenant).await.into_iter().max().unwrap();
    assert_eq!(named.len(), 1);
    assert_eq!(named[0]["id"], format!("python3.{newest}"));
    assert!(runtimes.iter().any(|runtime| runtime["id"] == "base"), "{answer}");
}

#[tokio::test]
async fn each_plain_python_runs_and_says_its_version() {
    let (_kiln, tenant) = visit().await;
    let pythons = pythons(&tenant).await;
    assert!(!pythons.is_empty() && pythons.iter().all(|minor| *minor >= 6), "{pythons:?}");
    for minor in pythons {
        let runtime = format!("python3.{minor}");
        let code = "import sys, json, ssl, sqlite3, zlib, ctypes\nprint('%d.%d' % sys.version_info[:2])";
        let run = tenant.run_with(json!({"code": code, "runtime": runtime})).await;
        assert_like(&run, json!({"status": "succeeded", "runtime": runtime, "stdout": format!("3.{minor}\n"), "stderr": ""}));
    }
}

#[tokio::test]
async fn the_alias_and_the_default_are_the_newest() {
    let (_kiln, tenant) = visit().await;
    let newest = format!("python3.{}", pythons(&tenant).await.into_iter().max().unwrap());
    assert_eq!(tenant.run_with(json!({"code": "print(1)", "runtime": "python"})).await["runtime"], newest);
    assert_eq!(tenant.run("print(1)").await["runtime"], newest);
}

#[tokio::test]
async fn only_members_see_them() {
    let (kiln, _tenant) = visit().await;
    kiln.api().get("/runtimes").await.problem(401);
}
