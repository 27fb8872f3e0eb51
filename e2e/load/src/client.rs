//! A tenant of the measured Kiln, and its runs.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Response, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Longest wait that the API offers.
const WAIT_MS: u64 = 60_000;
const REQUEST_DEADLINE: Duration = Duration::from_secs(90);
/// Well before the quarter of an hour after which an access token is refused.
const RENEW_AFTER: Duration = Duration::from_mins(5);
const PASSWORD: &str = "a password for measurements only";

/// A signed-up tenant of its own.
pub struct Tenant {
    http: reqwest::Client,
    server: Url,
    email: String,
    tokens: Mutex<Tokens>,
}

struct Tokens {
    access: String,
    refresh: String,
    taken: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    refresh_token: String,
}

/// A run as far as measurements look at it.
#[derive(Debug, Deserialize)]
pub struct Execution {
    pub id: String,
    pub status: String,
    pub stdout: Option<String>,
}

impl Execution {
    pub fn has_ended(&self) -> bool {
        !matches!(self.status.as_str(), "queued" | "running")
    }
}

impl Tenant {
    pub async fn sign_up(server: &Url) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(REQUEST_DEADLINE).build()?;
        let email = format!("load-{}@example.com", uuid::Uuid::now_v7());
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = http.post(server.join("api/v1/auth/signup")?).json(&body).send().await.context("signing up")?;
        let tokens: TokenAnswer = accepted(answer).await.context("signing up")?;
        Ok(Self { http, server: server.clone(), email, tokens: Mutex::new(tokens.into()) })
    }

    pub fn email(&self) -> &str {
        &self.email
    }

    /// Runs the program to its end, by the server's default runtime.
    pub async fn execute(&self, code: &str) -> anyhow::Result<Execution> {
        self.run(&json!({ "code": code })).await
    }

    /// Runs the program to its end, by that runtime.
    pub async fn execute_with(&self, code: &str, runtime: &str) -> anyhow::Result<Execution> {
        self.run(&json!({ "code": code, "runtime": runtime })).await
    }

    async fn run(&self, body: &Value) -> anyhow::Result<Execution> {
        let url = self.server.join(&format!("api/v1/executions?wait_ms={WAIT_MS}"))?;
        let request = self.http.post(url).bearer_auth(self.token().await?).json(body);
        let mut execution: Execution = accepted(request.send().await.context("starting a run")?).await?;
        let started = Instant::now();
        // Only when the wait was not long enough, so under a load that the server cannot keep up with.
        while !execution.has_ended() && started.elapsed() < REQUEST_DEADLINE {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let url = self.server.join(&format!("api/v1/executions/{}", execution.id))?;
            let request = self.http.get(url).bearer_auth(self.token().await?);
            execution = accepted(request.send().await.context("looking at a run")?).await?;
        }
        Ok(execution)
    }

    /// The server's limits and runtimes, as JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(self.server.join(path)?).bearer_auth(self.token().await?);
        accepted(request.send().await?).await
    }

    async fn token(&self) -> anyhow::Result<String> {
        let mut tokens = self.tokens.lock().await;
        if tokens.taken.elapsed() > RENEW_AFTER {
            let body = json!({ "refresh_token": tokens.refresh });
            let answer = self.http.post(self.server.join("api/v1/auth/refresh")?).json(&body).send().await?;
            *tokens = accepted::<TokenAnswer>(answer).await.context("renewing the access token")?.into();
        }
        Ok(tokens.access.clone())
    }
}

impl From<TokenAnswer> for Tokens {
    fn from(answer: TokenAnswer) -> Self {
        Self { access: answer.access_token, refresh: answer.refresh_token, taken: Instant::now() }
    }
}

async fn accepted<T: serde::de::DeserializeOwned>(answer: Response) -> anyhow::Result<T> {
    let status = answer.status();
    let body = answer.bytes().await.context("the answer broke off")?;
    anyhow::ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).context("the answer is not what the contract says")
}
