//! The runtimes that executors offer, kept in the database so that they are known before an executor has called.

use std::collections::BTreeMap;
use std::sync::RwLock;

use kiln_db::Database;
use kiln_domain::Runtime;

#[derive(Default)]
pub struct Runtimes {
    known: RwLock<BTreeMap<String, Runtime>>,
}

impl Runtimes {
    /// What executors offered before this start.
    pub async fn load(database: &Database) -> anyhow::Result<Self> {
        let mut tx = database.system().await?;
        let rows = sqlx::query_scalar!("SELECT definition FROM scheduler.runtime").fetch_all(&mut *tx).await?;
        tx.commit().await?;
        let mut known = BTreeMap::new();
        for row in rows {
            let mut runtime: Runtime = serde_json::from_value(row)?;
            runtime.available = false; // until an executor says so
            known.insert(runtime.id.clone(), runtime);
        }
        Ok(Self { known: RwLock::new(known) })
    }

    /// Takes over what an executor offers; keeps it in the database when it is new.
    pub async fn offered(&self, database: &Database, offered: &[Runtime]) -> anyhow::Result<()> {
        let changed: Vec<Runtime> = {
            let known = self.read();
            offered.iter().filter(|runtime| known.get(&runtime.id) != Some(*runtime)).cloned().collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = changed.iter().map(|runtime| runtime.id.clone()).collect();
        let definitions = changed.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        let mut tx = database.system().await?;
        sqlx::query!(
            "INSERT INTO scheduler.runtime (id, definition) SELECT * FROM UNNEST($1::text[], $2::jsonb[])
             ON CONFLICT (id) DO UPDATE SET definition = EXCLUDED.definition, seen_at = now()",
            &ids,
            &definitions,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let mut known = self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.extend(changed.into_iter().map(|runtime| (runtime.id.clone(), runtime)));
        Ok(())
    }

    /// By id or alias.
    pub fn resolve(&self, name: &str) -> Option<String> {
        let known = self.read();
        let by_alias = || known.values().find(|runtime| runtime.aliases.iter().any(|alias| alias == name));
        known.get(name).or_else(by_alias).map(|runtime| runtime.id.clone())
    }

    /// The runtime of a request that names none.
    pub fn default_id(&self) -> Option<String> {
        let known = self.read();
        known.values().find(|runtime| runtime.default).or_else(|| known.values().next()).map(|runtime| runtime.id.clone())
    }

    /// Whether a runtime can be a session's.
    pub fn has_sessions(&self, id: &str) -> bool {
        self.read().get(id).is_some_and(|runtime| runtime.language == "python")
    }

    pub fn list(&self) -> Vec<Runtime> {
        self.read().values().cloned().collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Runtime>> {
        self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
