//! The statements about entries and their versions. Each names the tenant as well.

use jiff_sqlx::Timestamp as SqlTimestamp;
use kiln_db::{SystemTx, TenantTx};
use kiln_domain::TenantId;
use uuid::Uuid;

/// A notebook or a script.
pub type EntryId = Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Notebook,
    Script,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notebook => "notebook",
            Self::Script => "script",
        }
    }
}

/// An entry without its content.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: EntryId,
    pub name: String,
    pub description: String,
    pub runtime: String,
    pub workspace_id: Option<Uuid>,
    pub revision: i64,
    pub version: i32,
    pub created_by: Uuid,
    pub updated_by: Uuid,
    pub created_at: SqlTimestamp,
    pub updated_at: SqlTimestamp,
    /// Of the present content.
    pub size_bytes: i64,
    /// State of its latest run.
    pub run_state: Option<String>,
}

/// A version without its content.
#[derive(Debug, Clone)]
pub struct Version {
    pub number: i32,
    pub cause: String,
    pub author: Uuid,
    pub size_bytes: i64,
    pub created_at: SqlTimestamp,
    pub updated_at: SqlTimestamp,
}

/// What a tenant keeps.
#[derive(Debug, Clone, Copy)]
pub struct Sums {
    pub notebooks: i32,
    pub scripts: i32,
    pub bytes: i64,
}

/// A checked query for [`Entry`] rows: common table expressions that end in one named `found`.
macro_rules! entry_query {
    ($with:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Entry,
            $with
                + r#" SELECT e.id AS "id!", e.name AS "name!", e.description AS "description!", e.runtime AS "runtime!",
                    e.workspace_id AS "workspace_id?", e.revision AS "revision!", e.version AS "version!",
                    e.created_by AS "created_by!", e.updated_by AS "updated_by!", e.created_at AS "created_at!",
                    e.updated_at AS "updated_at!", octet_length(v.content)::bigint AS "size_bytes!",
                    (SELECT state FROM result.notebook_run AS r WHERE r.entry_id = e.id ORDER BY r.id DESC LIMIT 1) AS "run_state?"
                FROM found AS e JOIN result.library_version AS v ON v.entry_id = e.id AND v.number = e.version
                ORDER BY e.id DESC"#
            $(, $argument)*
        )
    };
}

/// Locks what the tenant keeps, and says how much that is.
pub async fn lock(tx: &mut TenantTx) -> Result<Sums, sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!("INSERT INTO result.library (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant).execute(&mut **tx).await?;
    sqlx::query_as!(Sums, "SELECT notebooks, scripts, bytes FROM result.library WHERE tenant_id = $1 FOR UPDATE", tenant)
        .fetch_one(&mut **tx)
        .await
}

/// Adds to what the tenant keeps.
pub async fn count(tx: &mut TenantTx, kind: Kind, entries: i32, bytes: i64) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    let (notebooks, scripts) = if kind == Kind::Notebook { (entries, 0) } else { (0, entries) };
    sqlx::query!(
        "UPDATE result.library SET notebooks = notebooks + $2, scripts = scripts + $3, bytes = bytes + $4 WHERE tenant_id = $1",
        tenant,
        notebooks,
        scripts,
        bytes
    )
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// The fields of a new entry.
pub struct Fields<'a> {
    pub id: EntryId,
    pub kind: Kind,
    pub name: &'a str,
    pub description: &'a str,
    pub runtime: &'a str,
    pub workspace_id: Option<Uuid>,
    pub author: Uuid,
}

pub async fn insert(tx: &mut TenantTx, new: &Fields<'_>) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!(
        "INSERT INTO result.library_entry (id, tenant_id, kind, name, description, runtime, workspace_id, created_by, updated_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        new.id,
        tenant,
        new.kind.as_str(),
        new.name,
        new.description,
        new.runtime,
        new.workspace_id,
        new.author
    )
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// Writes the entry's fields, a revision further.
pub async fn update(tx: &mut TenantTx, entry: &Entry, author: Uuid) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!(
        "UPDATE result.library_entry
         SET name = $3, description = $4, runtime = $5, workspace_id = $6, version = $7, updated_by = $8,
             revision = revision + 1, updated_at = now()
         WHERE id = $1 AND tenant_id = $2",
        entry.id,
        tenant,
        entry.name,
        entry.description,
        entry.runtime,
        entry.workspace_id,
        entry.version,
        author
    )
    .execute(&mut **tx)
    .await
    .map(drop)
}

pub async fn delete(tx: &mut TenantTx, id: EntryId) -> Result<(), sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query!("DELETE FROM result.library_entry WHERE id = $1 AND tenant_id = $2", id, tenant)
        .execute(&mut **tx)
        .await
        .map(drop)
}

pub async fn entry(tx: &mut TenantTx, kind: Kind, id: EntryId) -> Result<Option<Entry>, sqlx::Error> {
    let tenant = tx.tenant().0;
    entry_query!(
        "WITH found AS (SELECT * FROM result.library_entry WHERE id = $1 AND tenant_id = $2 AND kind = $3)",
        id,
        tenant,
        kind.as_str()
    )
    .fetch_optional(&mut **tx)
    .await
}

