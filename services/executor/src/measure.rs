//! What the executor counts of itself.

use std::time::Duration;

use kiln_domain::{Start, Status};
use kiln_events::Finished;
use metrics::{counter, gauge, histogram};

/// What it holds now; told with each call to the scheduler.
pub fn holding(slots: usize, runs: usize, sessions: usize) {
    let held = [("kiln_executor_slots", slots), ("kiln_executor_runs", runs), ("kiln_executor_sessions", sessions)];
    for (name, number) in held {
        gauge!(name).set(u32::try_from(number).unwrap_or(u32::MAX));
    }
    // There from the start, so that the first failure is an increase.
    counter!("kiln_executor_sandbox_failures_total").increment(0);
}

/// A run or a cell came to its end. One that its own sandbox let down ends `lost`.
pub fn finished(finished: &Finished) {
    let start = match finished.start {
        Start::Cold => "cold",
        Start::Warm => "warm",
    };
    let status = finished.ended.status;
    counter!("kiln_executor_runs_total", "status" => status.as_str(), "start" => start).increment(1);
    histogram!("kiln_executor_run_cpu_seconds").record(Duration::from_millis(finished.ended.usage.cpu_ms));
    counter!("kiln_executor_sandbox_failures_total").increment(u64::from(status == Status::Lost));
}
