//! What the streams and their consumers hold, as metrics.

use anyhow::Context as _;
use futures::TryStreamExt as _;
use kiln_events::subject;
use metrics::gauge;

use crate::Bus;

/// The streams whose consumers are few and durable. Those of input are one a live run.
const WATCHED: [&str; 3] = [subject::TASKS, subject::EVENTS, subject::OUTPUT];

impl Bus {
    /// Looks at the streams once. Cheap: one request a stream, and one for its consumers.
    pub async fn gauge_streams(&self) -> anyhow::Result<()> {
        for name in WATCHED {
            let mut stream = self.jetstream.get_stream(name).await.with_context(|| format!("stream {name}"))?;
            let info = stream.info().await?;
            gauge!("kiln_bus_stream_messages", "stream" => name).set(count(info.state.messages));
            gauge!("kiln_bus_stream_bytes", "stream" => name).set(count(info.state.bytes));
            gauge!("kiln_bus_stream_limit_bytes", "stream" => name).set(count(info.config.max_bytes.unsigned_abs()));
            let mut consumers = stream.consumers();
            while let Some(consumer) = consumers.try_next().await? {
                let labels = [("stream", name.to_owned()), ("consumer", consumer.name)];
                gauge!("kiln_bus_consumer_pending", &labels).set(count(consumer.num_pending));
                gauge!("kiln_bus_consumer_unacknowledged", &labels).set(count(consumer.num_ack_pending as u64));
                gauge!("kiln_bus_consumer_redelivered", &labels).set(count(consumer.num_redelivered as u64));
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge needs no more than 53 bits")]
fn count(number: u64) -> f64 {
    number as f64
}
