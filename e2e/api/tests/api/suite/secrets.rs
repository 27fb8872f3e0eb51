//! Secrets given to runs by name

use reqwest::Method;
use serde_json::json;

use super::visit;

const VALUE: &str = "s3cret-of-the-kiln";

#[tokio::test]
async fn a_run_gets_the_secrets_that_it_names() {
    let (_kiln, tenant) = visit().await;
    for (name, value) in [("TOKEN", VALUE), ("UNUSED", "other")] {
        tenant.call(Method::PUT, &format!("/tenant/secrets/{name}")).json(&json!({"value": value})).await.expect(204);
    }
    let code = "import os\nprint(os.environ['TOKEN'] == 's3cret-of-the-kiln', 'UNUSED' in os.environ, os.environ['PLAIN'])";
    let run = tenant.run_with(json!({"code": code, "secrets": ["TOKEN"], "env": {"PLAIN": "1"}})).await;
    assert_eq!((&run["status"], &run["stdout"]), (&json!("succeeded"), &json!("True False 1\n")), "{run}");
    assert!(!run.to_string().contains(VALUE));
    // Run again, it gets the value of then.
    tenant.call(Method::PUT, "/tenant/secrets/TOKEN").json(&json!({"value": "changed"})).await.expect(204);
    let again = tenant.call(Method::POST, &format!("/executions/{}/retry", run["id"].as_str().unwrap())).await.expect(202).json();
    let again = tenant.ended(again["id"].as_str().unwrap(), super::SOON).await;
    assert_eq!(again["stdout"], "False False 1\n");
}

#[tokio::test]
async fn unknown_and_foreign_secrets_are_pointed_at() {
    let (kiln, tenant) = visit().await;
    let other = kiln.sign_up().await;
    tenant.call(Method::PUT, "/tenant/secrets/MINE").json(&json!({"value": VALUE})).await.expect(204);
    let submit = json!({"code": "print(1)", "secrets": ["MINE"]});
    other.post("/executions", &submit).await.problem(422).at("/secrets/0");
    let both = json!({"code": "print(1)", "secrets": ["MINE", "NOT_THERE"]});
    tenant.post("/executions", &both).await.problem(422).at("/secrets/1");
    let twice = json!({"code": "print(1)", "secrets": ["MINE"], "env": {"MINE": "x"}});
    tenant.post("/executions", &twice).await.problem(422).at("/secrets/0");
    tenant.call(Method::DELETE, "/tenant/secrets/MINE").await.expect(204);
    tenant.post("/executions", &submit).await.problem(422).at("/secrets/0");
}
