//! What the scheduler answers to the other services, over the bus.

mod batch;
mod cancel;
mod executors;
mod notebooks;
mod retry;
mod tenant_usage;
mod why;
mod workspaces;

use std::sync::Arc;

use kiln_events::{
    AttemptSecrets, Claim, Delete, Describe, DescribeReply, Heartbeat, SessionEnded, TenantUsage, UsageSums, subject,
};
use kiln_runtime::Task;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{Scheduler, store};

/// One task a subject.
pub fn tasks(scheduler: &Arc<Scheduler>, shutdown: &CancellationToken) -> Vec<Task> {
    vec![
        answer(scheduler, shutdown, "claim", |s, q: Claim| async move { s.claim(q).await }),
        answer(scheduler, shutdown, "finished", |s, q| async move { s.finished(q).await }),
        answer(scheduler, shutdown, "heartbeat", |s, q: Heartbeat| async move { s.heartbeat(q).await }),
        answer(scheduler, shutdown, "describe", |s, q: Describe| async move { s.describe(q).await }),
        answer(scheduler, shutdown, "cancel", |s, q| async move { s.cancel(q).await }),
        answer(scheduler, shutdown, "retry", |s, q| async move { s.retry(q).await }),
        answer(scheduler, shutdown, "delete", |s, q: Delete| async move { s.delete(q).await }),
        answer(scheduler, shutdown, "why", |s, q| async move { s.why(q).await }),
        answer(scheduler, shutdown, "run_batch", |s, q| async move { s.run_batch(q).await }),
        answer(scheduler, shutdown, "finish_session", |s, q| async move { s.finish_session(q).await }),
        answer(scheduler, shutdown, "check_place", |s, q| async move { s.check_place(q).await }),
        answer(scheduler, shutdown, "usage_sums", |s, q: UsageSums| async move { s.usage_sums(q).await }),
        answer(scheduler, shutdown, "secrets", |s, q: AttemptSecrets| async move { s.secrets_of(q).await }),
        answer(scheduler, shutdown, "session_ended", |s, q: SessionEnded| async move { s.session_ended(q).await }),
        answer(scheduler, shutdown, "usage", |s, q: TenantUsage| async move { s.usage(q).await }),
        answer(scheduler, shutdown, "open_workspace", |s, q| async move { s.open_workspace(q).await }),
        answer(scheduler, shutdown, "workspace_used", |s, q| async move { s.workspace_used(q).await }),
        answer(scheduler, shutdown, "change_workspace", |s, q| async move { s.change_workspace(q).await }),
        answer(scheduler, shutdown, "delete_workspace", |s, q| async move { s.delete_workspace(q).await }),
        answer(scheduler, shutdown, "gone_workspaces", |s, q| async move { s.gone_workspaces(q).await }),
    ]
}

fn answer<Q, A, H, F>(scheduler: &Arc<Scheduler>, shutdown: &CancellationToken, verb: &'static str, handler: H) -> Task
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
    H: Fn(Arc<Scheduler>, Q) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<A>> + Send + 'static,
{
    let (scheduler, shutdown) = (Arc::clone(scheduler), shutdown.clone());
    Task::new(verb, async move {
        let bus = scheduler.bus.clone();
        bus.serve(&subject::control("scheduler", verb), "scheduler", shutdown, move |query| {
            handler(Arc::clone(&scheduler), query)
        })
        .await
    })
}

impl Scheduler {
    async fn describe(&self, query: Describe) -> anyhow::Result<DescribeReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        let row = store::load(&mut tx, query.execution_id).await?;
        tx.commit().await?;
        Ok(DescribeReply { record: row.map(|row| row.record()).transpose()? })
    }
}
