//! Sessions: made on the executor that has the fewest, kept by its lease, closed for one of a few reasons.
//!
//! What runs in a session are executions like any other, but for where they go: one at a time, in order, to the executor
//! that has it.

use std::time::{Duration, Instant};

use kiln_domain::{ExecutionId, Limits, ReasonCode, SessionId, Status, TenantId};
use kiln_events::{
    AskSession, AskSessionReply, CloseSession, OpenSession, OpenSessionReply, SessionEnded, SessionKnown, SessionOrder,
    TellSession, subject,
};
use kiln_http::{Hold, Problem};
use serde_json::json;

use crate::admission::admit;
use crate::finisher::verdict;
use crate::routes::NO_WORKSPACE;
use crate::store::{self, NewSession, SessionRow};
use crate::{Scheduler, accept};

/// How long an executor may take to make a session; a cold interpreter with heavy packages on a busy machine.
const OPEN_DEADLINE: Duration = Duration::from_secs(40);
/// How long it may take to answer anything else.
const TELL_DEADLINE: Duration = Duration::from_secs(3);
/// How much longer than the kernel's own time an answer may take.
const ASK_SLACK: Duration = Duration::from_secs(1);

/// Why a session is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    /// Its user deletes it.
    Deleted,
    Idle,
    /// It was made for a notebook, which has run.
    Finished,
    /// Its executor, or its start, came to nothing.
    ExecutorLost,
    /// By itself, in the words of its executor.
    Failed(String),
    TenantSuspended,
    TenantDeleted,
}

impl Closing {
    fn reason(&self) -> serde_json::Value {
        let (code, message) = match self {
            Self::Deleted => ("deleted", "Deleted by its user."),
            Self::Idle => ("idle_timeout", "Not used for its idle time-out."),
            Self::Finished => ("finished", "The notebook that it was made for has run."),
            Self::ExecutorLost => ("executor_lost", "The executor that had it stopped; its variables are gone."),
            Self::Failed(message) => ("session_failed", message.as_str()),
            Self::TenantSuspended => ("tenant_suspended", "Its tenant was suspended."),
            Self::TenantDeleted => ("tenant_deleted", "Its tenant was deleted."),
        };
        json!({ "code": code, "message": message })
    }

    /// How its executions end, and by which cause.
    fn ends(&self) -> (Status, ReasonCode) {
        match self {
            Self::Deleted | Self::Idle | Self::Finished => (Status::Cancelled, ReasonCode::CancelledByUser),
            Self::TenantSuspended => (Status::Cancelled, ReasonCode::TenantSuspended),
            Self::TenantDeleted => (Status::Cancelled, ReasonCode::TenantDeleted),
            Self::ExecutorLost | Self::Failed(_) => (Status::Lost, ReasonCode::ExecutorLost),
        }
    }
}

