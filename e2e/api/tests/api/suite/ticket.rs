//! POST /auth/ticket, and credentials in a URL

use kiln_test_support::{Attached, Event, Events, assert_like};
use reqwest::Method;
use serde_json::json;

use super::{SOON, visit};

#[tokio::test]
async fn opens_one_stream_once() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("print('seen')").await;
    let id = run["id"].as_str().unwrap();
    let new_ticket = async || {
        let answer = tenant.call(Method::POST, "/auth/ticket").await.expect(201).json();
        assert_like(&answer, json!({"ticket": "<string>", "expires_in": 30}));
        answer["ticket"].as_str().unwrap().to_owned()
    };
    let ticket = new_ticket().await;
    let stream = || tenant.anonymous().get(&format!("/executions/{id}/events")).query("ticket", &ticket);
    let events = Events::open(stream()).await.unwrap_or_else(|answer| panic!("{}", answer.text())).rest(SOON).await;
    // An unbuffered program writes the line and its end apart; they may come as one event or as two.
    let text: String = events.iter().filter(|event| event.kind == "stdout").map(Event::text).collect();
    assert_eq!(text, "seen\n", "{events:?}");
    Events::open(stream()).await.err().expect("a ticket is used once").problem(401);

    let path = format!("/executions/{id}/attach?ticket={}", new_ticket().await);
    Attached::open(&tenant.anonymous(), &path).await.unwrap().rest(SOON).await;
    assert_eq!(Attached::open(&tenant.anonymous(), &path).await.err(), Some(401));
}

#[tokio::test]
async fn does_not_open_another_tenants_run() {
    let (kiln, tenant) = visit().await;
    let run = tenant.run("print(1)").await;
    let other = kiln.sign_up().await;
    let ticket = other.call(Method::POST, "/auth/ticket").await.expect(201).json()["ticket"].as_str().unwrap().to_owned();
    let path = format!("/executions/{}/events", run["id"].as_str().unwrap());
    Events::open(kiln.api().get(&path).query("ticket", ticket)).await.err().expect("foreign").problem(404);
}

#[tokio::test]
async fn no_other_credential_is_taken_from_a_url() {
    let (_kiln, tenant) = visit().await;
    let run = tenant.run("print(1)").await;
    let key = tenant.key(&["executions:read"]).await;
    let path = format!("/executions/{}/events", run["id"].as_str().unwrap());
    for secret in [tenant.access_token(), key.bearer().unwrap(), tenant.refresh_token.as_str(), "nonsense", ""] {
        for name in ["ticket", "access_token", "token", "api_key"] {
            let call = tenant.anonymous().get(&path).query(name, secret);
            Events::open(call).await.err().expect("refused").problem(401);
        }
    }
    tenant.anonymous().get("/auth/me").query("access_token", tenant.access_token()).await.problem(401);
    tenant.anonymous().call(Method::POST, "/auth/ticket").await.problem(401);
}
