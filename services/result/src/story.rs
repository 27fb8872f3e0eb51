//! An execution's story as clients read it: from any point, live, to its end.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use futures::StreamExt as _;
use kiln_domain::{ExecutionId, TenantId};
use kiln_events::subject;
use kiln_http::Problem;
use serde_json::{Value, json};

use crate::Results;
use crate::store::{self, Kind, StoredFrame};

/// A reader looks by itself so often, should a notice have been missed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A point in a story, as the `id` of an event: attempt and frame. `0-0` is the execution's acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    pub attempt: i32,
    pub seq: i32,
}

impl EventId {
    pub const ACCEPTED: Self = Self { attempt: 0, seq: 0 };
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.attempt, self.seq)
    }
}

impl FromStr for EventId {
    type Err = Problem;
    fn from_str(text: &str) -> Result<Self, Problem> {
        let number = |part: &str| part.parse::<i32>().ok().filter(|number| *number >= 0 && part == number.to_string());
        let parsed = text.split_once('-').and_then(|(attempt, seq)| Some(Self { attempt: number(attempt)?, seq: number(seq)? }));
        parsed.ok_or_else(unknown_id)
    }
}

fn unknown_id() -> Problem {
    Problem::bad_request("The id to resume after is not one that this execution's events have had.")
}

/// One event of a story.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: EventId,
    pub body: EventBody,
}

#[derive(Debug, Clone, PartialEq)]
pub enum EventBody {
    /// `status`, `stdout`, `stderr` or `display`, with its data.
    Told { name: &'static str, data: Value },
    /// The whole execution in JSON; nothing follows.
    End(Arc<str>),
}

/// A reader of one story, at one point.
pub struct Reader {
    results: Arc<Results>,
    tenant: TenantId,
    execution: ExecutionId,
    /// What was told last; none before the first event.
    at: Option<EventId>,
    notices: Subscriber,
    ended: bool,
}

impl Reader {
    /// Begins after `after`, or at the beginning. The execution is the tenant's. 400 when `after` is no id of its events.
    pub async fn open(
        results: Arc<Results>,
        tenant: TenantId,
        execution: ExecutionId,
        after: Option<EventId>,
    ) -> Result<Self, Problem> {
        // Subscribed before the first look, so that nothing falls between.
        let notices = results.bus.client().subscribe(subject::stored(tenant, execution)).await.map_err(Problem::internal)?;
        let mut reader = Self { results, tenant, execution, at: after, notices, ended: false };
        if let Some(after) = after {
            reader.check(after).await?;
        }
        Ok(reader)
    }

    async fn check(&mut self, after: EventId) -> Result<(), Problem> {
        if after == EventId::ACCEPTED {
            return Ok(());
        }
        let mut tx = self.results.database.tenant(self.tenant).await?;
        let progress = store::progress(&mut tx, self.execution).await.map_err(Problem::internal)?.ok_or_else(unknown_id)?;
        // An earlier attempt's events are gone; the reader begins again with the attempt that counts.
        if after.attempt < progress.attempt && after.attempt > 0 {
            self.at = Some(EventId::ACCEPTED);
            return Ok(());
        }
        let exists = after.attempt == progress.attempt
            && after.seq >= 1
            && match progress.ended_seq {
                Some(last) => after.seq <= last,
                None => !store::frames(&mut tx, self.execution, after.attempt, after.seq - 1).await?.is_empty(),
            };
        if !exists {
            return Err(unknown_id());
        }
        self.ended = progress.ended_seq == Some(after.seq);
        Ok(())
    }

    /// The events that have come since, at least one, in order; none after the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Event>>, Problem> {
        if self.ended {
            return Ok(None);
        }
        loop {
            let events = self.read().await?;
            if !events.is_empty() {
                return Ok(Some(events));
            }
            tokio::select! {
                notice = tokio::time::timeout(LOOK_EVERY, self.notices.next()) => {
                    if matches!(notice, Ok(None)) {
                        return Err(Problem::unavailable("The bus is not reachable; resume."));
                    }
                }
                () = self.results.shutdown.cancelled() => return Err(Problem::unavailable("The service is stopping; resume.")),
            }
        }
    }

    /// Moves on only after its last wait: a reader that is dropped while it reads has lost nothing.
    async fn read(&mut self) -> Result<Vec<Event>, Problem> {
        let mut events = Vec::new();
        if self.at.is_none() {
            let data = json!({ "status": "queued" });
            events.push(Event { id: EventId::ACCEPTED, body: EventBody::Told { name: "status", data } });
        }
        let mut tx = self.results.database.tenant(self.tenant).await?;
        let Some(progress) = store::progress(&mut tx, self.execution).await.map_err(Problem::internal)? else {
            self.at = Some(self.at.unwrap_or(EventId::ACCEPTED));
            return Ok(events);
        };
        let at = self.at.filter(|at| at.attempt == progress.attempt).map_or(0, |at| at.seq);
        let frames = store::frames(&mut tx, self.execution, progress.attempt, at).await?;
        drop(tx);
        let mut last = EventId { attempt: progress.attempt, seq: at };
        for frame in frames {
            if frame.seq != last.seq + 1 {
                break; // the frame between is still on its way
            }
            last.seq = frame.seq;
            events.push(told(&frame));
        }
        let ended = progress.ended_seq == Some(last.seq + 1);
        if ended {
            last.seq += 1;
            let document = self.results.document(self.tenant, self.execution).await?;
            let text = serde_json::to_string(&document).map_err(Problem::internal)?;
            events.push(Event { id: last, body: EventBody::End(text.into()) });
        }
        self.at = Some(last);
        self.ended = ended;
        Ok(events)
    }
}

fn told(frame: &StoredFrame) -> Event {
    let id = EventId { attempt: frame.attempt, seq: frame.seq };
    let text = || json!({ "text": String::from_utf8_lossy(&frame.body) });
    let stored = || serde_json::from_slice(&frame.body).unwrap_or(Value::Null);
    let (name, data) = match frame.kind {
        Kind::Status => ("status", stored()),
        Kind::Stdout => ("stdout", text()),
        Kind::Stderr => ("stderr", text()),
        Kind::Display => ("display", stored()),
    };
    Event { id, body: EventBody::Told { name, data } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_nothing_else_is() {
        let id = EventId { attempt: 1, seq: 27 };
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        for text in ["", "1", "1-", "-1", "1-2-3", "a-b", "01-2", "1-+2", "1--2", "99999999999-1"] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }
}
