//! From the bus to Postgres: frames are stored in batches, and those who watch are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_bus::{Delivery, Outcome};
use kiln_db::SystemTx;
use kiln_domain::{ExecutionId, TenantId};
use kiln_events::{ExecutionRecord, Frame, FrameBody, Stored, Stream, subject};
use kiln_http::Execution;
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::Results;
use crate::document::Output;
use crate::run;
use crate::store::{self, Kind, NewFrame};

const ACK_WAIT: Duration = Duration::from_secs(30);
/// An end waits this often for frames that another process has still to store, and so long each time: together twice as long
/// as it takes until what a process had taken when it died is delivered again.
const MAX_DELIVER: i64 = 240;
const WAIT_FOR_FRAMES: Duration = Duration::from_millis(250);
/// How long a frame that nobody waits for is kept for more to come. A reader at another replica sees it so much later.
const GATHER: Duration = Duration::from_millis(20);

pub fn task(results: &Arc<Results>, shutdown: CancellationToken) -> Task {
    let results = Arc::clone(results);
    Task::new("result-ingest", async move {
        let consumer = results.bus.consumer(subject::OUTPUT, "result-ingest", subject::ALL_OUTPUT, ACK_WAIT, MAX_DELIVER).await?;
        consumer
            .run_gathered(shutdown, |frames: &Vec<Frame>| patience(&results, frames), |batch| store_batch(&results, batch))
            .await
    })
}

/// While somebody reads along, and at an end, at once. Most runs end within the time that the others may wait, and are
/// then one transaction.
fn patience(results: &Results, frames: &[Frame]) -> Duration {
    let ends = frames.iter().any(|frame| matches!(frame.body, FrameBody::Ended { .. }));
    if ends || results.streams.is_any_open() { Duration::ZERO } else { GATHER }
}

/// An execution by its subject.
type Key = (TenantId, ExecutionId);

/// Its attempt, its number in it, and what it is.
type Numbered = (i32, u32, Piece);

/// What one frame is.
enum Piece {
    Frame(NewFrame),
    End { record: Box<ExecutionRecord>, last_seq: Option<u32> },
}

async fn store_batch(results: &Results, batch: Vec<Delivery<Vec<Frame>>>) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut frames = Vec::new();
    let mut ends = Vec::new();
    let mut attempts: BTreeMap<ExecutionId, (TenantId, i32)> = BTreeMap::new();
    let mut notices: BTreeMap<Key, Stored> = BTreeMap::new();
    for (at, delivery) in batch.into_iter().enumerate() {
        let delivered = delivery.delivered;
        let Some((key, pieces)) = parse(delivery) else {
            tracing::error!("output frames do not fit their subject; rejected");
            outcomes.push(Outcome::Reject);
            continue;
        };
        let (tenant, execution) = key;
        for (attempt, seq, piece) in pieces {
            let newest = attempts.entry(execution).or_insert((tenant, attempt));
            newest.1 = newest.1.max(attempt);
            notices.insert(key, Stored { attempt: attempt.unsigned_abs(), seq, ended: false });
            match piece {
                Piece::Frame(frame) => frames.push(frame),
                Piece::End { record, last_seq } => ends.push((at, delivered, record, last_seq)),
            }
        }
        outcomes.push(Outcome::Done);
    }

    let mut tx = results.database.system().await?;
    let attempts: Vec<_> = attempts.into_iter().map(|(execution, (tenant, attempt))| (execution, tenant, attempt)).collect();
    store::note_attempts(&mut tx, &attempts).await?;
    store::insert_frames(&mut tx, &frames).await?;
    let mut ended = Vec::new();
    for (at, delivered, record, last_seq) in ends {
        let outcome = store_end(&mut tx, delivered, &record, last_seq).await?;
        if outcome == Outcome::Done {
            if let Some(notice) = notices.get_mut(&(record.tenant_id, record.id)) {
                notice.ended = true;
            }
            ended.push((record, last_seq));
        }
        if let Some(slot) = outcomes.get_mut(at) {
            *slot = outcome;
        }
    }
    tx.commit().await?;

    let interactive: Vec<ExecutionId> =
        ended.iter().filter(|(record, _)| record.interactive).map(|(record, _)| record.id).collect();
    let of_notebooks = ended.iter().any(|(record, _)| record.labels.contains_key(run::NOTEBOOK_LABEL));
    for (record, last_seq) in ended {
        let key = (record.tenant_id, record.id);
        if let Some(document) = whole_document(&frames, *record, last_seq) {
            results.ends.tell(key, document);
        }
    }
    for ((tenant, execution), notice) in notices {
        results.tell_watchers(tenant, execution, notice).await;
    }
    if of_notebooks {
        results.runs.wake.notify_one();
    }
    for execution in interactive {
        results.forget_stdin(execution).await;
    }
    Ok(outcomes)
}

