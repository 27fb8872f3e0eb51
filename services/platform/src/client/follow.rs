//! Follows a run's events to its end, through whatever breaks in between.

use std::time::Duration;

use anyhow::Context;
use eventsource_stream::Eventsource;
use futures::StreamExt;
use tokio::time::Instant;

use super::api::Api;
use super::execution::Execution;
use super::problem::Problem;
use super::told::Told;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Without any event for so long after a break, the server is taken for gone.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The pauses between attempts to reach a server that has gone away, each longer than the one before.
pub struct Retry {
    pause: Duration,
    gone_since: Option<Instant>,
}

impl Retry {
    pub fn new() -> Self {
        Self { pause: FIRST_PAUSE, gone_since: None }
    }

    /// The server is there.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Waits before the next attempt, or gives up with the error that broke the last one.
    pub async fn wait(&mut self, broke: anyhow::Error) -> anyhow::Result<()> {
        let refused = broke.downcast_ref::<Problem>().is_some_and(|problem| problem.status < 500);
        let gone_since = *self.gone_since.get_or_insert_with(Instant::now);
        if refused || gone_since.elapsed() > PATIENCE {
            return Err(broke);
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// Shows the output of the execution from its beginning, and returns how it ended.
pub async fn follow(api: &Api, id: &str) -> anyhow::Result<Execution> {
    let path = format!("api/v1/executions/{id}/events");
    let mut after = None;
    let mut retry = Retry::new();
    loop {
        let broke = match listen(api, &path, &mut after, &mut retry).await {
            Ok(execution) => return Ok(execution),
            Err(error) => error,
        };
        retry.wait(broke).await?;
    }
}

/// One connection, until the end of the run or of the connection. `after` moves with what was shown.
async fn listen(api: &Api, path: &str, after: &mut Option<String>, retry: &mut Retry) -> anyhow::Result<Execution> {
    let answer = api.events(path, after.as_deref()).await?;
    let mut events = answer.bytes_stream().eventsource();
    while let Some(event) = events.next().await {
        let event = event.context("the stream of events broke off")?;
        let told = Told::parse(&event.event, serde_json::from_str(&event.data).context("an event is no JSON")?)?;
        told.show()?;
        *after = Some(event.id).filter(|id| !id.is_empty());
        retry.reset();
        if let Told::End(execution) = told {
            return Ok(*execution);
        }
    }
    anyhow::bail!("the stream of events ended before the run did")
}
