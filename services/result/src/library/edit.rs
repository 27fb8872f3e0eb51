//! Changes to what is kept: each in one transaction, counted, and never over what was not seen.

use axum::http::StatusCode;
use jiff::Timestamp;
use kiln_db::TenantTx;
use kiln_http::Problem;
use uuid::Uuid;

use super::store::{self, Entry, EntryId, Fields, Kind};
use super::{COALESCE_WITHIN_S, MAX_ENTRIES, MAX_OLD_BYTES, MAX_VERSIONS};
use crate::Results;

/// An entry about to be made.
pub struct NewEntry<'a> {
    pub id: EntryId,
    pub kind: Kind,
    pub name: &'a str,
    pub description: &'a str,
    pub runtime: &'a str,
    pub workspace_id: Option<Uuid>,
    pub author: Uuid,
    pub content: &'a [u8],
    /// `created` or `imported`.
    pub cause: &'static str,
}

/// New content, and where it comes from.
pub struct Content<'a> {
    pub bytes: &'a [u8],
    pub cause: &'static str,
    /// Goes into the present version, whatever that came from.
    pub in_place: bool,
}

/// An entry that is being changed: the tenant's sums are locked, so nobody else changes it.
pub struct Change {
    pub tx: TenantTx,
    pub kind: Kind,
    pub entry: Entry,
    bytes: i64,
}

impl Results {
    /// Makes the entry in the caller's transaction. 429 when there are as many as there may be.
    pub async fn insert_entry(&self, tx: &mut TenantTx, new: &NewEntry<'_>) -> Result<(), Problem> {
        let sums = store::lock(tx).await?;
        let (code, have) = match new.kind {
            Kind::Notebook => ("max_notebooks", sums.notebooks),
            Kind::Script => ("max_scripts", sums.scripts),
        };
        if have >= MAX_ENTRIES {
            let detail = format!("A tenant may have {MAX_ENTRIES} {}s; delete one first.", new.kind.as_str());
            return Err(Problem::too_many(code, detail, 60));
        }
        let NewEntry { id, kind, name, description, runtime, workspace_id, author, content, cause } = *new;
        store::insert(tx, &Fields { id, kind, name, description, runtime, workspace_id, author }).await?;
        let bytes = store::write_version(tx, id, 1, cause, author, content).await?;
        self.within_storage(sums.bytes, bytes)?;
        Ok(store::count(tx, kind, 1, bytes).await?)
    }

    /// Takes hold of the entry, to change it. 404 when the tenant has none such.
    pub async fn change(&self, tenant: kiln_domain::TenantId, kind: Kind, id: EntryId) -> Result<Change, Problem> {
        let mut tx = self.database.tenant(tenant).await?;
        let sums = store::lock(&mut tx).await?;
        let entry = store::entry(&mut tx, kind, id).await?.ok_or_else(Problem::not_found)?;
        Ok(Change { tx, kind, entry, bytes: sums.bytes })
    }

    fn within_storage(&self, have: i64, more: i64) -> Result<(), Problem> {
        let most = i64::try_from(self.library_bytes).unwrap_or(i64::MAX);
        if more > 0 && have.saturating_add(more) > most {
            let detail = format!("Notebooks and scripts of this tenant, with their versions, may have {most} bytes.");
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, "library_full", detail));
        }
        Ok(())
    }
}

impl Change {
    /// Writes the fields as they are in `entry`, and the content if there is new one; gives the entry as it then is.
    pub async fn save(mut self, results: &Results, author: Uuid, content: Option<Content<'_>>) -> Result<Entry, Problem> {
        if let Some(content) = content {
            self.write(results, author, &content).await?;
        }
        store::update(&mut self.tx, &self.entry, author).await?;
        let entry = store::entry(&mut self.tx, self.kind, self.entry.id).await?.ok_or_else(Problem::not_found)?;
        self.tx.commit().await?;
        Ok(entry)
    }

    /// The present content.
    pub async fn content(&mut self) -> Result<Vec<u8>, Problem> {
        let content = store::content(&mut self.tx, self.entry.id, self.entry.version).await?;
        content.ok_or_else(|| Problem::internal("an entry without its version"))
    }

    /// That of one version; none when it is not kept.
    pub async fn content_of(&mut self, number: i32) -> Result<Option<Vec<u8>>, Problem> {
        Ok(store::content(&mut self.tx, self.entry.id, number).await?)
    }

    /// Removes the entry with all its versions.
    pub async fn delete(mut self) -> Result<(), Problem> {
        let bytes = store::size(&mut self.tx, self.entry.id).await?;
        store::delete(&mut self.tx, self.entry.id).await?;
        store::count(&mut self.tx, self.kind, -1, -bytes).await?;
        Ok(self.tx.commit().await?)
    }

    async fn write(&mut self, results: &Results, author: Uuid, content: &Content<'_>) -> Result<(), Problem> {
        let in_place = content.in_place || self.goes_on(author, content.cause).await?;
        if !in_place {
            self.entry.version += 1;
        }
        let (id, version) = (self.entry.id, self.entry.version);
        let more = store::write_version(&mut self.tx, id, version, content.cause, author, content.bytes).await?;
        let pruned = store::prune(&mut self.tx, id, version, MAX_VERSIONS, MAX_OLD_BYTES).await?;
        results.within_storage(self.bytes, more - pruned)?;
        Ok(store::count(&mut self.tx, self.kind, 0, more - pruned).await?)
    }

    /// Whether this save belongs to the present version: the same author's saves, a short time from its first.
    async fn goes_on(&mut self, author: Uuid, cause: &str) -> Result<bool, Problem> {
        let present = store::version(&mut self.tx, self.entry.id, self.entry.version).await?;
        let since = |at: Timestamp| Timestamp::now().as_second() - at.as_second();
        Ok(present.is_some_and(|present| {
            cause == "saved"
                && present.cause == cause
                && present.author == author
                && since(present.created_at.to_jiff()) < COALESCE_WITHIN_S
        }))
    }
}
