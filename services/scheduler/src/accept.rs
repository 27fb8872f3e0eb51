//! Taking an execution in: quota, reservation, row and, when it may start at once, its first attempt, in one transaction.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use kiln_domain::LimitError;
use kiln_events::{ExecutionRecord, Payload, Task, subject};
use kiln_http::{FieldError, Hold, Problem, Standing};

use crate::admission::{Admitted, Quota, Refusal, admit};
use crate::routes::NO_WORKSPACE;
use crate::store::{self, Begun, NewExecution, StoredPayload};
use crate::{Scheduler, dispatcher, measure};

/// Larger payloads go to the object store.
const MAX_INLINE_PAYLOAD: usize = 256 * 1024;

impl Scheduler {
    /// Where this payload is to be kept; a large one is stored now, before the transaction.
    pub(crate) async fn store_payload(&self, new: &NewExecution, payload: Payload) -> Result<StoredPayload, Problem> {
        let size: usize =
            payload.code.len() + payload.stdin.len() + payload.files.iter().map(|file| file.content.len()).sum::<usize>();
        if size <= MAX_INLINE_PAYLOAD {
            return Ok(StoredPayload::Inline(payload));
        }
        let body = serde_json::to_vec(&payload).map_err(Problem::internal)?;
        let name = subject::payload_object(new.id);
        self.bus.put_object(&name, &mut body.as_slice()).await.map_err(|error| {
            tracing::warn!(%error, "payload was not stored");
            Problem::unavailable("The files cannot be stored now; try again.")
        })?;
        Ok(StoredPayload::Object(name))
    }

    /// Accepts the execution, or says which quota is spent; with where the tenant stands with its rate. Publishes after
    /// the commit.
    pub(crate) async fn accept(
        &self,
        mut new: NewExecution,
        payload: StoredPayload,
        hold: Option<&Hold>,
    ) -> Result<(ExecutionRecord, Standing), Problem> {
        let accepted = self.accept_in_transaction(&mut new, &payload, hold).await;
        measure::accepted(accepted.as_ref().err());
        if let (Err(_), StoredPayload::Object(name)) = (&accepted, &payload)
            && let Err(error) = self.bus.delete_object(name).await
        {
            tracing::warn!(%error, name, "payload of a refused execution stays behind");
        }
        accepted
    }

    async fn accept_in_transaction(
        &self,
        new: &mut NewExecution,
        payload: &StoredPayload,
        hold: Option<&Hold>,
    ) -> Result<(ExecutionRecord, Standing), Problem> {
        let mut tx = self.database.tenant(new.tenant).await?;
        let (load, quota) = store::lock_tenant(&mut tx, self.config.quota()).await?;
        if let Some(workspace) = new.workspace_id
            && !store::hold_workspace(&mut tx, workspace).await?
        {
            return Err(Problem::invalid_field("/workspace_id", NO_WORKSPACE));
        }
        let admitted = admit(load, quota, new.created_at).map_err(refused)?;
        new.limits = quota.ceilings.apply(new.limits, new.asked).map_err(|wrong| above_plan(&wrong))?;
        let place = match new.session_id {
            Some(session) => Some(store::enter_session(&mut tx, session).await?.ok_or_else(session_closed)?),
            None => None,
        };
        let has_room = match &place {
            Some(place) => place.is_idle,
            None => self.fleet.can_start(&new.runtime, Instant::now()),
        };
        let dispatched = admitted.may_start && has_room;
        let begun = match &place {
            _ if !dispatched => Begun::Waits,
            None => Begun::Dispatched,
            Some(place) => Begun::Granted { place, lease_ms: self.config.lease_ms },
        };
        store::insert(&mut tx, new, payload, admitted, &begun).await.map_err(Problem::internal)?;
        let mut messages = Vec::new();
        if dispatched {
            let executor = place.as_ref().map(|place| place.executor_id.as_str());
            let task = first_attempt(new, payload, &begun);
            messages.push(dispatcher::message(new.tenant, executor, &task).map_err(Problem::internal)?);
            self.relay.add(&mut tx, &messages).await?;
        }
        if let Some(hold) = hold {
            hold.bind(&mut tx, new.id.0).await?;
        }
        tx.commit().await?;
        if dispatched {
            self.fleet.changed(1);
            self.relay.send(messages);
        } else {
            self.may_wait.store(true, Ordering::Relaxed);
            self.wake.notify_one();
        }
        Ok((new.record(), standing(quota, admitted, new.created_at)))
    }
}

/// The attempt that is made with the execution itself.
pub fn first_attempt(new: &NewExecution, payload: &StoredPayload, begun: &Begun<'_>) -> Task {
    // Half of the lease is left for messages that are late and clocks that do not agree.
    let granted_until = match begun {
        Begun::Granted { lease_ms, .. } => Some(new.created_at + Duration::from_millis(lease_ms / 2)),
        Begun::Waits | Begun::Dispatched => None,
    };
    Task {
        execution_id: new.id,
        attempt: 1,
        runtime: new.runtime.clone(),
        limits: new.limits,
        interactive: new.interactive,
        workspace_id: new.workspace_id,
        dispatched_at: new.created_at,
        payload: payload.clone().source(),
        has_secrets: !new.secrets.is_empty(),
        session_id: new.session_id,
        granted_until,
    }
}

/// A session that takes no executions any more, or not yet.
pub fn session_closed() -> Problem {
    Problem::new(StatusCode::CONFLICT, "session_closed", "The session takes no executions: it is closed.")
}

/// Limits that the installation would allow and the tenant's plan does not.
fn above_plan(wrong: &[LimitError]) -> Problem {
    Problem::invalid(wrong.iter().map(|limit| FieldError::new(format!("/limits/{}", limit.field), limit.to_string())).collect())
}

pub fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Suspended => Problem::new(StatusCode::FORBIDDEN, "tenant_suspended", "This tenant is suspended."),
        Refusal::CpuTime { per_day_ms, retry_after_s } => {
            let detail =
                format!("This tenant may use {per_day_ms} ms of CPU time a day, which is spent; the day ends at midnight UTC.");
            Problem::too_many("cpu_ms_per_day", detail, retry_after_s)
        }
        Refusal::QueueFull { max_queued } => {
            Problem::too_many("max_queued", format!("{max_queued} executions of this tenant wait already."), 1)
        }
        Refusal::Rate { per_minute, retry_after_s } => {
            let detail = format!("This tenant may submit {per_minute} executions a minute.");
            rate(per_minute, 0, retry_after_s).refusal("executions_per_minute", &detail)
        }
    }
}

/// What is left of the minute's executions.
fn standing(quota: Quota, admitted: Admitted, now: Timestamp) -> Standing {
    let left = SignedDuration::from_mins(1) - now.duration_since(admitted.minute);
    let per_minute = quota.executions_per_minute;
    rate(per_minute, per_minute.saturating_sub(admitted.minute_count), u64::try_from(left.as_secs()).unwrap_or(0).clamp(1, 60))
}

fn rate(quota: u32, remaining: u32, reset_s: u64) -> Standing {
    Standing { name: "executions_per_minute", quota, window_s: 60, remaining, reset_s }
}
