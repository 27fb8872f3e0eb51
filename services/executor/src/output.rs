//! An attempt's frames on their way to the bus: numbered, in order, gathered for a moment, each confirmed or sent again.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use kiln_bus::{Ack, Bus, PublishError};
use kiln_domain::{Ended, ReasonCode};
use kiln_events::{Frame, FrameBody, Stream};
use tokio::time::Instant;

use crate::mask::Mask;

/// Messages sent and not yet confirmed; further ones wait, and the program with them.
const WINDOW: usize = 32;
/// A message that the bus has not taken for so long is given up, and the run with it: its lease has run out long since.
const GIVE_UP_AFTER: Duration = Duration::from_mins(2);
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// Largest frame in JSON, under the bus's own bound.
const MAX_FRAME: usize = 7 << 20;

/// How long a frame waits for company, or for the end, which takes it along: most runs end within that time, and their
/// output is then no message of its own.
const GATHER: Duration = Duration::from_millis(3);
/// The same for the word that the attempt runs, which nobody waits for.
const GATHER_STATUS: Duration = Duration::from_millis(10);
/// Frames that are larger together wait for nothing.
const GATHER_BYTES: usize = 16 << 10;
/// What is kept of the last output, and told of its last line, in bytes and characters.
const TAIL_BYTES: usize = 1024;
const LINE_CHARACTERS: usize = 120;

/// What could be the beginning of a masked secret is held back for so long after the last output.
const MASKED_AT_MOST: Duration = Duration::from_millis(50);

/// The frames of one attempt.
pub struct OutputPublisher {
    bus: Bus,
    subject: String,
    attempt: u32,
    mask: Mask,
    mask_until: Option<Instant>,
    last_seq: u32,
    gathered: Vec<Frame>,
    gathered_bytes: usize,
    gathered_until: Option<Instant>,
    /// The end of what was printed, without what is masked.
    tail: Vec<u8>,
    unconfirmed: VecDeque<(Vec<u8>, Option<Ack>)>,
}

#[derive(Debug, thiserror::Error)]
#[error("the bus took no output for {} s", GIVE_UP_AFTER.as_secs())]
pub struct OutputLost {
    #[source]
    source: PublishError,
}

/// What is left to tell with the end.
pub struct LastFrames {
    /// Number of the last frame.
    pub last_seq: u32,
    /// All others are published.
    pub frames: Vec<Frame>,
}

impl OutputPublisher {
    pub fn new(bus: Bus, subject: String, attempt: u32, mask: Mask) -> Self {
        Self {
            bus,
            subject,
            attempt,
            mask,
            mask_until: None,
            last_seq: 0,
            gathered: Vec::new(),
            gathered_bytes: 0,
            gathered_until: None,
            tail: Vec::new(),
            unconfirmed: VecDeque::new(),
        }
    }

    /// Takes the next frame, without what is masked; waits only when too many are unconfirmed.
    pub async fn send(&mut self, body: FrameBody) -> Result<(), OutputLost> {
        match body {
            FrameBody::Output { stream, data } if !self.mask.is_empty() => {
                let data = self.mask.pass(stream, data);
                self.mask_until = self.mask.holds().then(|| Instant::now() + MASKED_AT_MOST);
                self.send_output(stream, data).await
            }
            FrameBody::Display { mut output } if !self.mask.is_empty() => {
                self.unmask().await?;
                self.mask.hide_in(&mut output);
                self.send_frame(FrameBody::Display { output }).await
            }
            body
            @ (FrameBody::Status { .. } | FrameBody::Output { .. } | FrameBody::Display { .. } | FrameBody::Ended { .. }) => {
                self.send_frame(body).await
            }
        }
    }

