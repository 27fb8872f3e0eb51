//! What the result service asks of the scheduler, which alone knows what lives and decides what happens to it.

use std::time::Duration;

use kiln_domain::{ExecutionId, TenantId};
use kiln_events::{
    Cancel, CancelReply, CheckPlace, CheckPlaceReply, Delete, DeleteReply, Describe, DescribeReply, ExecutionRecord, Retry,
    RetryReply, Why, WhyReply, subject,
};
use kiln_http::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Results;

const DEADLINE: Duration = Duration::from_secs(5);

impl Results {
    pub async fn describe(&self, tenant_id: TenantId, execution_id: ExecutionId) -> Result<Option<ExecutionRecord>, Problem> {
        let reply: DescribeReply = self.ask("describe", &Describe { tenant_id, execution_id }).await?;
        Ok(reply.record)
    }

    pub async fn ask_cancel(&self, tenant_id: TenantId, execution_id: ExecutionId) -> Result<CancelReply, Problem> {
        self.ask("cancel", &Cancel { tenant_id, execution_id }).await
    }

    pub async fn ask_retry(&self, retry: &Retry) -> Result<RetryReply, Problem> {
        self.ask("retry", retry).await
    }

    pub async fn ask_delete(&self, tenant_id: TenantId, execution_id: ExecutionId) -> Result<DeleteReply, Problem> {
        self.ask("delete", &Delete { tenant_id, execution_id }).await
    }

    pub async fn ask_why(&self, tenant_id: TenantId, execution_id: ExecutionId) -> Result<WhyReply, Problem> {
        self.ask("why", &Why { tenant_id, execution_id }).await
    }

    pub async fn ask_check_place(&self, check: &CheckPlace) -> Result<CheckPlaceReply, Problem> {
        self.ask("check_place", check).await
    }

    async fn ask<Q: Serialize, A: DeserializeOwned>(&self, verb: &str, query: &Q) -> Result<A, Problem> {
        self.ask_within(verb, query, DEADLINE).await
    }

    /// For what takes the scheduler longer.
    pub async fn ask_within<Q: Serialize, A: DeserializeOwned>(
        &self,
        verb: &str,
        query: &Q,
        deadline: Duration,
    ) -> Result<A, Problem> {
        Ok(self.bus.request(&subject::control("scheduler", verb), query, deadline).await?)
    }
}
