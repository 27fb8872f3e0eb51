//! The tenants of one installation, as the drill reaches them.

use std::time::Duration;

use kiln_drill::{Answer, Kiln};
use kiln_test_support::{Installation, Tenant};
use reqwest::Method;
use serde_json::Value;

/// Longer than any `wait_ms` of the drill.
const REQUEST_DEADLINE: Duration = Duration::from_secs(75);

/// Fresh tenants, each with its owner.
pub struct Tenants(Vec<Tenant>);

impl Tenants {
    pub async fn sign_up(kiln: &Installation, count: usize) -> Self {
        let mut tenants = Vec::new();
        for _ in 0..count {
            tenants.push(kiln.sign_up().await);
        }
        Self(tenants)
    }
}

impl Kiln for Tenants {
    fn tenants(&self) -> usize {
        self.0.len()
    }

    async fn send(&self, tenant: usize, method: &'static str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let call = self.0[tenant].call(Method::from_bytes(method.as_bytes())?, path).timeout(REQUEST_DEADLINE);
        let call = match body {
            Some(body) => call.json(body),
            None => call,
        };
        let answer = call.attempt().await.map_err(anyhow::Error::msg)?;
        Ok(Answer { status: answer.status, body: answer.body })
    }
}
