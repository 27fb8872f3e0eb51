//! The executor's call to the scheduler: I live, with these attempts; and what the scheduler wants stopped.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kiln_events::{Heartbeat, HeartbeatReply, subject};
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::{Executor, measure};

const EVERY: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(2);

pub fn task(executor: &Arc<Executor>) -> Task {
    let executor = Arc::clone(executor);
    Task::new("executor-heartbeat", async move {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut runtimes = executor.runtimes.watch();
        let drained = drained(Arc::clone(&executor));
        tokio::pin!(drained);
        let mut silent = false;
        loop {
            // A runtime that has come to be is told at once.
            tokio::select! {
                _ = tick.tick() => {}
                Ok(()) = runtimes.changed() => {}
                () = &mut drained => return Ok(()),
            }
            match executor.call().await {
                Ok(()) => {
                    executor.known.store(true, Ordering::Relaxed);
                    silent = false;
                }
                Err(error) if !silent => {
                    tracing::warn!(%error, "scheduler does not answer; runs go on, and the call is repeated");
                    silent = true;
                }
                Err(_) => {}
            }
        }
    })
}

/// After the stop was asked for and the last run has left: until then leases are extended.
async fn drained(executor: Arc<Executor>) {
    let stop: CancellationToken = executor.shutdown.clone();
    stop.cancelled().await;
    executor.live.none_left().await;
}

impl Executor {
    async fn call(&self) -> Result<(), kiln_bus::RequestError> {
        let running = self.live.claimed();
        let cpu_ms = self.live.cpu_ms(&running).await;
        let sessions = self.sessions.live();
        measure::holding(self.slots, running.len(), sessions.len());
        let call = Heartbeat {
            executor_id: self.id.clone(),
            instance: self.instance,
            pool: self.pool.clone(),
            slots: u32::try_from(self.slots).unwrap_or(u32::MAX),
            isolation: self.sandboxes.isolation().tier.clone(),
            runtimes: self.runtimes.list(),
            running,
            draining: self.shutdown.is_cancelled(),
            cpu_ms,
            sessions,
        };
        let reply: HeartbeatReply = self.bus.request(&subject::control("scheduler", "heartbeat"), &call, DEADLINE).await?;
        for stop in reply.stop {
            self.live.stop(stop.execution_id, stop.attempt, stop.cause);
        }
        for session in reply.close {
            self.sessions.close(session, kiln_domain::ReasonCode::CancelledByUser);
        }
        Ok(())
    }
}
