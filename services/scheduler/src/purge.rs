//! The end of a tenant here: nothing of it starts any more, what runs is stopped, and then every row goes. Each execution's
//! deletion is an event, by which the result service removes its output and files.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kiln_bus::Outcome;
use kiln_domain::{ExecutionId, ReasonCode, Status, TenantId};
use kiln_events::{Delete, TenantPurged, subject};
use kiln_runtime::outbox::Relay;

use crate::finisher::verdict;
use crate::sessions::Closing;
use crate::{Scheduler, store};

/// Executions ended or deleted in one transaction.
const BATCH: i64 = 500;
/// When to look again whether what ran has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Scheduler {
    /// Does what it can now; to be called again until it is [`Outcome::Done`].
    pub(crate) async fn purge(&self, tenant: TenantId) -> anyhow::Result<Outcome> {
        let mut tx = self.database.system().await?;
        store::close_tenant(&mut tx, tenant).await?;
        tx.commit().await?;
        self.close_sessions_of(tenant, &Closing::TenantDeleted).await?;
        while self.end_a_batch(tenant).await? {}
        // What ran a moment ago may have been put back into the queue.
        if self.stop_running(tenant, ReasonCode::TenantDeleted).await? > 0 || self.end_a_batch(tenant).await? {
            return Ok(Outcome::Retry(LOOK_AGAIN));
        }
        let mut executions = 0;
        loop {
            let deleted = self.delete_a_batch(tenant).await?;
            if deleted == 0 {
                break;
            }
            executions += deleted;
        }
        let mut tx = self.database.system().await?;
        let usage_rows = store::forget_tenant(&mut tx, tenant).await?;
        let sessions = store::forget_sessions(&mut tx, tenant).await?;
        let workspaces = store::forget_workspaces(&mut tx, tenant).await?;
        let removed =
            [("executions", executions), ("sessions", sessions), ("usage_rows", usage_rows), ("workspaces", workspaces)];
        let removed = BTreeMap::from(removed.map(|(what, count)| (what.to_owned(), count)));
        let purged = TenantPurged { service: "scheduler".to_owned(), removed };
        let purged = Relay::event(&subject::tenant_purged("scheduler"), tenant, Timestamp::now(), purged)?;
        self.relay.add(&mut tx, std::slice::from_ref(&purged)).await?;
        tx.commit().await?;
        tracing::info!(%tenant, executions, "a deleted tenant's executions are gone");
        self.relay.send(vec![purged]);
        Ok(Outcome::Done)
    }

    /// Ends some of what has not started; returns whether there was any.
    async fn end_a_batch(&self, tenant: TenantId) -> anyhow::Result<bool> {
        let mut tx = self.database.system().await?;
        store::lock_tenants(&mut tx, &[tenant]).await?;
        let waiting = store::not_started(&mut tx, tenant, BATCH).await?;
        let ended = verdict(Status::Cancelled, ReasonCode::TenantDeleted, "Its tenant was deleted before it started.");
        let mut messages = Vec::with_capacity(waiting.len());
        for row in &waiting {
            messages.extend(self.end_without_executor(&mut tx, row, &ended).await?.map(|(_, message)| message));
        }
        tx.commit().await?;
        self.relay.send(messages);
        Ok(!waiting.is_empty())
    }

    async fn delete_a_batch(&self, tenant: TenantId) -> anyhow::Result<u64> {
        let mut tx = self.database.system().await?;
        let deleted = store::delete_ended(&mut tx, tenant, BATCH).await?;
        let messages = deleted
            .iter()
            .map(|id| {
                let deletion = Delete { tenant_id: tenant, execution_id: ExecutionId(*id) };
                Relay::event(subject::EXECUTION_DELETED, tenant, Timestamp::now(), deletion)
            })
            .collect::<Result<Vec<_>, _>>()?;
        if !messages.is_empty() {
            self.relay.add(&mut tx, &messages).await?;
        }
        tx.commit().await?;
        self.relay.send(messages);
        Ok(u64::try_from(deleted.len())?)
    }
}
