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

#[tokio::test]
async fn a_masked_secret_is_not_printed() {
    let (_kiln, tenant) = visit().await;
    let put = async |name: &str, body: serde_json::Value| {
        tenant.call(Method::PUT, &format!("/tenant/secrets/{name}")).json(&body).await
    };
    put("HIDDEN", json!({"value": VALUE, "masked": true})).await.expect(204);
    put("PLAIN", json!({"value": "to be seen by all"})).await.expect(204);
    put("SHORT", json!({"value": "1234567", "masked": true})).await.problem(422).at("/masked");
    assert_eq!(tenant.get("/tenant/secrets/HIDDEN").await.expect(200).json()["masked"], true);
    let code = "import os, sys\nhidden = os.environ['HIDDEN']\nprint('it is', hidden, os.environ['PLAIN'])\n\
                sys.stderr.write(hidden[:5]); sys.stderr.flush(); sys.stderr.write(hidden[5:] + '!')\n\
                sys.stdout.write('s'); sys.stdout.flush(); print(len(hidden))";
    let run = tenant.run_with(json!({"code": code, "secrets": ["HIDDEN", "PLAIN"]})).await;
    let printed = (&run["stdout"], &run["stderr"]);
    assert_eq!(printed, (&json!("it is *** to be seen by all\ns18\n"), &json!("***!")), "{run}");
    let raw = tenant.get(&format!("/executions/{}/stdout", run["id"].as_str().unwrap())).await.expect(200);
    assert!(!raw.text().contains(VALUE));
}

/// What is held back since it could be a secret's beginning comes all the same, soon.
#[tokio::test]
async fn a_prompt_that_begins_like_a_secret_is_seen() {
    let (_kiln, tenant) = visit().await;
    tenant
        .call(Method::PUT, "/tenant/secrets/HIDDEN")
        .json(&json!({"value": "Name: of a rose", "masked": true}))
        .await
        .expect(204);
    let body = json!({"code": "print('Hello', input('Name: '))", "interactive": true, "secrets": ["HIDDEN"]});
    let id = tenant.submit(body).await;
    let mut attached = tenant.attach(&id).await;
    assert_eq!(attached.output_until("stdout", "Name: ", super::SOON).await, "Name: ");
    attached.send(&json!({"type": "stdin", "data": "Ada\n"})).await;
    assert_eq!(attached.output_until("stdout", "\n", super::SOON).await, "Hello Ada\n");
}
