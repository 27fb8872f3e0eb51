//! A notebook's cells: accepted together, in a session that is made for them or that its user has.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use jiff::Timestamp;
use kiln_domain::{LimitsPatch, SessionId, TenantId};
use kiln_events::{
    BatchExecution, BatchRefusal, BatchSession, FinishSession, PayloadSource, RunBatch, RunBatchReply, SessionKnown,
};
use kiln_http::{FieldError, Problem};

use crate::admission::admit;
use crate::routes::{NO_WORKSPACE, Priority};
use crate::sessions::Closing;
use crate::store::{self, Begun, NewExecution, NewSession, SessionRow, StoredPayload};
use crate::{Config, Scheduler, accept, dispatcher};

/// A notebook's session outlives its cells no longer than this, should nobody close it.
const IDLE_TIMEOUT_MS: i64 = 30 * 60 * 1000;

impl Scheduler {
    pub(super) async fn run_batch(&self, batch: RunBatch) -> anyhow::Result<RunBatchReply> {
        match self.try_batch(&batch).await {
            Ok(()) => Ok(RunBatchReply::Accepted),
            Err(problem) if problem.status() == StatusCode::INTERNAL_SERVER_ERROR => {
                anyhow::bail!("a batch was not accepted: {problem:?}")
            }
            Err(problem) => Ok(RunBatchReply::Refused(BatchRefusal {
                status: problem.status().as_u16(),
                code: problem.code().to_owned(),
                detail: problem.detail().to_owned(),
                pointer: problem.errors().first().map(|error| error.pointer.clone()),
            })),
        }
    }

    /// The session's work is done; what it still runs ends with it.
    pub(super) async fn finish_session(&self, query: FinishSession) -> anyhow::Result<SessionKnown> {
        let known = self.close_session(query.tenant_id, query.session_id, &Closing::Finished).await?;
        Ok(SessionKnown { known })
    }

    async fn try_batch(&self, batch: &RunBatch) -> Result<(), Problem> {
        let session = match &batch.session {
            BatchSession::Open(id) => self.session_for(batch, *id).await?,
            BatchSession::New { session_id, name, runtime, workspace_id, limits } => {
                let new = self.new_session(batch, *session_id, name, runtime, *limits)?;
                self.open_session(&NewSession { workspace_id: *workspace_id, ..new }, None).await?
            }
        };
        let accepted = self.accept_batch(batch, &session).await;
        if accepted.is_err() && matches!(batch.session, BatchSession::New { .. }) {
            let closed = self.close_session(batch.tenant_id, SessionId(session.id), &Closing::Finished).await;
            if let Err(error) = closed {
                tracing::warn!(error = format!("{error:#}"), session = %session.id, "a session without work stays until it is idle for long");
            }
        }
        accepted
    }

    /// An open session that whoever asks may use; 404 when there is none such.
    async fn session_for(&self, batch: &RunBatch, id: SessionId) -> Result<SessionRow, Problem> {
        let mut tx = self.database.tenant(batch.tenant_id).await?;
        let row = store::load_session(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
        if row.created_by != batch.created_by && !batch.manages {
            return Err(Problem::forbidden("The session is another's."));
        }
        Ok(row)
    }

    fn new_session(
        &self,
        batch: &RunBatch,
        id: SessionId,
        name: &str,
        runtime: &str,
        limits: LimitsPatch,
    ) -> Result<NewSession, Problem> {
        let runtime = self.runtimes.resolve(runtime).filter(|id| self.runtimes.has_sessions(id));
        let Some(runtime) = runtime else {
            return Err(Problem::conflict("runtime_unavailable", "The notebook's runtime is not there any more."));
        };
        let limits = Config::default_limits(&runtime).patched(limits, Config::range()).map_err(|wrong| {
            let fault = |limit: &kiln_domain::LimitError| FieldError::new(format!("/limits/{}", limit.field), limit.to_string());
            Problem::invalid(wrong.iter().map(fault).collect())
        })?;
        Ok(NewSession {
            id,
            tenant: batch.tenant_id,
            created_by: batch.created_by,
            name: name.to_owned(),
            runtime,
            limits,
            workspace_id: None,
            idle_timeout_ms: IDLE_TIMEOUT_MS,
            created_at: Timestamp::now(),
        })
    }

    /// All of them in one transaction, the first dispatched when the session is idle.
    async fn accept_batch(&self, batch: &RunBatch, session: &SessionRow) -> Result<(), Problem> {
        let tenant: TenantId = batch.tenant_id;
        let now = Timestamp::now();
        let mut tx = self.database.tenant(tenant).await?;
        let (mut load, quota) = store::lock_tenant(&mut tx, self.config.quota()).await?;
        if let Some(workspace) = session.workspace_id
            && !store::hold_workspace(&mut tx, kiln_domain::WorkspaceId(workspace)).await?
        {
            return Err(Problem::invalid_field("/workspace_id", NO_WORKSPACE));
        }
        let place = store::enter_session(&mut tx, SessionId(session.id)).await?.ok_or_else(accept::session_closed)?;
        let mut messages = Vec::new();
        for (index, execution) in batch.executions.iter().enumerate() {
            let admitted = admit(load, quota, now).map_err(accept::refused)?;
            let new = new_execution(batch, session, execution, now)?;
            let new = NewExecution { limits: quota.ceilings.lower(new.limits), ..new };
            let payload = stored(&execution.payload);
            let dispatched = index == 0 && admitted.may_start && place.is_idle;
            let begun = if dispatched { Begun::Granted { place: &place, lease_ms: self.config.lease_ms } } else { Begun::Waits };
            store::insert(&mut tx, &new, &payload, admitted, &begun).await.map_err(Problem::internal)?;
            (load.minute, load.minute_count) = (admitted.minute, admitted.minute_count);
            *if dispatched { &mut load.active } else { &mut load.queued } += 1;
            if dispatched {
                let attempt = accept::first_attempt(&new, &payload, &begun);
                let message = dispatcher::message(tenant, Some(&place.executor_id), &attempt);
                messages.push(message.map_err(Problem::internal)?);
            }
        }
        store::mark_batch(&mut tx, batch).await?;
        self.relay.add(&mut tx, &messages).await?;
        tx.commit().await?;
        self.may_wait.store(true, Ordering::Relaxed);
        if messages.is_empty() {
            self.wake.notify_one();
        } else {
            self.fleet.changed(1);
            self.relay.send(messages);
        }
        Ok(())
    }
}

fn new_execution(
    batch: &RunBatch,
    session: &SessionRow,
    execution: &BatchExecution,
    now: Timestamp,
) -> Result<NewExecution, Problem> {
    Ok(NewExecution {
        id: execution.execution_id,
        tenant: batch.tenant_id,
        created_by: batch.created_by,
        priority: Priority::default().rank(),
        runtime: session.runtime.clone(),
        limits: serde_json::from_value(session.limits.clone()).map_err(Problem::internal)?,
        asked: LimitsPatch::default(),
        labels: execution.labels.clone(),
        secrets: Vec::new(),
        interactive: false,
        session_id: Some(SessionId(session.id)),
        workspace_id: session.workspace_id.map(kiln_domain::WorkspaceId),
        max_attempts: 1,
        created_at: now,
    })
}

fn stored(payload: &PayloadSource) -> StoredPayload {
    match payload {
        PayloadSource::Inline(payload) => StoredPayload::Inline(payload.clone()),
        PayloadSource::Object(name) => StoredPayload::Object(name.clone()),
    }
}
