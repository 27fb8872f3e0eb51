//! Cancel and delete.

use std::time::Duration;

use jiff::Timestamp;
use kiln_domain::{ReasonCode, Status};
use kiln_events::{Cancel, CancelReply, Delete, DeleteReply, ExecutionRecord, Stop, StopReply, subject};
use kiln_runtime::outbox::Relay;

use crate::finisher::verdict;
use crate::{Scheduler, store};

/// How long an executor may take to answer; it is told again at its next call.
const STOP_DEADLINE: Duration = Duration::from_millis(500);

impl Scheduler {
    /// What waits ends at once; what runs is stopped by its executor, which reports the end.
    pub(super) async fn cancel(&self, query: Cancel) -> anyhow::Result<CancelReply> {
        let mut tx = self.database.system().await?;
        store::lock_tenants(&mut tx, &[query.tenant_id]).await?;
        let Some(row) = store::load_for_update(&mut tx, query.tenant_id, query.execution_id).await? else {
            return Ok(CancelReply::NotFound);
        };
        if row.status().is_terminal() {
            return Ok(CancelReply::AlreadyEnded);
        }
        if row.state == "running" {
            store::request_stop(&mut tx, query.tenant_id, query.execution_id, ReasonCode::CancelledByUser).await?;
            tx.commit().await?;
            let record = row.record()?;
            self.tell_executor(&record, ReasonCode::CancelledByUser).await;
            return Ok(CancelReply::Accepted(Box::new(record)));
        }
        let ended = verdict(Status::Cancelled, ReasonCode::CancelledByUser, "Cancelled by the user before it started.");
        let ended = self.end_without_executor(&mut tx, &row, &ended).await?;
        tx.commit().await?;
        let Some((record, message)) = ended else { return Ok(CancelReply::AlreadyEnded) };
        if row.state == "dispatched" {
            self.ended(vec![message]);
        } else {
            self.relay.send(vec![message]);
        }
        Ok(CancelReply::Accepted(Box::new(record)))
    }

    /// Asks for the stop now; should that fail, the executor's next call brings it.
    pub(crate) async fn tell_executor(&self, record: &ExecutionRecord, cause: ReasonCode) {
        let Some(executor) = &record.executor_id else { return };
        let stop = Stop { execution_id: record.id, attempt: record.attempt, cause };
        let told: Result<StopReply, _> = self.bus.request(&subject::control(executor, "stop"), &stop, STOP_DEADLINE).await;
        if let Err(error) = told {
            tracing::warn!(%error, execution = %record.id, "executor was not told to stop; it is told at its next call");
        }
    }

    /// Forgets an execution that has ended; the result service forgets its output by the event.
    pub(super) async fn delete(&self, query: Delete) -> anyhow::Result<DeleteReply> {
        let mut tx = self.database.system().await?;
        let Some(row) = store::load_for_update(&mut tx, query.tenant_id, query.execution_id).await? else {
            return Ok(DeleteReply::NotFound);
        };
        if !row.status().is_terminal() {
            return Ok(DeleteReply::StillLive);
        }
        sqlx::query!("DELETE FROM scheduler.execution WHERE id = $1 AND tenant_id = $2", row.id, row.tenant_id)
            .execute(&mut *tx)
            .await?;
        let deleted = Relay::event(subject::EXECUTION_DELETED, query.tenant_id, Timestamp::now(), query)?;
        self.relay.add(&mut tx, std::slice::from_ref(&deleted)).await?;
        tx.commit().await?;
        self.relay.send(vec![deleted]);
        Ok(DeleteReply::Deleted)
    }
}
