//! Workspaces: their rows, what they are limited to, and what they use of the tenant's storage.

use kiln_db::TenantTx;
use kiln_domain::{TenantId, WorkspaceId};
use kiln_events::{ChangeWorkspace, WorkspaceRecord};
use sqlx::PgConnection;
use uuid::Uuid;

/// The name of every tenant's own workspace.
pub const DEFAULT_NAME: &str = "default";
const NAME_CONSTRAINT: &str = "workspace_name_key";

/// A workspace about to be made.
pub struct NewWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    pub quota_bytes: u64,
    pub max_file_bytes: Option<u64>,
    pub created_by: Uuid,
}

/// A name that another workspace of the tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameTaken;

/// What the tenant may store, and stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    pub limit_bytes: u64,
    pub used_bytes: u64,
    pub workspaces: u64,
}

struct Row {
    id: Uuid,
    tenant_id: Uuid,
    name: String,
    is_default: bool,
    quota_bytes: i64,
    max_file_bytes: Option<i64>,
    used_bytes: i64,
    created_by: Option<Uuid>,
    store_id: Option<Uuid>,
    is_made: bool,
    created_at: jiff_sqlx::Timestamp,
}

impl Row {
    fn record(self, storage: Storage) -> WorkspaceRecord {
        let used_bytes = amount(self.used_bytes);
        let others = storage.used_bytes.saturating_sub(used_bytes);
        WorkspaceRecord {
            id: WorkspaceId(self.id),
            tenant_id: TenantId(self.tenant_id),
            name: self.name,
            is_default: self.is_default,
            quota_bytes: amount(self.quota_bytes),
            max_file_bytes: self.max_file_bytes.map(amount),
            used_bytes,
            created_by: self.created_by,
            store_id: self.store_id,
            is_made: self.is_made,
            room_bytes: storage.limit_bytes.saturating_sub(others),
            created_at: self.created_at.to_jiff(),
        }
    }
}

fn amount(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

fn stored(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// What the tenant may store, by its own limit or the installation's, and what it stores.
pub async fn storage(tx: &mut TenantTx, default_bytes: u64) -> Result<Storage, sqlx::Error> {
    let tenant = tx.tenant().0;
    let row = sqlx::query!(
        r#"SELECT (SELECT storage_bytes FROM scheduler.tenant WHERE tenant_id = $1) AS limit_bytes,
                  COALESCE(sum(used_bytes), 0)::bigint AS "used_bytes!", count(*) AS "workspaces!"
           FROM scheduler.workspace WHERE tenant_id = $1"#,
        tenant
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Storage {
        limit_bytes: row.limit_bytes.map_or(default_bytes, amount),
        used_bytes: amount(row.used_bytes),
        workspaces: amount(row.workspaces),
    })
}

/// Makes the tenant's own workspace unless it is there.
pub async fn ensure_default(tx: &mut TenantTx, quota_bytes: u64) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!(
        "INSERT INTO scheduler.workspace (id, tenant_id, name, is_default, quota_bytes)
         SELECT $2, $1, $3, true, $4
         WHERE NOT EXISTS (SELECT FROM scheduler.workspace WHERE tenant_id = $1 AND is_default)
         ON CONFLICT DO NOTHING",
        tenant,
        WorkspaceId::generate().0,
        DEFAULT_NAME,
        stored(quota_bytes)
    )
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// Makes a workspace.
pub async fn insert_workspace(tx: &mut TenantTx, new: &NewWorkspace) -> Result<Result<(), NameTaken>, sqlx::Error> {
    let tenant = tx.tenant().0;
    let made = sqlx::query!(
        "INSERT INTO scheduler.workspace (id, tenant_id, name, quota_bytes, max_file_bytes, created_by)
         VALUES ($1, $2, $3, $4, $5, $6)",
        new.id.0,
        tenant,
        new.name,
        stored(new.quota_bytes),
        new.max_file_bytes.map(stored),
        new.created_by
    )
    .execute(&mut **tx)
    .await;
    name_taken(made.map(drop))
}

fn name_taken<T>(result: Result<T, sqlx::Error>) -> Result<Result<T, NameTaken>, sqlx::Error> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some(NAME_CONSTRAINT) => Ok(Err(NameTaken)),
        Err(error) => Err(error),
    }
}

/// The tenant's workspaces, newest first.
pub async fn list_workspaces(
    tx: &mut TenantTx,
    storage: Storage,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<WorkspaceRecord>, sqlx::Error> {
    let tenant = tx.tenant().0;
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, tenant_id, name, is_default, quota_bytes, max_file_bytes, used_bytes, created_by, store_id,
                  made_at IS NOT NULL AS "is_made!", created_at
           FROM scheduler.workspace WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"#,
        tenant,
        after,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| row.record(storage)).collect())
}

