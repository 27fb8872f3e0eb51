//! Invitations over HTTP.

use reqwest::Method;
use serde_json::json;

use crate::client::{Client, unique_email};
use crate::installation::{PUBLIC_URL, eventually, installation};

/// The newest mail to this address.
pub async fn mail_to(email: &str) -> String {
    eventually("a mail", async || {
        let mut mails: Vec<_> = std::fs::read_dir(&installation().mail)
            .ok()?
            .filter_map(Result::ok)
            .filter(|file| file.path().extension().is_some_and(|kind| kind == "eml"))
            .filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, std::fs::read_to_string(file.path()).ok()?)))
            .filter(|(_, text)| text.contains(&format!("To: {email}")))
            .collect();
        mails.sort();
        // Long lines are broken by `=` at their end.
        mails.pop().map(|(_, text)| text.replace("=\r\n", "").replace("=3D", "="))
    })
    .await
}

/// The token of the link in a mail, which must lead to the configured address.
pub fn token_in(mail: &str, page: &str) -> String {
    let link = format!("{PUBLIC_URL}/{page}#token=");
    let at = mail.find(&link).unwrap_or_else(|| panic!("no {link} in {mail}"));
    mail[at + link.len()..].split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn an_invited_person_joins_with_the_role() {
    let (owner, _, signup) = Client::signed_up().await;
    let (guest, email, _) = Client::signed_up().await;
    let made = owner.post("/tenant/invitations", json!({"email": email.to_uppercase(), "role": "viewer"})).await.expect(201).body;
    let open = owner.get("/tenant/invitations").await.expect(200).body;
    assert_eq!((&open["data"][0]["id"], &open["data"][0]["role"]), (&made["id"], &json!("viewer")));
    assert!(open["data"][0].get("token").is_none());
    let mailed = token_in(&mail_to(&email.to_uppercase()).await, "invitations/accept");
    assert_eq!(mailed, made["token"]);

    let joined = guest.post("/invitations/accept", json!({"token": mailed})).await.expect(200).body;
    assert_eq!((&joined["id"], &joined["role"]), (&signup["tenant"]["id"], &json!("viewer")));
    guest.post("/invitations/accept", json!({"token": mailed})).await.expect(422).points_at("/token");
    assert_eq!(guest.get("/auth/me").await.expect(200).body["tenants"].as_array().unwrap().len(), 2);
    assert_eq!(owner.get("/tenant/invitations").await.expect(200).body["data"], json!([]));
}

#[tokio::test]
async fn only_the_invited_address_joins() {
    let (owner, _, _) = Client::signed_up().await;
    let (stranger, _, _) = Client::signed_up().await;
    let made = owner.post("/tenant/invitations", json!({"email": unique_email()})).await.expect(201).body;
    assert_eq!(made["role"], "member");
    stranger.post("/invitations/accept", json!({"token": made["token"]})).await.expect(403);
    let path = format!("/tenant/invitations/{}", made["id"].as_str().unwrap());
    stranger.delete(&path).await.expect(404);
    owner.delete(&path).await.expect(204);
    owner.delete(&path).await.expect(404);
    stranger.post("/invitations/accept", json!({"token": made["token"]})).await.expect(422);
}

#[tokio::test]
async fn a_second_invitation_replaces_the_first() {
    let (owner, _, _) = Client::signed_up().await;
    let (guest, email, _) = Client::signed_up().await;
    let invite =
        async |role: &str| owner.post("/tenant/invitations", json!({"email": email, "role": role})).await.expect(201).body;
    let (first, second) = (invite("viewer").await, invite("admin").await);
    guest.post("/invitations/accept", json!({"token": first["token"]})).await.expect(422);
    assert_eq!(guest.post("/invitations/accept", json!({"token": second["token"]})).await.expect(200).body["role"], "admin");
    // A member who is invited again keeps their role.
    let again = invite("viewer").await;
    guest.post("/invitations/accept", json!({"token": again["token"]})).await.expect(409);
}

#[tokio::test]
async fn a_repeat_gets_the_same_token_and_bad_fields_are_pointed_at() {
    let (owner, _, _) = Client::signed_up().await;
    let key = unique_email();
    let body = json!({"email": unique_email(), "role": "member"});
    let post = async || owner.call(Method::POST, "/tenant/invitations", &[("idempotency-key", &key)], Some(body.clone())).await;
    let (first, second) = (post().await.expect(201), post().await.expect(201));
    assert_eq!(first.body, second.body);
    for (body, pointer) in [
        (json!({"email": "nobody"}), "/email"),
        (json!({"email": "a@example.org", "role": "emperor"}), "/role"),
        (json!({"email": "a@example.org\r\nBcc: b@example.org"}), "/email"),
        (json!({"email": "a@example.org", "tenant_id": 1}), "/tenant_id"),
    ] {
        owner.post("/tenant/invitations", body).await.expect(422).points_at(pointer);
    }
}
