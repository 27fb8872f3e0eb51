//! The beginning of a run: written down, given to the scheduler, and the notebook made ready for what comes.

use std::time::Duration;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use kiln_domain::{ExecutionId, LimitsPatch, SessionId, WorkspaceId};
use kiln_events::{BatchRefusal, BatchSession};
use kiln_http::auth::{Caller, Permission};
use kiln_http::{FieldError, Hold, Problem};
use uuid::Uuid;

use super::plan::{Planned, plan};
use super::store::{self, Run, RunCell};
use super::submit::Submission;
use crate::Results;
use crate::library::{self, Change, Content, Entry, EntryId, IfMatch, Kind};
use crate::notebook::{Notebook, Parameters, parsed};

/// The scheduler answers within this, or the run is given up: making a session takes up to 40 s.
pub const SUBMIT_DEADLINE: Duration = Duration::from_secs(50);
/// After this nobody waits for the answer any more.
const GIVE_UP_AFTER: Duration = Duration::from_secs(70);

/// What a client asks for.
pub struct Asked {
    pub parameters: Parameters,
    /// Cells' ids.
    pub from: Option<String>,
    pub to: Option<String>,
    pub session_id: Option<SessionId>,
    pub keep_session: bool,
    pub limits: LimitsPatch,
}

/// A run that is written down.
struct Begun {
    run: Run,
    entry: Entry,
    planned: Vec<(ExecutionId, Planned)>,
    /// The cell that the parameters go into.
    parameters_cell: Option<String>,
}

impl Results {
    /// Begins a run; it is under way when this returns.
    pub async fn begin_run(
        &self,
        caller: &Caller,
        id: EntryId,
        asked: &Asked,
        if_match: &IfMatch,
        hold: &Hold,
    ) -> Result<Run, Problem> {
        let begun = self.write_down(caller, id, asked, if_match, hold).await?;
        if begun.planned.is_empty() {
            return Ok(begun.run);
        }
        let submission = Submission {
            run: &begun.run,
            session: session(&begun, asked),
            manages: caller.may(Permission::SessionsManage),
            cells: &begun.planned,
        };
        match self.submit(submission).await {
            Ok(None) => {}
            Ok(Some(refusal)) => {
                self.forget_run(&begun.run).await?;
                return Err(refused(refusal));
            }
            Err(problem) => {
                // Whether it was taken nobody knows: what there may be of it is stopped.
                self.abandon(&begun.run, "The scheduler did not answer.").await?;
                return Err(problem);
            }
        }
        match self.make_ready(caller, &begun, asked).await {
            Ok(run) => {
                self.runs.wake.notify_one();
                Ok(run)
            }
            Err(problem) => {
                self.abandon(&begun.run, "The notebook could not be written.").await?;
                Err(problem)
            }
        }
    }

    /// What would run, as rows.
    async fn write_down(
        &self,
        caller: &Caller,
        id: EntryId,
        asked: &Asked,
        if_match: &IfMatch,
        hold: &Hold,
    ) -> Result<Begun, Problem> {
        let _permit = self.documents.acquire().await.map_err(Problem::internal)?;
        let mut change = self.change(caller.tenant_id, Kind::Notebook, id).await?;
        if_match.check(change.entry.revision)?;
        if change.entry.run_state.as_deref().is_some_and(|state| state != "ended") {
            return Err(Problem::conflict("run_active", "The notebook runs already."));
        }
        let mut notebook = parsed(change.content().await?)?;
        let parameters_at = (!asked.parameters.is_empty()).then(|| notebook.inject(&asked.parameters, None));
        let planned = plan(&notebook, asked.from.as_deref(), asked.to.as_deref(), parameters_at)?;
        let planned: Vec<_> = planned.into_iter().map(|cell| (ExecutionId::generate(), cell)).collect();
        let (now, nothing) = (Timestamp::now().to_sqlx(), planned.is_empty());
        let run = Run {
            id: Uuid::now_v7(),
            tenant_id: caller.tenant_id.0,
            entry_id: id,
            created_by: caller.actor(),
            state: if nothing { "ended" } else { "starting" }.to_owned(),
            session_id: asked.session_id.or_else(|| (!nothing).then(SessionId::generate)).map(|id| id.0),
            owns_session: !nothing && asked.session_id.is_none() && !asked.keep_session,
            created_at: now,
            ended_at: nothing.then_some(now),
        };
        let cells: Vec<RunCell> =
            planned.iter().zip(0..).map(|((execution, cell), position)| row(*execution, cell, position)).collect();
        store::insert(&mut change.tx, &run, &cells, GIVE_UP_AFTER).await?;
        if nothing {
            store::forget_earlier(&mut change.tx, &run).await?;
        }
        hold.bind(&mut change.tx, run.id).await?;
        let entry = change.entry.clone();
        change.tx.commit().await?;
        let cell = parameters_at.and_then(|index| notebook.cells.get(index)).map(|cell| cell.id.clone());
        Ok(Begun { run, entry, planned, parameters_cell: cell })
    }

