//! Durable pull consumers: the handler says what became of a message, the loop acknowledges.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{AckKind, Message};
use futures::{FutureExt, StreamExt};
use metrics::{counter, histogram};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Bus;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Deliver again after this time.
    Retry(Duration),
    /// It can never be handled; it is not delivered again.
    Reject,
}

/// One message, parsed.
pub struct Delivery<T> {
    pub payload: T,
    pub subject: String,
    /// 1 at the first delivery.
    pub delivered: i64,
    /// Position in the stream.
    pub sequence: u64,
}

/// A durable consumer of one stream.
pub struct Consumer {
    inner: PullConsumer,
    name: String,
}

/// Messages taken together, at most.
const BATCH: usize = 256;
/// Pulls that wait at the server: one for each idle slot of every executor.
const MAX_WAITING: i64 = 16_384;
/// How long an empty pull waits at the server before it is renewed.
const PULL_EXPIRES: Duration = Duration::from_secs(30);

impl Bus {
    /// Makes or finds the durable consumer `name`. `ack_wait` is how long a message may be worked on before it is given to another;
    /// after `max_deliver` deliveries it is left for the dead-letter sweep.
    pub async fn consumer(
        &self,
        stream: &str,
        name: &str,
        filter: &str,
        ack_wait: Duration,
        max_deliver: i64,
    ) -> anyhow::Result<Consumer> {
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            filter_subject: filter.to_owned(),
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            max_deliver,
            max_ack_pending: 4_096,
            max_waiting: MAX_WAITING,
            ..Default::default()
        };
        let inner = self
            .jetstream
            .create_consumer_on_stream(config, stream)
            .await
            .with_context(|| format!("consumer {name} of {stream}"))?;
        Ok(Consumer { inner, name: name.to_owned() })
    }
}

impl Consumer {
    /// Takes one message, waiting at most `wait`.
    pub async fn next(&self, wait: Duration) -> anyhow::Result<Option<Message>> {
        let mut messages = self.inner.batch().max_messages(1).expires(wait).messages().await?;
        messages.next().await.transpose().map_err(|error| anyhow::anyhow!(error))
    }

    /// Hands batches of parsed messages to `handler`, which answers for each in order, until `shutdown`.
    /// A message that cannot be parsed is rejected. When `handler` fails the whole batch is delivered again.
    pub async fn run_batches<T, H, F>(self, shutdown: CancellationToken, handler: H) -> anyhow::Result<()>
    where
        T: DeserializeOwned + Send,
        H: FnMut(Vec<Delivery<T>>) -> F + Send,
        F: Future<Output = anyhow::Result<Vec<Outcome>>> + Send,
    {
        self.run_gathered(shutdown, |_| Duration::ZERO, handler).await
    }

    /// As [`Self::run_batches`], where each message may wait for company as long as `patience` says, so that one
    /// transaction serves several. The least patient of a batch decides.
    pub async fn run_gathered<T, P, H, F>(self, shutdown: CancellationToken, patience: P, mut handler: H) -> anyhow::Result<()>
    where
        T: DeserializeOwned + Send,
        P: Fn(&T) -> Duration + Send,
        H: FnMut(Vec<Delivery<T>>) -> F + Send,
        F: Future<Output = anyhow::Result<Vec<Outcome>>> + Send,
    {
        let mut messages = self
            .inner
            .stream()
            .max_messages_per_batch(BATCH)
            .expires(PULL_EXPIRES)
            .heartbeat(Duration::from_secs(10))
            .messages()
            .await?;
        loop {
            let first = tokio::select! {
                message = messages.next() => message,
                () = shutdown.cancelled() => return Ok(()),
            };
            let Some(first) = first else { anyhow::bail!("consumer {} was closed", self.name) };
            let mut batch = Batch::default();
            let mut until = self.take(first, &patience, &mut batch).await;
            while batch.parsed.len() < BATCH {
                // A timer's step is a millisecond: what is due already must not wait for one.
                let more = if until <= Instant::now() {
                    messages.next().now_or_never()
                } else {
                    tokio::time::timeout_at(until, messages.next()).await.ok()
                };
                let Some(Some(more)) = more else { break };
                until = until.min(self.take(more, &patience, &mut batch).await);
            }
            if !batch.parsed.is_empty() {
                self.handle(batch, &mut handler).await;
            }
        }
    }

    /// Puts a message into the batch, or rejects it; gives when the batch is due at the latest.
    async fn take<T: DeserializeOwned>(
        &self,
        message: Result<Message, pull::MessagesError>,
        patience: impl Fn(&T) -> Duration,
        batch: &mut Batch<T>,
    ) -> Instant {
        let now = Instant::now();
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                // Missed heartbeats while the bus reconnects; the stream resumes by itself.
                tracing::warn!(%error, consumer = self.name, "pull was interrupted");
                return now;
            }
        };
        match (serde_json::from_slice(&message.payload), message.info()) {
            (Ok(payload), Ok(info)) => {
                let due = now + patience(&payload);
                batch.parsed.push(Delivery {
                    payload,
                    subject: message.subject.to_string(),
                    delivered: info.delivered,
                    sequence: info.stream_sequence,
                });
                batch.raw.push(message);
                return due;
            }
            (Err(error), _) => {
                tracing::error!(%error, consumer = self.name, subject = %message.subject, "message cannot be read; rejected");
                self.count(Outcome::Reject);
                acknowledge(&message, Outcome::Reject).await;
            }
            (_, Err(error)) => tracing::error!(%error, consumer = self.name, "message without delivery information"),
        }
        now
    }

    async fn handle<T, H, F>(&self, batch: Batch<T>, handler: &mut H)
    where
        H: FnMut(Vec<Delivery<T>>) -> F,
        F: Future<Output = anyhow::Result<Vec<Outcome>>>,
    {
        let begun = Instant::now();
        let handled = handler(batch.parsed).await;
        histogram!("kiln_bus_batch_duration_seconds", "consumer" => self.name.clone()).record(begun.elapsed());
        match handled {
            Ok(outcomes) => {
                for (message, outcome) in batch.raw.iter().zip(outcomes) {
                    self.count(outcome);
                    acknowledge(message, outcome).await;
                }
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), consumer = self.name, "batch failed; it is delivered again");
                for message in &batch.raw {
                    let outcome = Outcome::Retry(Duration::from_secs(1));
                    self.count(outcome);
                    acknowledge(message, outcome).await;
                }
            }
        }
    }

    fn count(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Done => "done",
            Outcome::Retry(_) => "retry",
            Outcome::Reject => "reject",
        };
        counter!("kiln_bus_messages_total", "consumer" => self.name.clone(), "outcome" => outcome).increment(1);
    }
}

/// Messages as they came, and what they say.
struct Batch<T> {
    raw: Vec<Message>,
    parsed: Vec<Delivery<T>>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { raw: Vec::new(), parsed: Vec::new() }
    }
}

async fn acknowledge(message: &Message, outcome: Outcome) {
    let kind = match outcome {
        Outcome::Done => AckKind::Ack,
        Outcome::Retry(delay) => AckKind::Nak(Some(delay)),
        Outcome::Reject => AckKind::Term,
    };
    if let Err(error) = message.ack_with(kind).await {
        tracing::warn!(%error, subject = %message.subject, "acknowledgement was not sent; the message comes again");
    }
}