impl Scheduler {
    /// Makes a session and waits until it takes executions, or until its executor has said why it does not.
    pub(crate) async fn open_session(&self, new: &NewSession, hold: Option<&Hold>) -> Result<SessionRow, Problem> {
        let (tenant, id) = (new.tenant, new.id);
        let limits = self.insert_session(new, hold).await?;
        let opened = self.open_somewhere(new, limits).await;
        let (executor, instance) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                self.close_session(tenant, id, &Closing::Failed(why.clone())).await.map_err(Problem::internal)?;
                return Err(Problem::unavailable(why));
            }
        };
        let mut tx = self.database.tenant(tenant).await?;
        let lease_ms = i64::try_from(self.config.lease_ms).unwrap_or(i64::MAX);
        let is_open = store::opened(&mut tx, id, &executor, instance, lease_ms).await?;
        let row = store::load_session(&mut tx, id).await?;
        tx.commit().await?;
        if !is_open {
            self.tell_closed(&executor, id, ReasonCode::CancelledByUser).await;
        }
        row.ok_or_else(Problem::not_found)
    }

    /// The row, within the tenant's quota; its limits, lowered by the tenant's plan.
    async fn insert_session(&self, new: &NewSession, hold: Option<&Hold>) -> Result<Limits, Problem> {
        let mut tx = self.database.tenant(new.tenant).await?;
        let (load, quota) = store::lock_tenant(&mut tx, self.config.quota()).await?;
        admit(load, quota, new.created_at).map_err(accept::refused)?;
        let (count, own) = store::session_count(&mut tx).await?;
        let most = own.unwrap_or(self.config.max_sessions);
        if count >= most {
            return Err(Problem::too_many("max_sessions", format!("This tenant may have {most} sessions open."), 5));
        }
        if let Some(workspace) = new.workspace_id
            && !store::hold_workspace(&mut tx, workspace).await?
        {
            return Err(Problem::invalid_field("/workspace_id", NO_WORKSPACE));
        }
        let limits = quota.ceilings.lower(new.limits);
        store::insert_session(&mut tx, &NewSession { limits, name: new.name.clone(), runtime: new.runtime.clone(), ..*new })
            .await
            .map_err(Problem::internal)?;
        if let Some(hold) = hold {
            hold.bind(&mut tx, new.id.0).await?;
        }
        tx.commit().await?;
        Ok(limits)
    }

    async fn open_somewhere(&self, new: &NewSession, limits: Limits) -> Result<(String, kiln_domain::InstanceId), String> {
        let open = OpenSession {
            tenant_id: new.tenant,
            session_id: new.id,
            runtime: new.runtime.clone(),
            limits,
            workspace_id: new.workspace_id,
        };
        let mut passed_over = Vec::new();
        loop {
            let Some(executor) = self.fleet.place_session(&new.runtime, &passed_over, Instant::now()) else {
                return Err(nobody(&passed_over).to_owned());
            };
            match self.bus.request(&subject::control(&executor, "session_open"), &open, OPEN_DEADLINE).await {
                Ok(OpenSessionReply::Opened { instance, .. }) => return Ok((executor, instance)),
                Ok(OpenSessionReply::Elsewhere) => passed_over.push(executor),
                Ok(OpenSessionReply::Refused { message }) => return Err(message),
                Err(error) => {
                    tracing::warn!(%error, executor, "a session was not opened");
                    self.tell_closed(&executor, new.id, ReasonCode::ExecutorLost).await;
                    return Err("The session could not be started; try again.".to_owned());
                }
            }
        }
    }

    /// Closes it, once; its executions end with it, and its executor is told.
    pub(crate) async fn close_session(&self, tenant: TenantId, id: SessionId, closing: &Closing) -> anyhow::Result<bool> {
        let (status, cause) = closing.ends();
        let mut tx = self.database.system().await?;
        store::lock_tenants(&mut tx, &[tenant]).await?;
        let closed = store::close_session(&mut tx, tenant, id, &closing.reason()).await?;
        let mut messages = Vec::new();
        let mut running = Vec::new();
        if closed.is_some() {
            for row in store::live_of_session(&mut tx, tenant, id).await? {
                if row.state == "running" {
                    // Its executor reports the end, as it does of a session that has ended by itself.
                    if status == Status::Cancelled {
                        store::request_stop(&mut tx, tenant, ExecutionId(row.id), cause).await?;
                    }
                    running.push(row);
                    continue;
                }
                let ended = verdict(status, cause, "Its session was closed before it started.");
                messages.extend(self.end_without_executor(&mut tx, &row, &ended).await?.map(|(_, message)| message));
            }
        }
        tx.commit().await?;
        let Some(closed) = closed else { return Ok(false) };
        tracing::info!(session = %id, reason = ?closing, "session closed");
        self.relay.send(messages);
        self.wake.notify_one();
        if *closing == Closing::ExecutorLost {
            for row in running {
                self.give_up_attempt(tenant, ExecutionId(row.id)).await?;
            }
        } else if let Some(executor) = closed.executor_id {
            self.tell_closed(&executor, id, cause).await;
        }
        Ok(true)
    }

    /// Closes every session of the tenant.
    pub(crate) async fn close_sessions_of(&self, tenant: TenantId, closing: &Closing) -> anyhow::Result<()> {
        let mut tx = self.database.system().await?;
        let sessions = store::live_sessions(&mut tx, tenant).await?;
        tx.commit().await?;
        for session in sessions {
            self.close_session(tenant, session, closing).await?;
        }
        Ok(())
    }

    /// An executor says that one of its sessions has ended by itself.
    pub(crate) async fn session_ended(&self, ended: SessionEnded) -> anyhow::Result<SessionKnown> {
        let closing = Closing::Failed(ended.message);
        Ok(SessionKnown { known: self.close_session(ended.tenant_id, ended.session_id, &closing).await? })
    }

    /// Tells the executor now; should that fail, the answer to its next call does.
    async fn tell_closed(&self, executor: &str, session: SessionId, cause: ReasonCode) {
        let close = CloseSession { session_id: session, cause };
        let told: Result<SessionKnown, _> =
            self.bus.request(&subject::control(executor, "session_close"), &close, TELL_DEADLINE).await;
        if let Err(error) = told {
            tracing::warn!(%error, %session, "executor was not told that a session is closed; it is told at its next call");
        }
    }

    /// Interrupts or restarts an open session.
    pub(crate) async fn order_session(&self, row: &SessionRow, what: SessionOrder) -> Result<(), Problem> {
        let executor = executor_of(row)?;
        let tenant = TenantId(row.tenant_id);
        let order = TellSession { session_id: SessionId(row.id), what };
        let told: SessionKnown = self.bus.request(&subject::control(executor, "session_tell"), &order, TELL_DEADLINE).await?;
        if !told.known {
            return Err(accept::session_closed());
        }
        let mut tx = self.database.tenant(tenant).await?;
        store::touch_session(&mut tx, SessionId(row.id)).await?;
        Ok(tx.commit().await?)
    }

    /// The kernel's own answer.
    pub(crate) async fn ask_session(&self, row: &SessionRow, ask: AskSession) -> Result<serde_json::Value, Problem> {
        let executor = executor_of(row)?;
        let deadline = Duration::from_millis(ask.wait_ms) + ASK_SLACK;
        match self.bus.request(&subject::control(executor, "session_ask"), &ask, deadline).await? {
            AskSessionReply::Answer(answer) => Ok(answer),
            AskSessionReply::Busy => {
                Err(Problem::conflict("session_busy", "The session runs an execution; ask again when it has ended."))
            }
            AskSessionReply::Unknown => Err(accept::session_closed()),
        }
    }

    /// Forgets a session after closing it; its executions stay.
    pub(crate) async fn delete_session(&self, tenant: TenantId, id: SessionId) -> anyhow::Result<()> {
        self.close_session(tenant, id, &Closing::Deleted).await?;
        let mut tx = self.database.system().await?;
        store::delete_session(&mut tx, tenant, id).await?;
        Ok(tx.commit().await?)
    }
}

/// Why no executor takes a session, where these do not have its workspace.
fn nobody(passed_over: &[String]) -> &'static str {
    if passed_over.is_empty() {
        "No executor offers this runtime now; try again."
    } else {
        "The executor that has the files of its workspace is not there now; try again."
    }
}

fn executor_of(row: &SessionRow) -> Result<&str, Problem> {
    if row.state != "open" {
        return Err(accept::session_closed());
    }
    row.executor_id.as_deref().ok_or_else(accept::session_closed)
}
