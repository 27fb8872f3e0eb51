//! GET and DELETE /auth/sessions: one's own sign-ins

use kiln_e2e_api::WAITS;
use kiln_test_support::{Attached, Events, PASSWORD, assert_like, eventually};
use serde_json::json;

use super::{REVOKED_WITHIN, SOON, visit};

#[tokio::test]
async fn are_listed_and_revoked() {
    let (kiln, tenant) = visit().await;
    let first = tenant.get("/auth/sessions").await.expect(200).json();
    assert_like(&first, json!({"data": [{"id": "<uuid>"}], "next_cursor": null}));

    let other = kiln.api().post("/auth/login", &json!({"email": tenant.email, "password": PASSWORD})).await.expect(200).json();
    let other_api = kiln.api().with_bearer(other["access_token"].as_str().unwrap());
    let both = tenant.get("/auth/sessions").await.expect(200).json();
    assert_like(&both, json!({"data": [{"id": "<uuid>"}, {"id": first["data"][0]["id"]}]}));

    let id = both["data"][0]["id"].as_str().unwrap();
    tenant.delete(&format!("/auth/sessions/{id}")).await.expect(204);
    kiln.api().post("/auth/refresh", &json!({"refresh_token": other["refresh_token"]})).await.problem(401);
    eventually(REVOKED_WITHIN, "revoked", async || (other_api.get("/executions").await.status == 401).then_some(())).await;
    tenant.get("/auth/me").await.expect(200);
}

#[tokio::test]
async fn of_others_are_unknown() {
    let (kiln, tenant) = visit().await;
    let other = kiln.sign_up().await;
    let id = other.get("/auth/sessions").await.expect(200).json()["data"][0]["id"].as_str().unwrap().to_owned();
    tenant.delete(&format!("/auth/sessions/{id}")).await.problem(404);
    tenant.delete(&format!("/auth/sessions/{}", uuid::Uuid::now_v7())).await.problem(404);
    tenant.delete("/auth/sessions/7").await.problem(404);
    other.get("/auth/me").await.expect(200);
}

/// A stream is verified when it opens; what it was opened with may end before it does.
#[tokio::test]
async fn streams_end_with_the_sign_in_that_opened_them() {
    let (kiln, tenant) = visit().await;
    let other = kiln.api().post("/auth/login", &json!({"email": tenant.email, "password": PASSWORD})).await.expect(200).json();
    let other = kiln.api().with_bearer(other["access_token"].as_str().unwrap());
    let live = tenant.submit(json!({"code": WAITS, "interactive": true})).await;
    tenant.printed(&live, SOON).await;
    let mut kept = tenant.attach(&live).await;
    let mut attached = Attached::open(&other, &format!("/executions/{live}/attach")).await.unwrap();
    let mut events =
        Events::open(other.get(&format!("/executions/{live}/events"))).await.unwrap_or_else(|answer| panic!("{}", answer.text()));
    for stream in [&mut kept, &mut attached] {
        stream.output_until("stdout", "waiting\n", SOON).await;
    }

    tenant.delete("/auth/sessions").await.expect(204);
    let ended = tokio::time::timeout(REVOKED_WITHIN, async { tokio::join!(attached.rest(SOON), events.rest(SOON)) });
    let (_, told) = ended.await.expect("both streams end");
    assert_eq!(attached.close_code, Some(1008));
    assert!(told.iter().all(|event| event.kind != "end"), "{told:?}");
    // The run goes on, and so does a stream of the sign-in that stays.
    tenant.cancel(&live).await.expect(202);
    assert_eq!(kept.rest(SOON).await.last().unwrap()["type"], "end");
}
