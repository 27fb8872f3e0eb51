//! Members over HTTP: who may change whom, and how soon it is in force.

use serde_json::json;

use crate::client::Client;

fn path(user: &str) -> String {
    format!("/tenant/members/{user}")
}

fn id(signup: &serde_json::Value) -> String {
    signup["user"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn members_are_listed_for_those_who_administer() {
    let (owner, email, signup) = Client::signed_up().await;
    let (member, member_id, _) = owner.joined_by("member").await;
    let listed = owner.get("/tenant/members").await.expect(200).body;
    let of = |user: &str| listed["data"].as_array().unwrap().iter().find(|row| row["user_id"] == user).unwrap().clone();
    assert_eq!((&of(&id(&signup))["role"], &of(&id(&signup))["email"]), (&json!("owner"), &json!(email)));
    assert_eq!(of(&member_id)["role"], "member");
    let page = owner.get("/tenant/members?limit=1").await.expect(200).body;
    let rest = owner.get(&format!("/tenant/members?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).await.expect(200);
    assert_ne!(rest.body["data"], page["data"]);
    member.get("/tenant/members").await.expect(403);
}

#[tokio::test]
async fn a_changed_role_is_in_force_within_seconds() {
    let (owner, _, _) = Client::signed_up().await;
    let (person, person_id, refresh_token) = owner.joined_by("admin").await;
    let key = person.post("/api-keys", json!({"name": "k", "scopes": ["tenant:admin"]})).await.expect(201).body;
    let program = person.with(&key["key"]);
    program.get("/tenant/audit-log").await.expect(200);

    let changed = owner.patch(&path(&person_id), json!({"role": "viewer"})).await.expect(200).body;
    assert_eq!(changed["role"], "viewer");
    person.is_refused("/tenant").await;
    // What they made as an admin ends with it.
    program.is_refused("/tenant").await;
    let viewer = person.refreshed(&refresh_token).await;
    assert_eq!(viewer.get("/auth/me").await.expect(200).body["role"], "viewer");
    viewer.get("/tenant").await.expect(200);
    viewer.get("/tenant/audit-log").await.expect(403);
    viewer.patch("/tenant", json!({"name": "Mine"})).await.expect(403);
}

#[tokio::test]
async fn nobody_promotes_themselves_and_only_owners_touch_owners() {
    let (owner, _, signup) = Client::signed_up().await;
    let (admin, admin_id, _) = owner.joined_by("admin").await;
    let (member, member_id, _) = owner.joined_by("member").await;
    member.patch(&path(&member_id), json!({"role": "owner"})).await.expect(403);
    admin.patch(&path(&admin_id), json!({"role": "owner"})).await.expect(403);
    admin.patch(&path(&id(&signup)), json!({"role": "viewer"})).await.expect(403);
    admin.delete(&path(&id(&signup))).await.expect(403);
    member.delete(&path(&admin_id)).await.expect(403);
    let key = admin.post("/api-keys", json!({"name": "k", "scopes": ["tenant:admin"]})).await.expect(201).body;
    admin.with(&key["key"]).patch(&path(&admin_id), json!({"role": "owner"})).await.expect(403);
    admin.post("/tenant/invitations", json!({"email": "x@example.org", "role": "owner"})).await.expect(403);
    for (body, pointer) in [(json!({"role": "emperor"}), "/role"), (json!({}), "/role"), (json!({"role": "admin", "x": 1}), "/x")]
    {
        owner.patch(&path(&member_id), body).await.expect(422).points_at(pointer);
    }
    owner.patch(&path(&admin_id), json!({"role": "owner"})).await.expect(200);
}

#[tokio::test]
async fn the_last_owner_stays() {
    let (owner, _, signup) = Client::signed_up().await;
    let own = path(&id(&signup));
    assert_eq!(owner.delete(&own).await.expect(409).body["code"], "last_owner");
    owner.patch(&own, json!({"role": "admin"})).await.expect(409);
    owner.joined_by("owner").await;
    owner.delete(&own).await.expect(204);
}

#[tokio::test]
async fn two_owners_cannot_leave_each_other_alone() {
    let (one, _, signup) = Client::signed_up().await;
    let (other, other_id, _) = one.joined_by("owner").await;
    let (first, second) = (path(&id(&signup)), path(&other_id));
    let (left, too) = tokio::join!(one.delete(&first), other.delete(&second));
    let mut answers = [left.status.as_u16(), too.status.as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [204, 409]);
}

#[tokio::test]
async fn whoever_leaves_or_is_removed_is_out() {
    let (owner, _, _) = Client::signed_up().await;
    let (leaver, leaver_id, leaver_refresh) = owner.joined_by("viewer").await;
    let (removed, removed_id, removed_refresh) = owner.joined_by("member").await;
    leaver.delete(&path(&leaver_id)).await.expect(204);
    owner.delete(&path(&removed_id)).await.expect(204);
    owner.delete(&path(&removed_id)).await.expect(404);
    leaver.is_refused("/tenant").await;
    removed.is_refused("/tenant").await;
    for (client, refresh_token) in [(leaver, leaver_refresh), (removed, removed_refresh)] {
        client.post("/auth/refresh", json!({"refresh_token": refresh_token})).await.expect(401);
    }
}

#[tokio::test]
async fn another_tenants_member_is_not_there() {
    let ((one, _, signup), (other, _, _)) = tokio::join!(Client::signed_up(), Client::signed_up());
    other.patch(&path(&id(&signup)), json!({"role": "viewer"})).await.expect(404);
    other.delete(&path(&id(&signup))).await.expect(404);
    one.get("/auth/me").await.expect(200);
    one.patch("/tenant/members/nobody", json!({"role": "viewer"})).await.expect(404);
}

/// Who may no longer offer a place in the tenant has offered none, by whatever means.
#[tokio::test]
async fn invitations_end_with_the_role_that_they_were_sent_by() {
    let (owner, _, _) = Client::signed_up().await;
    let (other, other_id, _) = owner.joined_by("owner").await;
    let (guest, guest_email, _) = Client::signed_up().await;
    let (second, second_email, _) = Client::signed_up().await;
    let key = other.post("/api-keys", json!({"name": "k", "scopes": ["tenant:admin"]})).await.expect(201).body;
    let invite = async |client: &Client, email: &str, role: &str| {
        let made = client.post("/tenant/invitations", json!({"email": email, "role": role})).await.expect(201).body;
        json!({"token": made["token"]})
    };
    let as_owner = invite(&other, &guest_email, "owner").await;
    let as_admin = invite(&other.with(&key["key"]), &second_email, "admin").await;

    owner.patch(&path(&other_id), json!({"role": "admin"})).await.expect(200);
    guest.post("/invitations/accept", as_owner).await.expect(422).points_at("/token");
    let open = owner.get("/tenant/invitations").await.expect(200).body;
    assert_eq!(open["data"].as_array().unwrap().len(), 1, "an admin may still invite admins");
    owner.delete(&path(&other_id)).await.expect(204);
    second.post("/invitations/accept", as_admin).await.expect(422).points_at("/token");
    assert_eq!(owner.get("/tenant/invitations").await.expect(200).body["data"], json!([]));
    let log = owner.get("/tenant/audit-log").await.expect(200).body;
    assert_eq!((&log["data"][0]["action"], &log["data"][0]["before"]), (&json!("member.removed"), &json!({"role": "admin"})));
    assert_eq!(log["data"][0]["after"]["ended"]["api_keys_revoked"], json!([key["id"]]));
}
