//! A client of the HTTP API that asserts nothing by itself.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::Answer;
use crate::deployment::Addresses;

/// Longer than any `wait_ms`, so that a request that hangs fails and not the whole suite.
const REQUEST_DEADLINE: Duration = Duration::from_secs(75);

/// So much of a body is shown in messages, in characters.
const SHOWN_BODY: usize = 300;

/// A caller at one source address, with or without a credential.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    addresses: Arc<Addresses>,
    bearer: Option<String>,
}

/// A request to be sent by awaiting it.
#[must_use]
pub struct Call {
    request: reqwest::RequestBuilder,
    name: String,
}

impl Api {
    /// A caller without a credential, that connects from the loopback address `source`.
    pub fn new(addresses: Arc<Addresses>, source: IpAddr) -> Self {
        let http = reqwest::Client::builder()
            .local_address(source)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without TLS can be made");
        Self { http, addresses, bearer: None }
    }

    /// The same caller with another credential.
    pub fn with_bearer(&self, bearer: &str) -> Self {
        Self { bearer: Some(bearer.to_owned()), ..self.clone() }
    }

    pub fn anonymous(&self) -> Self {
        Self { bearer: None, ..self.clone() }
    }

    pub fn bearer(&self) -> Option<&str> {
        self.bearer.as_deref()
    }

    /// The URL of a route: under `/api/v1`, but for the few that the contract puts at the root.
    pub fn url(&self, path: &str) -> String {
        self.addresses.url(path)
    }

    /// The same, for a WebSocket.
    pub fn websocket_url(&self, path: &str) -> String {
        self.url(path).replacen("http", "ws", 1)
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// A request without a body.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let url = self.url(path);
        let name = format!("{method} {url}");
        let mut request = self.http.request(method, url).timeout(REQUEST_DEADLINE);
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        Call { request, name }
    }
}

impl Call {
    pub fn json(self, body: &Value) -> Self {
        let shown: String = body.to_string().chars().take(SHOWN_BODY).collect();
        Self { request: self.request.json(body), name: format!("{} {shown}", self.name) }
    }

    /// A body as it is, with its content type.
    pub fn body(self, kind: &str, body: impl Into<reqwest::Body>) -> Self {
        Self { request: self.request.header("content-type", kind).body(body), ..self }
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    pub fn query(self, name: &str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        Self { request: self.request.query(&[(name, &value)]), name: format!("{} ?{name}={value}", self.name) }
    }

    pub fn timeout(self, deadline: Duration) -> Self {
        Self { request: self.request.timeout(deadline), ..self }
    }

    /// Sends, and leaves the body to be read as it comes.
    ///
    /// # Errors
    /// When no answer came: the connection failed or the deadline passed.
    pub async fn open(self) -> Result<(String, reqwest::Response), String> {
        let response = self.request.send().await.map_err(|error| format!("{}: {error:?}", self.name))?;
        Ok((self.name, response))
    }

    /// Sends and reads the whole answer.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn attempt(self) -> Result<Answer, String> {
        let (request, response) = self.open().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.map_err(|error| format!("{request}: {error:?}"))?.to_vec();
        Ok(Answer { request, status, headers, body })
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    /// Sends and reads the whole answer; panics when none came.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.attempt().await.unwrap_or_else(|error| panic!("{error}")) })
    }
}
