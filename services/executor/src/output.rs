//! An attempt's frames on their way to the bus: numbered, in order, each confirmed or sent again.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use kiln_bus::{Ack, Bus, PublishError};
use kiln_events::{Frame, FrameBody, Stream};

use crate::mask::Mask;

/// Frames sent and not yet confirmed; further ones wait, and the program with them.
const WINDOW: usize = 32;
/// A frame that the bus has not taken for so long is given up, and the run with it: its lease has run out long since.
const GIVE_UP_AFTER: Duration = Duration::from_mins(2);
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// Largest frame in JSON, under the bus's own bound.
const MAX_FRAME: usize = 7 << 20;

/// What could be the beginning of a masked secret is held back for so long after the last output.
pub const HELD_AT_MOST: Duration = Duration::from_millis(50);

/// The frames of one attempt.
pub struct OutputPublisher {
    bus: Bus,
    subject: String,
    attempt: u32,
    mask: Mask,
    last_seq: u32,
    unconfirmed: VecDeque<(Vec<u8>, Option<Ack>)>,
}

#[derive(Debug, thiserror::Error)]
#[error("the bus took no output for {} s", GIVE_UP_AFTER.as_secs())]
pub struct OutputLost {
    #[source]
    source: PublishError,
}

impl OutputPublisher {
    pub fn new(bus: Bus, subject: String, attempt: u32, mask: Mask) -> Self {
        Self { bus, subject, attempt, mask, last_seq: 0, unconfirmed: VecDeque::with_capacity(WINDOW) }
    }

    /// Sends the next frame, without what is masked; waits only when too many are unconfirmed.
    pub async fn send(&mut self, body: FrameBody) -> Result<(), OutputLost> {
        match body {
            FrameBody::Output { stream, data } if !self.mask.is_empty() => {
                let data = self.mask.pass(stream, data);
                self.send_output(stream, data).await
            }
            FrameBody::Display { mut output } if !self.mask.is_empty() => {
                self.let_go().await?;
                self.mask.hide_in(&mut output);
                self.send_frame(FrameBody::Display { output }).await
            }
            body
            @ (FrameBody::Status { .. } | FrameBody::Output { .. } | FrameBody::Display { .. } | FrameBody::Ended { .. }) => {
                self.send_frame(body).await
            }
        }
    }

    /// Whether output is held back, since it could be the beginning of a secret.
    pub fn holds(&self) -> bool {
        self.mask.holds()
    }

    /// Sends what is held back.
    pub async fn let_go(&mut self) -> Result<(), OutputLost> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let data = self.mask.let_go(stream);
            self.send_output(stream, data).await?;
        }
        Ok(())
    }

    async fn send_output(&mut self, stream: Stream, data: Vec<u8>) -> Result<(), OutputLost> {
        if data.is_empty() { Ok(()) } else { self.send_frame(FrameBody::Output { stream, data }).await }
    }

    async fn send_frame(&mut self, body: FrameBody) -> Result<(), OutputLost> {
        let frame = Frame { attempt: self.attempt, seq: self.last_seq + 1, at: Timestamp::now(), body };
        let bytes = match serde_json::to_vec(&frame) {
            Ok(bytes) if bytes.len() <= MAX_FRAME => bytes,
            Ok(_) | Err(_) => {
                tracing::warn!("a display was too large for the bus and is left out");
                return Ok(());
            }
        };
        while self.unconfirmed.len() >= WINDOW {
            self.confirm_oldest().await?;
        }
        self.last_seq += 1;
        metrics::counter!("kiln_executor_output_bytes_total").increment(bytes.len() as u64);
        let ack = self.bus.publish_later(&self.subject, None, bytes.clone()).await.ok();
        self.unconfirmed.push_back((bytes, ack));
        Ok(())
    }

    /// Waits until every frame is confirmed; gives the number of the last.
    pub async fn finish(mut self) -> Result<u32, OutputLost> {
        self.let_go().await?;
        while !self.unconfirmed.is_empty() {
            self.confirm_oldest().await?;
        }
        Ok(self.last_seq)
    }

    /// A frame sent twice is stored once, by its number, so sending again is safe.
    async fn confirm_oldest(&mut self) -> Result<(), OutputLost> {
        let Some((bytes, ack)) = self.unconfirmed.pop_front() else { return Ok(()) };
        if let Some(ack) = ack
            && ack.confirmed().await.is_ok()
        {
            return Ok(());
        }
        let begun = std::time::Instant::now();
        loop {
            let sent = async { self.bus.publish_later(&self.subject, None, bytes.clone()).await?.confirmed().await };
            match sent.await {
                Ok(()) => return Ok(()),
                Err(source) if begun.elapsed() > GIVE_UP_AFTER => return Err(OutputLost { source }),
                Err(error) => tracing::warn!(%error, "output was not confirmed; sent again"),
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }
}