/// One workspace of the tenant.
pub async fn workspace(tx: &mut TenantTx, storage: Storage, id: WorkspaceId) -> Result<Option<WorkspaceRecord>, sqlx::Error> {
    let tenant = tx.tenant().0;
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, tenant_id, name, is_default, quota_bytes, max_file_bytes, used_bytes, created_by, store_id,
                  made_at IS NOT NULL AS "is_made!", created_at
           FROM scheduler.workspace WHERE tenant_id = $1 AND id = $2"#,
        tenant,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| row.record(storage)))
}

/// Makes the store that asks the one that has the files, unless there is one.
pub async fn settle_store(tx: &mut TenantTx, id: WorkspaceId, store: Uuid) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!(
        "UPDATE scheduler.workspace SET store_id = $3 WHERE tenant_id = $1 AND id = $2 AND store_id IS NULL",
        tenant,
        id.0,
        store
    )
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// Whether there is such a workspace, which then stays until the transaction ends.
pub async fn hold_workspace(tx: &mut TenantTx, id: WorkspaceId) -> Result<bool, sqlx::Error> {
    let tenant = tx.tenant().0;
    let held =
        sqlx::query_scalar!("SELECT id FROM scheduler.workspace WHERE tenant_id = $1 AND id = $2 FOR KEY SHARE", tenant, id.0)
            .fetch_optional(&mut **tx)
            .await?;
    Ok(held.is_some())
}

/// Notes what the files take; false when there is no such workspace.
pub async fn set_workspace_used(tx: &mut TenantTx, id: WorkspaceId, used_bytes: u64) -> Result<bool, sqlx::Error> {
    let tenant = tx.tenant().0;
    let done = sqlx::query!(
        "UPDATE scheduler.workspace SET used_bytes = $3, made_at = COALESCE(made_at, now()) WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.0,
        stored(used_bytes)
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Changes what is named.
pub async fn change_workspace(tx: &mut TenantTx, change: &ChangeWorkspace) -> Result<Result<(), NameTaken>, sqlx::Error> {
    let tenant = tx.tenant().0;
    let done = sqlx::query!(
        "UPDATE scheduler.workspace
         SET name = COALESCE($3, name), quota_bytes = COALESCE($4, quota_bytes),
             max_file_bytes = CASE WHEN $5 THEN $6 ELSE max_file_bytes END
         WHERE tenant_id = $1 AND id = $2",
        tenant,
        change.workspace_id.0,
        change.name,
        change.quota_bytes.map(stored),
        change.max_file_bytes.is_some(),
        change.max_file_bytes.flatten().map(stored)
    )
    .execute(&mut **tx)
    .await;
    name_taken(done.map(drop))
}

/// Removes the row unless something that has not ended needs it; whether it was removed.
pub async fn delete_workspace(tx: &mut TenantTx, id: WorkspaceId) -> Result<bool, sqlx::Error> {
    let tenant = tx.tenant().0;
    // First the row, against which an execution or a session that comes in now has to wait, then the look.
    sqlx::query!("SELECT id FROM scheduler.workspace WHERE tenant_id = $1 AND id = $2 FOR UPDATE", tenant, id.0)
        .fetch_optional(&mut **tx)
        .await?;
    let done = sqlx::query!(
        "DELETE FROM scheduler.workspace AS w WHERE tenant_id = $1 AND id = $2 AND NOT EXISTS (
            SELECT FROM scheduler.execution AS e
            WHERE e.workspace_id = $2 AND e.tenant_id = $1 AND e.state IN ('queued', 'dispatched', 'running'))
         AND NOT EXISTS (
            SELECT FROM scheduler.session AS s WHERE s.workspace_id = $2 AND s.tenant_id = $1 AND s.state <> 'closed')",
        tenant,
        id.0
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Those of these that have no row, whoever's they were.
pub async fn gone_workspaces(connection: &mut PgConnection, asked: &[WorkspaceId]) -> Result<Vec<WorkspaceId>, sqlx::Error> {
    let ids: Vec<Uuid> = asked.iter().map(|id| id.0).collect();
    let gone = sqlx::query_scalar!(
        r#"SELECT asked.id AS "id!" FROM UNNEST($1::uuid[]) AS asked(id)
           WHERE NOT EXISTS (SELECT FROM scheduler.workspace AS w WHERE w.id = asked.id)"#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    Ok(gone.into_iter().map(WorkspaceId).collect())
}

/// Removes the rows of a deleted tenant; the files go at the executors' next look. How many there were.
pub async fn forget_workspaces(connection: &mut PgConnection, tenant: TenantId) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM scheduler.workspace WHERE tenant_id = $1", tenant.0).execute(connection).await?;
    Ok(done.rows_affected())
}
