//! How executions end: by an executor's report, a user's cancel, or the loss of an executor.
//! Whatever the cause, the fence in the database decides, and the last word goes out through the outbox.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use kiln_bus::{Delivery, Outcome};
use kiln_db::Outgoing;
use kiln_domain::{Ended, EventId, Reason, ReasonCode, Status, TenantId, Usage};
use kiln_events::{Envelope, ExecutionRecord, Finished, Frame, FrameBody, subject};
use kiln_runtime::Task;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::measure::End;
use crate::store::{self, Ending, ExecutionRow};
use crate::{Scheduler, measure};

/// A report that fails so often is a bug of ours; it stays in the stream for a replay.
const MAX_DELIVER: i64 = 200;

/// Reports of one transaction, at most.
const BATCH: usize = 64;

/// Reports on their way to the finisher, each with who waits until it is stored.
pub type Reports = mpsc::Sender<(Envelope<Finished>, oneshot::Sender<()>)>;
pub type ReportQueue = mpsc::Receiver<(Envelope<Finished>, oneshot::Sender<()>)>;

/// The way for reports; as many may wait as one process takes requests at once.
pub fn reports() -> (Reports, ReportQueue) {
    mpsc::channel(256)
}

/// Stores what executors report and wait for; several reports in one transaction, if they come together.
pub fn task(scheduler: &Arc<Scheduler>, mut queue: ReportQueue, shutdown: CancellationToken) -> Task {
    let scheduler = Arc::clone(scheduler);
    Task::new("scheduler-finisher", async move {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                _ = queue.recv_many(&mut batch, BATCH) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            let (reports, waiting): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
            match finish(&scheduler, reports).await {
                Ok(()) => {
                    for reporter in waiting {
                        // Who has gone reports again, to no effect.
                        let _ = reporter.send(());
                    }
                }
                Err(error) => tracing::warn!(error = format!("{error:#}"), "ends were not stored; they come again over the bus"),
            }
        }
    })
}

/// Consumes the reports that no scheduler was there for.
pub fn left_task(scheduler: &Arc<Scheduler>, shutdown: CancellationToken) -> Task {
    let scheduler = Arc::clone(scheduler);
    Task::new("scheduler-finished", async move {
        // What a scheduler had taken when it died comes again well before the lease of the run is given up for lost.
        let ack_wait = Duration::from_millis(scheduler.config.lease_ms / 2);
        let consumer = scheduler
            .bus
            .consumer(subject::EVENTS, "scheduler-finished", subject::EXECUTION_FINISHED, ack_wait, MAX_DELIVER)
            .await?;
        let finish_batch = async |batch: Vec<Delivery<Envelope<Finished>>>| {
            let done = vec![Outcome::Done; batch.len()];
            finish(&scheduler, batch.into_iter().map(|delivery| delivery.payload).collect()).await.map(|()| done)
        };
        consumer.run_batches(shutdown, finish_batch).await
    })
}

async fn finish(scheduler: &Scheduler, reports: Vec<Envelope<Finished>>) -> anyhow::Result<()> {
    let mut tenants: Vec<TenantId> = reports.iter().map(|report| report.tenant_id).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let mut tx = scheduler.database.system().await?;
    store::lock_tenants(&mut tx, &tenants).await?;
    let mut may_stop_others = false;
    let mut messages = Vec::with_capacity(reports.len());
    let mut ended = Vec::with_capacity(reports.len());
    for Envelope { tenant_id: tenant, payload: finished, .. } in reports {
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
                may_stop_others |= row.session_id.is_some() && finished.ended.status != Status::Succeeded;
                messages.push(last_word(&row, Some(finished.last_seq), finished.last_frames)?);
                ended.push((row.created_at.to_jiff(), finished.ended, finished.start, finished.started_at, finished.finished_at));
            }
            // A repeat, or an attempt that was given up: the fence holds.
            None => {
                tracing::debug!(execution = %finished.execution_id, attempt = finished.attempt, "report of an attempt that is over");
            }
        }
    }
    scheduler.relay.add(&mut tx, &messages).await?;
    tx.commit().await?;
    for (created_at, ended, start, started_at, finished_at) in &ended {
        measure::ended(&End {
            ended,
            start: Some(*start),
            created_at: *created_at,
            started_at: Some(*started_at),
            finished_at: *finished_at,
        });
    }
    scheduler.ended(messages);
    if may_stop_others {
        scheduler.batch_failed.notify_one();
    }
    Ok(())
}

impl Scheduler {
    /// Answers an executor once the end of its attempt is stored, or is known to count no more.
    pub(crate) async fn finished(&self, report: Envelope<Finished>) -> anyhow::Result<()> {
        let (reporter, stored) = oneshot::channel();
        self.reports.send((report, reporter)).await.context("the finisher has ended")?;
        stored.await.context("the end was not stored")
    }

    /// After the commit of ends: tell the world, and use the capacity that came free.
    pub(crate) fn ended(&self, messages: Vec<Outgoing>) {
        self.fleet.changed(-i64::try_from(messages.len()).unwrap_or(0));
        self.relay.send(messages);
        if self.may_wait.load(Ordering::Relaxed) {
            self.wake.notify_one();
        }
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
        let message = last_word(&row_after, last_seq, Vec::new())?;
        self.relay.add(connection, std::slice::from_ref(&message)).await?;
        let record = row_after.record()?;
        let (created_at, finished_at) = (record.created_at, ending.finished_at);
        measure::ended(&End { ended, start: None, created_at, started_at: None, finished_at });
        Ok(Some((record, message)))
    }
}

/// The last message on an execution's own output subject: what was printed last, and the end.
fn last_word(row: &ExecutionRow, last_seq: Option<u32>, mut frames: Vec<Frame>) -> anyhow::Result<Outgoing> {
    let record = row.record()?;
    let subject = subject::output(record.tenant_id, record.id);
    frames.push(Frame {
        attempt: record.attempt,
        seq: last_seq.map_or(u32::MAX, |seq| seq + 1),
        at: record.finished_at.unwrap_or(record.created_at),
        body: FrameBody::Ended { record: Box::new(record), last_seq },
    });
    Ok(Outgoing { id: EventId::generate(), subject, body: serde_json::to_vec(&frames)? })
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
