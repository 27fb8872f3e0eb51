//! What cells leave goes into their notebook as they end: by their ids, whoever has edited it meanwhile.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use kiln_domain::{ExecutionId, ReasonCode, Status};
use kiln_http::Problem;
use kiln_runtime::Task;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::NOT_RUN;
use super::store::{self, Run, RunCell};
use crate::Results;
use crate::library::{Content, Kind};
use crate::notebook::{Notebook, Ran, parsed};

/// Runs are looked at so often, should a wake-up have been missed; those of which nothing is heard, less often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_FOR_SILENT_EVERY: Duration = Duration::from_secs(30);

pub fn task(results: &Arc<Results>, shutdown: CancellationToken) -> Task {
    let results = Arc::clone(results);
    Task::new("result-notebooks", async move {
        let mut silent_at = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = results.runs.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let look_for_silent = silent_at.elapsed() >= LOOK_FOR_SILENT_EVERY;
            if look_for_silent {
                silent_at = Instant::now();
            }
            if let Err(problem) = results.write_ended(look_for_silent).await {
                tracing::warn!(?problem, "runs of notebooks were not written; it is tried again");
            }
        }
    })
}

/// A cell's end, ready for the notebook.
struct Ended {
    cell: RunCell,
    status: String,
    reason: Option<serde_json::Value>,
    /// None of a cell that has not run.
    left: Option<Ran>,
}

impl Results {
    async fn write_ended(&self, look_for_silent: bool) -> Result<(), Problem> {
        let mut tx = self.database.system().await?;
        let writable = store::writable(&mut tx).await?;
        let unanswered = store::unanswered(&mut tx).await?;
        let silent = if look_for_silent { store::silent(&mut tx).await? } else { Vec::new() };
        drop(tx);
        for run in writable {
            if let Err(problem) = self.write_run(&run).await {
                tracing::warn!(?problem, run = %run.id, "a run was not written; it is tried again");
            }
        }
        for run in unanswered {
            self.abandon(&run, "Kiln stopped while the run began.").await?;
        }
        for run in silent {
            self.forget_deleted_cells(&run).await?;
        }
        Ok(())
    }

    /// Writes what has ended of the run, and the run's own end with its last cell.
    async fn write_run(&self, run: &Run) -> Result<(), Problem> {
        loop {
            let mut tx = self.database.system().await?;
            let cells = store::ended_cells(&mut tx, run.id).await?;
            drop(tx);
            if cells.is_empty() {
                break;
            }
            let mut ended = Vec::with_capacity(cells.len());
            for cell in cells {
                ended.push(self.ended_cell(run, cell).await?);
            }
            match self.write_cells(run, &ended).await {
                Err(problem) if [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::INSUFFICIENT_STORAGE].contains(&problem.status()) => {
                    self.note_unwritten(run, &ended, problem.detail()).await?;
                }
                written => written?,
            }
        }
        let mut tx = self.database.tenant(run.tenant()).await?;
        if store::cells(&mut tx, run.id).await?.iter().any(|cell| cell.status.is_none()) {
            return Ok(());
        }
        drop(tx);
        self.finish_own_session(run).await?;
        let mut tx = self.database.tenant(run.tenant()).await?;
        store::set_state(&mut tx, run, "running", "ended").await?;
        tx.commit().await?;
        self.runs.ended.notify_waiters();
        Ok(())
    }

    async fn ended_cell(&self, run: &Run, cell: RunCell) -> Result<Ended, Problem> {
        let document = self.document(run.tenant(), ExecutionId(cell.execution_id)).await;
        let document = match document {
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
                let reason = serde_json::json!({ "code": "deleted", "message": "Its execution was deleted." });
                return Ok(Ended { cell, status: Status::Lost.as_str().to_owned(), reason: Some(reason), left: None });
            }
            document => document?,
        };
        let reason = document.reason.as_ref().map(serde_json::to_value).transpose().map_err(Problem::internal)?;
        if document.started_at.is_none() && document.status != Status::Succeeded {
            return Ok(Ended { cell, status: NOT_RUN.to_owned(), reason, left: None });
        }
        let told_itself = document.reason.as_ref().is_none_or(|reason| reason.code == ReasonCode::Exception);
        let cut_off = document.reason.filter(|_| !told_itself).map(|reason| (name(document.status).to_owned(), reason.message));
        let left = Ran {
            id: document.id,
            outputs: document.outputs.unwrap_or_default(),
            execution_count: document.execution_count,
            started_at: document.started_at,
            finished_at: document.finished_at,
            cut_off,
        };
        Ok(Ended { cell, status: document.status.as_str().to_owned(), reason, left: Some(left) })
    }

    /// Notes the ends and writes what they left, in one transaction: once, whoever else tries.
    async fn write_cells(&self, run: &Run, ended: &[Ended]) -> Result<(), Problem> {
        let _permit = self.documents.acquire().await.map_err(Problem::internal)?;
        let mut change = self.change(run.tenant(), Kind::Notebook, run.entry_id).await?;
        let mut left = Vec::new();
        for end in ended {
            let execution = ExecutionId(end.cell.execution_id);
            if store::mark(&mut change.tx, run, execution, &end.status, end.reason.as_ref()).await? {
                left.extend(end.left.as_ref().map(|left| (end.cell.cell_id.as_str(), left)));
            }
        }
        if left.is_empty() {
            return Ok(change.tx.commit().await?);
        }
        let mut notebook: Notebook = parsed(change.content().await?)?;
        let most = self.notebook_bytes;
        let mut written = false;
        for (cell, left) in &left {
            if let Some(cell) = notebook.cell_mut(cell) {
                cell.ran((*left).clone(), most);
                written = true;
            }
        }
        if !written {
            // The cells are not there any more; their executions are.
            return Ok(change.tx.commit().await?);
        }
        let content = if let Ok(content) = self.bounded(&notebook) {
            content
        } else {
            for (cell, left) in left {
                if let Some(cell) = notebook.cell_mut(cell) {
                    cell.ran(left.clone(), 0);
                }
            }
            self.bounded(&notebook)?
        };
        let content = Content { bytes: &content, cause: "run", in_place: true };
        change.save(self, run.created_by, Some(content)).await.map(drop)
    }

    /// Says of cells that have run that the notebook has no room for what they left; their executions have it.
    async fn note_unwritten(&self, run: &Run, ended: &[Ended], why: &str) -> Result<(), Problem> {
        let mut tx = self.database.tenant(run.tenant()).await?;
        let unwritten = serde_json::json!({ "code": "not_written", "message": why });
        for end in ended {
            let reason = end.reason.as_ref().unwrap_or(&unwritten);
            store::mark(&mut tx, run, ExecutionId(end.cell.execution_id), &end.status, Some(reason)).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// What a notebook calls an end that the program itself did not tell.
fn name(status: Status) -> &'static str {
    match status {
        Status::TimedOut => "TimedOut",
        Status::OutOfMemory => "OutOfMemory",
        Status::Cancelled => "Cancelled",
        Status::Lost => "Lost",
        Status::Failed | Status::Queued | Status::Running | Status::Succeeded => "Failed",
    }
}
