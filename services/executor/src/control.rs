//! What the executor answers: stop this attempt, signal this program.

use std::sync::Arc;

use kiln_events::{SendSignal, Stop, StopReply, subject};
use kiln_runtime::Task;

use crate::Executor;

pub fn tasks(executor: &Arc<Executor>) -> Vec<Task> {
    let stop = Arc::clone(executor);
    let signal = Arc::clone(executor);
    vec![
        Task::new("executor-stop", async move {
            let (bus, subject, shutdown) = (stop.bus.clone(), subject::control(&stop.id, "stop"), stop.shutdown.clone());
            bus.serve(&subject, &stop.id.clone(), shutdown, move |query: Stop| {
                let known = stop.live.stop(query.execution_id, query.attempt, query.cause);
                async move { Ok(StopReply { known }) }
            })
            .await
        }),
        Task::new("executor-signal", async move {
            let (bus, subject, shutdown) = (signal.bus.clone(), subject::control(&signal.id, "signal"), signal.shutdown.clone());
            bus.serve(&subject, &signal.id.clone(), shutdown, move |query: SendSignal| {
                let known = signal.live.signal(query.execution_id, &query.signal);
                async move { Ok(StopReply { known }) }
            })
            .await
        }),
    ]
}
