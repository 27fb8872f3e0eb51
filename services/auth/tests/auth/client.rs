//! A client of the installation, from an address of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::installation::installation;

pub const PASSWORD: &str = "seven quiet kilns by the river";

/// One person at one address.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    bearer: Option<String>,
}

/// Status, headers and body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Client {
    /// From an address of 127.0.0.0/8 that no other client has.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0x7f01_0001);
        let address = IpAddr::V4(Ipv4Addr::from_bits(NEXT.fetch_add(1, Ordering::Relaxed)));
        Self { http: reqwest::Client::builder().local_address(address).build().unwrap(), bearer: None }
    }

    /// A client that has just signed up, with its e-mail address and the answer.
    pub async fn signed_up() -> (Self, String, Value) {
        let (client, email) = (Self::new(), unique_email());
        let answer = client.post("/auth/signup", json!({"email": email, "password": PASSWORD})).await.expect(201);
        (client.with(&answer.body["access_token"]), email, answer.body)
    }

    pub fn with(&self, bearer: &Value) -> Self {
        Self { http: self.http.clone(), bearer: Some(bearer.as_str().unwrap().to_owned()) }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, &[], Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, &[], Some(body)).await
    }

    /// Somebody new in this tenant, with this role, signed in to it; and their id.
    pub async fn joined_by(&self, role: &str) -> (Self, String, String) {
        let (person, email, signup) = Self::signed_up().await;
        let invitation = self.post("/tenant/invitations", json!({"email": email, "role": role})).await.expect(201).body;
        let joined = person.post("/invitations/accept", json!({"token": invitation["token"]})).await.expect(200).body;
        let tokens = person.post("/auth/switch", json!({"tenant_id": joined["id"]})).await.expect(200).body;
        let id = signup["user"]["id"].as_str().unwrap().to_owned();
        (person.with(&tokens["access_token"]), id, tokens["refresh_token"].as_str().unwrap().to_owned())
    }

    /// The same client once it has refreshed its tokens.
    pub async fn refreshed(&self, refresh_token: &str) -> Self {
        let tokens = self.post("/auth/refresh", json!({"refresh_token": refresh_token})).await.expect(200).body;
        self.with(&tokens["access_token"])
    }

    /// Waits until the credential is refused; by the contract within 5 seconds.
    pub async fn is_refused(&self, path: &str) {
        let begun = std::time::Instant::now();
        crate::installation::eventually("the credential is refused", async || (self.get(path).await.status == 401).then_some(()))
            .await;
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    pub async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let prefix = if path.starts_with("/.well-known") { "" } else { "/api/v1" };
        let mut request = self.http.request(method, format!("http://{}{prefix}{path}", installation().address));
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, headers, body }
    }
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    #[track_caller]
    pub fn points_at(self, pointer: &str) -> Self {
        let pointers: Vec<_> = self.body["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
        assert!(pointers.contains(&&json!(pointer)), "{pointers:?}");
        self
    }
}

pub fn unique_email() -> String {
    format!("{}@example.org", uuid::Uuid::now_v7().simple())
}
