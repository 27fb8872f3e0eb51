//! What the scheduler counts: executions taken in, refused and ended as it happens; what waits and runs, by looking.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kiln_domain::{Ended, Start, Status};
use kiln_http::Problem;
use kiln_runtime::Task;
use metrics::{counter, gauge, histogram};
use tokio_util::sync::CancellationToken;

use crate::{Scheduler, store};

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The end of an execution, as far as it is measured.
pub struct End<'a> {
    pub ended: &'a Ended,
    pub start: Option<Start>,
    pub created_at: Timestamp,
    /// None: its program never ran.
    pub started_at: Option<Timestamp>,
    pub finished_at: Timestamp,
}

/// An execution was taken in, or refused.
pub fn accepted(refused: Option<&Problem>) {
    match refused {
        None => counter!("kiln_scheduler_executions_accepted_total").increment(1),
        Some(problem) => counter!("kiln_scheduler_executions_refused_total", "code" => problem.code()).increment(1),
    }
}

/// An execution came to its end.
pub fn ended(end: &End<'_>) {
    let status = end.ended.status.as_str();
    let reason = end.ended.reason.as_ref().map_or("none", |reason| reason.code.as_str());
    counter!("kiln_scheduler_executions_ended_total", "status" => status, "reason" => reason).increment(1);
    let Some(started_at) = end.started_at else { return };
    if let Some(start) = end.start {
        let start = match start {
            Start::Cold => "cold",
            Start::Warm => "warm",
        };
        histogram!("kiln_scheduler_start_duration_seconds", "start" => start).record(between(end.created_at, started_at));
    }
    histogram!("kiln_scheduler_run_duration_seconds", "status" => status).record(between(started_at, end.finished_at));
}

/// Zero where two clocks disagree.
fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

/// Looks at what waits, runs and lies in the streams.
pub fn task(scheduler: &Arc<Scheduler>, shutdown: CancellationToken) -> Task {
    let scheduler = Arc::clone(scheduler);
    Task::new("scheduler-gauges", async move {
        // There from the start, so that the first loss is an increase.
        counter!("kiln_scheduler_executions_ended_total", "status" => Status::Lost.as_str(), "reason" => "executor_lost")
            .increment(0);
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = every.tick() => {}
            }
            look_at_fleet(&scheduler);
            if let Err(error) = look_at_database(&scheduler).await {
                tracing::warn!(%error, "what waits could not be counted");
            }
            if let Err(error) = scheduler.bus.gauge_streams().await {
                tracing::warn!(error = format!("{error:#}"), "the streams could not be looked at");
            }
        }
    })
}

fn look_at_fleet(scheduler: &Scheduler) {
    let now = Instant::now();
    let executors = scheduler.fleet.view(now);
    let count = |state: &'static str, which: &dyn Fn(&crate::fleet::ExecutorView) -> bool| {
        let number = executors.iter().filter(|executor| which(executor)).count();
        gauge!("kiln_scheduler_executors", "state" => state).set(u32::try_from(number).unwrap_or(u32::MAX));
    };
    count("live", &|executor| executor.live);
    count("draining", &|executor| executor.draining && !executor.live);
    count("silent", &|executor| !executor.draining && !executor.live);
    gauge!("kiln_scheduler_slots").set(u32::try_from(scheduler.fleet.slots(now)).unwrap_or(u32::MAX));
}

async fn look_at_database(scheduler: &Scheduler) -> Result<(), sqlx::Error> {
    let mut tx = scheduler.database.system().await?;
    let found = store::gauges(&mut tx).await?;
    for (state, number) in [("queued", found.queued), ("dispatched", found.dispatched), ("running", found.running)] {
        gauge!("kiln_scheduler_executions", "state" => state).set(count(number));
    }
    gauge!("kiln_scheduler_oldest_queued_seconds").set(found.oldest_queued_s);
    gauge!("kiln_scheduler_reservations").set(count(found.reserved));
    gauge!("kiln_scheduler_busiest_tenant_executions").set(count(found.busiest_tenant));
    gauge!("kiln_scheduler_outbox_messages").set(count(found.outbox));
    gauge!("kiln_scheduler_outbox_oldest_seconds").set(found.oldest_outbox_s);
    Ok(())
}

fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
