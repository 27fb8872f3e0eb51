//! What a tenant uses of its quota, for the auth service's quota route.

use kiln_events::{TenantUsage, TenantUsageReply, UsageSums, UsageSumsReply};

use crate::{Scheduler, store};

impl Scheduler {
    pub(super) async fn usage(&self, query: TenantUsage) -> anyhow::Result<TenantUsageReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        let usage = store::usage(&mut tx).await?;
        tx.commit().await?;
        Ok(usage)
    }

    pub(super) async fn usage_sums(&self, query: UsageSums) -> anyhow::Result<UsageSumsReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        let rows = store::usage_sums(&mut tx, &query).await?;
        tx.commit().await?;
        Ok(UsageSumsReply { rows })
    }
}
