//! Runs of others beside a program: one that must live on, one that holds what a program looks for, one that is timed.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use crate::ended::Ended;
use crate::{Finding, Kiln};

/// Says that it is up, then waits for a word from outside.
const WAITING: &str = "print('up', flush=True)\nprint('alive', input(), flush=True)\n";
/// Some computing, some memory, some files: a few ms where nothing is in the way.
const TIMED: &str = "import json, os\nopen('x', 'w').write(json.dumps(list(range(20000))))\nprint(os.path.getsize('x'))\n";
/// Puts a secret wherever a run can put one, and holds it until it is stopped.
const NEIGHBOUR: &str = include_str!("neighbour.py");

/// What an unhurried machine may need, so that a few ms of noise are no verdict.
const TIMED_FLOOR: Duration = Duration::from_millis(400);
/// The corpus allows so many times the time of before.
const TIMED_FACTOR: u32 = 3;
const SAMPLES: usize = 5;
const START_DEADLINE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A run that waits, as another tenant.
pub struct Bystander {
    tenant: usize,
    id: String,
}

impl Bystander {
    /// A run that ends by itself once it gets a word.
    pub async fn start<K: Kiln>(kiln: &K, tenant: usize) -> anyhow::Result<Self> {
        Self::begin(kiln, tenant, &json!({"code": WAITING, "interactive": true}), "up").await
    }

    /// A run that holds secrets until it is cancelled.
    pub async fn neighbour<K: Kiln>(kiln: &K, tenant: usize) -> anyhow::Result<Self> {
        let body = json!({"code": NEIGHBOUR, "env": {"NEIGHBOUR": "NEIGHBOUR-SECRET"}, "args": ["NEIGHBOUR-SECRET"]});
        Self::begin(kiln, tenant, &body, "holding").await
    }

    async fn begin<K: Kiln>(kiln: &K, tenant: usize, body: &Value, says: &str) -> anyhow::Result<Self> {
        let answer = kiln.send(tenant, "POST", "/executions", Some(body)).await?;
        let accepted: Value = answer.json(&[202]).context("a run beside it")?;
        let id = accepted.get("id").and_then(Value::as_str).context("a run without id")?.to_owned();
        let begun = Instant::now();
        loop {
            let now: Ended = kiln.send(tenant, "GET", &format!("/executions/{id}"), None).await?.json(&[200])?;
            if now.stdout.contains(says) {
                return Ok(Self { tenant, id });
            }
            anyhow::ensure!(begun.elapsed() < START_DEADLINE, "a run beside it is {} and says nothing", now.status);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether it still lives, hears and ends as it should.
    pub async fn lives_on<K: Kiln>(&self, kiln: &K) -> anyhow::Result<Finding> {
        let path = format!("/executions/{}", self.id);
        let said = kiln.send(self.tenant, "POST", &format!("{path}/stdin"), Some(&json!({"data": "yes\n"}))).await?;
        if said.status != 204 {
            return Ok(Finding::Fault(format!("another tenant's run answered {} to its input", said.status)));
        }
        let begun = Instant::now();
        loop {
            let now: Ended = kiln.send(self.tenant, "GET", &path, None).await?.json(&[200])?;
            if now.status == "succeeded" && now.stdout.ends_with("alive yes\n") {
                return Ok(Finding::Fine);
            }
            if now.status != "running" || begun.elapsed() > START_DEADLINE {
                return Ok(Finding::Fault(format!("another tenant's run is {} and said {:?}", now.status, now.stdout)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends it; a fault when it had ended before.
    pub async fn stop<K: Kiln>(&self, kiln: &K) -> anyhow::Result<Finding> {
        let answer = kiln.send(self.tenant, "POST", &format!("/executions/{}/cancel", self.id), None).await?;
        Ok(Finding::of(answer.status == 202, || format!("the neighbour had ended: its cancel answered {}", answer.status)))
    }
}

/// How long the timed program takes another tenant, in the middle of several.
pub async fn timed<K: Kiln>(kiln: &K, tenant: usize) -> anyhow::Result<Duration> {
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        samples.push(timed_once(kiln, tenant).await?);
    }
    median(samples).context("no samples")
}

/// Takes samples until `until` is over, at least one.
pub async fn timed_beside<K: Kiln, T>(kiln: &K, tenant: usize, until: impl Future<Output = T>) -> anyhow::Result<(T, Duration)> {
    tokio::pin!(until);
    let mut samples = Vec::new();
    let result = loop {
        let sample = timed_once(kiln, tenant);
        tokio::pin!(sample);
        tokio::select! {
            result = &mut until => {
                if samples.is_empty() {
                    samples.push(sample.await?);
                }
                break result;
            }
            taken = &mut sample => samples.push(taken?),
        }
    };
    Ok((result, median(samples).context("no samples")?))
}

/// Whether another tenant was held up more than the corpus allows.
pub fn responsive(before: Duration, beside: Duration) -> Finding {
    let allowed = (before * TIMED_FACTOR).max(TIMED_FLOOR);
    Finding::of(beside <= allowed, || format!("another tenant's program took {beside:?} beside it, and {before:?} before"))
}

async fn timed_once<K: Kiln>(kiln: &K, tenant: usize) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let answer = kiln.send(tenant, "POST", "/executions?wait_ms=30000", Some(&json!({"code": TIMED}))).await?;
    let ended: Ended = answer.json(&[200]).context("the timed run")?;
    anyhow::ensure!(ended.status == "succeeded", "the timed run is {}", ended.status);
    Ok(begun.elapsed())
}

fn median(mut samples: Vec<Duration>) -> Option<Duration> {
    samples.sort();
    samples.get(samples.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_times_is_the_most() {
        let seconds = Duration::from_secs;
        assert_eq!(responsive(seconds(1), seconds(3)), Finding::Fine);
        assert!(matches!(responsive(seconds(1), seconds(4)), Finding::Fault(_)));
        assert_eq!(responsive(Duration::from_millis(5), Duration::from_millis(100)), Finding::Fine);
    }
}
