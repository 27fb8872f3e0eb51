//! A tenant of a test's own, and the few things that nearly every test does with it.

use std::ops::Deref;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Api, Attached, Events, eventually};

/// Good enough for the contract: long, and on no list.
pub const PASSWORD: &str = "seven quiet kilns by the river";

/// The `wait_ms` of runs that a test waits for.
const WAIT_MS: u64 = 30_000;

/// The owner of a fresh tenant, signed in.
pub struct Tenant {
    api: Api,
    pub email: String,
    pub refresh_token: String,
    /// The answer of the sign-up.
    pub signup: Value,
}

/// An address that nobody has signed up with.
pub fn unique_email() -> String {
    format!("{}@example.org", uuid::Uuid::now_v7())
}

impl Deref for Tenant {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Tenant {
    /// Signs up, with an e-mail address that nobody has.
    pub async fn sign_up(api: &Api) -> Self {
        let email = unique_email();
        let answer = api.post("/auth/signup", &json!({"email": email, "password": PASSWORD})).await.expect(201);
        let signup = answer.json();
        let token = |name: &str| signup[name].as_str().unwrap_or_else(|| panic!("no {name} in {signup}")).to_owned();
        Self { api: api.with_bearer(&token("access_token")), email, refresh_token: token("refresh_token"), signup }
    }

    /// The same owner with another access token.
    pub fn with_token(&self, access_token: &str) -> Self {
        Self {
            api: self.api.with_bearer(access_token),
            email: self.email.clone(),
            refresh_token: self.refresh_token.clone(),
            signup: self.signup.clone(),
        }
    }

    /// The same owner with a fresh access token: who was made a platform admin meanwhile is one with it.
    pub async fn refreshed(&self) -> Self {
        let tokens = self.post("/auth/refresh", &json!({"refresh_token": self.refresh_token})).await.expect(200).json();
        self.with_token(tokens["access_token"].as_str().expect("an access token"))
    }

    /// As a platform admin: changes another tenant.
    pub async fn administer(&self, tenant: &Self, patch: &Value) {
        let path = format!("/admin/tenants/{}", tenant.tenant_id());
        self.call(Method::PATCH, &path).json(patch).await.expect(200);
    }

    pub fn access_token(&self) -> &str {
        self.api.bearer().unwrap_or_default()
    }

    pub fn tenant_id(&self) -> &str {
        self.signup["tenant"]["id"].as_str().unwrap_or_default()
    }

    /// Runs a program in the default runtime to its end.
    pub async fn run(&self, code: &str) -> Value {
        self.run_with(json!({"code": code})).await
    }

    /// Runs what the body says to its end.
    pub async fn run_with(&self, body: Value) -> Value {
        self.api.post("/executions", &body).query("wait_ms", WAIT_MS).await.expect(200).json()
    }

    /// Submits without waiting; the execution's id.
    pub async fn submit(&self, body: Value) -> String {
        let execution = self.api.post("/executions", &body).await.expect(202).json();
        execution["id"].as_str().unwrap_or_else(|| panic!("no id in {execution}")).to_owned()
    }

    pub async fn execution(&self, id: &str) -> Value {
        self.api.get(&format!("/executions/{id}")).await.expect(200).json()
    }

    /// The execution once it has ended.
    pub async fn ended(&self, id: &str, deadline: Duration) -> Value {
        self.when(id, "ended", deadline, |execution| execution["status"] != "queued" && execution["status"] != "running").await
    }

    /// The execution once its program runs and has printed something.
    pub async fn printed(&self, id: &str, deadline: Duration) -> Value {
        self.when(id, "printed", deadline, |execution| execution["stdout"].as_str().is_some_and(|text| !text.is_empty())).await
    }

    pub async fn when(&self, id: &str, what: &str, deadline: Duration, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let wait = eventually(deadline, what, async || {
            last = self.execution(id).await;
            holds(&last).then(|| last.clone())
        });
        wait.await
    }

    pub async fn events(&self, id: &str) -> Events {
        match Events::open(self.api.get(&format!("/executions/{id}/events"))).await {
            Ok(events) => events,
            Err(answer) => panic!("{}: answered {} {}", answer.request, answer.status, answer.text()),
        }
    }

    pub async fn attach(&self, id: &str) -> Attached {
        Attached::open(&self.api, &format!("/executions/{id}/attach"))
            .await
            .unwrap_or_else(|status| panic!("attach answered {status}"))
    }

    pub async fn cancel(&self, id: &str) -> crate::Answer {
        self.api.call(reqwest::Method::POST, &format!("/executions/{id}/cancel")).await
    }

    /// An API key of this tenant, as a caller.
    pub async fn key(&self, scopes: &[&str]) -> Api {
        let answer = self.api.post("/api-keys", &json!({"name": "test", "scopes": scopes})).await.expect(201).json();
        self.api.with_bearer(answer["key"].as_str().unwrap_or_else(|| panic!("no key in {answer}")))
    }
}
