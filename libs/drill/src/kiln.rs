//! The two sides that a drill works with: the Kiln under test by its API, and whoever can look at its host.

use std::future::Future;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Check, Ended, Finding, Program};

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When the status is none of `wanted`, or the body no such JSON.
    pub fn json<T: DeserializeOwned>(&self, wanted: &[u16]) -> anyhow::Result<T> {
        let text = || String::from_utf8_lossy(&self.body).chars().take(300).collect::<String>();
        anyhow::ensure!(wanted.contains(&self.status), "answered {}: {}", self.status, text());
        serde_json::from_slice(&self.body).with_context(|| format!("answered {} with {}", self.status, text()))
    }
}

/// A Kiln, as its tenants reach it.
pub trait Kiln: Sync {
    /// Tenants that can be told apart; they are numbered from 0.
    fn tenants(&self) -> usize;

    /// One request to a path below `/api/v1`, as a tenant; the whole answer. It may take as long as `wait_ms` and a little.
    fn send(
        &self,
        tenant: usize,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> impl Future<Output = anyhow::Result<Answer>> + Send;
}

/// Who can look at the host on which the programs run.
pub trait Outside: Sync {
    /// What was seen before.
    type Before: Send;

    fn before(&self, program: &Program) -> impl Future<Output = Self::Before> + Send;

    /// The findings of those of the program's checks that can only be made here. `memory_bytes` is this run's limit, which no
    /// other run of the drill has: its sandbox is known by it.
    fn after(
        &self,
        before: Self::Before,
        program: &Program,
        ended: &Ended,
        memory_bytes: u64,
    ) -> impl Future<Output = Vec<(Check, Finding)>> + Send;
}

/// Nobody: the checks that need the host are not made.
pub struct NoOutside;

impl Outside for NoOutside {
    type Before = ();

    async fn before(&self, _: &Program) {}

    async fn after(&self, (): (), _: &Program, _: &Ended, _: u64) -> Vec<(Check, Finding)> {
        Vec::new()
    }
}
