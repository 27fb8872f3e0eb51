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
