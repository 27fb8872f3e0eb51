//! Cells on their way to the scheduler.

use std::collections::BTreeMap;

use kiln_domain::{ExecutionId, SessionId};
use kiln_events::{
    BatchExecution, BatchRefusal, BatchSession, FinishSession, Payload, PayloadSource, RunBatch, RunBatchReply, SessionKnown,
    subject,
};
use kiln_http::Problem;

use super::begin::SUBMIT_DEADLINE;
use super::plan::Planned;
use super::store::Run;
use super::{CELL_LABEL, NOTEBOOK_LABEL};
use crate::Results;

/// Code that all cells together may have in the message; what is more goes by the object store.
const MAX_INLINE: usize = 1 << 20;
/// Code of one cell that may be in the message.
const MAX_INLINE_CELL: usize = 256 * 1024;

/// A run that the scheduler is to take.
pub struct Submission<'a> {
    pub run: &'a Run,
    pub session: BatchSession,
    pub manages: bool,
    pub cells: &'a [(ExecutionId, Planned)],
}

impl Results {
    /// Gives the cells to the scheduler; why it does not take them, if it does not.
    pub async fn submit(&self, submission: Submission<'_>) -> Result<Option<BatchRefusal>, Problem> {
        let Submission { run, session, manages, cells } = submission;
        let mut inline = 0;
        let mut executions = Vec::with_capacity(cells.len());
        let mut objects = Vec::new();
        for (execution_id, cell) in cells {
            let payload = Payload { code: cell.code.clone(), ..Payload::default() };
            inline += cell.code.len();
            let payload = if cell.code.len() <= MAX_INLINE_CELL && inline <= MAX_INLINE {
                PayloadSource::Inline(payload)
            } else {
                inline -= cell.code.len();
                let name = subject::payload_object(*execution_id);
                let body = serde_json::to_vec(&payload).map_err(Problem::internal)?;
                self.bus.put_object(&name, &mut body.as_slice()).await.map_err(|error| {
                    tracing::warn!(%error, "code of a cell was not stored");
                    Problem::unavailable("The cells cannot be stored now; try again.")
                })?;
                objects.push(name.clone());
                PayloadSource::Object(name)
            };
            let labels = BTreeMap::from([
                (NOTEBOOK_LABEL.to_owned(), run.entry_id.to_string()),
                (CELL_LABEL.to_owned(), cell.cell_id.clone()),
            ]);
            executions.push(BatchExecution { execution_id: *execution_id, payload, may_raise: cell.may_raise, labels });
        }
        let batch =
            RunBatch { tenant_id: run.tenant(), created_by: run.created_by, manages, batch_id: run.id, session, executions };
        match self.ask_within("run_batch", &batch, SUBMIT_DEADLINE).await? {
            RunBatchReply::Accepted => Ok(None),
            RunBatchReply::Refused(refusal) => {
                for name in objects {
                    if let Err(error) = self.bus.delete_object(&name).await {
                        tracing::warn!(%error, name, "code of a refused cell stays behind");
                    }
                }
                Ok(Some(refusal))
            }
        }
    }

    /// Closes the run's own session, if it has one: its work is done. One that is closed already is fine.
    pub async fn finish_own_session(&self, run: &Run) -> Result<(), Problem> {
        let Some(session_id) = run.session_id.filter(|_| run.owns_session) else { return Ok(()) };
        let finish = FinishSession { tenant_id: run.tenant(), session_id: SessionId(session_id) };
        let _known: SessionKnown = self.ask_within("finish_session", &finish, SUBMIT_DEADLINE).await?;
        Ok(())
    }
}