/// The execution in JSON, if all that it told came in these frames; else whoever wants it reads the store.
fn whole_document(frames: &[NewFrame], record: ExecutionRecord, last_seq: Option<u32>) -> Option<Bytes> {
    let mut output = Output::new(record.session_id.is_some());
    let mut last = 0;
    for frame in frames.iter().filter(|frame| frame.execution == record.id && frame.attempt.unsigned_abs() == record.attempt) {
        last += 1;
        if frame.seq != last {
            return None;
        }
        output.add(frame.kind, &frame.body).ok()?;
    }
    if last_seq? != last.unsigned_abs() {
        return None;
    }
    let document = Execution::new(record, Some(output.into_printed()));
    serde_json::to_vec(&document).ok().map(Bytes::from)
}

/// The subject says whose it is; a body that contradicts it is refused.
fn parse(delivery: Delivery<Vec<Frame>>) -> Option<(Key, Vec<Numbered>)> {
    let mut parts = delivery.subject.rsplit('.');
    let execution: ExecutionId = parts.next()?.parse().ok()?;
    let tenant: TenantId = parts.next()?.parse().ok()?;
    let key = (tenant, execution);
    delivery.payload.into_iter().map(|frame| piece(key, frame)).collect::<Option<Vec<_>>>().map(|pieces| (key, pieces))
}

/// A frame with its attempt and number; none when it cannot be one of this execution.
fn piece((tenant, execution): Key, frame: Frame) -> Option<Numbered> {
    let attempt = i32::try_from(frame.attempt).ok()?;
    let new = |kind, body| -> Option<Piece> {
        let seq = i32::try_from(frame.seq).ok().filter(|seq| *seq > 0)?;
        Some(Piece::Frame(NewFrame { execution, tenant, attempt, seq, kind, body }))
    };
    let piece = match frame.body {
        FrameBody::Status { status, waiting_for_input } => {
            let body = match waiting_for_input {
                Some(waiting) => serde_json::json!({ "status": status, "waiting_for_input": waiting }),
                None => serde_json::json!({ "status": status }),
            };
            new(Kind::Status, body.to_string().into_bytes())?
        }
        FrameBody::Output { stream: Stream::Stdout, data } => new(Kind::Stdout, data)?,
        FrameBody::Output { stream: Stream::Stderr, data } => new(Kind::Stderr, data)?,
        FrameBody::Display { output } => new(Kind::Display, output.to_string().into_bytes())?,
        FrameBody::Ended { record, last_seq } => {
            if record.id != execution || record.tenant_id != tenant || record.attempt != frame.attempt {
                return None;
            }
            Piece::End { record, last_seq }
        }
    };
    Some((attempt, frame.seq, piece))
}

async fn store_end(
    tx: &mut SystemTx,
    delivered: i64,
    record: &ExecutionRecord,
    last_seq: Option<u32>,
) -> anyhow::Result<Outcome> {
    let have = store::contiguous(tx, record.id, i32::try_from(record.attempt)?).await?;
    let expected = last_seq.map(i32::try_from).transpose()?;
    match expected {
        Some(expected) if have >= expected => store::end(tx, record, expected).await?,
        // An executor that died may have frames on their way; after one more look there are none.
        None if delivered > 1 => store::end(tx, record, have).await?,
        Some(expected) if delivered >= MAX_DELIVER => {
            tracing::error!(execution = %record.id, expected, have, "output frames never came; the execution ends with what there is");
            store::end(tx, record, have).await?;
        }
        Some(_) | None => return Ok(Outcome::Retry(WAIT_FOR_FRAMES)),
    }
    Ok(Outcome::Done)
}

impl Results {
    async fn tell_watchers(&self, tenant: TenantId, execution: ExecutionId, notice: Stored) {
        let Ok(body) = serde_json::to_vec(&notice) else { return };
        if let Err(error) = self.bus.client().publish(subject::stored(tenant, execution), body.into()).await {
            tracing::warn!(%error, "watchers were not told; they look by themselves");
        }
    }

    /// Input that an ended execution did not read.
    async fn forget_stdin(&self, execution: ExecutionId) {
        if let Err(error) = self.bus.forget_stdin(execution).await {
            tracing::warn!(%error, %execution, "unread input stays until it expires");
        }
    }
}
