//! What a tenant uses of its quota, for the auth service's quota route.

use kiln_events::{TenantUsage, TenantUsageReply, UsageSums, UsageSumsReply};

use crate::{Scheduler, store};

impl Scheduler {
    pub(super) async fn usage(&self, query: TenantUsage) -> anyhow::Result<TenantUsageReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        let usage = store::usage(&mut tx).await?;
        let storage_bytes = store::storage(&mut tx, self.config.storage_bytes).await?.used_bytes;
        tx.commit().await?;
        Ok(TenantUsageReply { storage_bytes, ..usage })
    }

    pub(super) async fn usage_sums(&self, query: UsageSums) -> anyhow::Result<UsageSumsReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        let rows = store::usage_sums(&mut tx, &query).await?;
        let storage_bytes = store::storage(&mut tx, self.config.storage_bytes).await?.used_bytes;
        tx.commit().await?;
        Ok(UsageSumsReply { rows, storage_bytes })
    }
}
