//! What the keeper of notebooks asks.

use kiln_events::{CheckPlace, CheckPlaceReply};

use crate::{Scheduler, store};

impl Scheduler {
    pub(super) async fn check_place(&self, query: CheckPlace) -> anyhow::Result<CheckPlaceReply> {
        let runtime = query.runtime.as_deref().map(|name| self.runtimes.resolve(name));
        let workspace_known = match query.workspace_id {
            None => true,
            Some(workspace) => {
                let mut tx = self.database.tenant(query.tenant_id).await?;
                store::hold_workspace(&mut tx, workspace).await?
            }
        };
        Ok(CheckPlaceReply {
            runtime_known: !matches!(runtime, Some(None)),
            has_sessions: runtime.flatten().is_none_or(|id| self.runtimes.has_sessions(&id)),
            workspace_known,
        })
    }
}