    /// Puts the parameters in and takes the old outputs of what runs away, as a version of its own.
    async fn make_ready(&self, caller: &Caller, begun: &Begun, asked: &Asked) -> Result<Run, Problem> {
        let _permit = self.documents.acquire().await.map_err(Problem::internal)?;
        let mut change: Change = self.change(caller.tenant_id, Kind::Notebook, begun.entry.id).await?;
        // It may have been edited since; what was there then is what runs.
        let mut notebook: Notebook = parsed(change.content().await?)?;
        if let Some(id) = &begun.parameters_cell {
            notebook.inject(&asked.parameters, Some(id));
        }
        notebook.name_kernel();
        for (_, planned) in &begun.planned {
            if let Some(cell) = notebook.cell_mut(&planned.cell_id) {
                cell.clear();
            }
        }
        let content = self.bounded(&notebook)?;
        if !store::set_state(&mut change.tx, &begun.run, "starting", "running").await? {
            return Err(Problem::unavailable("The run was given up meanwhile; try again."));
        }
        store::forget_earlier(&mut change.tx, &begun.run).await?;
        let content = Content { bytes: &content, cause: "run", in_place: false };
        change.save(self, caller.actor(), Some(content)).await?;
        Ok(Run { state: "running".to_owned(), ..begun.run.clone() })
    }

    async fn forget_run(&self, run: &Run) -> Result<(), Problem> {
        let mut tx = self.database.tenant(run.tenant()).await?;
        store::forget(&mut tx, run.id).await?;
        Ok(tx.commit().await?)
    }

    /// The run as it is now, with its cells; 404 when the notebook never ran.
    pub async fn find_run(&self, caller: &Caller, entry: EntryId) -> Result<(Run, Vec<RunCell>), Problem> {
        let mut tx = self.database.tenant(caller.tenant_id).await?;
        library::entry(&mut tx, Kind::Notebook, entry).await?.ok_or_else(Problem::not_found)?;
        let run = store::latest(&mut tx, entry).await?.ok_or_else(Problem::not_found)?;
        let cells = store::cells(&mut tx, run.id).await?;
        Ok((run, cells))
    }

    /// Waits until the run has ended, for as long; then how it is.
    pub async fn wait_for_run(&self, caller: &Caller, entry: EntryId, wait: Duration) -> Result<(Run, Vec<RunCell>), Problem> {
        /// Another process may write the end.
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        let until = tokio::time::Instant::now() + wait;
        loop {
            let told = self.runs.ended.notified();
            let found = self.find_run(caller, entry).await?;
            let now = tokio::time::Instant::now();
            if found.0.state == "ended" || now >= until {
                return Ok(found);
            }
            let look = (now + LOOK_EVERY).min(until);
            // Either way it is looked again.
            let _ = tokio::time::timeout_at(look, told).await;
        }
    }
}

fn row(execution: ExecutionId, cell: &Planned, position: i32) -> RunCell {
    let (cell_id, may_raise) = (cell.cell_id.clone(), cell.may_raise);
    RunCell { position, cell_id, execution_id: execution.0, may_raise, status: None, reason: None }
}

fn session(begun: &Begun, asked: &Asked) -> BatchSession {
    match asked.session_id {
        Some(id) => BatchSession::Open(id),
        None => BatchSession::New {
            session_id: SessionId(begun.run.session_id.unwrap_or_default()),
            name: begun.entry.name.chars().take(64).collect(),
            runtime: begun.entry.runtime.clone(),
            workspace_id: begun.entry.workspace_id.map(WorkspaceId),
            limits: asked.limits,
        },
    }
}

/// The scheduler's refusal as an answer.
fn refused(refusal: BatchRefusal) -> Problem {
    let BatchRefusal { status, code, detail, pointer } = refusal;
    match (status, code.as_str(), pointer) {
        (429, "max_sessions", _) => Problem::too_many("max_sessions", detail, 5),
        (429 | 403, _, _) => Problem::over_quota(&code, detail),
        (404, _, _) => refused_session(),
        (409, "runtime_unavailable", _) => Problem::conflict("runtime_unavailable", detail),
        (409, _, _) => Problem::conflict("session_closed", detail),
        (422, _, Some(pointer)) if pointer.starts_with("/limits") => {
            let words = detail.strip_prefix(&pointer).unwrap_or(&detail).trim().to_owned();
            Problem::invalid(vec![FieldError::new(pointer, words)])
        }
        (422, _, _) => Problem::conflict("workspace_gone", "The notebook's workspace has been deleted."),
        (503, _, _) => Problem::unavailable(detail),
        _ => Problem::internal(format!("the scheduler refused with {status} {code}: {detail}")),
    }
}

/// A session that the caller's tenant does not have.
pub fn refused_session() -> Problem {
    Problem::invalid_field("/session_id", "names no session of this tenant")
}