/// Newest first; with `name`, those whose name holds it in any case.
pub async fn list(
    tx: &mut TenantTx,
    kind: Kind,
    name: Option<&str>,
    after: Option<Uuid>,
    rows: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    let tenant = tx.tenant().0;
    entry_query!(
        "WITH found AS (SELECT * FROM result.library_entry
            WHERE tenant_id = $1 AND kind = $2 AND id < $3 AND ($4::text IS NULL OR position(lower($4) IN lower(name)) > 0)
            ORDER BY id DESC LIMIT $5)",
        tenant,
        kind.as_str(),
        after.unwrap_or(Uuid::max()),
        name,
        rows
    )
    .fetch_all(&mut **tx)
    .await
}

/// Writes a version, in place of one of that number; bytes more than before.
pub async fn write_version(
    tx: &mut TenantTx,
    id: EntryId,
    number: i32,
    cause: &str,
    author: Uuid,
    content: &[u8],
) -> Result<i64, sqlx::Error> {
    let tenant = tx.tenant().0;
    let before = sqlx::query_scalar!(
        r#"SELECT octet_length(content)::bigint AS "size!" FROM result.library_version
           WHERE entry_id = $1 AND tenant_id = $2 AND number = $3"#,
        id,
        tenant,
        number
    )
    .fetch_optional(&mut **tx)
    .await?;
    sqlx::query!(
        "INSERT INTO result.library_version (entry_id, tenant_id, number, cause, author, content) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (entry_id, number) DO UPDATE SET content = EXCLUDED.content, updated_at = now()",
        id,
        tenant,
        number,
        cause,
        author,
        content
    )
    .execute(&mut **tx)
    .await?;
    Ok(i64::try_from(content.len()).unwrap_or(i64::MAX) - before.unwrap_or(0))
}

/// Removes the oldest versions beyond the newest `most` and beyond `most_bytes` before the present one; bytes removed.
pub async fn prune(tx: &mut TenantTx, id: EntryId, present: i32, most: i32, most_bytes: i64) -> Result<i64, sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query_scalar!(
        r#"WITH gone AS (
                DELETE FROM result.library_version AS v USING (
                    SELECT number, row_number() OVER (ORDER BY number DESC) AS place,
                           sum(octet_length(content)) OVER (ORDER BY number DESC) AS bytes
                    FROM result.library_version WHERE entry_id = $1 AND tenant_id = $2 AND number < $3
                ) AS old
                WHERE v.entry_id = $1 AND v.tenant_id = $2 AND v.number = old.number AND (old.place >= $4 OR old.bytes > $5)
                RETURNING octet_length(v.content)::bigint AS size
           ) SELECT COALESCE(sum(size), 0)::bigint AS "bytes!" FROM gone"#,
        id,
        tenant,
        present,
        i64::from(most),
        most_bytes
    )
    .fetch_one(&mut **tx)
    .await
}

/// Bytes of all versions of the entry.
pub async fn size(tx: &mut TenantTx, id: EntryId) -> Result<i64, sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query_scalar!(
        r#"SELECT COALESCE(sum(octet_length(content)), 0)::bigint AS "bytes!" FROM result.library_version
           WHERE entry_id = $1 AND tenant_id = $2"#,
        id,
        tenant
    )
    .fetch_one(&mut **tx)
    .await
}

/// Newest first, of numbers below `before`.
pub async fn versions(tx: &mut TenantTx, id: EntryId, before: i32, rows: i64) -> Result<Vec<Version>, sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query_as!(
        Version,
        r#"SELECT number, cause, author, octet_length(content)::bigint AS "size_bytes!", created_at AS "created_at!",
                  updated_at AS "updated_at!"
           FROM result.library_version WHERE entry_id = $1 AND tenant_id = $2 AND number < $3 ORDER BY number DESC LIMIT $4"#,
        id,
        tenant,
        before,
        rows
    )
    .fetch_all(&mut **tx)
    .await
}

pub async fn version(tx: &mut TenantTx, id: EntryId, number: i32) -> Result<Option<Version>, sqlx::Error> {
    let found = versions(tx, id, number.saturating_add(1), 1).await?;
    Ok(found.into_iter().find(|version| version.number == number))
}

pub async fn content(tx: &mut TenantTx, id: EntryId, number: i32) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let tenant = tx.tenant().0;
    sqlx::query_scalar!(
        "SELECT content FROM result.library_version WHERE entry_id = $1 AND tenant_id = $2 AND number = $3",
        id,
        tenant,
        number
    )
    .fetch_optional(&mut **tx)
    .await
}

/// Forgets whatever is kept of the tenant; how many entries.
pub async fn forget_tenant(tx: &mut SystemTx, tenant: TenantId) -> Result<u64, sqlx::Error> {
    sqlx::query!("DELETE FROM result.library WHERE tenant_id = $1", tenant.0).execute(&mut **tx).await?;
    let gone = sqlx::query!("DELETE FROM result.library_entry WHERE tenant_id = $1", tenant.0).execute(&mut **tx).await?;
    Ok(gone.rows_affected())
}
