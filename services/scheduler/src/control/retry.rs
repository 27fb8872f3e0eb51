//! Retry: a new execution with what an ended one was given.

use anyhow::Context as _;
use axum::http::StatusCode;
use jiff::Timestamp;
use kiln_domain::LimitsPatch;
use kiln_events::{Payload, Retry, RetryReply};

use crate::store::{NewExecution, StoredPayload};
use crate::{Scheduler, store};

impl Scheduler {
    pub(super) async fn retry(&self, query: Retry) -> anyhow::Result<RetryReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        if let Some(made) = store::load(&mut tx, query.new_id).await? {
            return Ok(RetryReply::Accepted(Box::new(made.record()?)));
        }
        let Some(row) = store::load(&mut tx, query.execution_id).await? else { return Ok(RetryReply::NotFound) };
        if !row.status().is_terminal() {
            return Ok(RetryReply::StillLive);
        }
        let payload = store::payload(&mut tx, query.tenant_id, query.execution_id).await?;
        tx.commit().await?;
        let record = row.record()?;
        let new = NewExecution {
            id: query.new_id,
            tenant: query.tenant_id,
            created_by: query.created_by,
            priority: row.priority,
            runtime: record.runtime,
            limits: record.limits,
            asked: LimitsPatch::default(),
            labels: record.labels,
            secrets: row.secrets,
            interactive: record.interactive,
            session_id: record.session_id,
            workspace_id: record.workspace_id,
            max_attempts: row.max_attempts,
            created_at: Timestamp::now(),
        };
        // An object belongs to one execution, so that deleting one leaves the other whole.
        let payload = match payload {
            StoredPayload::Inline(payload) => StoredPayload::Inline(payload),
            StoredPayload::Object(name) => {
                let payload = self.read_payload(&name).await?;
                self.store_payload(&new, payload)
                    .await
                    .map_err(|problem| anyhow::anyhow!("payload was not copied: {problem:?}"))?
            }
        };
        match self.accept(new, payload, None).await {
            Ok((record, _)) => Ok(RetryReply::Accepted(Box::new(record))),
            Err(problem) if problem.status() == StatusCode::TOO_MANY_REQUESTS || problem.status() == StatusCode::FORBIDDEN => {
                Ok(RetryReply::OverQuota { code: problem.code().to_owned(), detail: problem.detail().to_owned() })
            }
            Err(problem) if problem.code() == "session_closed" => Ok(RetryReply::SessionClosed),
            // The only field that can have become wrong.
            Err(problem) if problem.status() == StatusCode::UNPROCESSABLE_ENTITY => Ok(RetryReply::WorkspaceGone),
            Err(problem) => anyhow::bail!("retry was not accepted: {problem:?}"),
        }
    }

    async fn read_payload(&self, name: &str) -> anyhow::Result<Payload> {
        let (size, mut reader) = self.bus.get_object(name).await?;
        let mut body = Vec::with_capacity(usize::try_from(size)?);
        tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut body).await.context("payload object")?;
        Ok(serde_json::from_slice(&body)?)
    }
}
