//! What a tenant uses of its quota, for the auth service's quota route.

use kiln_events::{TenantUsage, TenantUsageReply};

use crate::{Scheduler, store};

impl Scheduler {
    pub(super) async fn usage(&self, query: TenantUsage) -> anyhow::Result<TenantUsageReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        let usage = store::usage(&mut tx).await?;
        tx.commit().await?;
        Ok(usage)
    }
}
