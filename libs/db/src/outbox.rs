//! The outbox: messages written in the transaction that makes them true, published after it.

use kiln_domain::EventId;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

/// A message to be published; its id is the deduplication key on the bus.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub id: EventId,
    pub subject: String,
    pub body: Vec<u8>,
}

/// The table `<schema>.outbox` of one service.
#[derive(Debug, Clone)]
pub struct Outbox {
    insert: String,
    stale: String,
    delete: String,
}

impl Outbox {
    pub fn new(schema: &'static str) -> Self {
        Self {
            insert: format!(
                "INSERT INTO {schema}.outbox (id, subject, body) SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::bytea[])"
            ),
            stale: format!(
                "SELECT id, subject, body FROM {schema}.outbox WHERE created_at < now() - interval '2 seconds' ORDER BY id LIMIT $1"
            ),
            delete: format!("DELETE FROM {schema}.outbox WHERE id = ANY($1)"),
        }
    }

    /// Writes the messages in the caller's transaction.
    pub async fn add(&self, connection: &mut PgConnection, messages: &[Outgoing]) -> Result<(), sqlx::Error> {
        let ids: Vec<Uuid> = messages.iter().map(|message| message.id.0).collect();
        let subjects: Vec<&str> = messages.iter().map(|message| message.subject.as_str()).collect();
        let bodies: Vec<&[u8]> = messages.iter().map(|message| message.body.as_slice()).collect();
        sqlx::query(AssertSqlSafe(self.insert.clone())).bind(ids).bind(subjects).bind(bodies).execute(connection).await.map(drop)
    }

    /// Messages whose publication has not been confirmed for two seconds, oldest first.
    pub async fn stale(&self, connection: &mut PgConnection, limit: i64) -> Result<Vec<Outgoing>, sqlx::Error> {
        let rows = sqlx::query(AssertSqlSafe(self.stale.clone())).bind(limit).fetch_all(connection).await?;
        rows.into_iter()
            .map(|row| {
                Ok(Outgoing { id: EventId(row.try_get("id")?), subject: row.try_get("subject")?, body: row.try_get("body")? })
            })
            .collect()
    }

    /// Forgets messages that the bus has confirmed.
    pub async fn delete(&self, connection: &mut PgConnection, ids: &[EventId]) -> Result<(), sqlx::Error> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        sqlx::query(AssertSqlSafe(self.delete.clone())).bind(ids).execute(connection).await.map(drop)
    }
}
