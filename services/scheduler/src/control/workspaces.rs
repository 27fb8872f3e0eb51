//! What executors ask of workspaces: whether they may be used, what they take, that they change and go.

use kiln_events::{
    ChangeWorkspace, ChangeWorkspaceReply, DeleteWorkspace, DeleteWorkspaceReply, GoneWorkspaces, GoneWorkspacesReply,
    OpenWorkspace, WorkspaceReply, WorkspaceUsed, WorkspaceUsedReply,
};

use crate::store::{self, NameTaken};
use crate::{Scheduler, workspaces};

impl Scheduler {
    pub(super) async fn open_workspace(&self, query: OpenWorkspace) -> anyhow::Result<WorkspaceReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        if let Some(store) = query.store_id {
            store::settle_store(&mut tx, query.workspace_id, store).await?;
        }
        let storage = store::storage(&mut tx, self.config.storage_bytes).await?;
        let found = store::workspace(&mut tx, storage, query.workspace_id).await?;
        tx.commit().await?;
        Ok(found.map_or(WorkspaceReply::NotFound, |record| WorkspaceReply::Found(Box::new(record))))
    }

    pub(super) async fn workspace_used(&self, query: WorkspaceUsed) -> anyhow::Result<WorkspaceUsedReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        let known = store::set_workspace_used(&mut tx, query.workspace_id, query.used_bytes).await?;
        tx.commit().await?;
        Ok(WorkspaceUsedReply { known })
    }

    pub(super) async fn change_workspace(&self, query: ChangeWorkspace) -> anyhow::Result<ChangeWorkspaceReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        let storage = store::storage(&mut tx, self.config.storage_bytes).await?;
        let Some(found) = store::workspace(&mut tx, storage, query.workspace_id).await? else {
            return Ok(ChangeWorkspaceReply::NotFound);
        };
        if found.is_default && query.name.as_ref().is_some_and(|name| *name != found.name) {
            return Ok(ChangeWorkspaceReply::IsDefault);
        }
        if query.quota_bytes.is_some_and(|quota| workspaces::quota_fault(quota, storage.limit_bytes).is_some()) {
            return Ok(ChangeWorkspaceReply::OverStorage { storage_bytes: storage.limit_bytes });
        }
        if let Err(NameTaken) = store::change_workspace(&mut tx, &query).await? {
            return Ok(ChangeWorkspaceReply::NameTaken);
        }
        let changed = store::workspace(&mut tx, storage, query.workspace_id).await?;
        tx.commit().await?;
        Ok(changed.map_or(ChangeWorkspaceReply::NotFound, |record| ChangeWorkspaceReply::Changed(Box::new(record))))
    }

    pub(super) async fn delete_workspace(&self, query: DeleteWorkspace) -> anyhow::Result<DeleteWorkspaceReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        let storage = store::storage(&mut tx, self.config.storage_bytes).await?;
        let Some(found) = store::workspace(&mut tx, storage, query.workspace_id).await? else {
            return Ok(DeleteWorkspaceReply::NotFound);
        };
        if found.is_default {
            return Ok(DeleteWorkspaceReply::IsDefault);
        }
        let deleted = store::delete_workspace(&mut tx, query.workspace_id).await?;
        tx.commit().await?;
        Ok(if deleted { DeleteWorkspaceReply::Deleted } else { DeleteWorkspaceReply::InUse })
    }

    pub(super) async fn gone_workspaces(&self, query: GoneWorkspaces) -> anyhow::Result<GoneWorkspacesReply> {
        let mut tx = self.database.system().await?;
        let gone = store::gone_workspaces(&mut tx, &query.workspaces).await?;
        tx.commit().await?;
        Ok(GoneWorkspacesReply { gone })
    }
}
