//! How executions end: by an executor's report, a user's cancel, or the loss of an executor.
//! Whatever the cause, the fence in the database decides, and the last word goes out through the outbox.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kiln_bus::{Delivery, Outcome};
use kiln_db::Outgoing;
use kiln_domain::{Ended, EventId, Reason, ReasonCode, Status, TenantId, Usage};
use kiln_events::{Envelope, ExecutionRecord, Finished, Frame, FrameBody, subject};
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::measure::End;
use crate::store::{self, Ending, ExecutionRow};
use crate::{Scheduler, measure};

/// A report that fails so often is a bug of ours; it stays in the stream for a replay.
const MAX_DELIVER: i64 = 200;

/// Consumes the executors' reports.
pub fn task(scheduler: &Arc<Scheduler>, shutdown: CancellationToken) -> Task {
    let scheduler = Arc::clone(scheduler);
    Task::new("scheduler-finisher", async move {
        // What a scheduler had taken when it died comes again well before the lease of the run is given up for lost.
        let ack_wait = Duration::from_millis(scheduler.config.lease_ms / 2);
        let consumer = scheduler
            .bus
            .consumer(subject::EVENTS, "scheduler-finished", subject::EXECUTION_FINISHED, ack_wait, MAX_DELIVER)
            .await?;
        consumer.run_batches(shutdown, |batch| finish_batch(&scheduler, batch)).await
    })
}

async fn finish_batch(scheduler: &Scheduler, batch: Vec<Delivery<Envelope<Finished>>>) -> anyhow::Result<Vec<Outcome>> {
    let mut tenants: Vec<TenantId> = batch.iter().map(|delivery| delivery.payload.tenant_id).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let mut tx = scheduler.database.system().await?;
    store::lock_tenants(&mut tx, &tenants).await?;
    let mut messages = Vec::with_capacity(batch.len());
    let mut ended = Vec::with_capacity(batch.len());
    for delivery in &batch {
        let (tenant, finished) = (delivery.payload.tenant_id, &delivery.payload.payload);
        let ending = Ending {
            tenant,
            execution: finished.execution_id,
            attempt: finished.attempt,
            from: "running",
            ended: &finished.ended,
            started_at: Some(finished.started_at),
            finished_at: finished.finished_at,
            start: Some(finished.start),
            isolation: Some(&finished.isolation),
        };
        match store::end(&mut tx, &ending).await? {
            Some(row) => {
                messages.push(last_word(&row, Some(finished.last_seq))?);
                ended.push((row.created_at.to_jiff(), finished));
            }
            // A repeat, or an attempt that was given up: the fence holds.
            None => {
                tracing::debug!(execution = %finished.execution_id, attempt = finished.attempt, "report of an attempt that is over");
            }
        }
    }
    scheduler.relay.add(&mut tx, &messages).await?;
    tx.commit().await?;
    for (created_at, Finished { ended, start, started_at, finished_at, .. }) in ended {
        measure::ended(&End { ended, start: Some(*start), created_at, started_at: Some(*started_at), finished_at: *finished_at });
    }
    scheduler.ended(messages);
    Ok(vec![Outcome::Done; batch.len()])
}

impl Scheduler {
    /// After the commit of ends: tell the world, and use the capacity that came free.
    pub(crate) fn ended(&self, messages: Vec<Outgoing>) {
        self.fleet.changed(-i64::try_from(messages.len()).unwrap_or(0));
        self.relay.send(messages);
        self.wake.notify_one();
    }

    /// Ends an execution whose program does not run: it waited, or its executor is gone.
    /// The tenant and the row are locked by the caller's transaction.
    pub(crate) async fn end_without_executor(
        &self,
        connection: &mut sqlx::PgConnection,
        row: &ExecutionRow,
        ended: &Ended,
    ) -> anyhow::Result<Option<(ExecutionRecord, Outgoing)>> {
        let ending = Ending {
            tenant: TenantId(row.tenant_id),
            execution: kiln_domain::ExecutionId(row.id),
            attempt: row.attempt(),
            from: &row.state,
            ended,
            started_at: None,
            finished_at: Timestamp::now(),
            start: None,
            isolation: None,
        };
        let Some(row_after) = store::end(&mut *connection, &ending).await? else { return Ok(None) };
        // Nothing was printed by an attempt that never ran; what a lost one printed nobody can say.
        let last_seq = (row.state != "running").then_some(0);
        let message = last_word(&row_after, last_seq)?;
        self.relay.add(connection, std::slice::from_ref(&message)).await?;
        let record = row_after.record()?;
        let (created_at, finished_at) = (record.created_at, ending.finished_at);
        measure::ended(&End { ended, start: None, created_at, started_at: None, finished_at });
        Ok(Some((record, message)))
    }
}

/// The last frame of an execution's own output subject.
fn last_word(row: &ExecutionRow, last_seq: Option<u32>) -> anyhow::Result<Outgoing> {
    let record = row.record()?;
    let frame = Frame {
        attempt: record.attempt,
        seq: last_seq.map_or(u32::MAX, |seq| seq + 1),
        at: record.finished_at.unwrap_or(record.created_at),
        body: FrameBody::Ended { record: Box::new(record.clone()), last_seq },
    };
    Ok(Outgoing {
        id: EventId::generate(),
        subject: subject::output(record.tenant_id, record.id),
        body: serde_json::to_vec(&frame)?,
    })
}

/// The verdict of an end that no sandbox reported.
pub fn verdict(status: Status, code: ReasonCode, message: &str) -> Ended {
    Ended {
        status,
        reason: Some(Reason { code, message: message.to_owned() }),
        warnings: Vec::new(),
        exit_code: None,
        signal: None,
        usage: Usage::default(),
        stdout_truncated: false,
        stderr_truncated: false,
        files: Vec::new(),
        files_truncated: false,
        execution_count: None,
        session_restarted: false,
    }
}
