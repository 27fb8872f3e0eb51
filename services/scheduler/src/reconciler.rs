//! The reconciler: compares the database with what executors say and with the clock, and ends or requeues what nothing owns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_db::IdempotencyStore;
use kiln_domain::{Ended, ExecutionId, ReasonCode, Status, TenantId};
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::finisher::verdict;
use crate::sessions::Closing;
use crate::{Scheduler, store};

const LEASES_EVERY: Duration = Duration::from_secs(1);
/// Every so many rounds the reservations are counted and old keys forgotten.
const SLOW_EVERY: u32 = 30;
/// An attempt that nobody has claimed for so long is made anew; its old message, should it come, is refused.
const DISPATCH_STUCK_MS: i64 = 60_000;

/// A session that has not come to be after so long never will.
const SESSION_START_MS: i64 = 60_000;

pub fn task(scheduler: &Arc<Scheduler>, shutdown: CancellationToken) -> Task {
    let scheduler = Arc::clone(scheduler);
    Task::new("scheduler-reconciler", async move {
        // After a start every executor has a whole lease to call before it is given up.
        let started = Instant::now();
        let grace = Duration::from_millis(scheduler.config.lease_ms);
        let mut rounds = 0_u32;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(LEASES_EVERY) => {}
            }
            let leases = started.elapsed() > grace;
            if let Err(error) = round(&scheduler, leases, rounds.is_multiple_of(SLOW_EVERY)).await {
                tracing::warn!(error = format!("{error:#}"), "reconciliation failed; it is tried again");
            }
            rounds = rounds.wrapping_add(1);
        }
    })
}

async fn round(scheduler: &Scheduler, leases: bool, slow: bool) -> anyhow::Result<()> {
    let mut tx = scheduler.database.system().await?;
    let expired = if leases { store::leases_expired(&mut tx).await? } else { Vec::new() };
    let stuck = store::stuck_dispatches(&mut tx, DISPATCH_STUCK_MS).await?;
    let runtimes = scheduler.fleet.runtimes(Instant::now());
    let wait_ms = i64::try_from(scheduler.config.runtime_wait_ms)?;
    let unavailable = if leases { store::waited_for_runtime(&mut tx, &runtimes, wait_ms).await? } else { Vec::new() };
    let lost = if leases { store::lost_sessions(&mut tx, SESSION_START_MS).await? } else { Vec::new() };
    let idle = store::idle_sessions(&mut tx).await?;
    scheduler.fleet.set_outstanding(store::active_total(&mut tx).await?);
    tx.commit().await?;

    for (tenant, session) in lost {
        scheduler.close_session(tenant, session, &Closing::ExecutorLost).await?;
    }
    for (tenant, session) in idle {
        scheduler.close_session(tenant, session, &Closing::Idle).await?;
    }
    for (tenant, execution) in expired.into_iter().chain(stuck) {
        scheduler.give_up_attempt(tenant, execution).await?;
    }
    for (tenant, execution) in unavailable {
        let ended = verdict(Status::Lost, ReasonCode::RuntimeUnavailable, "No executor offers this runtime.");
        scheduler.end_waiting(tenant, execution, &ended).await?;
    }
    if slow {
        let mut tx = scheduler.database.system().await?;
        let mended = store::correct_reservations(&mut tx).await?;
        IdempotencyStore::new("scheduler").expire(&mut tx).await?;
        tx.commit().await?;
        metrics::counter!("kiln_scheduler_reservations_mended_total").increment(mended);
        if mended > 0 {
            tracing::error!(tenants = mended, "reservations did not equal the live attempts; they do now");
        }
    }
    Ok(())
}

/// What becomes of an attempt that has no executor any more.
#[derive(Debug, PartialEq, Eq)]
enum GivenUp {
    Requeue,
    End(Ended),
}

/// Pure. An attempt that never started is made again; one that had started only if further attempts were asked for.
fn give_up(state: &str, attempt: u32, max_attempts: i32, stop: Option<ReasonCode>) -> GivenUp {
    if let Some(cause) = stop {
        let message = [
            (ReasonCode::TenantDeleted, "Its tenant was deleted."),
            (ReasonCode::TenantSuspended, "Its tenant was suspended."),
            (ReasonCode::CpuTime, "Its tenant has spent the CPU time of the day."),
        ];
        let message = message.iter().find(|(code, _)| *code == cause).map_or("Cancelled by the user.", |(_, message)| *message);
        return GivenUp::End(verdict(Status::Cancelled, cause, message));
    }
    if state == "dispatched" || i64::from(attempt) < i64::from(max_attempts) {
        return GivenUp::Requeue;
    }
    GivenUp::End(verdict(
        Status::Lost,
        ReasonCode::ExecutorLost,
        "The executor that ran it stopped before it ended; it is not run again, since it had started.",
    ))
}

impl Scheduler {
    /// Requeues or ends an attempt whose executor is gone; does nothing when it has ended meanwhile.
    pub(crate) async fn give_up_attempt(&self, tenant: TenantId, execution: ExecutionId) -> anyhow::Result<()> {
        let mut tx = self.database.system().await?;
        store::lock_tenants(&mut tx, &[tenant]).await?;
        let Some(row) = store::load_for_update(&mut tx, tenant, execution).await? else { return Ok(()) };
        if row.state != "running" && row.state != "dispatched" {
            return Ok(());
        }
        let mut messages = Vec::new();
        match give_up(&row.state, row.attempt(), row.max_attempts, row.stop()) {
            GivenUp::Requeue => {
                store::requeue(&mut tx, tenant, execution, row.attempt(), &row.state).await?;
            }
            GivenUp::End(ended) => {
                messages.extend(self.end_without_executor(&mut tx, &row, &ended).await?.map(|(_, message)| message));
            }
        }
        tx.commit().await?;
        tracing::warn!(%execution, attempt = row.attempt(), ended = !messages.is_empty(), "attempt given up: its executor is gone");
        self.ended(messages);
        Ok(())
    }

    /// Ends an execution that still waits.
    async fn end_waiting(&self, tenant: TenantId, execution: ExecutionId, ended: &Ended) -> anyhow::Result<()> {
        let mut tx = self.database.system().await?;
        store::lock_tenants(&mut tx, &[tenant]).await?;
        let Some(row) = store::load_for_update(&mut tx, tenant, execution).await? else { return Ok(()) };
        if row.state != "queued" {
            return Ok(());
        }
        let message = self.end_without_executor(&mut tx, &row, ended).await?.map(|(_, message)| message);
        tx.commit().await?;
        self.relay.send(message.into_iter().collect());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_started_is_not_run_again_unless_asked() {
        let lost = give_up("running", 1, 1, None);
        assert!(matches!(lost, GivenUp::End(ended) if ended.status == Status::Lost));
        assert_eq!(give_up("running", 1, 2, None), GivenUp::Requeue);
        assert!(matches!(give_up("running", 2, 2, None), GivenUp::End(_)));
    }

    #[test]
    fn what_had_not_started_is_run_again() {
        assert_eq!(give_up("dispatched", 1, 1, None), GivenUp::Requeue);
    }

    #[test]
    fn what_was_cancelled_ends_cancelled() {
        for cause in [ReasonCode::CancelledByUser, ReasonCode::TenantSuspended, ReasonCode::TenantDeleted, ReasonCode::CpuTime] {
            for state in ["running", "dispatched"] {
                let GivenUp::End(ended) = give_up(state, 1, 5, Some(cause)) else { panic!("{state} is made again") };
                assert_eq!((ended.status, ended.reason.map(|reason| reason.code)), (Status::Cancelled, Some(cause)));
            }
        }
    }
}
