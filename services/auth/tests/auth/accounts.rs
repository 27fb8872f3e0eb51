//! Passwords changed and reset, addresses proven.

use reqwest::Method;
use serde_json::json;

use crate::client::{Answer, Client, PASSWORD, unique_email};
use crate::installation::eventually;
use crate::invitations::{mail_to, token_in};

const OTHER: &str = "nine loud ovens on the hill";

async fn login(client: &Client, email: &str, password: &str) -> Answer {
    client.post("/auth/login", json!({"email": email, "password": password})).await
}

#[tokio::test]
async fn a_new_password_ends_all_other_sign_ins() {
    let (client, email, _) = Client::signed_up().await;
    let other = client.with(&login(&client, &email, PASSWORD).await.expect(200).body["access_token"]);
    let body = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    client.post("/auth/password", body("wrong", OTHER)).await.expect(422).points_at("/current_password");
    client.post("/auth/password", body(PASSWORD, "short")).await.expect(422).points_at("/new_password");
    client.post("/auth/password", body(PASSWORD, OTHER)).await.expect(204);
    other.is_refused("/auth/me").await;
    client.get("/auth/me").await.expect(200);
    login(&client, &email, PASSWORD).await.expect(401);
    login(&client, &email, OTHER).await.expect(200);
}

#[tokio::test]
async fn guesses_of_the_present_password_are_counted() {
    let (client, _, _) = Client::signed_up().await;
    let guess = async || client.post("/auth/password", json!({"current_password": "guess", "new_password": OTHER})).await.status;
    for _ in 0..10 {
        assert_eq!(guess().await, 422);
    }
    assert_eq!(guess().await, 429);
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_mail() {
    let (client, email, _) = Client::signed_up().await;
    let ask = async |headers: &[(&str, &str)]| {
        client.call(Method::POST, "/auth/password-reset", headers, Some(json!({"email": email.to_uppercase()}))).await.expect(202)
    };
    // Where the link leads is the operator's to say, never the request's.
    let answer = ask(&[("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")]).await;
    assert_eq!(answer.body, serde_json::Value::Null);
    let token = token_in(&mail_to(&email).await, "password-reset");
    let confirm = async |token: &str, new: &str| {
        Client::new().post("/auth/password-reset/confirm", json!({"token": token, "new_password": new})).await
    };
    confirm(&token, "short").await.expect(422).points_at("/new_password");
    confirm("kml_guess", OTHER).await.expect(422).points_at("/token");
    confirm(&token, OTHER).await.expect(204);
    confirm(&token, PASSWORD).await.expect(422).points_at("/token");
    client.is_refused("/auth/me").await;
    login(&client, &email, PASSWORD).await.expect(401);
    let again = login(&client, &email, OTHER).await.expect(200).body;
    // Who reads the mail has proven the address.
    assert_eq!(again["user"]["email_verified"], true);
}

#[tokio::test]
async fn a_reset_tells_nothing_of_accounts() {
    let client = Client::new();
    let (_, known, _) = Client::signed_up().await;
    let mut answers = Vec::new();
    for email in [known, unique_email(), "no address".to_owned()] {
        let answer = client.post("/auth/password-reset", json!({"email": email})).await.expect(202);
        answers.push((answer.status, answer.body));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    client.post("/auth/password-reset", json!({})).await.expect(422).points_at("/email");
}

#[tokio::test]
async fn an_address_is_proven_by_a_link() {
    let (client, email, signup) = Client::signed_up().await;
    assert_eq!(signup["user"]["email_verified"], false);
    client.post("/auth/email-verification", json!({})).await.expect(202);
    let token = token_in(&mail_to(&email).await, "verify-email");
    let confirm = async |token: &str| Client::new().post("/auth/signup/confirm", json!({"token": token})).await;
    // A link of one kind is not good for another.
    let misused = json!({"token": token, "new_password": OTHER});
    Client::new().post("/auth/password-reset/confirm", misused).await.expect(422).points_at("/token");
    confirm(&token).await.expect(204);
    confirm(&token).await.expect(422).points_at("/token");
    eventually("it is shown", async || (client.get("/auth/me").await.body["user"]["email_verified"] == true).then_some(())).await;
}

/// A link that somebody else asked for must not undo a password that was changed for safety's sake.
#[tokio::test]
async fn a_changed_password_ends_the_links_to_change_it() {
    let (client, email, _) = Client::signed_up().await;
    client.post("/auth/password-reset", json!({"email": email})).await.expect(202);
    let token = token_in(&mail_to(&email).await, "password-reset");
    client.post("/auth/password", json!({"current_password": PASSWORD, "new_password": OTHER})).await.expect(204);
    let confirm = json!({"token": token, "new_password": "a third one, not asked for"});
    Client::new().post("/auth/password-reset/confirm", confirm).await.expect(422).points_at("/token");
    login(&client, &email, OTHER).await.expect(200);
}