    /// Waits until something that is held is due, which may be never. Cancel-safe.
    pub async fn due(&self) {
        match self.mask_until.into_iter().chain(self.gathered_until).min() {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// Sends what is due.
    pub async fn send_due(&mut self) -> Result<(), OutputLost> {
        let now = Instant::now();
        if self.mask_until.is_some_and(|until| until <= now) {
            self.unmask().await?;
        }
        if self.gathered_until.is_some_and(|until| until <= now) { self.publish().await } else { Ok(()) }
    }

    /// Gives the end of what is left; everything else is confirmed. A run that was ended is told with its last line.
    pub async fn finish(mut self, ended: &mut Ended) -> Result<LastFrames, OutputLost> {
        self.unmask().await?;
        if let Some(reason) = ended.reason.as_mut().filter(|reason| is_cut_short(reason.code))
            && let Some(line) = last_line(&self.tail)
        {
            reason.message = format!("{} Last line printed: {line}", reason.message);
        }
        while !self.unconfirmed.is_empty() {
            self.confirm_oldest().await?;
        }
        Ok(LastFrames { last_seq: self.last_seq, frames: self.gathered })
    }

    /// Lets go of what is held back.
    async fn unmask(&mut self) -> Result<(), OutputLost> {
        self.mask_until = None;
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
        if let FrameBody::Output { data, .. } = &body {
            self.tail.extend_from_slice(data.get(data.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
            self.tail.drain(..self.tail.len().saturating_sub(TAIL_BYTES));
        }
        let (bytes, patience) = match &body {
            FrameBody::Output { data, .. } => (data.len() / 3 * 4, GATHER),
            FrameBody::Display { output } => (output.to_string().len(), GATHER),
            FrameBody::Status { waiting_for_input: Some(_), .. } => (0, GATHER),
            FrameBody::Status { .. } | FrameBody::Ended { .. } => (0, GATHER_STATUS),
        };
        if bytes > MAX_FRAME {
            tracing::warn!("a display was too large for the bus and is left out");
            return Ok(());
        }
        if self.gathered_bytes + bytes > GATHER_BYTES && !self.gathered.is_empty() {
            self.publish().await?;
        }
        let now = Instant::now();
        self.last_seq += 1;
        metrics::counter!("kiln_executor_output_bytes_total").increment(bytes as u64);
        self.gathered.push(Frame { attempt: self.attempt, seq: self.last_seq, at: Timestamp::now(), body });
        self.gathered_bytes += bytes;
        let until = now + patience;
        self.gathered_until = Some(self.gathered_until.map_or(until, |earlier| earlier.min(until)));
        if self.gathered_bytes > GATHER_BYTES { self.publish().await } else { Ok(()) }
    }

    /// Sends what has been gathered as one message.
    async fn publish(&mut self) -> Result<(), OutputLost> {
        (self.gathered_until, self.gathered_bytes) = (None, 0);
        let frames = std::mem::take(&mut self.gathered);
        if frames.is_empty() {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&frames).map_err(|error| OutputLost { source: error.into() })?;
        while self.unconfirmed.len() >= WINDOW {
            self.confirm_oldest().await?;
        }
        let ack = self.bus.publish_later(&self.subject, None, bytes.clone()).await.ok();
        self.unconfirmed.push_back((bytes, ack));
        Ok(())
    }

    /// A frame sent twice is stored once, by its number, so sending again is safe.
    async fn confirm_oldest(&mut self) -> Result<(), OutputLost> {
        let Some((bytes, ack)) = self.unconfirmed.pop_front() else { return Ok(()) };
        if let Some(ack) = ack
            && ack.confirmed().await.is_ok()
        {
            return Ok(());
        }
        let begun = Instant::now();
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

/// Whether the last line helps to see how far the program came.
fn is_cut_short(code: ReasonCode) -> bool {
    use ReasonCode::{CpuTime, Disk, Memory, Pids, Signal, WallTime};
    matches!(code, CpuTime | Disk | Memory | Pids | Signal | WallTime)
}

/// The last line that is not blank, shortened, without control characters.
fn last_line(tail: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(tail);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().filter(|character| !character.is_control()).take(LINE_CHARACTERS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_short_and_plain() {
        assert_eq!(last_line(b"one\ntwo\x1b[31m\n \n\n").as_deref(), Some("two[31m"));
        assert_eq!(last_line(b" \n\t"), None);
        assert_eq!(last_line("é".repeat(500).as_bytes()).map(|line| line.chars().count()), Some(LINE_CHARACTERS));
    }
}
